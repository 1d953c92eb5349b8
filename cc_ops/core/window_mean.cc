#include "core/window_mean.h"

#include <algorithm>

namespace bnn {
namespace {

// Below this the taps are simply added: it vectorises, and costs less than two passes of prefix sums.
constexpr int64_t kFewTaps = 8;

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

bool WindowMean::IsIdentity(const ConvGeometry& g) {
  return g.taps() == 1 && g.h.stride == 1 && g.w.stride == 1 && g.h.out == g.h.in && g.w.out == g.w.in;
}

WindowMean::WindowMean(const Executor& executor, const ConvGeometry& g, ScratchCursor* scratch) : executor_(executor), g_(g) {
  const int64_t rows = g.h.kernel > kFewTaps ? PaddedLength(g.h) * g.w.in : 0;
  const int64_t columns = g.w.kernel > kFewTaps ? PaddedLength(g.w) : 0;
  middle_size_ = g.h.out * g.w.in + g.w.out;
  lines_size_ = std::max(rows, columns);
  const int64_t workers = executor.parallel.workers();
  middle_ = scratch->Take<double>(middle_size_, workers);
  prefix_ = scratch->Take<double>(lines_size_, workers);
  suffix_ = scratch->Take<double>(lines_size_, workers);
}

void WindowMean::Run(const float* a, float* k) const {
  executor_.parallel.Run(items(), [&](int64_t begin, int64_t end, int worker) {
    for (int64_t item = begin; item < end; ++item) RunItem(a, k, item, worker);
  });
}

void WindowMean::RunItem(const float* a, float* k, int64_t item, int worker) const {
  a += item * g_.h.in * g_.w.in;
  k += item * g_.h.out * g_.w.out;
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
