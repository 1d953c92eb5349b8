// Shape functions: core's geometry with sizes that may be unknown. What is known is checked while the graph is built.
#pragma once

#include <string>

#include "tensorflow/core/framework/op_def_builder.h"

namespace bnn::ops {

using ShapeFunction = tensorflow::OpShapeInferenceFn;

// `op` is the name for messages: an InferenceContext does not know it.
ShapeFunction ConvShape(const std::string& op);  // (x, kernel) -> y
ShapeFunction DenseShape(const std::string& op);
ShapeFunction ConvPackedShape(const std::string& op);  // (x, bits, alpha) -> y
ShapeFunction DensePackedShape(const std::string& op);
ShapeFunction ConvGradShape(const std::string& op);  // (x, kernel, dy, ...) -> (dx, dkernel)
ShapeFunction DenseGradShape(const std::string& op);
ShapeFunction PackKernelShape(const std::string& op);  // kernel -> (bits, alpha)

}  // namespace bnn::ops
