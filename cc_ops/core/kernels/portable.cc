// portable: C++17 and nothing else. Runs everywhere, shows what every other backend must do, and vectorises where the compiler
// can.
//
// Leans on: 16 independent lanes in the inner loop, and a branch-free popcount (Hacker's Delight, 5-1) that compilers turn into
// vector code on machines without a popcount instruction in their baseline, x86-64 being one.
#include <algorithm>
#include <cmath>

#include "core/kernels/kernels.h"

namespace bnn {
namespace {

bool Supported() { return true; }

uint32_t Popcount(uint32_t x) {
  x -= (x >> 1) & 0x55555555u;
  x = (x & 0x33333333u) + ((x >> 2) & 0x33333333u);
  x = (x + (x >> 4)) & 0x0f0f0f0fu;
  return (x * 0x01010101u) >> 24;
}

void PackRows(const float* x, int64_t pixels, int64_t channels, uint32_t* words, float* mean) {
  const int64_t count = pixels * channels;
  for (int64_t start = 0; start < count; start += kWordBits) {
    const int64_t bits = std::min<int64_t>(kWordBits, count - start);
    uint32_t word = 0;
    for (int64_t b = 0; b < bits; ++b) word |= static_cast<uint32_t>(SignBit(x[start + b])) << b;
    words[start / kWordBits] = word;
  }
  if (!mean) return;
  for (int64_t pixel = 0; pixel < pixels; ++pixel, x += channels) {
    // Eight partial sums: more accurate than one, and open to vectorisation.
    float sums[8] = {};
    int64_t c = 0;
    for (; c + 8 <= channels; c += 8) {
      for (int k = 0; k < 8; ++k) sums[k] += std::abs(x[c + k]);
    }
    for (int k = 0; c < channels; ++c, ++k) sums[k] += std::abs(x[c]);
    const float sum = ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
    mean[pixel] = sum / static_cast<float>(channels);
  }
}

void PackBlock(const float* w, int64_t stride, int64_t run, int lanes, uint32_t* bits, double* abs_sum) {
  std::fill_n(bits, WordsFor(run) * kLanes, 0u);
  for (int64_t k = 0; k < run; ++k, w += stride) {
    uint32_t* word = bits + k / kWordBits * kLanes;
    for (int lane = 0; lane < lanes; ++lane) {
      word[lane] |= static_cast<uint32_t>(SignBit(w[lane])) << (k % kWordBits);
      abs_sum[lane] += std::abs(w[lane]);
    }
  }
}

void CountTaps(const uint32_t* bits, int64_t taps, int64_t tap_bits, int32_t* counts) {
  for (int64_t tap = 0; tap < taps; ++tap, counts += kLanes) {
    std::fill_n(counts, kLanes, 0);
    const int64_t first = tap * tap_bits, last = first + tap_bits;
    for (int64_t word = first / kWordBits; word * kWordBits < last; ++word) {
      const uint32_t mask = BitsBetween(first - word * kWordBits, last - word * kWordBits);
      for (int lane = 0; lane < kLanes; ++lane) {
        counts[lane] += static_cast<int32_t>(Popcount(bits[word * kLanes + lane] & mask));
      }
    }
  }
}

void RunXnorGemm(const XnorGemm& g) {
  for (int64_t f0 = 0; f0 < g.filters; f0 += kLanes) {
    const int lanes = static_cast<int>(std::min<int64_t>(kLanes, g.filters - f0));
    const uint32_t* block = g.bits + f0 * g.words();
    for (int64_t r = 0; r < g.rows; ++r) {
      uint32_t different[kLanes] = {};
      for (int64_t piece = 0; piece < g.pieces; ++piece) {
        const uint32_t* a = g.a[r * g.pieces + piece];
        const uint32_t* words = block + piece * g.piece_words * kLanes;
        for (int64_t word = 0; word < g.piece_words; ++word) {
          for (int lane = 0; lane < kLanes; ++lane) different[lane] += Popcount(a[word] ^ words[word * kLanes + lane]);
        }
      }
      if (g.signs.to) {
        uint32_t below = 0;
        for (int lane = 0; lane < lanes; ++lane) {
          const int32_t sum = g.base[r][f0 + lane] - 2 * static_cast<int32_t>(different[lane]);
          below |= static_cast<uint32_t>(sum < g.signs.threshold[r][f0 + lane]) << lane;
        }
        g.signs.to[r][f0 / kLanes] = static_cast<SignHalf>(below ^ g.signs.flip[r][f0 / kLanes]);
        continue;
      }
      const float scale = g.scale ? g.scale[r] : 1.0f;
      for (int lane = 0; lane < lanes; ++lane) {
        const int32_t sum = g.base[r][f0 + lane] - 2 * static_cast<int32_t>(different[lane]);
        g.y[r * g.y_stride + f0 + lane] = static_cast<float>(sum) * (g.alpha[f0 + lane] * scale);
      }
    }
  }
}

// table[n] = the sum of 4 inputs, input b negated where bit b of n is set.
constexpr int kTableSize = 16;

void BuildTables(const float* x, int64_t quads, float* tables) {
  for (int64_t quad = 0; quad < quads; ++quad, x += 4, tables += kTableSize) {
    for (int n = 0; n < kTableSize; ++n) {
      const float low = (n & 1 ? -x[0] : x[0]) + (n & 2 ? -x[1] : x[1]);
      tables[n] = low + ((n & 4 ? -x[2] : x[2]) + (n & 8 ? -x[3] : x[3]));
    }
  }
}

void RunLookupGemm(const LookupGemm& g) {
  for (int64_t f0 = 0; f0 < g.filters; f0 += kLanes) {
    const int lanes = static_cast<int>(std::min<int64_t>(kLanes, g.filters - f0));
    const uint32_t* block = g.bits + f0 * g.words;
    for (int64_t r = 0; r < g.rows; ++r) {
      float sums[kLanes] = {};
      for (int64_t quad = 0; quad < g.quads; ++quad) {
        const float* table = g.table[r] + g.offset[quad];
        const uint32_t* word = block + g.word[quad / 8] * kLanes;
        const int shift = static_cast<int>(quad % 8) * 4;
        for (int lane = 0; lane < kLanes; ++lane) sums[lane] += table[(word[lane] >> shift) & 15];
      }
      float* y = g.y + r * g.y_stride + f0;
      for (int lane = 0; lane < lanes; ++lane) {
        const float sum = (g.accumulate ? y[lane] : 0.0f) + sums[lane];
        y[lane] = g.alpha ? sum * g.alpha[f0 + lane] : sum;
      }
    }
  }
}

void RunFloatGemm(const FloatGemm& g) {
  for (int64_t i = 0; i < g.m; ++i) {
    float* c = g.c + i * g.c_stride;
    if (!g.accumulate) std::fill_n(c, g.n, 0.0f);
    for (int64_t s = 0; s < g.slabs; ++s) {
      for (int64_t l = 0; l < g.k; ++l) {
        const float a = g.a[i * g.a_row + l * g.a_step + s * g.a_slab];
        const float* b = g.b + l * g.b_stride + s * g.b_slab;
        for (int64_t j = 0; j < g.n; ++j) c[j] += a * b[j];
      }
    }
  }
}

}  // namespace

const Backend kPortable = {
    "portable", Supported, PackRows, PackBlock, CountTaps, RunXnorGemm, kTableSize, BuildTables, RunLookupGemm, RunFloatGemm, 6.5,
};

}  // namespace bnn
