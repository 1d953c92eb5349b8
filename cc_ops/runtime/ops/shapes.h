// What several ops ask of the shapes that come in.
#pragma once

#include <vector>

#include "runtime/attributes.h"
#include "runtime/op.h"

namespace bnn {

// That there are `count` inputs, the first of rank `rank` (0: any).
Message CheckInputs(const std::vector<Sizes>& inputs, size_t count, size_t rank = 0);

// The geometry of `kernel` [kh, kw, channels / groups (or kUnknown), filters] moving over `input` in the way of `window`.
Message GeometryOf(const Sizes& input, const Window& window, const std::array<int64_t, 4>& kernel, int64_t groups,
                   ConvGeometry* g);

// Of the rows of the last axis: all other sizes multiplied, and it.
int64_t RowsOf(const Sizes& shape);

}  // namespace bnn
