// Integer thresholds between binary layers.
//
// A binary layer's sum n is an integer, its output v = act(alpha * n + bias) a float, of which the next layer may want the sign
// alone, of u = v * scale + shift perhaps. Of each filter
//
//   sign(u(v(n))) = -1   <=>   (n < threshold) xor flip      for every n that can occur
//
// The threshold is found by computing u(v(n)) with the very functions that compute it otherwise, so that it is exact by
// construction: roundings, overflows and NaN included. Where v and u are monotone and finite on all of [-run, run] it is searched
// by halving; else every n is tried, and there may be no threshold.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/stage.h"

namespace bnn {

// A stage on the way from a sum to its sign.
struct PathStage {
  const Stage* stage;
  bool by_position;  // its channels are those of all positions of an image, one behind the other: it stands behind a flatten
};

struct SignPath {
  int64_t run = 0;  // |n| is at most this
  int64_t filters = 0;
  int64_t positions = 1;         // pixels with thresholds of their own
  const float* alpha = nullptr;  // of each filter
  std::vector<PathStage> stages;
  bool pooled = false;  // a maximum is taken on the way, of floats: v and u must be monotone and finite
};

struct Threshold {
  int32_t least;  // the first sum of the second half
  bool flip;
};

// One for each [position][filter]; empty where there is none.
std::vector<Threshold> FindThresholds(const Loops& loops, const SignPath& path);

}  // namespace bnn
