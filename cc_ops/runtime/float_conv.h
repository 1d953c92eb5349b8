// Float convolutions and matrix products, by the core's float_gemm without gathering windows.
//
// The image is copied once into one with its padding around it (and with each group's channels together); where nothing is
// padded, it is read where it lies. A kernel row of a window is then a run of kw * channels neighbouring floats, and the windows
// of a row of outputs lie `stride * channels` apart: one product a row, summed over the kernel's rows. The kernel lies in panels
// of 32 filters, [group][panel][run][32], so that a panel is read from front to back.
#pragma once

#include <cstdint>
#include <memory>

#include "core/geometry.h"
#include "runtime/epilogue.h"
#include "runtime/op.h"

namespace bnn {

class FloatKernel {
 public:
  // HWIO, of `run` weights a filter. Null memory where there is none.
  FloatKernel() = default;
  FloatKernel(const float* hwio, int64_t run, int64_t filters, int64_t groups);

  static constexpr int64_t kWidth = 32;

  bool ready() const { return panels_ != nullptr; }
  int64_t run() const { return run_; }
  int64_t filters() const { return filters_; }
  int64_t group_panels() const;
  const float* Panel(int64_t group, int64_t panel) const;

 private:
  int64_t run_ = 0, filters_ = 0, groups_ = 1;
  std::shared_ptr<float> panels_;
};

int64_t FloatConvScratchBytes(const ConvGeometry& g);

void FloatConv(const Machine& machine, const ConvGeometry& g, const FloatKernel& kernel, const Epilogue& epilogue, const float* x,
               float* y, char* scratch);

// y[rows, filters] = x[rows, run] * kernel
void FloatDense(const Machine& machine, int64_t rows, const FloatKernel& kernel, const Epilogue& epilogue, const float* x,
                float* y);

// Groups of one channel and one filter each; weights [tap][channel], as HWIO has them. No scratch memory.
void DepthwiseConv(const Machine& machine, const ConvGeometry& g, const float* weights, const Axis::Range* inside,
                   const Epilogue& epilogue, const float* x, float* y);

}  // namespace bnn
