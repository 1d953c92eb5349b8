// What follows a sum of products: y = activation(y + bias), tile by tile while the tile is in the cache.
#pragma once

#include <cstdint>
#include <limits>

#include "runtime/op.h"

namespace bnn {

struct Activation {
  enum class Kind { kClamp, kSlope, kSigmoid, kTanh, kElu, kSelu, kGelu, kSilu, kSoftplus, kHardSigmoid };

  Kind kind = Kind::kClamp;  // without limits: the identity
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
  float slope = 0;                // kSlope: below zero, of every channel
  const float* slopes = nullptr;  // or of each channel
  int64_t channels = 0;           // how many slopes there are

  bool identity() const;

  // An error where the slopes are for another number of channels.
  Message Check(const Sizes& shape) const;
};

struct Epilogue {
  const float* bias = nullptr;
  Activation activation;

  bool empty() const { return !bias && activation.identity(); }

  // On `rows` rows of the channels [channel, channel + n), `stride` floats apart.
  void Tile(const Loops& loops, float* y, int64_t stride, int64_t rows, int64_t channel, int64_t n) const;
};

}  // namespace bnn
