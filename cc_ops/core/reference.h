// The definition of the binary convolutions, written to be read.
//
//   y[n,p,q,o] = K[n,p,q] * alpha[o] * sum_{i,j,c} u[n, p*s + i*d - top, q*s + j*d - left, c] * sign(w[i,j,c,o])
//
// with u = x, 0 outside the image and K = 1 (SignConv), or u = sign(x), `pad_value` outside (XnorConv). +1 and -1 are numbers
// here: nothing is packed, counted or shared with the code that does, so a wrong bit convention cannot be wrong on both sides at
// once.
//
// T is double, or a type that carries a derivative along: the definition of the gradients is this file, differentiated.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "core/geometry.h"
#include "core/options.h"

namespace bnn::reference {

inline double Sign(double u) { return u >= 0 ? 1 : -1; }
inline double Abs(double u) { return std::fabs(u); }

// Positions in memory of a weight and of the input that it meets; x is -1 outside the image.
struct Tap {
  int64_t x, w;
};

// All taps of one element of the output.
inline std::vector<Tap> Taps(const ConvGeometry& g, int64_t out) {
  const int64_t o = out % g.filters, q = out / g.filters % g.w.out, p = out / g.filters / g.w.out % g.h.out;
  const int64_t n = out / g.filters / g.w.out / g.h.out, channels = g.channels / g.groups, group = o / (g.filters / g.groups);
  std::vector<Tap> taps;
  taps.reserve(g.h.kernel * g.w.kernel * channels);
  for (int64_t i = 0; i < g.h.kernel; ++i) {
    for (int64_t j = 0; j < g.w.kernel; ++j) {
      const int64_t row = p * g.h.stride + i * g.h.dilation - g.h.before, column = q * g.w.stride + j * g.w.dilation - g.w.before;
      const bool inside = row >= 0 && row < g.h.in && column >= 0 && column < g.w.in;
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t x = ((n * g.h.in + row) * g.w.in + column) * g.channels + group * channels + c;
        taps.push_back({inside ? x : -1, ((i * g.w.kernel + j) * channels + c) * g.filters + o});
      }
    }
  }
  return taps;
}

// The mean of |w| over each filter, or over all of them, or 1.
template <typename T>
std::vector<T> Alpha(const ConvGeometry& g, Scaling scaling, const std::vector<T>& w) {
  std::vector<T> alpha(g.filters, T(scaling == Scaling::kNone ? 1 : 0));
  for (int64_t o = 0; o < g.filters && scaling != Scaling::kNone; ++o) {
    const int64_t first = scaling == Scaling::kChannel ? o : 0, step = scaling == Scaling::kChannel ? g.filters : 1;
    for (int64_t k = first; k < static_cast<int64_t>(w.size()); k += step) alpha[o] += Abs(w[k]);
    alpha[o] = alpha[o] * T(static_cast<double>(step) / static_cast<double>(w.size()));
  }
  return alpha;
}

// K, for each element of the output: the mean of |x| over its window, with 0 outside the image.
template <typename T>
std::vector<T> InputScale(const ConvGeometry& g, const std::vector<T>& x) {
  std::vector<T> k(g.output_size(), T(0));
  for (int64_t out = 0; out < g.output_size(); ++out) {
    const std::vector<Tap> taps = Taps(g, out);
    for (const Tap& tap : taps) k[out] += tap.x >= 0 ? Abs(x[tap.x]) : T(0);
    k[out] = k[out] * T(1.0 / static_cast<double>(taps.size()));
  }
  return k;
}

template <typename T>
std::vector<T> SignConv(const ConvGeometry& g, const std::vector<T>& x, const std::vector<T>& w, const std::vector<T>& alpha) {
  std::vector<T> y(g.output_size(), T(0));
  for (int64_t out = 0; out < g.output_size(); ++out) {
    for (const Tap& tap : Taps(g, out)) y[out] += (tap.x >= 0 ? x[tap.x] : T(0)) * Sign(w[tap.w]);
    y[out] = alpha[out % g.filters] * y[out];
  }
  return y;
}

// k: of InputScale, or all 1.
template <typename T>
std::vector<T> XnorConv(const ConvGeometry& g, const std::vector<T>& x, const std::vector<T>& w, const std::vector<T>& alpha,
                        const std::vector<T>& k, int pad_value) {
  std::vector<T> y(g.output_size(), T(0));
  for (int64_t out = 0; out < g.output_size(); ++out) {
    for (const Tap& tap : Taps(g, out)) y[out] += (tap.x >= 0 ? Sign(x[tap.x]) : T(pad_value)) * Sign(w[tap.w]);
    y[out] = k[out] * alpha[out % g.filters] * y[out];
  }
  return y;
}

}  // namespace bnn::reference
