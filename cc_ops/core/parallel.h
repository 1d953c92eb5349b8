// The one seam between the arithmetic and threads. Core splits its work into independent items; who calls it owns the threads.
#pragma once

#include <cstdint>
#include <type_traits>

namespace bnn {

// A reference to a callable: passes a lambda without an allocation. It must not outlive the call it is passed to.
template <typename Signature>
class FunctionRef;

template <typename Result, typename... Args>
class FunctionRef<Result(Args...)> {
 public:
  template <typename F, typename = std::enable_if_t<!std::is_same_v<std::decay_t<F>, FunctionRef>>>
  FunctionRef(F&& f)  // NOLINT: implicit on purpose
      : object_(const_cast<void*>(static_cast<const void*>(&f))),
        call_([](void* object, Args... args) -> Result { return (*static_cast<std::remove_reference_t<F>*>(object))(args...); }) {
  }
  Result operator()(Args... args) const { return call_(object_, args...); }

 private:
  void* object_;
  Result (*call_)(void*, Args...);
};

class ParallelFor {
 public:
  // Handles items [begin, end). `worker` is in [0, workers()); no two calls at one time share a worker, so it may index scratch.
  using Body = FunctionRef<void(int64_t begin, int64_t end, int worker)>;

  virtual ~ParallelFor() = default;
  virtual int workers() const = 0;

  // So much work of one thread pays for sharing it. Another has to be told of it, and both have to wait for each other: what
  // takes one 4 us takes two that are awake longer, 6 as long, and 11 becomes 8.
  virtual double worth_sharing_ns() const { return 8000; }

  // Calls `body` over ranges that cover [0, items) exactly, and returns when all are done. Each item should be worth some
  // microseconds; results must not depend on how the ranges fall.
  virtual void Run(int64_t items, Body body) const = 0;

  struct Phase {
    int64_t items;
    Body body;
    int64_t together = 1;  // so many may be handed out at once while many are left
  };

  static constexpr int kMaxPhases = 4;

  // Up to kMaxPhases phases in turn: an item begins when all items of the phases before it are done. Where threads must be woken,
  // they are woken once for all: waking takes longer than the short phases before a small convolution.
  virtual void RunPhases(const Phase* phases, int count) const {
    for (int i = 0; i < count; ++i) Run(phases[i].items, phases[i].body);
  }
};

// The body that handles one item after another with `handle(item, worker)`.
template <typename F>
auto Each(F handle) {
  return [handle](int64_t begin, int64_t end, int worker) {
    for (int64_t item = begin; item < end; ++item) handle(item, worker);
  };
}

class SerialFor final : public ParallelFor {
 public:
  int workers() const override { return 1; }
  void Run(int64_t items, Body body) const override {
    if (items > 0) body(0, items, 0);
  }
};

class OpenMpFor final : public ParallelFor {
 public:
  // 0: as many as OMP_NUM_THREADS or the machine says.
  explicit OpenMpFor(int threads = 0);
  int workers() const override { return threads_; }
  void Run(int64_t items, Body body) const override;
  void RunPhases(const Phase* phases, int count) const override;

 private:
  int threads_;
};

// How many workers find something to do in the longest of the phases.
int TeamFor(const ParallelFor::Phase* phases, int count, int workers);

}  // namespace bnn
