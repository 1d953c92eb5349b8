#include "runtime/ops/shapes.h"

#include <algorithm>

namespace bnn {

Message CheckInputs(const std::vector<Sizes>& inputs, size_t count, size_t rank) {
  if (inputs.size() != count) {
    return "takes " + std::to_string(count) + " input" + (count == 1 ? "" : "s") + ". Got " + std::to_string(inputs.size()) + ".";
  }
  if (rank != 0 && inputs[0].size() != rank) {
    return "takes an input of rank " + std::to_string(rank) + ". Got shape " + Text(inputs[0]) + ".";
  }
  return {};
}

Message GeometryOf(const Sizes& input, const Window& window, const std::array<int64_t, 4>& kernel, int64_t groups,
                   ConvGeometry* g) {
  ConvRequest request;
  request.op = "its window";
  std::copy_n(input.begin(), 4, request.input.begin());
  request.kernel = kernel;
  request.strides = window.strides;
  request.dilations = window.dilations;
  request.groups = groups;
  request.padding = window.padding;
  request.explicit_padding = window.explicit_padding;
  return MakeConv(request, g);
}

int64_t RowsOf(const Sizes& shape) { return Elements(Sizes(shape.begin(), shape.end() - 1)); }

}  // namespace bnn
