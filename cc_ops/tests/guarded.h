// Buffers that end, or begin, at a page that may not be touched: an access one element outside is a crash at the culprit.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

#include "core/bits.h"

namespace bnn::testing {

enum class Guard { kAfter, kBefore };

// `count` values, first filled with bytes of 0xFF: NaN as float, -1 as an integer, a crash as a pointer. A buffer whose size in
// bytes is a multiple of 64 is aligned to 64 on either side.
template <typename T>
class Guarded {
 public:
  explicit Guarded(int64_t count, Guard guard = Guard::kAfter) : count_(count) {
    const int64_t page = sysconf(_SC_PAGESIZE), bytes = count * static_cast<int64_t>(sizeof(T));
    const int64_t inner = RoundUp(bytes, page);
    mapped_ = inner + 2 * page;
    void* memory = mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    memory_ = static_cast<char*>(memory);
    if (inner > 0 && mprotect(memory_ + page, inner, PROT_READ | PROT_WRITE) != 0) std::abort();
    data_ = reinterpret_cast<T*>(memory_ + page + (guard == Guard::kAfter ? inner - bytes : 0));
    std::memset(memory_ + page, 0xFF, inner);
  }
  Guarded(const std::vector<T>& values, Guard guard) : Guarded(static_cast<int64_t>(values.size()), guard) {
    if (!values.empty()) std::memcpy(data_, values.data(), values.size() * sizeof(T));
  }
  ~Guarded() {
#if defined(__SANITIZE_ADDRESS__)
    ASAN_UNPOISON_MEMORY_REGION(memory_, mapped_);  // the fences between parts of scratch memory
#endif
    munmap(memory_, mapped_);
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  T* data() { return data_; }
  const T* data() const { return data_; }
  T& operator[](int64_t i) { return data_[i]; }
  std::vector<T> Values() const { return std::vector<T>(data_, data_ + count_); }

 private:
  int64_t count_, mapped_ = 0;
  char* memory_ = nullptr;
  T* data_ = nullptr;
};

}  // namespace bnn::testing
