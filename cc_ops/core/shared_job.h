// A call whose items are handed out to whoever is free.
//
// The caller works too and waits only for items that others have begun: never for a pool whose threads are all busy, nor for a
// thread that wakes up too late. Such a thread finds nothing left and may outlive the call, so a job counts who holds it, and the
// bodies are touched only while items are left. OpenMP can't do this: its teams meet at the end of every loop.
//
// Each worker starts in a range of its own, the same in every call, and helps in the others' when that is done: what it reads was
// most likely written by itself, by the phase or the layer before, and lies in its own cache.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "core/items.h"
#include "core/parallel.h"
#include "core/spin.h"

namespace bnn {

class SharedJob {
 public:
  // A job for one call, held by the caller: one that this thread had before and that nobody holds any more, where there is one.
  // So a call allocates nothing, unless helpers of the calls before it are late.
  static SharedJob* Begin(const ParallelFor::Phase* phases, int count, int workers);

  // Who is given the job holds it until it drops it; the last one to drop it deletes it.
  void Hold() { holders_.fetch_add(1, std::memory_order_relaxed); }
  void Drop() {
    if (holders_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  // Handles items until none is left to begin.
  void Work(int worker) {
    for (int p = 0; p < count_; ++p) {
      AwaitOthers(phases_[p].finished_before);
      int64_t done = 0;
      for (int r = 0; r < ranges_; ++r) {
        done += phases_[p].ranges[(worker + r) % ranges_].Handle(
            phases_[p].together, [&](int64_t begin, int64_t end) { (*phases_[p].body)(begin, end, worker); });
      }
      Finish(done);
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
  bool Exhausted() const {
    const auto begun = [](const Items& range) { return range.AllTaken(); };
    return std::all_of(phases_.begin(), phases_.begin() + count_, [&](const Phase& phase) {
      return std::all_of(phase.ranges.begin(), phase.ranges.begin() + ranges_, begun);
    });
  }

 private:
  static constexpr int kMaxRanges = 8;

  class OfThread;

  struct Phase {
    const ParallelFor::Body* body;  // the caller's
    int64_t together;
    int64_t finished_before;  // items of the phases before
    std::array<Items, kMaxRanges> ranges;
  };

  SharedJob() = default;
  ~SharedJob() = default;

  void Set(const ParallelFor::Phase* phases, int count, int workers);

  void Finish(int64_t done) {
    if (done > 0 && finished_.fetch_add(done, std::memory_order_acq_rel) + done == items_) {
      // Under the lock, or a caller between its look at `finished_` and its sleep would miss it.
      const std::lock_guard<std::mutex> lock(mutex_);
      all_finished_.notify_all();
    }
  }

  // Until the first `items` items are done. All have been begun, by threads that run: their last ones end soon, unless the system
  // takes such a thread's processor away, which it then may have of this one.
  void AwaitOthers(int64_t items) const {
    const auto done = [=] { return finished_.load(std::memory_order_acquire) >= items; };
    while (!SpinUntil(done)) std::this_thread::yield();
  }

  std::atomic<int> holders_{1};
  int count_ = 0, ranges_ = 0;
  int64_t items_ = 0;
  std::array<Phase, ParallelFor::kMaxPhases> phases_;
  std::atomic<int64_t> finished_{0};
  std::mutex mutex_;
  std::condition_variable all_finished_;
};

}  // namespace bnn
