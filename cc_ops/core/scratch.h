// Hands out parts of one block of scratch memory. Run once without memory it only adds up the bytes, so that the size asked for
// and the size used come from the same lines.
#pragma once

#include <cstdint>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

#include "core/bits.h"
#include "core/executor.h"

namespace bnn {

// More bytes than any machine has: what stands for a size that int64 doesn't hold. To allocate them fails.
inline constexpr int64_t kEndlessScratch = int64_t{1} << 62;

class ScratchCursor {
 public:
  explicit ScratchCursor(void* memory = nullptr) : memory_(static_cast<char*>(memory)) {}

  // `count` values for each of `workers`, aligned; null while only counting.
  template <typename T>
  T* Take(int64_t count, int64_t workers = 1) {
    T* part = memory_ ? reinterpret_cast<T*>(memory_ + bytes_) : nullptr;
    int64_t values, bytes;
    if (__builtin_mul_overflow(count, workers, &values) ||
        __builtin_mul_overflow(values, static_cast<int64_t>(sizeof(T)), &bytes) || bytes > kEndlessScratch / 2 - bytes_) {
      bytes_ = kEndlessScratch;
      return part;
    }
    const int64_t next = RoundUp(bytes, kScratchAlignment) + kFence;
    if (memory_) Fence(memory_ + bytes_, bytes, next);
    bytes_ += next;
    return part;
  }

  int64_t bytes() const { return bytes_; }

 private:
  // AddressSanitizer sees one block: a fence behind each part shows it who leaves the part.
#if defined(__SANITIZE_ADDRESS__)
  static constexpr int64_t kFence = kScratchAlignment;
  static void Fence(char* part, int64_t bytes, int64_t next) {
    ASAN_UNPOISON_MEMORY_REGION(part, bytes);
    ASAN_POISON_MEMORY_REGION(part + bytes, next - bytes);
  }
#else
  static constexpr int64_t kFence = 0;
  static void Fence(char*, int64_t, int64_t) {}
#endif

  char* memory_;
  int64_t bytes_ = 0;
};

}  // namespace bnn
