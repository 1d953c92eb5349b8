#include "runtime/epilogue.h"

#include <cmath>

namespace bnn {
namespace {

template <typename F>
void Each(float* y, int64_t stride, int64_t rows, int64_t n, const float* bias, const F& f) {
  for (int64_t row = 0; row < rows; ++row, y += stride) {
    for (int64_t i = 0; i < n; ++i) y[i] = f(bias ? y[i] + bias[i] : y[i]);
  }
}

float Sigmoid(float v) { return v >= 0 ? 1.0f / (1.0f + std::exp(-v)) : std::exp(v) / (1.0f + std::exp(v)); }
float Elu(float v) { return v > 0 ? v : std::expm1(v); }

// Klambauer et al., "Self-Normalizing Neural Networks", 2017.
float Selu(float v) { return 1.05070098735548049342f * (v > 0 ? v : 1.67326324235437728481f * std::expm1(v)); }

float Gelu(float v) { return 0.5f * v * std::erfc(-v * 0.70710678118654752440f); }
float Softplus(float v) { return (v > 0 ? v : 0.0f) + std::log1p(std::exp(-std::fabs(v))); }

float HardSigmoid(float v) {
  const float line = v + 3.0f;
  return (line < 0 ? 0.0f : line > 6.0f ? 6.0f : line) / 6.0f;
}

}  // namespace

bool Activation::identity() const {
  return kind == Kind::kClamp && low == -std::numeric_limits<float>::infinity() && high == std::numeric_limits<float>::infinity();
}

Message Activation::Check(const Sizes& shape) const {
  if (!slopes || shape.back() == channels || shape.back() == kUnknown) return {};
  return "the activation has slopes for " + std::to_string(channels) + " channels. Got an output of shape " + Text(shape) + ".";
}

void Epilogue::Tile(const Loops& loops, float* y, int64_t stride, int64_t rows, int64_t channel, int64_t n) const {
  using Kind = Activation::Kind;
  const float* b = bias ? bias + channel : nullptr;
  const Activation& a = activation;
  switch (a.kind) {
    case Kind::kClamp:
      if (!empty()) loops.clamp(y, stride, rows, n, b, a.low, a.high);
      return;
    case Kind::kSlope:
      return loops.slope(y, stride, rows, n, b, a.slopes ? a.slopes + channel : &a.slope, a.slopes ? 1 : 0, a.high);
    case Kind::kSigmoid:
      return Each(y, stride, rows, n, b, Sigmoid);
    case Kind::kTanh:
      return Each(y, stride, rows, n, b, [](float v) { return std::tanh(v); });
    case Kind::kElu:
      return Each(y, stride, rows, n, b, Elu);
    case Kind::kSelu:
      return Each(y, stride, rows, n, b, Selu);
    case Kind::kGelu:
      return Each(y, stride, rows, n, b, Gelu);
    case Kind::kSilu:
      return Each(y, stride, rows, n, b, [](float v) { return v * Sigmoid(v); });
    case Kind::kSoftplus:
      return Each(y, stride, rows, n, b, Softplus);
    case Kind::kHardSigmoid:
      return Each(y, stride, rows, n, b, HardSigmoid);
  }
}

}  // namespace bnn
