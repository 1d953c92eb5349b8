// avx512, avx512bw: 512-bit registers, with and without a vector popcount (VPOPCNTDQ: Ice Lake, Zen 4 and later).
//
// XNOR: a register holds the same word of 16 filters, the input's word is broadcast to it; vpxord, vpopcntd, vpaddd make 1024
// operations (xor and count) in three instructions. All three run on any vector pipe that takes 512 bits, popcount on fewer
// pipes on some machines (Zen 4: half of them), so the bound is 3 instructions a word or the popcount port. A carry-save adder
// (Harley-Seal) needs five for two words, but three are vpternlogd, which on Zen 4 takes a fifth longer than the others: 0.44 ns
// a word against 0.41.
//
// Without VPOPCNTDQ bytes are counted by nibble through vpshufb (Mula, Kurz, Lemire 2018) and widened every 31 words.
//
// Float input: vpermps reads 4 bits of each of 16 filters and looks up 16 of the signed sums of 4 neighbouring inputs: 64
// multiply-adds in vpermps + vaddps, against 16 in an FMA. It ignores the bits above the fourth, so one shift serves 16 filters
// and all rows.
#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <cmath>

#include "core/kernels/kernels.h"
#include "core/kernels/target.h"
#include "core/kernels/tiles.h"

// GCC 12's own avx512fintrin.h starts "undefined" registers from themselves, which it then warns about (GCC bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

BNN_TARGET_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq,avx2,fma,bmi2")

namespace bnn {
namespace {

// GCC checks both CPUID and that the operating system saves the registers (XCR0).
bool SupportedBw() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
}

bool SupportedVpopcnt() { return SupportedBw() && __builtin_cpu_supports("avx512vpopcntdq"); }

__mmask16 FirstLanes(int64_t lanes) { return static_cast<__mmask16>(lanes >= 16 ? 0xffff : (1u << lanes) - 1); }

__mmask16 SignBits(__m512 u) { return _mm512_cmp_ps_mask(u, _mm512_setzero_ps(), _CMP_NGE_UQ); }

// Signs of a whole row as one stream, 16 at a time; a half word is a 16-bit store.
void PackStream(const float* x, int64_t count, uint32_t* words) {
  auto* halves = reinterpret_cast<uint8_t*>(words);
  int64_t i = 0;
  for (; i + 16 <= count; i += 16, halves += 2) {
    const __mmask16 mask = SignBits(_mm512_loadu_ps(x + i));
    __builtin_memcpy(halves, &mask, 2);
  }
  // The stream ends with a whole word, whose unused bits are 0.
  for (; i < RoundUp(count, kWordBits); i += 16, halves += 2) {
    const __mmask16 inside = FirstLanes(std::max<int64_t>(count - i, 0));
    const __mmask16 mask = _kand_mask16(inside, SignBits(_mm512_maskz_loadu_ps(inside, x + i)));
    __builtin_memcpy(halves, &mask, 2);
  }
}

// The sums of the lanes of four registers, each by itself in the same order.
__m128 SumLanes(__m512 a, __m512 b, __m512 c, __m512 d) {
  const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
  const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
  const __m512 quarters = _mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xee));
  const __m256 halves = _mm256_add_ps(_mm512_castps512_ps256(quarters), _mm512_extractf32x8_ps(quarters, 1));
  return _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1));
}

// The means of |x| of some pixels. `magnitudes(pixel)`: a register of partial sums of a pixel's |x|. Four pixels at once: to add
// up the lanes of a register takes longer than to add 16 values to it.
template <typename Magnitudes>
void StoreMeans(int64_t pixels, float inverse, Magnitudes magnitudes, float* mean) {
  const __m128 inverses = _mm_set1_ps(inverse);
  int64_t pixel = 0;
  for (; pixel + 4 <= pixels; pixel += 4) {
    const __m512 a = magnitudes(pixel), b = magnitudes(pixel + 1), c = magnitudes(pixel + 2), d = magnitudes(pixel + 3);
    _mm_storeu_ps(mean + pixel, _mm_mul_ps(SumLanes(a, b, c, d), inverses));
  }
  for (const __m512 zero = _mm512_setzero_ps(); pixel < pixels; ++pixel) {
    _mm_store_ss(mean + pixel, _mm_mul_ss(SumLanes(magnitudes(pixel), zero, zero, zero), inverses));
  }
}

void PackRows(const float* x, int64_t pixels, int64_t channels, uint32_t* words, float* mean) {
  if (!mean) return PackStream(x, pixels * channels, words);
  const float inverse = 1.0f / static_cast<float>(channels);
  if (channels % 16) {
    PackStream(x, pixels * channels, words);
    const auto magnitudes = [=](int64_t pixel) {
      __m512 sum = _mm512_setzero_ps();
      for (int64_t c = 0; c < channels; c += 16) {
        const __mmask16 inside = FirstLanes(channels - c);
        sum = _mm512_add_ps(sum, _mm512_abs_ps(_mm512_maskz_loadu_ps(inside, x + pixel * channels + c)));
      }
      return sum;
    };
    return StoreMeans(pixels, inverse, magnitudes, mean);
  }
  auto* halves = reinterpret_cast<uint8_t*>(words);
  const auto pack = [=](int64_t pixel) {  // writes the pixel's signs, too
    const float* values = x + pixel * channels;
    uint8_t* to = halves + pixel * channels / 8;
    __m512 sum = _mm512_setzero_ps();
    for (int64_t c = 0; c < channels; c += 16, to += 2) {
      const __m512 u = _mm512_loadu_ps(values + c);
      const __mmask16 mask = SignBits(u);
      __builtin_memcpy(to, &mask, 2);
      sum = _mm512_add_ps(sum, _mm512_abs_ps(u));
    }
    return sum;
  };
  StoreMeans(pixels, inverse, pack, mean);
  if (pixels * channels % kWordBits) __builtin_memset(halves + pixels * channels / 8, 0, 2);
}

void PackBlock(const float* w, int64_t stride, int64_t run, int lanes, uint32_t* bits, double* abs_sum) {
  const __mmask16 inside = FirstLanes(lanes);
  __m512d low = _mm512_loadu_pd(abs_sum), high = _mm512_loadu_pd(abs_sum + 8);
  for (int64_t k = 0; k < run; k += kWordBits, bits += kLanes) {
    const int64_t rows = std::min<int64_t>(kWordBits, run - k);
    __m512i word = _mm512_setzero_si512(), bit = _mm512_set1_epi32(1);
    __m512 sum = _mm512_setzero_ps();
    for (int64_t r = 0; r < rows; ++r, w += stride) {
      const __m512 u = _mm512_maskz_loadu_ps(inside, w);
      word = _mm512_mask_or_epi32(word, SignBits(u), word, bit);
      bit = _mm512_slli_epi32(bit, 1);
      sum = _mm512_add_ps(sum, _mm512_abs_ps(u));
    }
    _mm512_storeu_si512(bits, word);
    low = _mm512_add_pd(low, _mm512_cvtps_pd(_mm512_castps512_ps256(sum)));
    high = _mm512_add_pd(high, _mm512_cvtps_pd(_mm512_extractf32x8_ps(sum, 1)));
  }
  _mm512_storeu_pd(abs_sum, low);
  _mm512_storeu_pd(abs_sum + 8, high);
}

// Ones in each byte, by nibble.
__m512i PopcountBytes(__m512i v) {
  const __m512i table = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
  const __m512i nibble = _mm512_set1_epi8(15);
  const __m512i low = _mm512_shuffle_epi8(table, _mm512_and_si512(v, nibble));
  const __m512i high = _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(v, 4), nibble));
  return _mm512_add_epi8(low, high);
}

__m512i WidenBytes(__m512i bytes) {
  return _mm512_madd_epi16(_mm512_maddubs_epi16(bytes, _mm512_set1_epi8(1)), _mm512_set1_epi16(1));
}

// How the words that differ are counted: `Add` into an accumulator, `Widen` to 32 bits a lane. `kFlush`: how many words an
// accumulator holds, 0 for any number.
struct Vpopcnt {
  static constexpr int64_t kFlush = 0;
  static __m512i Add(__m512i sum, __m512i v) { return _mm512_add_epi32(sum, _mm512_popcnt_epi32(v)); }
  static __m512i Widen(__m512i sum) { return sum; }
};
struct Nibbles {
  static constexpr int64_t kFlush = 31;  // 8 a byte and a word: 31 words stay below 256
  static __m512i Add(__m512i sum, __m512i v) { return _mm512_add_epi8(sum, PopcountBytes(v)); }
  static __m512i Widen(__m512i sum) { return WidenBytes(sum); }
};

template <typename Count>
__m512i Ones(__m512i v) {
  return Count::Widen(Count::Add(_mm512_setzero_si512(), v));
}

template <typename Count>
void CountTaps(const uint32_t* bits, int64_t taps, int64_t tap_bits, int32_t* counts) {
  for (int64_t tap = 0; tap < taps; ++tap) {
    const int64_t first = tap * tap_bits, last = first + tap_bits;
    __m512i sum = _mm512_setzero_si512();
    if (tap_bits % kWordBits == 0) {
      const uint32_t* end = bits + last / kWordBits * kLanes;
      for (const uint32_t* word = bits + first / kWordBits * kLanes; word < end; word += kLanes) {
        sum = _mm512_add_epi32(sum, Ones<Count>(_mm512_loadu_si512(word)));
      }
    } else {
      for (int64_t word = first / kWordBits; word * kWordBits < last; ++word) {
        const uint32_t mask = BitsBetween(first - word * kWordBits, last - word * kWordBits);
        const __m512i v = _mm512_loadu_si512(bits + word * kLanes);
        sum = _mm512_add_epi32(sum, Ones<Count>(_mm512_and_si512(v, _mm512_set1_epi32(static_cast<int>(mask)))));
      }
    }
    _mm512_storeu_si512(counts + tap * kLanes, sum);
  }
}

template <typename Count>
struct XnorTile {
  // 4 x 4: 16 accumulators leave registers for 16 differences, which GCC schedules all before the counts; with 6 x 4 it spills.
  static constexpr int kMaxRows = 4, kMaxBlocks = 4;

  template <int kRows, int kBlocks>
  static void AddWidened(const __m512i (&sum)[kRows][kBlocks], __m512i (&total)[kRows][kBlocks]) {
#pragma GCC unroll 8
    for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 4
      for (int n = 0; n < kBlocks; ++n) total[m][n] = _mm512_add_epi32(total[m][n], Count::Widen(sum[m][n]));
    }
  }

  template <int kRows, int kBlocks>
  static void Clear(__m512i (&sums)[kRows][kBlocks]) {
#pragma GCC unroll 8
    for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 4
      for (int n = 0; n < kBlocks; ++n) sums[m][n] = _mm512_setzero_si512();
    }
  }

  // The bits in which rows `a` and filters `bits` differ. `sum` may be `total` where counts need no widening.
  template <int kRows, int kBlocks>
  static void CountWords(const XnorGemm& g, const uint32_t* const* a, const uint32_t* bits, __m512i (&sum)[kRows][kBlocks],
                         __m512i (&total)[kRows][kBlocks]) {
    const int64_t pieces = g.pieces, piece_words = g.piece_words, stride = pieces * piece_words * kLanes;
    if (pieces < 1 || piece_words < 1) __builtin_unreachable();  // or GCC provides for no words at all
    Clear(total);
    Clear(sum);
    int64_t room = Count::kFlush;
    for (int64_t piece = 0; piece < pieces; ++piece, ++a) {
      const uint32_t* input[kRows];
#pragma GCC unroll 8
      for (int m = 0; m < kRows; ++m) input[m] = a[m * pieces];
      for (int64_t word = 0, end = piece_words; word < piece_words; end = piece_words) {
        if constexpr (Count::kFlush > 0) {
          if (room == 0) {
            AddWidened(sum, total);
            Clear(sum);
            room = Count::kFlush;
          }
          end = std::min(end, word + room);
          room -= end - word;
        }
        for (; word < end; ++word, bits += kLanes) {
          __m512i b[kBlocks];
#pragma GCC unroll 4
          for (int n = 0; n < kBlocks; ++n) b[n] = _mm512_loadu_si512(bits + n * stride);
#pragma GCC unroll 8
          for (int m = 0; m < kRows; ++m) {
            const __m512i x = _mm512_set1_epi32(static_cast<int>(input[m][word]));
#pragma GCC unroll 4
            for (int n = 0; n < kBlocks; ++n) sum[m][n] = Count::Add(sum[m][n], _mm512_xor_si512(x, b[n]));
          }
        }
      }
    }
    if constexpr (Count::kFlush > 0) AddWidened(sum, total);
  }

  template <int kRows, int kBlocks>
  static void StoreSigns(const XnorGemm& g, int64_t r, int64_t f, const __m512i (&total)[kRows][kBlocks]) {
#pragma GCC unroll 4
    for (int n = 0; n < kBlocks; ++n) {
      const int64_t filter = f + n * kLanes;
      const __mmask16 inside = FirstLanes(g.filters - filter);
#pragma GCC unroll 8
      for (int m = 0; m < kRows; ++m) {
        const __m512i base = _mm512_loadu_si512(g.base[r + m] + filter);
        const __m512i threshold = _mm512_loadu_si512(g.signs.threshold[r + m] + filter);
        const __m512i sum = _mm512_sub_epi32(base, _mm512_slli_epi32(total[m][n], 1));
        const __mmask16 below = _mm512_mask_cmplt_epi32_mask(inside, sum, threshold);
        g.signs.to[r + m][filter / kLanes] = static_cast<SignHalf>(below ^ g.signs.flip[r + m][filter / kLanes]);
      }
    }
  }

  // Rows [r, r + kRows) against the kBlocks blocks of filters from f on.
  template <int kRows, int kBlocks>
  static void Run(const XnorGemm& g, int64_t r, int64_t f) {
    __m512i total[kRows][kBlocks];
    const uint32_t* const* a = g.a + r * g.pieces;
    const uint32_t* bits = g.bits + f * g.words();
    if constexpr (Count::kFlush > 0) {
      __m512i narrow[kRows][kBlocks];
      CountWords(g, a, bits, narrow, total);
    } else {
      CountWords(g, a, bits, total, total);
    }
    if (g.signs.to) return StoreSigns(g, r, f, total);
    const int32_t* const* base = g.base + r;
    const float* scale = g.scale ? g.scale + r : nullptr;
    const int64_t y_stride = g.y_stride;
    float* y = g.y + r * y_stride;
#pragma GCC unroll 4
    for (int n = 0; n < kBlocks; ++n) {
      const int64_t filter = f + n * kLanes;
      const __mmask16 inside = FirstLanes(g.filters - filter);
      const __m512 alpha = _mm512_maskz_loadu_ps(inside, g.alpha + filter);
#pragma GCC unroll 8
      for (int m = 0; m < kRows; ++m) {
        const __m512i bases = _mm512_loadu_si512(base[m] + filter);
        const __m512 value = _mm512_cvtepi32_ps(_mm512_sub_epi32(bases, _mm512_slli_epi32(total[m][n], 1)));
        const __m512 factor = scale ? _mm512_mul_ps(alpha, _mm512_set1_ps(scale[m])) : alpha;
        _mm512_mask_storeu_ps(y + m * y_stride + filter, inside, _mm512_mul_ps(value, factor));
      }
    }
  }
};

// Few filters: what a tile takes besides counting is shared by more rows.
template <typename Count>
inline constexpr int kTileRows<XnorTile<Count>, 1> = 6;

template <typename Count>
void RunXnorGemm(const XnorGemm& g) {
  ForTiles<XnorTile<Count>>(g, g.rows, CeilDiv(g.filters, kLanes));
}

constexpr int kTableSize = 16;

// table[n] = the sum of 4 inputs, input b negated where bit b of n is set.
void BuildTables(const float* x, int64_t quads, float* tables) {
  const __m512i n = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i sign = _mm512_set1_epi32(static_cast<int>(0x80000000u));
  const __m512 flip0 = _mm512_castsi512_ps(_mm512_slli_epi32(n, 31));
  const __m512 flip1 = _mm512_castsi512_ps(_mm512_and_si512(_mm512_slli_epi32(n, 30), sign));
  const __m512 flip2 = _mm512_castsi512_ps(_mm512_and_si512(_mm512_slli_epi32(n, 29), sign));
  const __m512 flip3 = _mm512_castsi512_ps(_mm512_and_si512(_mm512_slli_epi32(n, 28), sign));
  for (int64_t quad = 0; quad < quads; ++quad, x += 4, tables += kTableSize) {
    const __m512 low = _mm512_add_ps(_mm512_xor_ps(_mm512_set1_ps(x[0]), flip0), _mm512_xor_ps(_mm512_set1_ps(x[1]), flip1));
    const __m512 high = _mm512_add_ps(_mm512_xor_ps(_mm512_set1_ps(x[2]), flip2), _mm512_xor_ps(_mm512_set1_ps(x[3]), flip3));
    _mm512_storeu_ps(tables, _mm512_add_ps(low, high));
  }
}

struct LookupTile {
  static constexpr int kMaxRows = 6, kMaxBlocks = 4;

  template <int kRows, int kBlocks>
  static void Run(const LookupGemm& g, int64_t r, int64_t f) {
    const float* table[kRows];
#pragma GCC unroll 6
    for (int m = 0; m < kRows; ++m) table[m] = g.table[r + m];
    const uint32_t* bits = g.bits + f * g.words;
    __m512 sum[kRows][kBlocks];
    for (auto& row : sum) {
      for (auto& value : row) value = _mm512_setzero_ps();
    }
    for (int64_t first = 0; first < g.quads; first += 8) {
      __m512i index[kBlocks];
      const int64_t word = g.word[first / 8];
#pragma GCC unroll 4
      for (int n = 0; n < kBlocks; ++n) index[n] = _mm512_loadu_si512(bits + (n * g.words + word) * kLanes);
      const int64_t last = std::min(g.quads, first + 8);
      for (int64_t quad = first; quad < last; ++quad) {
        const int64_t offset = g.offset[quad];
#pragma GCC unroll 8
        for (int m = 0; m < kRows; ++m) {
          const __m512 sums = _mm512_loadu_ps(table[m] + offset);
#pragma GCC unroll 8
          for (int n = 0; n < kBlocks; ++n) sum[m][n] = _mm512_add_ps(sum[m][n], _mm512_permutexvar_ps(index[n], sums));
        }
#pragma GCC unroll 4
        for (int n = 0; n < kBlocks; ++n) index[n] = _mm512_srli_epi32(index[n], 4);
      }
    }
#pragma GCC unroll 6
    for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 4
      for (int n = 0; n < kBlocks; ++n) {
        const int64_t filter = f + n * kLanes;
        const __mmask16 inside = FirstLanes(g.filters - filter);
        float* y = g.y + (r + m) * g.y_stride + filter;
        __m512 value = sum[m][n];
        if (g.accumulate) value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(inside, y));
        if (g.alpha) value = _mm512_mul_ps(value, _mm512_maskz_loadu_ps(inside, g.alpha + filter));
        _mm512_mask_storeu_ps(y, inside, value);
      }
    }
  }
};

void RunLookupGemm(const LookupGemm& g) { ForTiles<LookupTile>(g, g.rows, CeilDiv(g.filters, kLanes)); }

struct FloatTile {
  static constexpr int kMaxRows = 12, kMaxBlocks = 2;

  template <int kRows, int kBlocks>
  static void Run(const FloatGemm& g, int64_t i, int64_t j) {
    const __mmask16 inside = FirstLanes(g.n - j - (kBlocks - 1) * kLanes);  // of the last block
    __m512 sum[kRows][kBlocks];
#pragma GCC unroll 12
    for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 2
      for (int n = 0; n < kBlocks; ++n) {
        const float* c = g.c + (i + m) * g.c_stride + j + n * kLanes;
        const __mmask16 mask = n + 1 == kBlocks ? inside : __mmask16{0xffff};
        sum[m][n] = g.accumulate ? _mm512_maskz_loadu_ps(mask, c) : _mm512_setzero_ps();
      }
    }
    for (int64_t slab = 0; slab < g.slabs; ++slab) {
      const float* a = g.a + i * g.a_row + slab * g.a_slab;
      const float* b = g.b + j + slab * g.b_slab;
      for (int64_t l = 0; l < g.k; ++l, a += g.a_step, b += g.b_stride) {
        __m512 row[kBlocks];
#pragma GCC unroll 2
        for (int n = 0; n + 1 < kBlocks; ++n) row[n] = _mm512_loadu_ps(b + n * kLanes);
        row[kBlocks - 1] = _mm512_maskz_loadu_ps(inside, b + (kBlocks - 1) * kLanes);
#pragma GCC unroll 12
        for (int m = 0; m < kRows; ++m) {
          const __m512 value = _mm512_set1_ps(a[m * g.a_row]);
#pragma GCC unroll 8
          for (int n = 0; n < kBlocks; ++n) sum[m][n] = _mm512_fmadd_ps(value, row[n], sum[m][n]);
        }
      }
    }
#pragma GCC unroll 12
    for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 2
      for (int n = 0; n < kBlocks; ++n) {
        const __mmask16 mask = n + 1 == kBlocks ? inside : __mmask16{0xffff};
        _mm512_mask_storeu_ps(g.c + (i + m) * g.c_stride + j + n * kLanes, mask, sum[m][n]);
      }
    }
  }
};

void RunFloatGemm(const FloatGemm& g) { ForTiles<FloatTile>(g, g.m, CeilDiv(g.n, kLanes)); }

}  // namespace

const Backend kAvx512 = {
    "avx512",    SupportedVpopcnt, PackRows,     PackBlock, CountTaps<Vpopcnt>, RunXnorGemm<Vpopcnt>, kTableSize,
    BuildTables, RunLookupGemm,    RunFloatGemm, 0.42,
};

const Backend kAvx512Bw = {
    "avx512bw",  SupportedBw,   PackRows,     PackBlock, CountTaps<Nibbles>, RunXnorGemm<Nibbles>, kTableSize,
    BuildTables, RunLookupGemm, RunFloatGemm, 1.3,
};

}  // namespace bnn

BNN_TARGET_END

#endif  // __x86_64__
