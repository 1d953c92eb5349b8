#include "core/window_mean.h"

#include <algorithm>

namespace bnn {
namespace {

// Length of the padded line that the windows of an axis see.
int64_t PaddedLength(const Axis& axis) { return (axis.out - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1; }

// to[p][x] = sum over the taps i of from[At(p, i)][x], for lines of `inner` values.
template <typename T>
void AddTaps(const Axis& axis, int64_t inner, const T* from, double* to) {
  std::fill_n(to, axis.out * inner, 0.0);
  for (int64_t i = 0; i < axis.kernel; ++i) {
    const Axis::Range outputs = axis.Outputs(i);
    if (inner == 1) {
      const T* value = from + axis.At(outputs.first, i);
      for (int64_t p = outputs.first; p < outputs.last; ++p, value += axis.stride) to[p] += *value;
      continue;
    }
    for (int64_t p = outputs.first; p < outputs.last; ++p) {
      const T* line = from + axis.At(p, i) * inner;
      for (int64_t x = 0; x < inner; ++x) to[p * inner + x] += line[x];
    }
  }
}

// The same by sums that start anew every `kernel` steps of the dilation, from the front (prefix) and from the back (suffix).
template <typename T>
void SumWindows(const Axis& axis, int64_t inner, const T* from, double* prefix, double* suffix, double* to) {
  const int64_t length = PaddedLength(axis), k = axis.kernel, d = axis.dilation;
  const auto value = [&](int64_t at, int64_t x) {
    const int64_t position = at - axis.before;
    return position >= 0 && position < axis.in ? static_cast<double>(from[position * inner + x]) : 0.0;
  };
  for (int64_t at = 0; at < length; ++at) {
    const bool starts = at / d % k == 0;
    for (int64_t x = 0; x < inner; ++x) prefix[at * inner + x] = (starts ? 0.0 : prefix[(at - d) * inner + x]) + value(at, x);
  }
  for (int64_t at = length - 1; at >= 0; --at) {
    const bool ends = at / d % k == k - 1 || at + d >= length;
    for (int64_t x = 0; x < inner; ++x) suffix[at * inner + x] = (ends ? 0.0 : suffix[(at + d) * inner + x]) + value(at, x);
  }
  for (int64_t p = 0; p < axis.out; ++p, to += inner) {
    const int64_t first = p * axis.stride, last = first + (k - 1) * d;
    const bool one_block = first / d % k == 0;
    for (int64_t x = 0; x < inner; ++x) to[x] = suffix[first * inner + x] + (one_block ? 0.0 : prefix[last * inner + x]);
  }
}

}  // namespace

WindowMean::WindowMean(const Executor& executor, const ConvGeometry& g, ScratchCursor* scratch) : executor_(executor), g_(g) {
  identity_ = g.taps() == 1 && g.h.stride == 1 && g.w.stride == 1 && g.h.out == g.h.in && g.w.out == g.w.in;
  whole_ = g.h.kernel > kFewTaps || g.w.kernel > kFewTaps;
  const int64_t rows = g.h.kernel > kFewTaps ? PaddedLength(g.h) * g.w.in : 0;
  const int64_t columns = g.w.kernel > kFewTaps ? PaddedLength(g.w) : 0;
  const int64_t middle = whole_ ? g.h.out * g.w.in : PaddedLength(g.w);
  middle_size_ = identity_ ? 0 : RoundUp(middle + g.w.out, 8);  // whole cache lines
  lines_size_ = std::max(rows, columns);
  const int64_t workers = executor.parallel.workers();
  middle_ = scratch->Take<double>(middle_size_, workers);
  prefix_ = scratch->Take<double>(lines_size_, workers);
  suffix_ = scratch->Take<double>(lines_size_, workers);
  k_ = scratch->Take<float>(whole_ ? g.pixels() * g.groups : 0);
}

void WindowMean::Run(const float* a, float* k) const {
  const auto prepare = Each([&](int64_t item, int worker) { RunItem(a, item, worker); });
  const auto lines = Each(
      [&](int64_t line, int worker) { Line(a, line / g_.h.out, line % g_.h.out, 0, g_.w.out, k + line * g_.w.out, worker); });
  const ParallelFor::Phase phases[] = {{items(), prepare}, {g_.batch * g_.groups * g_.h.out, lines, g_.h.out}};
  executor_.parallel.RunPhases(phases, 2);
}

void WindowMean::RunItem(const float* a, int64_t item, int worker) const {
  a += item * g_.h.in * g_.w.in;
  float* k = k_ + item * g_.h.out * g_.w.out;
  double* middle = middle_ + worker * middle_size_;
  double* sums = middle + g_.h.out * g_.w.in;
  double* prefix = prefix_ + worker * lines_size_;
  double* suffix = suffix_ + worker * lines_size_;
  if (g_.h.kernel > kFewTaps) {
    SumWindows(g_.h, g_.w.in, a, prefix, suffix, middle);
  } else {
    AddTaps(g_.h, g_.w.in, a, middle);
  }
  const double inverse = 1.0 / static_cast<double>(g_.taps());
  for (int64_t p = 0; p < g_.h.out; ++p, k += g_.w.out, middle += g_.w.in) {
    if (g_.w.kernel > kFewTaps) {
      SumWindows(g_.w, 1, middle, prefix, suffix, sums);
    } else {
      AddTaps(g_.w, 1, middle, sums);
    }
    for (int64_t q = 0; q < g_.w.out; ++q) k[q] = static_cast<float>(sums[q] * inverse);
  }
}

void WindowMean::Line(const float* a, int64_t plane, int64_t p, int64_t q, int64_t count, float* k, int worker) const {
  if (identity_) {
    std::copy_n(a + (plane * g_.h.in + p) * g_.w.in + q, count, k);
  } else if (whole_) {
    std::copy_n(k_ + (plane * g_.h.out + p) * g_.w.out + q, count, k);
  } else {
    AddLine(a + plane * g_.h.in * g_.w.in, p, q, count, k, middle_ + worker * middle_size_);
  }
}

void WindowMean::AddLine(const float* a, int64_t p, int64_t q, int64_t count, float* k, double* middle) const {
  // The columns that the windows see, each the sum of the taps' rows, and 0 outside the image.
  const int64_t start = g_.w.At(q, 0), length = g_.w.At(q + count - 1, g_.w.kernel - 1) + 1 - start;
  const int64_t first = std::clamp<int64_t>(-start, 0, length), last = std::clamp<int64_t>(g_.w.in - start, first, length);
  std::fill(middle, middle + first, 0.0);
  std::fill(middle + last, middle + length, 0.0);
  const Axis::Range rows = g_.h.Inside(p);
  const auto line = [&](int64_t i) { return a + g_.h.At(p, i) * g_.w.in; };
  if (rows.size() == 3) {  // most often
    const float *one = line(rows.first), *two = line(rows.first + 1), *three = line(rows.first + 2);
    for (int64_t x = first; x < last; ++x) middle[x] = static_cast<double>(one[start + x]) + two[start + x] + three[start + x];
  } else {
    std::fill(middle + first, middle + last, 0.0);
    for (int64_t i = rows.first; i < rows.last; ++i) {
      const float* row = line(i);
      for (int64_t x = first; x < last; ++x) middle[x] += row[start + x];
    }
  }

  const double inverse = 1.0 / static_cast<double>(g_.taps());
  if (g_.w.kernel == 3 && g_.w.stride == 1 && g_.w.dilation == 1) {  // most often
    for (int64_t i = 0; i < count; ++i) k[i] = static_cast<float>((middle[i] + middle[i + 1] + middle[i + 2]) * inverse);
    return;
  }
  double* sums = middle + length;
  std::fill_n(sums, count, 0.0);
  for (int64_t j = 0; j < g_.w.kernel; ++j) {
    const double* value = middle + j * g_.w.dilation;
    if (g_.w.stride == 1) {  // the loop that vectorises
      for (int64_t i = 0; i < count; ++i) sums[i] += value[i];
    } else {
      for (int64_t i = 0; i < count; ++i) sums[i] += value[i * g_.w.stride];
    }
  }
  for (int64_t i = 0; i < count; ++i) k[i] = static_cast<float>(sums[i] * inverse);
}

void WindowMean::AddGradient(const Executor& executor, const ConvGeometry& g, const float* dk, float* da) {
  const float inverse = 1.0f / static_cast<float>(g.taps());
  executor.parallel.Run(g.batch * g.groups, [&](int64_t begin, int64_t end, int) {
    for (int64_t plane = begin; plane < end; ++plane) {
      const float* from = dk + plane * g.h.out * g.w.out;
      float* to = da + plane * g.h.in * g.w.in;
      for (int64_t i = 0; i < g.h.kernel; ++i) {
        const Axis::Range rows = g.h.Outputs(i);
        for (int64_t j = 0; j < g.w.kernel; ++j) {
          const Axis::Range columns = g.w.Outputs(j);
          for (int64_t p = rows.first; p < rows.last; ++p) {
            float* line = to + g.h.At(p, i) * g.w.in + g.w.At(0, j);
            for (int64_t q = columns.first; q < columns.last; ++q) line[q * g.w.stride] += from[p * g.w.out + q] * inverse;
          }
        }
      }
    }
  });
}

}  // namespace bnn
