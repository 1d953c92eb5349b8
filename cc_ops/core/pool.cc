#include "core/pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "core/fork.h"
#include "core/shared_job.h"
#include "core/spin.h"
#include "core/team.h"

namespace bnn {
namespace {

class Pool {
 public:
  // Never destroyed: its threads sleep until the process ends. None in a child of the process that made it: the threads are not
  // there. Made without a lock, which a fork could leave held.
  static Pool* Instance() {
    static std::atomic<Pool*> instance{nullptr};
    Pool* pool = instance.load(std::memory_order_acquire);
    if (pool == nullptr) {
      auto made = std::make_unique<Pool>();
      if (instance.compare_exchange_strong(pool, made.get(), std::memory_order_acq_rel)) pool = made.release();
    }
    return pool->forks_ == ForkCount() ? pool : nullptr;
  }

  // Asks `helpers` threads to work on `job`, as workers 1, 2, ...
  void Offer(SharedJob* job, int helpers) {
    int wake;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      StartThreads(helpers);
      DropExhausted();
      for (int worker = 1; worker <= helpers; ++worker) {
        job->Hold();
        places_.push_back({job, worker});
      }
      open_places_.store(places_.size(), std::memory_order_relaxed);
      wake = std::min(helpers, sleeping_);
    }
    for (; wake > 0; --wake) offered_.notify_one();
  }

 private:
  struct Place {
    SharedJob* job;  // held
    int worker;
  };

  // Places to which nobody came in time.
  void DropExhausted() {
    const auto open = std::find_if(places_.begin(), places_.end(), [](const Place& place) { return !place.job->Exhausted(); });
    std::for_each(places_.begin(), open, [](const Place& place) { place.job->Drop(); });
    places_.erase(places_.begin(), open);
  }

  // Where the system refuses a thread, there are fewer: callers finish without.
  void StartThreads(int wanted) {
    try {
      for (; threads_ < wanted; ++threads_) std::thread([this] { Serve(); }).detach();
    } catch (const std::system_error&) {
    }
  }

  [[noreturn]] void Serve() {
    for (;;) {
      const Place place = Take();
      place.job->Work(place.worker);
      place.job->Drop();
    }
  }

  Place Take() {
    SpinUntil([this] { return open_places_.load(std::memory_order_relaxed) > 0; });
    std::unique_lock<std::mutex> lock(mutex_);
    ++sleeping_;
    offered_.wait(lock, [this] { return !places_.empty(); });
    --sleeping_;
    const Place place = places_.front();
    places_.erase(places_.begin());
    open_places_.store(places_.size(), std::memory_order_relaxed);
    return place;
  }

  const int forks_ = ForkCount();
  std::mutex mutex_;
  std::condition_variable offered_;
  std::vector<Place> places_;           // few; a deque would allocate now and then
  std::atomic<size_t> open_places_{0};  // what threads that are awake look at
  int threads_ = 0, sleeping_ = 0;
};

}  // namespace

PoolFor::PoolFor(int threads) : threads_(threads > 0 ? threads : DefaultThreads()) {}

void PoolFor::Run(int64_t items, Body body) const {
  const Phase phase{items, body};
  RunPhases(&phase, 1);
}

void PoolFor::RunPhases(const Phase* phases, int count) const {
  const int wanted = TeamFor(phases, count, threads_);
  if (wanted == 0) return;
  const Team team(wanted);
  Pool* const pool = team.size() == 1 ? nullptr : Pool::Instance();
  if (pool == nullptr) {
    SerialFor().RunPhases(phases, count);
    return;
  }
  SharedJob* const job = SharedJob::Begin(phases, count, team.size());
  pool->Offer(job, team.size() - 1);
  job->Work(0);
  job->Wait();
  job->Drop();
}

}  // namespace bnn
