// What every op's kernel does around core: shapes, scratch memory, the executor of a call.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "core/arguments.h"
#include "core/executor.h"
#include "core/geometry.h"
#include "tensorflow/core/framework/op_kernel.h"

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
