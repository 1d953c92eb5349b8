// Bit conventions, fixed for every backend and every file.
//
//   sign(u) = +1 if u >= 0, else -1        so -0 gives +1 and NaN gives -1
//   bit 0 is +1, bit 1 is -1
//
// Bits are stored in 32-bit words, bit b of word w standing for element 32*w + b. Unused bits of a last word are 0, on both
// sides of a product, so that they cancel. For two runs of n signs, sum(a*b) = n - 2*popcount(a xor b).
#pragma once

#include <cstdint>

namespace bnn {

inline constexpr int kWordBits = 32;

// 16 signs, as kernels write them: halves of the words that others read.
using SignHalf [[gnu::may_alias]] = uint16_t;

// Filters that sit side by side in a packed kernel: 16 lanes of 32 bits are one 512-bit register.
inline constexpr int kLanes = 16;

inline bool SignBit(float u) { return !(u >= 0.0f); }
inline float Sign(float u) { return SignBit(u) ? -1.0f : 1.0f; }

constexpr int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
constexpr int64_t RoundUp(int64_t a, int64_t b) { return CeilDiv(a, b) * b; }
constexpr int64_t WordsFor(int64_t bits) { return CeilDiv(bits, kWordBits); }

// A word whose bits [first, last) are 1, with first and last clamped to the word.
inline uint32_t BitsBetween(int64_t first, int64_t last) {
  const auto below = [](int64_t n) { return n <= 0 ? 0u : n >= kWordBits ? ~0u : (1u << n) - 1; };
  return below(last) & ~below(first);
}

}  // namespace bnn
