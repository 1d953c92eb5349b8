// avx2: 256-bit registers and FMA (Haswell, Zen and later), no vector popcount.
//
// XNOR: the ones of each byte by nibble through vpshufb (Mula, Kurz, Lemire, "Faster Population Counts Using AVX2
// Instructions", 2018), added up in bytes for 31 words, then widened: 8 instructions for 256 bits, bound by the vector pipes.
//
// Float input: vpermps takes 3 bits, so a table holds the 8 signed sums of 4 neighbouring inputs in which the last has a plus,
// and the fourth bit turns the sign of the whole: with n = bits 0..3, sum(n) = s * table[n ^ (n > 7 ? 15 : 0)], s = n > 7 ? -1
// : 1. vpermps and vfmadd make 32 multiply-adds, against 8 in an FMA; index and sign are made once for all rows of a tile.
#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <cmath>

#include "core/kernels/kernels.h"
#include "core/kernels/target.h"
#include "core/kernels/tiles.h"

BNN_TARGET_BEGIN("avx2,fma,bmi2,popcnt")

namespace bnn {
namespace {

// GCC checks both CPUID and that the operating system saves the registers (XCR0).
bool Supported() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"); }

constexpr int kWide = 8;                 // lanes of a register
constexpr int kHalves = kLanes / kWide;  // registers of a block of filters

// All ones in the first `lanes` of 8 lanes.
__m256i FirstLanes(int64_t lanes) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(std::clamp<int64_t>(lanes, 0, kWide))), lane);
}

__m256 SignMask(__m256 u) { return _mm256_cmp_ps(u, _mm256_setzero_ps(), _CMP_NGE_UQ); }
__m256 Abs(__m256 u) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), u); }

float ReduceAdd(__m256 v) {
  __m128 sum = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
  return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
}

// Signs of a whole row as one stream, a byte of 8 at a time, up to the end of the last word.
void PackStream(const float* x, int64_t count, uint32_t* words) {
  auto* bytes = reinterpret_cast<uint8_t*>(words);
  int64_t i = 0;
  for (; i + kWide <= count; i += kWide) *bytes++ = static_cast<uint8_t>(_mm256_movemask_ps(SignMask(_mm256_loadu_ps(x + i))));
  for (; i < RoundUp(count, kWordBits); i += kWide) {
    // A masked load reads nothing past `count`, and its zeros give bits of 0.
    *bytes++ =
        i < count ? static_cast<uint8_t>(_mm256_movemask_ps(SignMask(_mm256_maskload_ps(x + i, FirstLanes(count - i))))) : 0;
  }
}

void PackRows(const float* x, int64_t pixels, int64_t channels, uint32_t* words, float* mean) {
  PackStream(x, pixels * channels, words);
  if (!mean) return;
  const float inverse = 1.0f / static_cast<float>(channels);
  for (int64_t pixel = 0; pixel < pixels; ++pixel, x += channels) {
    __m256 sum = _mm256_setzero_ps();
    int64_t c = 0;
    for (; c + kWide <= channels; c += kWide) sum = _mm256_add_ps(sum, Abs(_mm256_loadu_ps(x + c)));
    if (c < channels) sum = _mm256_add_ps(sum, Abs(_mm256_maskload_ps(x + c, FirstLanes(channels - c))));
    mean[pixel] = ReduceAdd(sum) * inverse;
  }
}

void PackBlock(const float* w, int64_t stride, int64_t run, int lanes, uint32_t* bits, double* abs_sum) {
  for (int half = 0; half < kHalves; ++half) {
    const __m256i inside = FirstLanes(lanes - half * kWide);
    const float* row = w + half * kWide;
    __m256d low = _mm256_loadu_pd(abs_sum + half * kWide), high = _mm256_loadu_pd(abs_sum + half * kWide + 4);
    for (int64_t k = 0; k < run; k += kWordBits) {
      const int64_t rows = std::min<int64_t>(kWordBits, run - k);
      __m256i word = _mm256_setzero_si256(), bit = _mm256_set1_epi32(1);
      __m256 sum = _mm256_setzero_ps();
      for (int64_t r = 0; r < rows; ++r, row += stride) {
        const __m256 u = _mm256_maskload_ps(row, inside);
        word = _mm256_or_si256(word, _mm256_and_si256(_mm256_castps_si256(SignMask(u)), bit));
        bit = _mm256_slli_epi32(bit, 1);
        sum = _mm256_add_ps(sum, Abs(u));
      }
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(bits + k / kWordBits * kLanes + half * kWide), word);
      low = _mm256_add_pd(low, _mm256_cvtps_pd(_mm256_castps256_ps128(sum)));
      high = _mm256_add_pd(high, _mm256_cvtps_pd(_mm256_extractf128_ps(sum, 1)));
    }
    _mm256_storeu_pd(abs_sum + half * kWide, low);
    _mm256_storeu_pd(abs_sum + half * kWide + 4, high);
  }
}

__m256i LoadHalf(const uint32_t* bits) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bits)); }

__m256i PopcountBytes(__m256i v) {
  const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,  //
                                         0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  const __m256i nibble = _mm256_set1_epi8(15);
  const __m256i low = _mm256_shuffle_epi8(table, _mm256_and_si256(v, nibble));
  const __m256i high = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(v, 4), nibble));
  return _mm256_add_epi8(low, high);
}

__m256i WidenBytes(__m256i bytes) {
  return _mm256_madd_epi16(_mm256_maddubs_epi16(bytes, _mm256_set1_epi8(1)), _mm256_set1_epi16(1));
}

void CountTaps(const uint32_t* bits, int64_t taps, int64_t tap_bits, int32_t* counts) {
  for (int64_t tap = 0; tap < taps; ++tap) {
    const int64_t first = tap * tap_bits, last = first + tap_bits;
    __m256i sum[kHalves] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (int64_t word = first / kWordBits; word * kWordBits < last; ++word) {
      const uint32_t mask = BitsBetween(first - word * kWordBits, last - word * kWordBits);
      for (int half = 0; half < kHalves; ++half) {
        const __m256i v =
            _mm256_and_si256(LoadHalf(bits + word * kLanes + half * kWide), _mm256_set1_epi32(static_cast<int>(mask)));
        sum[half] = _mm256_add_epi32(sum[half], WidenBytes(PopcountBytes(v)));
      }
    }
    for (int half = 0; half < kHalves; ++half) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(counts + tap * kLanes + half * kWide), sum[half]);
    }
  }
}

struct XnorTile {
  static constexpr int kMaxRows = 4, kMaxBlocks = 1;
  static constexpr int64_t kFlush = 31;  // 8 a byte and a word: 31 words stay below 256

  template <int kRows>
  static void StoreSigns(const XnorGemm& g, int64_t r, int64_t f, const __m256i (&total)[kRows][kHalves]) {
    const uint32_t inside = g.filters - f >= kLanes ? 0xffffu : (1u << (g.filters - f)) - 1;
    for (int m = 0; m < kRows; ++m) {
      uint32_t below = 0;
      for (int half = 0; half < kHalves; ++half) {
        const int64_t filter = f + half * kWide;
        const __m256i base = LoadHalf(reinterpret_cast<const uint32_t*>(g.base[r + m] + filter));
        const __m256i threshold = LoadHalf(reinterpret_cast<const uint32_t*>(g.signs.threshold[r + m] + filter));
        const __m256i sum = _mm256_sub_epi32(base, _mm256_slli_epi32(total[m][half], 1));
        below |= static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(threshold, sum))))
                 << (half * kWide);
      }
      g.signs.to[r + m][f / kLanes] = static_cast<SignHalf>((below & inside) ^ g.signs.flip[r + m][f / kLanes]);
    }
  }

  template <int kRows>
  static void Clear(__m256i (&sums)[kRows][kHalves]) {
#pragma GCC unroll 4
    for (int m = 0; m < kRows; ++m) sums[m][0] = sums[m][1] = _mm256_setzero_si256();
  }

  template <int kRows>
  static void AddWidened(const __m256i (&sum)[kRows][kHalves], __m256i (&total)[kRows][kHalves]) {
#pragma GCC unroll 4
    for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 2
      for (int half = 0; half < kHalves; ++half) total[m][half] = _mm256_add_epi32(total[m][half], WidenBytes(sum[m][half]));
    }
  }

  template <int kRows, int kBlocks>
  static void Run(const XnorGemm& g, int64_t r, int64_t f) {
    __m256i total[kRows][kHalves], sum[kRows][kHalves];
    Clear(total);
    Clear(sum);
    int64_t room = kFlush;
    const uint32_t* bits = g.bits + f * g.words();
    for (int64_t piece = 0; piece < g.pieces; ++piece) {
      const uint32_t* input[kRows];
#pragma GCC unroll 4
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
          const __m256i b[kHalves] = {LoadHalf(bits), LoadHalf(bits + kWide)};
#pragma GCC unroll 4
          for (int m = 0; m < kRows; ++m) {
            const __m256i x = _mm256_set1_epi32(static_cast<int>(input[m][word]));
#pragma GCC unroll 2
            for (int half = 0; half < kHalves; ++half) {
              sum[m][half] = _mm256_add_epi8(sum[m][half], PopcountBytes(_mm256_xor_si256(x, b[half])));
            }
          }
        }
      }
    }
    AddWidened(sum, total);
    if (g.signs.to) return StoreSigns(g, r, f, total);
#pragma GCC unroll 6
    for (int m = 0; m < kRows; ++m) {
      const __m256 scale = _mm256_set1_ps(g.scale ? g.scale[r + m] : 1.0f);
#pragma GCC unroll 2
      for (int half = 0; half < kHalves; ++half) {
        const int64_t filter = f + half * kWide;
        const __m256i inside = FirstLanes(g.filters - filter);
        const __m256i base = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(g.base[r + m] + filter));
        const __m256 value = _mm256_cvtepi32_ps(_mm256_sub_epi32(base, _mm256_slli_epi32(total[m][half], 1)));
        const __m256 factor = _mm256_mul_ps(_mm256_maskload_ps(g.alpha + filter, inside), scale);
        _mm256_maskstore_ps(g.y + (r + m) * g.y_stride + filter, inside, _mm256_mul_ps(value, factor));
      }
    }
  }
};

void RunXnorGemm(const XnorGemm& g) { ForTiles<XnorTile>(g, g.rows, CeilDiv(g.filters, kLanes)); }

constexpr int kTableSize = 8;

void BuildTables(const float* x, int64_t quads, float* tables) {
  const __m256i n = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i sign = _mm256_set1_epi32(static_cast<int>(0x80000000u));
  const __m256 flip0 = _mm256_castsi256_ps(_mm256_slli_epi32(n, 31));
  const __m256 flip1 = _mm256_castsi256_ps(_mm256_and_si256(_mm256_slli_epi32(n, 30), sign));
  const __m256 flip2 = _mm256_castsi256_ps(_mm256_and_si256(_mm256_slli_epi32(n, 29), sign));
  for (int64_t quad = 0; quad < quads; ++quad, x += 4, tables += kTableSize) {
    const __m256 low = _mm256_add_ps(_mm256_xor_ps(_mm256_set1_ps(x[0]), flip0), _mm256_xor_ps(_mm256_set1_ps(x[1]), flip1));
    const __m256 high = _mm256_add_ps(_mm256_xor_ps(_mm256_set1_ps(x[2]), flip2), _mm256_set1_ps(x[3]));
    _mm256_storeu_ps(tables, _mm256_add_ps(low, high));
  }
}

struct LookupTile {
  static constexpr int kMaxRows = 4, kMaxBlocks = 1;

  template <int kRows, int kBlocks>
  static void Run(const LookupGemm& g, int64_t r, int64_t f) {
    const float* table[kRows];
#pragma GCC unroll 6
    for (int m = 0; m < kRows; ++m) table[m] = g.table[r + m];
    const uint32_t* bits = g.bits + f * g.words;
    const __m256 plus = _mm256_set1_ps(1.0f), minus = _mm256_set1_ps(-1.0f);
    __m256 sum[kRows][kHalves];
    for (auto& row : sum) row[0] = row[1] = _mm256_setzero_ps();
    for (int64_t first = 0; first < g.quads; first += 8) {
      const uint32_t* word = bits + g.word[first / 8] * kLanes;
      __m256i left[kHalves] = {LoadHalf(word), LoadHalf(word + kWide)};
      const int64_t last = std::min(g.quads, first + 8);
      for (int64_t quad = first; quad < last; ++quad) {
        const int64_t offset = g.offset[quad];
        __m256i index[kHalves];
        __m256 factor[kHalves];
#pragma GCC unroll 2
        for (int half = 0; half < kHalves; ++half) {
          const __m256i top = _mm256_slli_epi32(left[half], 28);  // the fourth bit, as a sign
          index[half] = _mm256_xor_si256(left[half], _mm256_srai_epi32(top, 31));
          factor[half] = _mm256_blendv_ps(plus, minus, _mm256_castsi256_ps(top));
          left[half] = _mm256_srli_epi32(left[half], 4);
        }
#pragma GCC unroll 4
        for (int m = 0; m < kRows; ++m) {
          const __m256 sums = _mm256_loadu_ps(table[m] + offset);
#pragma GCC unroll 2
          for (int half = 0; half < kHalves; ++half) {
            sum[m][half] = _mm256_fmadd_ps(_mm256_permutevar8x32_ps(sums, index[half]), factor[half], sum[m][half]);
          }
        }
      }
    }
#pragma GCC unroll 6
    for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 2
      for (int half = 0; half < kHalves; ++half) {
        const int64_t filter = f + half * kWide;
        const __m256i inside = FirstLanes(g.filters - filter);
        float* y = g.y + (r + m) * g.y_stride + filter;
        __m256 value = sum[m][half];
        if (g.accumulate) value = _mm256_add_ps(value, _mm256_maskload_ps(y, inside));
        if (g.alpha) value = _mm256_mul_ps(value, _mm256_maskload_ps(g.alpha + filter, inside));
        _mm256_maskstore_ps(y, inside, value);
      }
    }
  }
};

void RunLookupGemm(const LookupGemm& g) { ForTiles<LookupTile>(g, g.rows, CeilDiv(g.filters, kLanes)); }

struct FloatTile {
  static constexpr int kMaxRows = 6, kMaxBlocks = 1;

  template <int kRows, int kBlocks>
  static void Run(const FloatGemm& g, int64_t i, int64_t j) {
    float* c = g.c + i * g.c_stride + j;
    const __m256i inside[kHalves] = {FirstLanes(g.n - j), FirstLanes(g.n - j - kWide)};
    __m256 sum[kRows][kHalves];
#pragma GCC unroll 6
    for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 2
      for (int half = 0; half < kHalves; ++half) {
        sum[m][half] = g.accumulate ? _mm256_maskload_ps(c + m * g.c_stride + half * kWide, inside[half]) : _mm256_setzero_ps();
      }
    }
    const auto step = [&](const float* a, const __m256 row0, const __m256 row1) {
#pragma GCC unroll 6
      for (int m = 0; m < kRows; ++m) {
        const __m256 value = _mm256_set1_ps(a[m * g.a_row]);
        sum[m][0] = _mm256_fmadd_ps(value, row0, sum[m][0]);
        sum[m][1] = _mm256_fmadd_ps(value, row1, sum[m][1]);
      }
    };
    for (int64_t slab = 0; slab < g.slabs; ++slab) {
      const float* a = g.a + i * g.a_row + slab * g.a_slab;
      const float* b = g.b + j + slab * g.b_slab;
      if (g.n - j >= kLanes) {
        for (int64_t l = 0; l < g.k; ++l, a += g.a_step, b += g.b_stride) step(a, _mm256_loadu_ps(b), _mm256_loadu_ps(b + kWide));
      } else {
        for (int64_t l = 0; l < g.k; ++l, a += g.a_step, b += g.b_stride) {
          step(a, _mm256_maskload_ps(b, inside[0]), _mm256_maskload_ps(b + kWide, inside[1]));
        }
      }
    }
#pragma GCC unroll 6
    for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 2
      for (int half = 0; half < kHalves; ++half)
        _mm256_maskstore_ps(c + m * g.c_stride + half * kWide, inside[half], sum[m][half]);
    }
  }
};

void RunFloatGemm(const FloatGemm& g) { ForTiles<FloatTile>(g, g.m, CeilDiv(g.n, kLanes)); }

}  // namespace

const Backend kAvx2 = {
    "avx2", Supported, PackRows, PackBlock, CountTaps, RunXnorGemm, kTableSize, BuildTables, RunLookupGemm, RunFloatGemm, 1.4,
};

}  // namespace bnn

BNN_TARGET_END

#endif  // __x86_64__
