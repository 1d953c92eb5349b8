// neon: 128-bit registers of AArch64, where NEON is always there.
//
// XNOR: veor, vcnt (ones of each byte), vadd, added up in bytes for 31 words and then widened pairwise (vpaddl): 3 instructions
// for 128 bits, bound by the vector pipes.
//
// Float input: a table of 16 signed sums is 64 bytes, which vqtbl4q looks up in four registers; a lane's 4 bits become the
// indices of its 4 bytes by a multiply-add, once for all rows of a tile. vqtbl4q and vadd make 16 multiply-adds, against 4 in an
// FMA.
#if defined(__aarch64__)

#include <arm_neon.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/kernels/kernels.h"
#include "core/kernels/tiles.h"

namespace bnn {
namespace {

bool Supported() { return true; }

constexpr int kWide = 4;                   // lanes of a register
constexpr int kQuarters = kLanes / kWide;  // registers of a block of filters

// Four bits, of the lanes that are not >= 0.
uint32_t SignBits(float32x4_t u) {
  const uint32_t weights[kWide] = {1, 2, 4, 8};
  return vaddvq_u32(vbicq_u32(vld1q_u32(weights), vcgeq_f32(u, vdupq_n_f32(0.0f))));
}

void PackRows(const float* x, int64_t pixels, int64_t channels, uint32_t* words, float* mean) {
  const int64_t count = pixels * channels;
  for (int64_t start = 0; start < count; start += kWordBits) {
    const int64_t bits = std::min<int64_t>(kWordBits, count - start);
    uint32_t word = 0;
    int64_t b = 0;
    for (; b + kWide <= bits; b += kWide) word |= SignBits(vld1q_f32(x + start + b)) << b;
    for (; b < bits; ++b) word |= static_cast<uint32_t>(SignBit(x[start + b])) << b;
    words[start / kWordBits] = word;
  }
  if (!mean) return;
  for (int64_t pixel = 0; pixel < pixels; ++pixel, x += channels) {
    float32x4_t sum = vdupq_n_f32(0.0f);
    int64_t c = 0;
    for (; c + kWide <= channels; c += kWide) sum = vaddq_f32(sum, vabsq_f32(vld1q_f32(x + c)));
    float rest = 0;
    for (; c < channels; ++c) rest += std::abs(x[c]);
    mean[pixel] = (vaddvq_f32(sum) + rest) / static_cast<float>(channels);
  }
}

void PackBlock(const float* w, int64_t stride, int64_t run, int lanes, uint32_t* bits, double* abs_sum) {
  float row[kLanes] = {};
  for (int64_t k = 0; k < run; k += kWordBits, bits += kLanes) {
    const int64_t rows = std::min<int64_t>(kWordBits, run - k);
    uint32x4_t word[kQuarters];
    float32x4_t sum[kQuarters];
    for (int i = 0; i < kQuarters; ++i) {
      word[i] = vdupq_n_u32(0);
      sum[i] = vdupq_n_f32(0.0f);
    }
    for (int64_t r = 0; r < rows; ++r, w += stride) {
      std::copy_n(w, lanes, row);
      const uint32x4_t bit = vdupq_n_u32(1u << r);
      for (int i = 0; i < kQuarters; ++i) {
        const float32x4_t u = vld1q_f32(row + i * kWide);
        word[i] = vorrq_u32(word[i], vbicq_u32(bit, vcgeq_f32(u, vdupq_n_f32(0.0f))));
        sum[i] = vaddq_f32(sum[i], vabsq_f32(u));
      }
    }
    float sums[kLanes];
    for (int i = 0; i < kQuarters; ++i) {
      vst1q_u32(bits + i * kWide, word[i]);
      vst1q_f32(sums + i * kWide, sum[i]);
    }
    for (int lane = 0; lane < kLanes; ++lane) abs_sum[lane] += sums[lane];
  }
}

uint32x4_t WidenBytes(uint8x16_t bytes) { return vpaddlq_u16(vpaddlq_u8(bytes)); }

void CountTaps(const uint32_t* bits, int64_t taps, int64_t tap_bits, int32_t* counts) {
  for (int64_t tap = 0; tap < taps; ++tap, counts += kLanes) {
    const int64_t first = tap * tap_bits, last = first + tap_bits;
    for (int i = 0; i < kQuarters; ++i) {
      uint32x4_t sum = vdupq_n_u32(0);
      for (int64_t word = first / kWordBits; word * kWordBits < last; ++word) {
        const uint32x4_t mask = vdupq_n_u32(BitsBetween(first - word * kWordBits, last - word * kWordBits));
        const uint32x4_t v = vandq_u32(vld1q_u32(bits + word * kLanes + i * kWide), mask);
        sum = vaddq_u32(sum, WidenBytes(vcntq_u8(vreinterpretq_u8_u32(v))));
      }
      vst1q_s32(counts + i * kWide, vreinterpretq_s32_u32(sum));
    }
  }
}

struct XnorTile {
  static constexpr int kMaxRows = 4, kMaxBlocks = 1;
  static constexpr int64_t kFlush = 31;  // 8 a byte and a word: 31 words stay below 256

  template <int kRows>
  static void StoreSigns(const XnorGemm& g, int64_t r, int64_t f, const uint32x4_t (&total)[kRows][kQuarters]) {
    const uint32_t weights[kWide] = {1, 2, 4, 8};
    const uint32_t inside = g.filters - f >= kLanes ? 0xffffu : (1u << (g.filters - f)) - 1;
    for (int m = 0; m < kRows; ++m) {
      uint32_t below = 0;
      for (int i = 0; i < kQuarters; ++i) {
        const int32x4_t different = vreinterpretq_s32_u32(vshlq_n_u32(total[m][i], 1));
        const int32x4_t sum = vsubq_s32(vld1q_s32(g.base[r + m] + f + i * kWide), different);
        const uint32x4_t less = vcltq_s32(sum, vld1q_s32(g.signs.threshold[r + m] + f + i * kWide));
        below |= vaddvq_u32(vandq_u32(vld1q_u32(weights), less)) << (i * kWide);
      }
      g.signs.to[r + m][f / kLanes] = static_cast<SignHalf>((below & inside) ^ g.signs.flip[r + m][f / kLanes]);
    }
  }

  template <int kRows>
  static void Clear(uint8x16_t (&sums)[kRows][kQuarters]) {
    for (auto& row : sums) {
      for (auto& sum : row) sum = vdupq_n_u8(0);
    }
  }

  template <int kRows>
  static void AddWidened(const uint8x16_t (&sum)[kRows][kQuarters], uint32x4_t (&total)[kRows][kQuarters]) {
    for (int m = 0; m < kRows; ++m) {
      for (int i = 0; i < kQuarters; ++i) total[m][i] = vaddq_u32(total[m][i], WidenBytes(sum[m][i]));
    }
  }

  template <int kRows, int kBlocks>
  static void Run(const XnorGemm& g, int64_t r, int64_t f) {
    uint32x4_t total[kRows][kQuarters];
    uint8x16_t sum[kRows][kQuarters];
    for (auto& row : total) {
      for (auto& value : row) value = vdupq_n_u32(0);
    }
    Clear(sum);
    int64_t room = kFlush;
    const uint32_t* bits = g.bits + f * g.words();
    for (int64_t piece = 0; piece < g.pieces; ++piece) {
      const uint32_t* input[kRows];
      for (int m = 0; m < kRows; ++m) input[m] = g.a[(r + m) * g.pieces + piece];
      for (int64_t word = 0; word < g.piece_words;) {
        if (room == 0) {
          AddWidened(sum, total);
          Clear(sum);
          room = kFlush;
        }
        const int64_t end = std::min(g.piece_words, word + room);
        room -= end - word;
        for (; word < end; ++word, bits += kLanes) {
          uint32x4_t b[kQuarters];
          for (int i = 0; i < kQuarters; ++i) b[i] = vld1q_u32(bits + i * kWide);
          for (int m = 0; m < kRows; ++m) {
            const uint32x4_t x = vdupq_n_u32(input[m][word]);
            for (int i = 0; i < kQuarters; ++i) {
              sum[m][i] = vaddq_u8(sum[m][i], vcntq_u8(vreinterpretq_u8_u32(veorq_u32(x, b[i]))));
            }
          }
        }
      }
    }
    AddWidened(sum, total);
    if (g.signs.to) return StoreSigns(g, r, f, total);
    const int64_t lanes = std::min<int64_t>(kLanes, g.filters - f);
    float alpha[kLanes] = {};
    std::copy_n(g.alpha + f, lanes, alpha);
    for (int m = 0; m < kRows; ++m) {
      const float32x4_t scale = vdupq_n_f32(g.scale ? g.scale[r + m] : 1.0f);
      float row[kLanes];
      for (int i = 0; i < kQuarters; ++i) {
        const int32x4_t base = vld1q_s32(g.base[r + m] + f + i * kWide);
        const int32x4_t different = vreinterpretq_s32_u32(vshlq_n_u32(total[m][i], 1));
        const float32x4_t factor = vmulq_f32(vld1q_f32(alpha + i * kWide), scale);
        vst1q_f32(row + i * kWide, vmulq_f32(vcvtq_f32_s32(vsubq_s32(base, different)), factor));
      }
      std::copy_n(row, lanes, g.y + (r + m) * g.y_stride + f);
    }
  }
};

void RunXnorGemm(const XnorGemm& g) { ForTiles<XnorTile>(g, g.rows, CeilDiv(g.filters, kLanes)); }

// table[n] = the sum of 4 inputs, input b negated where bit b of n is set.
constexpr int kTableSize = 16;

void BuildTables(const float* x, int64_t quads, float* tables) {
  const float first[kWide] = {1, -1, 1, -1}, second[kWide] = {1, 1, -1, -1};
  for (int64_t quad = 0; quad < quads; ++quad, x += 4, tables += kTableSize) {
    const float32x4_t low = vaddq_f32(vmulq_n_f32(vld1q_f32(first), x[0]), vmulq_n_f32(vld1q_f32(second), x[1]));
    const float plus = x[2] + x[3], minus = x[2] - x[3];
    vst1q_f32(tables, vaddq_f32(low, vdupq_n_f32(plus)));
    vst1q_f32(tables + 4, vsubq_f32(low, vdupq_n_f32(minus)));
    vst1q_f32(tables + 8, vaddq_f32(low, vdupq_n_f32(minus)));
    vst1q_f32(tables + 12, vsubq_f32(low, vdupq_n_f32(plus)));
  }
}

struct LookupTile {
  static constexpr int kMaxRows = 4, kMaxBlocks = 1;

  template <int kRows, int kBlocks>
  static void Run(const LookupGemm& g, int64_t r, int64_t f) {
    const uint32_t* bits = g.bits + f * g.words;
    float32x4_t sum[kRows][kQuarters];
    for (auto& row : sum) {
      for (auto& value : row) value = vdupq_n_f32(0.0f);
    }
    for (int64_t first = 0; first < g.quads; first += 8) {
      uint32x4_t left[kQuarters];
      for (int i = 0; i < kQuarters; ++i) left[i] = vld1q_u32(bits + g.word[first / 8] * kLanes + i * kWide);
      const int64_t last = std::min(g.quads, first + 8);
      for (int64_t quad = first; quad < last; ++quad) {
        uint8x16_t index[kQuarters];
        for (int i = 0; i < kQuarters; ++i) {
          const uint32x4_t nibble = vandq_u32(left[i], vdupq_n_u32(15));
          index[i] = vreinterpretq_u8_u32(vmlaq_u32(vdupq_n_u32(0x03020100u), nibble, vdupq_n_u32(0x04040404u)));
          left[i] = vshrq_n_u32(left[i], 4);
        }
        for (int m = 0; m < kRows; ++m) {
          const uint8x16x4_t table = vld1q_u8_x4(reinterpret_cast<const uint8_t*>(g.table[r + m] + g.offset[quad]));
          for (int i = 0; i < kQuarters; ++i) sum[m][i] = vaddq_f32(sum[m][i], vreinterpretq_f32_u8(vqtbl4q_u8(table, index[i])));
        }
      }
    }
    const int64_t lanes = std::min<int64_t>(kLanes, g.filters - f);
    for (int m = 0; m < kRows; ++m) {
      float row[kLanes];
      for (int i = 0; i < kQuarters; ++i) vst1q_f32(row + i * kWide, sum[m][i]);
      float* y = g.y + (r + m) * g.y_stride + f;
      for (int64_t lane = 0; lane < lanes; ++lane) {
        const float value = (g.accumulate ? y[lane] : 0.0f) + row[lane];
        y[lane] = g.alpha ? value * g.alpha[f + lane] : value;
      }
    }
  }
};

void RunLookupGemm(const LookupGemm& g) { ForTiles<LookupTile>(g, g.rows, CeilDiv(g.filters, kLanes)); }

struct FloatTile {
  // 24 accumulators, a row of 4 registers and the input leave 3 of 32 free.
  static constexpr int kMaxRows = 6, kMaxBlocks = 1;

  template <int kRows, int kBlocks>
  static void Run(const FloatGemm& g, int64_t i, int64_t j) {
    const int64_t lanes = std::min<int64_t>(kLanes, g.n - j);
    float32x4_t sum[kRows][kQuarters];
    float row[kLanes] = {};
    for (int m = 0; m < kRows; ++m) {
      if (g.accumulate) std::copy_n(g.c + (i + m) * g.c_stride + j, lanes, row);
      for (int q = 0; q < kQuarters; ++q) sum[m][q] = vld1q_f32(row + q * kWide);
    }
    for (int64_t slab = 0; slab < g.slabs; ++slab) {
      const float* a = g.a + i * g.a_row + slab * g.a_slab;
      const float* b = g.b + j + slab * g.b_slab;
      for (int64_t l = 0; l < g.k; ++l, a += g.a_step, b += g.b_stride) {
        float32x4_t column[kQuarters];
        if (lanes < kLanes) std::copy_n(b, lanes, row);
        for (int q = 0; q < kQuarters; ++q) column[q] = vld1q_f32((lanes < kLanes ? row : b) + q * kWide);
        for (int m = 0; m < kRows; ++m) {
          const float value = a[m * g.a_row];
          for (int q = 0; q < kQuarters; ++q) sum[m][q] = vfmaq_n_f32(sum[m][q], column[q], value);
        }
      }
    }
    for (int m = 0; m < kRows; ++m) {
      for (int q = 0; q < kQuarters; ++q) vst1q_f32(row + q * kWide, sum[m][q]);
      std::copy_n(row, lanes, g.c + (i + m) * g.c_stride + j);
    }
  }
};

void RunFloatGemm(const FloatGemm& g) { ForTiles<FloatTile>(g, g.m, CeilDiv(g.n, kLanes)); }

}  // namespace

const Backend kNeon = {
    "neon",     Supported,   PackRows,      PackBlock,    CountTaps, RunXnorGemm,
    kTableSize, BuildTables, RunLookupGemm, RunFloatGemm, 1.4,  // not timed
};

}  // namespace bnn

#endif  // __aarch64__
