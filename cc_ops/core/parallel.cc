#include "core/parallel.h"

#include <omp.h>
#include <pthread.h>

#include <algorithm>
#include <array>
#include <atomic>

#include "core/items.h"
#include "core/team.h"

namespace bnn {
namespace {

std::atomic<int> busy_threads{0};

// A child process has none of those that were busy.
[[maybe_unused]] const int registered =
    pthread_atfork(nullptr, nullptr, [] { busy_threads.store(0, std::memory_order_relaxed); });

}  // namespace

int DefaultThreads() { return std::max(1, omp_get_max_threads()); }

Team::Team(int wanted) {
  static const int processors = omp_get_num_procs();
  const int limit = std::max(processors, wanted);
  int busy = busy_threads.load(std::memory_order_relaxed);
  do {
    size_ = std::clamp(limit - busy, 1, wanted);
  } while (!busy_threads.compare_exchange_weak(busy, busy + size_, std::memory_order_relaxed));
}

Team::~Team() { busy_threads.fetch_sub(size_, std::memory_order_relaxed); }

OpenMpFor::OpenMpFor(int threads) : threads_(threads > 0 ? threads : DefaultThreads()) {}

int TeamFor(const ParallelFor::Phase* phases, int count, int workers) {
  int64_t items = 0;
  for (int i = 0; i < count; ++i) items = std::max(items, phases[i].items);
  return static_cast<int>(std::min<int64_t>(items, workers));
}

void OpenMpFor::Run(int64_t items, Body body) const {
  const Phase phase{items, body};
  RunPhases(&phase, 1);
}

void OpenMpFor::RunPhases(const Phase* phases, int count) const {
  const int wanted = TeamFor(phases, count, threads_);
  if (wanted == 0) return;
  const Team team(wanted);
  if (team.size() == 1) {
    SerialFor().RunPhases(phases, count);
    return;
  }
  std::array<Items, kMaxPhases> items;
  for (int i = 0; i < count; ++i) items[i].Set(0, phases[i].items, team.size());
#pragma omp parallel num_threads(team.size())
  {
    const int worker = omp_get_thread_num();
    for (int i = 0; i < count; ++i) {
      items[i].Handle(phases[i].together, [&](int64_t begin, int64_t end) { phases[i].body(begin, end, worker); });
#pragma omp barrier
    }
  }
}

}  // namespace bnn
