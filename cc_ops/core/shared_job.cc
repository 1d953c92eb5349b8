#include "core/shared_job.h"

#include "core/bits.h"

namespace bnn {

// The jobs that a thread keeps. It needs one for each call that is not over in all its threads: seldom more than one.
class SharedJob::OfThread {
 public:
  ~OfThread() {
    ended_ = true;
    for (SharedJob* job : jobs_) {
      if (job) job->Drop();
    }
  }

  // One that only this thread holds; null where all are still in use, and where the thread ends: what is destroyed later than
  // this, as static objects are, may run a model once more.
  static SharedJob* Free() {
    if (ended_) return nullptr;
    thread_local OfThread jobs;
    return jobs.Find();
  }

 private:
  SharedJob* Find() {
    for (SharedJob*& job : jobs_) {
      if (job == nullptr) job = new SharedJob;
      // Acquires what others did with it before they dropped it.
      if (job->holders_.load(std::memory_order_acquire) == 1) return job;
    }
    return nullptr;
  }

  static thread_local bool ended_;  // without a destructor: there to the last
  std::array<SharedJob*, 4> jobs_{};
};

thread_local bool SharedJob::OfThread::ended_ = false;

SharedJob* SharedJob::Begin(const ParallelFor::Phase* phases, int count, int workers) {
  SharedJob* job = OfThread::Free();
  if (job) {
    job->Hold();
  } else {
    job = new SharedJob;
  }
  job->Set(phases, count, workers);
  return job;
}

void SharedJob::Set(const ParallelFor::Phase* phases, int count, int workers) {
  count_ = count;
  ranges_ = std::min(workers, kMaxRanges);
  items_ = 0;
  finished_.store(0, std::memory_order_relaxed);
  const int64_t sharers = CeilDiv(workers, ranges_);
  for (int p = 0; p < count; ++p) {
    phases_[p].body = &phases[p].body;
    phases_[p].together = phases[p].together;
    for (int r = 0; r < ranges_; ++r) {
      phases_[p].ranges[r].Set(phases[p].items * r / ranges_, phases[p].items * (r + 1) / ranges_, sharers);
    }
    phases_[p].finished_before = items_;
    items_ += phases[p].items;
  }
}

}  // namespace bnn
