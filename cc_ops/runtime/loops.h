// What the runtime computes beside convolutions: plain loops, written once (loops.inc.h) and compiled once for each instruction
// set, so that the compiler vectorises them for it. No multiply-add is contracted: every form gives the same floats.
#pragma once

#include <cstdint>
#include <string>

#include "core/geometry.h"

namespace bnn {

// One row of outputs of a window that slides over an image, all its rows inside.
struct WindowRow {
  const float* x;             // column 0 of the first row that the window sees
  int64_t rows, row_stride;   // rows seen, and floats between them
  const Axis* axis;           // along the row
  const Axis::Range* inside;  // of each output: the taps inside
  int64_t channels;
  float* y;
};

struct Loops {
  const char* backend;

  // On `rows` rows of n floats, `stride` apart, in place. `bias` may be null.
  //   y = min(max(y + bias, low), high)
  void (*clamp)(float* y, int64_t stride, int64_t rows, int64_t n, const float* bias, float low, float high);
  //   y = v < 0 ? slopes[i*step] * v : min(v, high),  v = y + bias,  step 0 or 1
  void (*slope)(float* y, int64_t stride, int64_t rows, int64_t n, const float* bias, const float* slopes, int64_t step,
                float high);

  // y = x * scale + shift, per channel; `scale` and `shift` may each be null.
  void (*scale_shift)(const float* x, int64_t rows, int64_t n, const float* scale, const float* shift, float* y);

  // y = a (op) b; y may be a.
  void (*add)(const float* a, const float* b, int64_t n, float* y);
  void (*subtract)(const float* a, const float* b, int64_t n, float* y);
  void (*multiply)(const float* a, const float* b, int64_t n, float* y);
  void (*maximum)(const float* a, const float* b, int64_t n, float* y);
  void (*scale)(float factor, int64_t n, float* y);

  void (*max_row)(const WindowRow& row);
  void (*average_row)(const WindowRow& row);
  // weights: of the first row seen, [tap][channel]; `weight_stride` floats between the rows of the kernel
  void (*depthwise_row)(const WindowRow& row, const float* weights, int64_t weight_stride);

  // y[c] = x[c] / (bias + alpha * sum_{|j - c| <= radius} x[j]^2)^(3/4), for n channels of one pixel. `sums`: n floats.
  void (*normalize)(const float* x, int64_t n, int64_t radius, float alpha, float bias, float* sums, float* y);
};

// Those compiled for the backend of that name.
const Loops& LoopsFor(const std::string& backend);

}  // namespace bnn
