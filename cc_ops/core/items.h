// Items that workers take for themselves, from the first to the last.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace bnn {

class alignas(64) Items {  // a cache line each: those who share one range don't disturb those of another
 public:
  // `sharers`: how many workers are expected to take some.
  void Set(int64_t first, int64_t last, int64_t sharers) {
    next_.store(first, std::memory_order_relaxed);
    last_ = last;
    sharers_ = sharers;
  }

  // Calls `body(begin, end)` for the items that it takes until none are left; returns how many they were. It takes `together` at
  // once while many are left, then half of its share of those that are: workers of different speed end at about the same time.
  template <typename Body>
  int64_t Handle(int64_t together, Body body) {
    int64_t handled = 0;
    for (int64_t begin = next_.load(std::memory_order_relaxed); begin < last_;) {
      const int64_t end = begin + std::max<int64_t>(1, std::min(together, (last_ - begin) / (2 * sharers_)));
      if (!next_.compare_exchange_weak(begin, end, std::memory_order_relaxed)) continue;
      body(begin, end);
      handled += end - begin;
      begin = next_.load(std::memory_order_relaxed);
    }
    return handled;
  }

  bool AllTaken() const { return next_.load(std::memory_order_relaxed) >= last_; }

 private:
  std::atomic<int64_t> next_{0};
  int64_t last_ = 0, sharers_ = 1;
};

}  // namespace bnn
