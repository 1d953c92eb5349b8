// A call whose items are handed out one at a time to whoever is free.
//
// The caller works too and waits only for items that others have begun: never for a pool whose threads are all busy, nor for a
// thread that wakes up too late. Such a thread finds nothing left and may outlive the call, so a job is held by std::shared_ptr,
// and the bodies are touched only while items are left. OpenMP can't do this: its teams meet at the end of every loop.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "core/parallel.h"
#include "core/spin.h"

namespace bnn {

class SharedJob {
 public:
  // Items count through all phases, and are begun in that order.
  SharedJob(const ParallelFor::Phase* phases, int count) {
    for (int i = 0; i < count; ++i) {
      bodies_[i] = &phases[i].body;
      begins_[i + 1] = begins_[i] + phases[i].items;
    }
    items_ = begins_[count];
  }

  // Handles items until none is left to begin.
  void Work(int worker) {
    int phase = 0;
    int64_t done = 0;  // and not yet said
    for (int64_t item; (item = next_.fetch_add(1, std::memory_order_relaxed)) < items_;) {
      if (item >= begins_[phase + 1]) {
        Finish(&done);
        while (item >= begins_[phase + 1]) ++phase;
        AwaitOthers(begins_[phase]);
      }
      (*bodies_[phase])(item - begins_[phase], item - begins_[phase] + 1, worker);
      ++done;
    }
    Finish(&done);
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
  void Finish(int64_t* done) {
    if (*done > 0 && finished_.fetch_add(*done, std::memory_order_acq_rel) + *done == items_) {
      // Under the lock, or a caller between its look at `finished_` and its sleep would miss it.
      const std::lock_guard<std::mutex> lock(mutex_);
      all_finished_.notify_all();
    }
    *done = 0;
  }

  // Until the first `items` items are done. All have been begun, by threads that run: their last ones end soon, unless the system
  // takes such a thread's processor away, which it then may have of this one.
  void AwaitOthers(int64_t items) const {
    const auto done = [=] { return finished_.load(std::memory_order_acquire) >= items; };
    while (!SpinUntil(done)) std::this_thread::yield();
  }

  int64_t items_;
  std::array<const ParallelFor::Body*, ParallelFor::kMaxPhases> bodies_;  // the caller's
  std::array<int64_t, ParallelFor::kMaxPhases + 1> begins_{};             // the first item of each phase
  std::atomic<int64_t> next_{0}, finished_{0};
  std::mutex mutex_;
  std::condition_variable all_finished_;
};

}  // namespace bnn
