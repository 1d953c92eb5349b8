// What every op's kernel does around core: shapes, scratch memory, the executor of a call.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/status/status.h"
#include "core/arguments.h"
#include "core/executor.h"
#include "core/geometry.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/platform/errors.h"

namespace bnn::ops {

tensorflow::TensorShape ToTensorShape(const Sizes& sizes);
Sizes ToSizes(const tensorflow::Tensor& tensor);

// The backend that BNN_TF_ISA chooses on the threads that BNN_TF_THREADING chooses.
class CallExecutor {
 public:
  absl::Status Init(tensorflow::OpKernelContext* context);
  Executor get() const { return {*backend_, *parallel_}; }

 private:
  const Backend* backend_ = nullptr;
  std::unique_ptr<ParallelFor> parallel_;
};

// Memory for the length of a call, aligned for core.
class Scratch {
 public:
  absl::Status Allocate(tensorflow::OpKernelContext* context, int64_t bytes);
  void* data() { return tensor_.data(); }

 private:
  tensorflow::Tensor tensor_;
};

// The geometry of the last call. In a graph a layer mostly sees the shapes that it saw before: to compare them takes 0.1 us where
// to check them and to derive everything from them anew takes 0.4, and a small layer computes for four. Eager layers of equal
// attributes share one op, which derives anew wherever their shapes take turns.
class LastGeometry {
 public:
  // What `derive(geometry)` gives for inputs of these shapes, or its error.
  template <typename Derive>
  absl::Status Get(tensorflow::OpKernelContext& context, Derive derive, ConvGeometry* geometry) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!IsOf(context)) {
      shapes_.clear();
      TF_RETURN_IF_ERROR(derive(&geometry_));
      for (int i = 0; i < context.num_inputs(); ++i) shapes_.push_back(context.input(i).shape());
    }
    *geometry = geometry_;
    return absl::OkStatus();
  }

 private:
  bool IsOf(tensorflow::OpKernelContext& context) const {
    if (shapes_.empty()) return false;
    for (int i = 0; i < context.num_inputs(); ++i) {
      if (context.input(i).shape() != shapes_[i]) return false;
    }
    return true;
  }

  std::mutex mutex_;
  std::vector<tensorflow::TensorShape> shapes_;  // of the inputs; none where there was no call yet, or one that failed
  ConvGeometry geometry_;
};

// A kernel whose work can fail: derived classes return a status.
class StatusOpKernel : public tensorflow::OpKernel {
 public:
  using tensorflow::OpKernel::OpKernel;
  void Compute(tensorflow::OpKernelContext* context) final { OP_REQUIRES_OK(context, Run(context)); }

 protected:
  virtual absl::Status Run(tensorflow::OpKernelContext* context) = 0;
};

// Bits are unsigned in core and int32 in TensorFlow, which has no uint32 everywhere.
inline uint32_t* Words(tensorflow::Tensor* bits) { return reinterpret_cast<uint32_t*>(bits->flat<int32_t>().data()); }
inline const uint32_t* Words(const tensorflow::Tensor& bits) {
  return reinterpret_cast<const uint32_t*>(bits.flat<int32_t>().data());
}

inline float* Floats(tensorflow::Tensor* tensor) { return tensor->flat<float>().data(); }
inline const float* Floats(const tensorflow::Tensor& tensor) { return tensor.flat<float>().data(); }

}  // namespace bnn::ops
