#include "tf/threading.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <string>

#include "core/shared_job.h"
#include "core/team.h"
#include "tensorflow/core/platform/denormal.h"
#include "tensorflow/core/platform/threadpool.h"
#include "tensorflow/core/util/work_sharder.h"

namespace bnn::ops {
namespace {

using tensorflow::OpKernelContext;
using tensorflow::port::ScopedDontFlushDenormal;

// TensorFlow's threads take a denormal for zero, so that a tiny negative number has the sign +1 there and -1 elsewhere. The sign
// must not depend on the thread.
void WorkExactly(SharedJob* job, int worker) {
  const ScopedDontFlushDenormal exact;
  job->Work(worker);
}

class TensorFlowFor final : public ParallelFor {
 public:
  TensorFlowFor(tensorflow::thread::ThreadPool* pool, int threads) : pool_(pool), threads_(threads) {}

  int workers() const override { return threads_; }

  void Run(int64_t items, Body body) const override {
    const Phase phase{items, body};
    RunPhases(&phase, 1);
  }

  void RunPhases(const Phase* phases, int count) const override {
    const int team = TeamFor(phases, count, threads_);
    if (team <= 1) {
      const ScopedDontFlushDenormal exact;
      SerialFor().RunPhases(phases, count);
      return;
    }
    SharedJob* const job = SharedJob::Begin(phases, count, team);
    for (int worker = 1; worker < team; ++worker) {
      job->Hold();
      pool_->Schedule([job, worker] {  // small enough for a std::function; what the pool itself allocates is TensorFlow's
        WorkExactly(job, worker);
        job->Drop();
      });
    }
    WorkExactly(job, 0);
    job->Wait();
    job->Drop();
  }

 private:
  tensorflow::thread::ThreadPool* const pool_;
  const int threads_;
};

class ExactOpenMpFor final : public ParallelFor {
 public:
  explicit ExactOpenMpFor(int threads) : threads_(threads) {}

  int workers() const override { return threads_.workers(); }

  void Run(int64_t items, Body body) const override {
    const Phase phase{items, body};
    RunPhases(&phase, 1);
  }

  void RunPhases(const Phase* phases, int count) const override {
    static_assert(kMaxPhases == 4);
    std::array<Exactly, kMaxPhases> bodies{};
    const auto exactly = [&](int i) {
      const Phase& phase = phases[i < count ? i : 0];
      bodies[i].body = &phase.body;
      return Phase{phase.items, bodies[i], phase.together};
    };
    const Phase exact[] = {exactly(0), exactly(1), exactly(2), exactly(3)};
    threads_.RunPhases(exact, count);
  }

 private:
  struct Exactly {
    const Body* body;
    void operator()(int64_t begin, int64_t end, int worker) const {
      const ScopedDontFlushDenormal exact;
      (*body)(begin, end, worker);
    }
  };

  const OpenMpFor threads_;
};

enum class Threading { kTensorFlow, kOpenMp };

absl::StatusOr<Threading> ReadThreading() {
  const char* text = std::getenv("BNN_TF_THREADING");
  const std::string name = text ? text : "";
  if (name.empty() || name == "tensorflow") return Threading::kTensorFlow;
  if (name == "openmp") return Threading::kOpenMp;
  return absl::InvalidArgumentError("BNN_TF_THREADING: unknown threads \"" + name +
                                    "\". Expected one of: tensorflow, openmp (unset it for tensorflow).");
}

}  // namespace

absl::StatusOr<std::unique_ptr<ParallelFor>> MakeParallelFor(OpKernelContext* context) {
  static const absl::StatusOr<Threading>* const threading = new absl::StatusOr<Threading>(ReadThreading());
  if (!threading->ok()) return threading->status();

  const auto* pool = context->device()->tensorflow_cpu_worker_threads();
  int allowed = std::min(pool->num_threads, tensorflow::GetPerThreadMaxParallelism());
  static const bool limited = **threading == Threading::kOpenMp || std::getenv("OMP_NUM_THREADS");
  if (limited) allowed = std::min(allowed, DefaultThreads());
  allowed = std::max(1, allowed);
  if (**threading == Threading::kTensorFlow) return std::make_unique<TensorFlowFor>(pool->workers, allowed);
  return std::make_unique<ExactOpenMpFor>(allowed);
}

}  // namespace bnn::ops
