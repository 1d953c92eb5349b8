// A function of every value of a map, channel by channel: y = activation(x * scale + shift + bias), as the ops compute it.
#pragma once

#include <cstdint>

#include "runtime/epilogue.h"
#include "runtime/loops.h"

namespace bnn {

struct Stage {
  const float *scale = nullptr, *shift = nullptr;  // of each channel; each may be null
  Epilogue epilogue;

  // Whether it differs from channel to channel.
  bool by_channel() const { return scale || shift || epilogue.bias || epilogue.activation.slopes; }

  // In place, on `rows` rows of `n` channels: by the functions, and so with the roundings, of the ops themselves.
  void Apply(const Loops& loops, float* x, int64_t rows, int64_t n) const;

  // +1 where it never falls as x grows, -1 where it never rises, 0 where neither is known. Of finite values.
  int Direction(int64_t channel) const;

  // Whether the other one is the same function of `n` channels.
  bool Same(const Stage& other, int64_t n) const;
};

}  // namespace bnn
