#include "core/parallel.h"

#include <omp.h>

#include <algorithm>
#include <atomic>

#include "core/team.h"

namespace bnn {
namespace {

std::atomic<int> busy_threads{0};

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

void OpenMpFor::Run(int64_t items, Body body) const {
  if (items <= 0) return;
  const Team team(static_cast<int>(std::min<int64_t>(items, threads_)));
  if (team.size() == 1) {
    body(0, items, 0);
    return;
  }
#pragma omp parallel num_threads(team.size())
  {
    // Dynamic, an item at a time: items are few and large, and cores of a shared machine are not equally fast.
    const int worker = omp_get_thread_num();
#pragma omp for schedule(dynamic, 1) nowait
    for (int64_t item = 0; item < items; ++item) body(item, item + 1, worker);
  }
}

}  // namespace bnn
