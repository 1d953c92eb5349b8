// The loops themselves. Included once by each file of this folder, inside its target region and in a namespace of its own:
// nothing here may call an inline function of another header that is not forced into the region.

// Channels whose sums stay in registers while a window's taps pass by.
constexpr int64_t kBlock = 64, kSmallBlock = 16;

void Clamp(float* __restrict y, int64_t stride, int64_t rows, int64_t n, const float* __restrict bias, float low, float high) {
  for (int64_t row = 0; row < rows; ++row, y += stride) {
    if (bias) {
      for (int64_t i = 0; i < n; ++i) {
        const float v = y[i] + bias[i], raised = v < low ? low : v;
        y[i] = raised > high ? high : raised;
      }
    } else {
      for (int64_t i = 0; i < n; ++i) {
        const float v = y[i], raised = v < low ? low : v;
        y[i] = raised > high ? high : raised;
      }
    }
  }
}

void Slope(float* __restrict y, int64_t stride, int64_t rows, int64_t n, const float* __restrict bias,
           const float* __restrict slopes, int64_t step, float high) {
  for (int64_t row = 0; row < rows; ++row, y += stride) {
    for (int64_t i = 0; i < n; ++i) {
      const float v = bias ? y[i] + bias[i] : y[i], below = slopes[i * step] * v, above = v > high ? high : v;
      y[i] = v < 0 ? below : above;
    }
  }
}

// `ivdep`: where the output overlaps an input, it is that input.
void ScaleShift(const float* x, int64_t rows, int64_t n, const float* scale, const float* shift, float* y) {
  for (int64_t row = 0; row < rows; ++row, x += n, y += n) {
    if (scale && shift) {
#pragma GCC ivdep
      for (int64_t i = 0; i < n; ++i) y[i] = x[i] * scale[i] + shift[i];
    } else {
#pragma GCC ivdep
      for (int64_t i = 0; i < n; ++i) y[i] = (scale ? x[i] * scale[i] : x[i]) + (shift ? shift[i] : 0.0f);
    }
  }
}

void Add(const float* a, const float* b, int64_t n, float* y) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) y[i] = a[i] + b[i];
}

void Subtract(const float* a, const float* b, int64_t n, float* y) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) y[i] = a[i] - b[i];
}

void Multiply(const float* a, const float* b, int64_t n, float* y) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) y[i] = a[i] * b[i];
}

void Maximum(const float* a, const float* b, int64_t n, float* y) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) y[i] = a[i] < b[i] ? b[i] : a[i];
}

void Scale(float factor, int64_t n, float* y) {
  for (int64_t i = 0; i < n; ++i) y[i] *= factor;
}

// Calls `block(first channel, n)` with n = kBlock as often as it goes, then with n = kSmallBlock, then with what is left. `n` is
// a constant to the compiler in all cases but the last.
template <typename F>
inline __attribute__((always_inline)) void ForBlocks(int64_t channels, const F& block) {
  int64_t c = 0;
  for (; c + kBlock <= channels; c += kBlock) block(c, kBlock);
  for (; c + kSmallBlock <= channels; c += kSmallBlock) block(c, kSmallBlock);
  if (c < channels) block(c, channels - c);
}

void MaxRow(const WindowRow& row) {
  for (int64_t q = 0; q < row.axis->out; ++q) {
    const Axis::Range taps = row.inside[q];
    const float* x = row.x + row.axis->At(q, taps.first) * row.channels;
    const int64_t step = row.axis->dilation * row.channels;
    float* y = row.y + q * row.channels;
    ForBlocks(row.channels, [&](int64_t c, int64_t n) __attribute__((always_inline)) {
      float best[kBlock];
      for (int64_t i = 0; i < n; ++i) best[i] = x[c + i];
      for (int64_t r = 0; r < row.rows; ++r) {
        for (int64_t tap = 0; tap < taps.last - taps.first; ++tap) {
          const float* at = x + r * row.row_stride + tap * step + c;
          for (int64_t i = 0; i < n; ++i) best[i] = best[i] < at[i] ? at[i] : best[i];
        }
      }
      for (int64_t i = 0; i < n; ++i) y[c + i] = best[i];
    });
  }
}

void AverageRow(const WindowRow& row) {
  for (int64_t q = 0; q < row.axis->out; ++q) {
    const Axis::Range taps = row.inside[q];
    const float* x = row.x + row.axis->At(q, taps.first) * row.channels;
    const int64_t step = row.axis->dilation * row.channels;
    const float count = static_cast<float>(row.rows * (taps.last - taps.first));
    float* y = row.y + q * row.channels;
    ForBlocks(row.channels, [&](int64_t c, int64_t n) __attribute__((always_inline)) {
      float sum[kBlock];
      for (int64_t i = 0; i < n; ++i) sum[i] = 0;
      for (int64_t r = 0; r < row.rows; ++r) {
        for (int64_t tap = 0; tap < taps.last - taps.first; ++tap) {
          const float* at = x + r * row.row_stride + tap * step + c;
          for (int64_t i = 0; i < n; ++i) sum[i] += at[i];
        }
      }
      for (int64_t i = 0; i < n; ++i) y[c + i] = sum[i] / count;
    });
  }
}

void DepthwiseRow(const WindowRow& row, const float* weights, int64_t weight_stride) {
  for (int64_t q = 0; q < row.axis->out; ++q) {
    const Axis::Range taps = row.inside[q];
    const float* x = row.x + row.axis->At(q, taps.first) * row.channels;
    const float* w = weights + taps.first * row.channels;
    const int64_t step = row.axis->dilation * row.channels;
    float* y = row.y + q * row.channels;
    ForBlocks(row.channels, [&](int64_t c, int64_t n) __attribute__((always_inline)) {
      float sum[kBlock];
      for (int64_t i = 0; i < n; ++i) sum[i] = 0;
      for (int64_t r = 0; r < row.rows; ++r) {
        for (int64_t tap = 0; tap < taps.last - taps.first; ++tap) {
          const float* at = x + r * row.row_stride + tap * step + c;
          const float* by = w + r * weight_stride + tap * row.channels + c;
          for (int64_t i = 0; i < n; ++i) sum[i] += at[i] * by[i];
        }
      }
      for (int64_t i = 0; i < n; ++i) y[c + i] = sum[i];
    });
  }
}

void Normalize(const float* x, int64_t n, int64_t radius, float alpha, float bias, float* sums, float* y) {
  for (int64_t c = 0; c < n; ++c) sums[c] = x[c] * x[c];
  for (int64_t shift = 1; shift <= radius && shift < n; ++shift) {
    for (int64_t c = 0; c + shift < n; ++c) {
      sums[c] += x[c + shift] * x[c + shift];
      sums[c + shift] += x[c] * x[c];
    }
  }
  for (int64_t c = 0; c < n; ++c) {
    const float root = __builtin_sqrtf(bias + alpha * sums[c]);
    y[c] = x[c] / (root * __builtin_sqrtf(root));
  }
}

constexpr Loops kLoops = {BNN_LOOPS_NAME, Clamp, Slope,  ScaleShift, Add,          Subtract, Multiply,
                          Maximum,        Scale, MaxRow, AverageRow, DepthwiseRow, Normalize};
