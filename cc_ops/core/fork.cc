#include "core/fork.h"

#include <pthread.h>

#include <atomic>

namespace bnn {
namespace {

std::atomic<int> forks{0};

// When the code is loaded, not when it is first called: a fork might come in between.
[[maybe_unused]] const int registered = pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1, std::memory_order_relaxed); });

}  // namespace

int ForkCount() { return forks.load(std::memory_order_relaxed); }

}  // namespace bnn
