// The threads of an op: TensorFlow's own pool or OpenMP's, as BNN_TF_THREADING says.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "core/parallel.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace bnn::ops {

// Neither uses more threads than TensorFlow's intra-op setting and OMP_NUM_THREADS allow. An unknown value of BNN_TF_THREADING is
// an error that lists the names. The environment is read once.
absl::StatusOr<std::unique_ptr<ParallelFor>> MakeParallelFor(tensorflow::OpKernelContext* context);

}  // namespace bnn::ops
