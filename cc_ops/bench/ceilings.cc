#include "bench/ceilings.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>

#include "core/kernels/target.h"

namespace bnn::bench {
namespace {

// An independent chain each: more than the latency of the slowest instruction times the pipes that run it.
constexpr int kChains = 10;
constexpr int64_t kRepeats = 200000;

// The best of several short runs: the others were disturbed.
template <typename Loop>
double Measure(double operations, Loop loop) {
  double best = 0;
  for (int run = 0; run < 7; ++run) {
    const auto start = std::chrono::steady_clock::now();
    loop();
    const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - start;
    best = std::max(best, operations / time.count());
  }
  return best;
}

// Keeps the compiler from knowing a register's value, and so from doing the work once. No instruction comes of it.
#define BNN_OPAQUE(reg) asm volatile("" : "+v"(reg))

}  // namespace
}  // namespace bnn::bench

#if defined(__x86_64__)

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

BNN_TARGET_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq,avx2,fma,bmi2")

namespace bnn::bench {
namespace {

__m512i PopcountBytes(__m512i v, __m512i table, __m512i nibble) {
  const __m512i low = _mm512_shuffle_epi8(table, _mm512_and_si512(v, nibble));
  return _mm512_add_epi8(low, _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(v, 4), nibble)));
}

template <bool vpopcnt>
void Xnor512() {
  __m512i input = _mm512_set1_epi32(0x12345678), weight = _mm512_set1_epi32(0x0f1e2d3c), sums[kChains] = {};
  __m512i table = _mm512_set1_epi32(0x01020102), nibble = _mm512_set1_epi8(15);
  BNN_OPAQUE(table);
  BNN_OPAQUE(nibble);
  BNN_OPAQUE(weight);
  for (int64_t repeat = 0; repeat < kRepeats; ++repeat) {
#pragma GCC unroll 16
    for (__m512i& sum : sums) {
      BNN_OPAQUE(input);
      const __m512i different = _mm512_xor_si512(input, weight);
      sum = vpopcnt ? _mm512_add_epi32(sum, _mm512_popcnt_epi32(different))
                    : _mm512_add_epi8(sum, PopcountBytes(different, table, nibble));
    }
  }
  for (__m512i& sum : sums) BNN_OPAQUE(sum);
}

void Fma512() {
  __m512 a = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(0.25f), sums[kChains] = {};
  BNN_OPAQUE(b);
  for (int64_t repeat = 0; repeat < kRepeats; ++repeat) {
#pragma GCC unroll 16
    for (__m512& sum : sums) {
      BNN_OPAQUE(a);
      sum = _mm512_fmadd_ps(a, b, sum);
    }
  }
  for (__m512& sum : sums) BNN_OPAQUE(sum);
}

}  // namespace
}  // namespace bnn::bench

BNN_TARGET_END

BNN_TARGET_BEGIN("avx2,fma,bmi2")

namespace bnn::bench {
namespace {

void Xnor256() {
  __m256i input = _mm256_set1_epi32(0x12345678), weight = _mm256_set1_epi32(0x0f1e2d3c), sums[kChains] = {};
  __m256i table = _mm256_set1_epi32(0x01020102), nibble = _mm256_set1_epi8(15);
  BNN_OPAQUE(table);
  BNN_OPAQUE(nibble);
  BNN_OPAQUE(weight);
  for (int64_t repeat = 0; repeat < kRepeats; ++repeat) {
#pragma GCC unroll 16
    for (__m256i& sum : sums) {
      BNN_OPAQUE(input);
      const __m256i v = _mm256_xor_si256(input, weight);
      const __m256i low = _mm256_shuffle_epi8(table, _mm256_and_si256(v, nibble));
      const __m256i high = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(v, 4), nibble));
      sum = _mm256_add_epi8(sum, _mm256_add_epi8(low, high));
    }
  }
  for (__m256i& sum : sums) BNN_OPAQUE(sum);
}

void Fma256() {
  __m256 a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(0.25f), sums[kChains] = {};
  BNN_OPAQUE(b);
  for (int64_t repeat = 0; repeat < kRepeats; ++repeat) {
#pragma GCC unroll 16
    for (__m256& sum : sums) {
      BNN_OPAQUE(a);
      sum = _mm256_fmadd_ps(a, b, sum);
    }
  }
  for (__m256& sum : sums) BNN_OPAQUE(sum);
}

}  // namespace
}  // namespace bnn::bench

BNN_TARGET_END

#endif  // __x86_64__

namespace bnn::bench {
namespace {

Ceilings MeasureAll([[maybe_unused]] const std::string& backend) {
#if defined(__x86_64__)
  // Two operations a bit, two an FMA.
  constexpr double kRegisters = static_cast<double>(kRepeats) * kChains;
  if (backend == "avx512") return {Measure(kRegisters * 512 * 2, Xnor512<true>), Measure(kRegisters * 16 * 2, Fma512)};
  if (backend == "avx512bw") return {Measure(kRegisters * 512 * 2, Xnor512<false>), Measure(kRegisters * 16 * 2, Fma512)};
  if (backend == "avx2") return {Measure(kRegisters * 256 * 2, Xnor256), Measure(kRegisters * 8 * 2, Fma256)};
#endif
  return {};
}

}  // namespace

const Ceilings& CeilingsOf(const std::string& backend) {
  static std::map<std::string, Ceilings> measured;
  const auto found = measured.find(backend);
  return found != measured.end() ? found->second : measured.emplace(backend, MeasureAll(backend)).first->second;
}

}  // namespace bnn::bench
