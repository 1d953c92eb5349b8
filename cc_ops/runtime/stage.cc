#include "runtime/stage.h"

#include <cstring>

namespace bnn {
namespace {

bool SameFloats(const float* a, const float* b, int64_t n) {
  return a == b || (a && b && std::memcmp(a, b, n * sizeof(float)) == 0);
}

}  // namespace

void Stage::Apply(const Loops& loops, float* x, int64_t rows, int64_t n) const {
  if (scale || shift) loops.scale_shift(x, rows, n, scale, shift, x);
  epilogue.Tile(loops, x, n, rows, 0, n);
}

// Products, sums and bounds round to what is nearest or stay as they are: rounding keeps an order, so they do.
int Stage::Direction(int64_t channel) const {
  const Activation& a = epilogue.activation;
  if (a.kind == Activation::Kind::kSlope) {
    const float slope = a.slopes ? a.slopes[channel] : a.slope;
    if (!(slope >= 0) || !(a.high >= 0)) return 0;
  } else if (a.kind != Activation::Kind::kClamp) {
    return 0;
  }
  return scale && scale[channel] < 0 ? -1 : 1;
}

bool Stage::Same(const Stage& other, int64_t n) const {
  const Activation &a = epilogue.activation, &b = other.epilogue.activation;
  return SameFloats(scale, other.scale, n) && SameFloats(shift, other.shift, n) &&
         SameFloats(epilogue.bias, other.epilogue.bias, n) && a.kind == b.kind && a.low == b.low && a.high == b.high &&
         a.slope == b.slope && SameFloats(a.slopes, b.slopes, n);
}

}  // namespace bnn
