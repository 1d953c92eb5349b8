// Runs of bits that begin and end anywhere in a word.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "core/bits.h"

namespace bnn {

// Up to 32 bits from bit `bit` on. Reads up to 8 bytes past their first.
inline uint32_t ReadBits(const uint32_t* from, int64_t bit, int64_t count) {
  uint64_t bits;
  std::memcpy(&bits, reinterpret_cast<const unsigned char*>(from) + bit / 8, sizeof bits);
  // 57 bits are valid after the shift.
  return static_cast<uint32_t>(bits >> (bit % 8) & ((uint64_t{1} << count) - 1));
}

// Appends bits to a run: whole words are written as they fill.
class BitWriter {
 public:
  explicit BitWriter(uint32_t* to) : to_(to) {}

  // Up to 32 bits; those behind `count` must be 0.
  void Append(uint32_t bits, int64_t count) {
    held_ |= static_cast<uint64_t>(bits) << filled_;
    filled_ += count;
    if (filled_ >= kWordBits) {
      *to_++ = static_cast<uint32_t>(held_);
      held_ >>= kWordBits;
      filled_ -= kWordBits;
    }
  }

  // Reads up to 8 bytes past the last bit.
  void Append(const uint32_t* from, int64_t bit, int64_t count) {
    for (; count > 0; bit += kWordBits, count -= kWordBits) {
      const int64_t take = std::min<int64_t>(count, kWordBits);
      Append(ReadBits(from, bit, take), take);
    }
  }

  void Finish() {
    if (filled_ > 0) *to_ = static_cast<uint32_t>(held_);
  }

 private:
  uint32_t* to_;
  uint64_t held_ = 0;
  int64_t filled_ = 0;
};

}  // namespace bnn
