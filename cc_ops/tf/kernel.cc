#include "tf/kernel.h"

#include "core/scratch.h"
#include "tf/status.h"
#include "tf/threading.h"

namespace bnn::ops {

using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;

static_assert(tensorflow::Allocator::kAllocatorAlignment % kScratchAlignment == 0, "scratch comes from TensorFlow's allocator");

TensorShape ToTensorShape(const Sizes& sizes) { return TensorShape(absl::Span<const int64_t>(sizes)); }

Sizes ToSizes(const Tensor& tensor) {
  const auto sizes = tensor.shape().dim_sizes();
  return Sizes(sizes.begin(), sizes.end());
}

absl::Status CallExecutor::Init(OpKernelContext* context) {
  if (Message error = ActiveBackend(&backend_); !error.empty()) return Invalid(error);
  auto parallel = MakeParallelFor(context);
  if (parallel.ok()) parallel_ = *std::move(parallel);
  return parallel.status();
}

absl::Status Scratch::Allocate(OpKernelContext* context, int64_t bytes) {
  if (bytes >= kEndlessScratch) {
    return absl::ResourceExhaustedError(context->op_kernel().type_string() +
                                        ": the scratch memory of this call has no 64-bit size. Split the batch.");
  }
  return context->allocate_temp(tensorflow::DT_UINT8, TensorShape({bytes}), &tensor_);
}

}  // namespace bnn::ops
