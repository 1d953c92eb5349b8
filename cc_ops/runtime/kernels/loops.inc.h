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

// Calls `window(taps, x, y)` for every output of a row: the taps inside, what the first of them sees, and where the output goes.
template <typename F>
inline __attribute__((always_inline)) void ForWindows(const WindowRow& row, const F& window) {
  for (int64_t q = 0; q < row.axis->out; ++q) {
    const Axis::Range taps = row.inside[q];
    window(taps, row.x + row.axis->At(q, taps.first) * row.channels, row.y + q * row.channels);
  }
}

// Calls `tap(x, i, j)` for every tap (i, j) of a window, counted from the first one inside, which sees `x`.
template <typename F>
inline __attribute__((always_inline)) void ForTaps(const WindowRow& row, const Axis::Range& taps, const float* x, const F& tap) {
  const int64_t step = row.axis->dilation * row.channels, columns = taps.last - taps.first;
  for (int64_t i = 0; i < row.rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) tap(x + i * row.row_stride + j * step, i, j);
  }
}

void MaxRow(const WindowRow& row) {
  ForWindows(row, [&](const Axis::Range& taps, const float* x, float* y) __attribute__((always_inline)) {
    ForBlocks(row.channels, [&](int64_t c, int64_t n) __attribute__((always_inline)) {
      float best[kBlock];
      for (int64_t k = 0; k < n; ++k) best[k] = x[c + k];
      ForTaps(row, taps, x + c, [&](const float* at, int64_t, int64_t) __attribute__((always_inline)) {
        for (int64_t k = 0; k < n; ++k) best[k] = best[k] < at[k] ? at[k] : best[k];
      });
      for (int64_t k = 0; k < n; ++k) y[c + k] = best[k];
    });
  });
}

void AverageRow(const WindowRow& row) {
  ForWindows(row, [&](const Axis::Range& taps, const float* x, float* y) __attribute__((always_inline)) {
    const float count = static_cast<float>(row.rows * (taps.last - taps.first));
    ForBlocks(row.channels, [&](int64_t c, int64_t n) __attribute__((always_inline)) {
      float sum[kBlock];
      for (int64_t k = 0; k < n; ++k) sum[k] = 0;
      ForTaps(row, taps, x + c, [&](const float* at, int64_t, int64_t) __attribute__((always_inline)) {
        for (int64_t k = 0; k < n; ++k) sum[k] += at[k];
      });
      for (int64_t k = 0; k < n; ++k) y[c + k] = sum[k] / count;
    });
  });
}

void DepthwiseRow(const WindowRow& row, const float* weights, int64_t weight_stride) {
  ForWindows(row, [&](const Axis::Range& taps, const float* x, float* y) __attribute__((always_inline)) {
    const float* w = weights + taps.first * row.channels;
    ForBlocks(row.channels, [&](int64_t c, int64_t n) __attribute__((always_inline)) {
      float sum[kBlock];
      for (int64_t k = 0; k < n; ++k) sum[k] = 0;
      ForTaps(row, taps, x + c, [&](const float* at, int64_t i, int64_t j) __attribute__((always_inline)) {
        const float* by = w + i * weight_stride + j * row.channels + c;
        for (int64_t k = 0; k < n; ++k) sum[k] += at[k] * by[k];
      });
      for (int64_t k = 0; k < n; ++k) y[c + k] = sum[k];
    });
  });
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
