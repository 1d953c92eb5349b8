// A call whose items are handed out one at a time to whoever is free.
//
// The caller works too and waits only for items that others have begun: never for a pool whose threads are all busy, nor for a
// thread that wakes up too late. Such a thread finds nothing left and may outlive the call, so a job is held by std::shared_ptr,
// and the body is touched only while items are left. OpenMP can't do this: its teams meet at the end of every loop.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "core/parallel.h"
#include "core/spin.h"

namespace bnn {

class SharedJob {
 public:
  SharedJob(int64_t items, ParallelFor::Body body) : items_(items), body_(body) {}

  // Handles items until none is left to begin.
  void Work(int worker) {
    int64_t done = 0;
    for (int64_t item; (item = next_.fetch_add(1, std::memory_order_relaxed)) < items_; ++done) body_(item, item + 1, worker);
    if (done > 0 && finished_.fetch_add(done, std::memory_order_acq_rel) + done == items_) {
      // Under the lock, or a caller between its look at `finished_` and its sleep would miss it.
      const std::lock_guard<std::mutex> lock(mutex_);
      all_finished_.notify_all();
    }
  }

  // Returns when every item is done.
  void Wait() {
    const auto done = [this] { return finished_.load(std::memory_order_acquire) == items_; };
    if (SpinUntil(done)) return;
    std::unique_lock<std::mutex> lock(mutex_);
    all_finished_.wait(lock, done);
  }

  // Whether there is nothing left to begin.
  bool Exhausted() const { return next_.load(std::memory_order_relaxed) >= items_; }

 private:
  const int64_t items_;
  const ParallelFor::Body body_;
  std::atomic<int64_t> next_{0}, finished_{0};
  std::mutex mutex_;
  std::condition_variable all_finished_;
};

}  // namespace bnn
