#include "runtime/registry.h"

#include "runtime/ops/readers.h"

namespace bnn {
namespace {

struct Entry {
  const char* name;
  Reader read;
};

constexpr Entry kOps[] = {
    {"conv2d", ReadConv2D},
    {"dense", ReadDense},
    {"binary_conv2d", ReadBinaryConv2D},
    {"binary_conv_input2d", ReadBinaryConvInput2D},
    {"binary_dense", ReadBinaryDense},
    {"binary_dense_input", ReadBinaryDenseInput},
    {"max_pool2d", ReadMaxPool2D},
    {"average_pool2d", ReadAveragePool2D},
    {"global_average_pool", ReadGlobalAveragePool},
    {"global_max_pool", ReadGlobalMaxPool},
    {"scale_shift", ReadScaleShift},
    {"activation", ReadActivationOp},
    {"add", ReadAdd},
    {"multiply", ReadMultiply},
    {"subtract", ReadSubtract},
    {"maximum", ReadMaximum},
    {"average", ReadAverage},
    {"lrn", ReadLrn},
    {"softmax", ReadSoftmax},
    {"concat", ReadConcat},
    {"pad", ReadPad},
    {"pad_channels", ReadPadChannels},
    {"flatten", ReadFlatten},
    {"reshape", ReadReshape},
    {"windows", ReadWindows},
};

}  // namespace

Reader FindOp(const std::string& name) {
  for (const Entry& op : kOps) {
    if (name == op.name) return op.read;
  }
  return nullptr;
}

std::string OpNames() {
  std::string names;
  for (const Entry& op : kOps) names += (names.empty() ? "" : ", ") + std::string(op.name);
  return names;
}

}  // namespace bnn
