// The two kinds of input, float and binary: which of core's convolutions an op calls, with which options.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "core/conv_grad.h"
#include "core/options.h"
#include "core/sign_conv.h"
#include "core/xnor_conv.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tf/status.h"

namespace bnn::ops {

// `scaling`, `ste` and `input_ste`, read and checked.
absl::Status ReadScaling(tensorflow::OpKernelConstruction* context, Scaling* scaling);
absl::Status ReadSte(tensorflow::OpKernelConstruction* context, const std::string& attribute, Ste* ste);

// Arrays of a gradient, as core takes them.
struct GradArrays {
  const float *x, *kernel, *dy;
  float *dx, *dkernel;
};

class FloatInput {
 public:
  static constexpr bool kBinary = false;

  absl::Status Read(tensorflow::OpKernelConstruction*) { return absl::OkStatus(); }
  Ste ste() const { return Ste::kIdentity; }

  int64_t ScratchBytes(const Executor& executor, const ConvGeometry& g) const { return SignConvScratchBytes(executor, g); }
  void Run(const Executor& executor, const ConvGeometry& g, const float* x, const uint32_t* bits, const float* alpha, float* y,
           void* scratch) const {
    SignConv(executor, g, x, bits, alpha, y, scratch);
  }

  int64_t GradScratchBytes(const Executor& executor, const ConvGeometry& g) const {
    return SignConvGradScratchBytes(executor, g);
  }
  void RunGrad(const Executor& executor, const ConvGeometry& g, const KernelGradOptions& options, const PseudoGradient&,
               const GradArrays& a, void* scratch) const {
    SignConvGrad(executor, g, options, a.x, a.kernel, a.dy, a.dx, a.dkernel, scratch);
  }
};

class BinaryInput {
 public:
  static constexpr bool kBinary = true;

  // Not every op has every attribute: a dense layer has no padding, a packed one no gradient.
  absl::Status Read(tensorflow::OpKernelConstruction* context);
  Ste ste() const { return ste_; }

  int64_t ScratchBytes(const Executor& executor, const ConvGeometry& g) const {
    return XnorConvScratchBytes(executor, g, options_);
  }
  void Run(const Executor& executor, const ConvGeometry& g, const float* x, const uint32_t* bits, const float* alpha, float* y,
           void* scratch) const {
    XnorConv(executor, g, options_, x, bits, alpha, y, scratch);
  }

  int64_t GradScratchBytes(const Executor& executor, const ConvGeometry& g) const {
    return XnorConvGradScratchBytes(executor, g, options_);
  }
  void RunGrad(const Executor& executor, const ConvGeometry& g, const KernelGradOptions& options, const PseudoGradient& input,
               const GradArrays& a, void* scratch) const {
    XnorConvGrad(executor, g, options, options_, input, a.x, a.kernel, a.dy, a.dx, a.dkernel, scratch);
  }

 private:
  XnorOptions options_;
  Ste ste_ = Ste::kClip;
};

}  // namespace bnn::ops
