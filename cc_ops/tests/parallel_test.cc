#include "core/parallel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/items.h"
#include "core/pool.h"
#include "core/shared_job.h"
#include "core/team.h"
#include "tests/cases.h"
#include "tests/child.h"
#include "tests/compare.h"
#include "tests/run.h"

namespace bnn {
namespace {

// How often each item was handled; fails where a range or a worker is out of bounds, or a worker is at two places at once.
std::vector<int> Cover(const ParallelFor& parallel, int64_t items) {
  std::vector<std::atomic<int>> times(items), busy(parallel.workers());
  std::atomic<int> wrong = 0;
  parallel.Run(items, [&](int64_t begin, int64_t end, int worker) {
    if (worker < 0 || worker >= parallel.workers() || begin < 0 || end > items || begin >= end) {
      ++wrong;
      return;
    }
    wrong += busy[worker]++ != 0;
    for (int64_t item = begin; item < end; ++item) ++times[item];
    --busy[worker];
  });
  EXPECT_EQ(wrong, 0);
  return {times.begin(), times.end()};
}

// Every way to share work, by name, so that a run under ThreadSanitizer can leave OpenMP's out.
using Make = std::unique_ptr<ParallelFor> (*)(int threads);
struct Form {
  const char* name;
  Make make;
};
const Form kSerialForm{"serial", [](int) -> std::unique_ptr<ParallelFor> { return std::make_unique<SerialFor>(); }};
const Form kOpenMpForm{"openmp", [](int n) -> std::unique_ptr<ParallelFor> { return std::make_unique<OpenMpFor>(n); }};
const Form kPoolForm{"pool", [](int n) -> std::unique_ptr<ParallelFor> { return std::make_unique<PoolFor>(n); }};
const Form kThreadForm{"thread", [](int n) -> std::unique_ptr<ParallelFor> { return std::make_unique<testing::ThreadFor>(n); }};
const Form kBackwardsForm{"backwards",
                          [](int) -> std::unique_ptr<ParallelFor> { return std::make_unique<testing::BackwardsFor>(); }};

std::string FormName(const ::testing::TestParamInfo<Form>& info) { return info.param.name; }

class ParallelTest : public ::testing::TestWithParam<Form> {
 protected:
  std::unique_ptr<ParallelFor> Make(int threads) const { return GetParam().make(threads); }
};

TEST_P(ParallelTest, EveryItemExactlyOnce) {
  for (int threads : {1, 2, 3, 8}) {
    const auto executor = Make(threads);
    for (int64_t items : {0, 1, 2, 3, 7, 8, 100, 1009}) {
      EXPECT_EQ(Cover(*executor, items), std::vector<int>(items, 1)) << executor->workers() << " workers, " << items << " items";
    }
  }
}

TEST_P(ParallelTest, APhaseBeginsWhenThoseBeforeItAreDone) {
  for (int threads : {1, 2, 3, 8}) {
    const auto executor = Make(threads);
    for (const std::array<int64_t, 3>& items :
         std::vector<std::array<int64_t, 3>>{{1, 1, 1}, {5, 1, 40}, {0, 9, 3}, {4, 0, 7}, {6, 2, 0}, {0, 0, 0}, {300, 1, 300}}) {
      for (int repeat = 0; repeat < 20; ++repeat) {
        std::array<std::atomic<int64_t>, 3> done{};
        std::atomic<int> early = 0;
        const auto body = [&](int phase) {
          return Each([&, phase](int64_t, int) {
            for (int before = 0; before < phase; ++before) early += done[before] != items[before];
            ++done[phase];
          });
        };
        const auto first = body(0), second = body(1), third = body(2);
        const ParallelFor::Phase phases[] = {{items[0], first}, {items[1], second}, {items[2], third}};
        executor->RunPhases(phases, 3);
        ASSERT_EQ(early, 0) << threads << " threads";
        for (int phase = 0; phase < 3; ++phase) ASSERT_EQ(done[phase], items[phase]) << threads << " threads, phase " << phase;
      }
    }
  }
}

TEST_P(ParallelTest, EveryItemOfAPhaseThatIsHandedOutInRanges) {
  for (int threads : {1, 2, 3, 8}) {
    const auto executor = Make(threads);
    for (int64_t items : {0, 1, 2, 13, 100, 1009}) {
      for (int64_t together : {1, 2, 7, 5000}) {
        std::vector<std::atomic<int>> times(items);
        const auto count = Each([&](int64_t item, int) { ++times[item]; });
        const ParallelFor::Phase phase{items, count, together};
        executor->RunPhases(&phase, 1);
        EXPECT_EQ(std::vector<int>(times.begin(), times.end()), std::vector<int>(items, 1))
            << threads << " threads, " << together << " together";
      }
    }
  }
}

TEST(Items, RangesShrinkTowardsTheEnd) {
  const auto sizes = [](int64_t sharers) {
    Items items;
    items.Set(3, 23, sharers);
    std::vector<int64_t> sizes;
    EXPECT_EQ(items.Handle(6, [&](int64_t begin, int64_t end) { sizes.push_back(end - begin); }), 20);
    EXPECT_TRUE(items.AllTaken());
    return sizes;
  };
  EXPECT_EQ(sizes(1), (std::vector<int64_t>{6, 6, 4, 2, 1, 1}));
  EXPECT_EQ(sizes(2), (std::vector<int64_t>{5, 3, 3, 2, 1, 1, 1, 1, 1, 1, 1}));
}

TEST_P(ParallelTest, Nested) {
  const auto outer = Make(2), inner = Make(3);
  std::atomic<int> wrong = 0;
  outer->Run(5, [&](int64_t begin, int64_t end, int) {
    for (int64_t item = begin; item < end; ++item) wrong += Cover(*inner, 50) != std::vector<int>(50, 1);
  });
  EXPECT_EQ(wrong, 0);
}

void FromSeveralThreads(int callers, const std::function<void()>& call) {
  std::vector<std::thread> threads;
  for (int caller = 0; caller < callers; ++caller) threads.emplace_back(call);
  for (std::thread& thread : threads) thread.join();
}

// One object, several threads of the caller's own: TensorFlow runs ops like that.
TEST_P(ParallelTest, CallersFromSeveralThreads) {
  const auto executor = Make(3);
  std::atomic<int> wrong = 0;
  FromSeveralThreads(4, [&] {
    for (int repeat = 0; repeat < 20; ++repeat) wrong += Cover(*executor, 97) != std::vector<int>(97, 1);
  });
  EXPECT_EQ(wrong, 0);
}

TEST_P(ParallelTest, OneConvolutionFromSeveralThreads) {
  using testing::Shape;
  const ConvGeometry g = Shape(2, 15, 14, 64).Kernel(3, 3, 130).Make();
  testing::Random random(51);
  const std::vector<float> x = random.Values(g.input_size()), w = random.Values(g.kernel_size());
  const Backend& backend = *SupportedBackends().front();
  const Executor serial{backend, testing::kSerial};
  const testing::Packed packed = testing::Pack(serial, g, Scaling::kChannel, w);
  const std::vector<float> xnor = testing::RunXnor(serial, g, XnorOptions{}, x, packed),
                           sign = testing::RunSign(serial, g, x, packed);

  const auto parallel = Make(2);
  const Executor executor{backend, *parallel};
  std::atomic<int> wrong = 0;
  FromSeveralThreads(4, [&] {
    for (int repeat = 0; repeat < 5; ++repeat) {
      wrong += testing::RunXnor(executor, g, XnorOptions{}, x, packed) != xnor;
      wrong += testing::RunSign(executor, g, x, packed) != sign;
    }
  });
  EXPECT_EQ(wrong, 0);
}

INSTANTIATE_TEST_SUITE_P(Forms, ParallelTest, ::testing::Values(kSerialForm, kOpenMpForm, kPoolForm, kThreadForm, kBackwardsForm),
                         FormName);

// ---- How many threads, of those forms that keep some

// The kernel forgets a thread some time after it was joined, so this waits until the number has been the same for a while.
int ThreadsOfThisProcess() {
  const auto count = [] { return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {}); };
  auto last = count();
  for (int same = 0; same < 20; ++same) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    if (const auto now = count(); now != last) {
      last = now;
      same = 0;
    }
  }
  return static_cast<int>(last);
}

// All come in, or none goes on.
class Meeting {
 public:
  explicit Meeting(int expected) : missing_(expected) {}
  void Arrive() {
    std::unique_lock<std::mutex> lock(mutex_);
    if (--missing_ == 0) complete_.notify_all();
    complete_.wait(lock, [this] { return missing_ <= 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable complete_;
  int missing_;
};

class TeamTest : public ParallelTest {};

TEST_P(TeamTest, WorkersAreAsManyAsAskedFor) {
  EXPECT_EQ(Make(3)->workers(), 3);
  EXPECT_EQ(Make(0)->workers(), DefaultThreads());
  EXPECT_GE(DefaultThreads(), 1);
}

// More than the machine has, if a call asks for it.
TEST_P(TeamTest, ACallAloneGetsTheThreadsItAsksFor) {
  const int threads = static_cast<int>(std::thread::hardware_concurrency()) + 2;
  Meeting all(threads);
  Make(threads)->Run(threads, [&](int64_t, int64_t, int) { all.Arrive(); });  // hangs with fewer
}

// While one call holds all the threads that there should be, others run on their callers' threads and start none.
TEST_P(TeamTest, CallsTogetherDoNotExceedTheMachine) {
  const int threads = std::max(3, static_cast<int>(std::thread::hardware_concurrency())), callers = 4;
  const auto executor = Make(threads);
  Meeting held(threads + 1), measured(threads + 1), called(callers + 1), counted(callers + 1);
  std::thread holder([&] {
    executor->Run(threads, [&](int64_t, int64_t, int) {
      held.Arrive();
      measured.Arrive();
    });
  });
  held.Arrive();
  const int before = ThreadsOfThisProcess();
  std::atomic<int> elsewhere = 0;
  std::thread others([&] {
    FromSeveralThreads(callers, [&] {
      const std::thread::id self = std::this_thread::get_id();
      for (int repeat = 0; repeat < 20; ++repeat) {
        executor->Run(10, [&](int64_t, int64_t, int worker) { elsewhere += worker != 0 || std::this_thread::get_id() != self; });
      }
      called.Arrive();
      counted.Arrive();
    });
  });
  called.Arrive();
  EXPECT_EQ(ThreadsOfThisProcess(), before + callers + 1);
  EXPECT_EQ(elsewhere, 0);
  counted.Arrive();
  others.join();
  measured.Arrive();
  holder.join();

  Meeting again(threads);  // and afterwards they are free again
  executor->Run(threads, [&](int64_t, int64_t, int) { again.Arrive(); });
}

INSTANTIATE_TEST_SUITE_P(Forms, TeamTest, ::testing::Values(kOpenMpForm, kPoolForm), FormName);

// The threads of the pool are shared by all callers, however many there are.
TEST(Pool, CallersBringNoThreadsOfTheirOwn) {
  const int threads = static_cast<int>(std::thread::hardware_concurrency()) + 3;
  const PoolFor executor(threads);
  Meeting all(threads);
  executor.Run(threads, [&](int64_t, int64_t, int) { all.Arrive(); });
  const int before = ThreadsOfThisProcess();
  FromSeveralThreads(4, [&] {
    for (int repeat = 0; repeat < 20; ++repeat) EXPECT_EQ(Cover(executor, 97), std::vector<int>(97, 1));
  });
  EXPECT_EQ(ThreadsOfThisProcess(), before);
}

// A child has its parent's memory but none of its threads.
// Forked at moments when the pool's own threads may hold its lock: right after calls, when they look for more to do.
TEST(Pool, AChildProcessFinishesItsCalls) {
  const PoolFor executor(3);
  for (int round = 0; round < 50; ++round) {
    ASSERT_EQ(Cover(executor, 97), std::vector<int>(97, 1));
    ASSERT_TRUE(testing::HoldsInAChild([&] { return Cover(executor, 97) == std::vector<int>(97, 1); })) << "in round " << round;
  }
}

TEST(Fork, AChildProcessCountsNoneOfItsParentsThreads) {
  const Team all(static_cast<int>(std::thread::hardware_concurrency()) + 2);
  EXPECT_EQ(Team(2).size(), 1);
  EXPECT_TRUE(testing::HoldsInAChild([] { return Team(2).size() == 2; }));
}

// Whatever phase is the last to have items: helpers are not sent away while there are some.
TEST(SharedJob, IsExhaustedWhenEveryItemIsBegun) {
  for (const auto& [first, second] : {std::pair<int64_t, int64_t>{3, 0}, {0, 3}, {3, 3}}) {
    bool before_last = true;
    const SharedJob* running = nullptr;
    int64_t left = first + second;
    const auto body = Each([&](int64_t, int) {
      if (--left > 0) before_last &= !running->Exhausted();
    });
    const ParallelFor::Phase phases[] = {{first, body}, {second, body}};
    SharedJob* const job = SharedJob::Begin(phases, 2, 2);
    running = job;
    EXPECT_FALSE(job->Exhausted());
    job->Work(0);
    EXPECT_TRUE(before_last);
    EXPECT_TRUE(job->Exhausted());
    job->Drop();
  }
}

// In a thread of its own, which keeps no job yet.
TEST(SharedJob, IsUsedAgainWhenNobodyHoldsIt) {
  const auto nothing = Each([](int64_t, int) {});
  const ParallelFor::Phase phase{3, nothing};
  std::thread([&] {
    SharedJob* const first = SharedJob::Begin(&phase, 1, 2);
    first->Hold();  // a helper that is late
    first->Work(0);
    first->Drop();
    SharedJob* const second = SharedJob::Begin(&phase, 1, 2);
    EXPECT_NE(second, first);
    EXPECT_TRUE(first->Exhausted());
    EXPECT_FALSE(second->Exhausted());
    second->Drop();
    first->Drop();
    SharedJob* const third = SharedJob::Begin(&phase, 1, 2);
    EXPECT_EQ(third, first);
    EXPECT_FALSE(third->Exhausted());
    third->Drop();
  }).join();
}

// As a static object might whose destructor runs a model: those of a thread go in the reverse order of their making.
TEST(SharedJob, ThereIsOneWhenTheThreadHasDestroyedItsOwn) {
  static const auto nothing = Each([](int64_t, int) {});
  static const auto run = [] {
    const ParallelFor::Phase phase{3, nothing};
    SharedJob* const job = SharedJob::Begin(&phase, 1, 2);
    job->Work(0);
    job->Wait();
    job->Drop();
  };
  static bool ran = false;
  struct AtTheEnd {
    ~AtTheEnd() {
      run();
      ran = true;
    }
  };
  std::thread([] {
    thread_local AtTheEnd first_made;
    static_cast<void>(&first_made);
    run();
  }).join();
  EXPECT_TRUE(ran);
}

// More than a thread keeps: calls go on, and each has a job of its own until it is dropped.
TEST(SharedJob, ManyAreHeldAtOnce) {
  const auto nothing = Each([](int64_t, int) {});
  const ParallelFor::Phase phase{3, nothing};
  std::set<SharedJob*> held;
  for (int i = 0; i < 20; ++i) held.insert(SharedJob::Begin(&phase, 1, 2));
  EXPECT_EQ(held.size(), 20u);
  for (SharedJob* job : held) job->Drop();
}

// A helper may come after the thread whose call it was has ended.
TEST(SharedJob, OutlivesItsThread) {
  const auto nothing = Each([](int64_t, int) {});
  const ParallelFor::Phase phase{3, nothing};
  SharedJob* job = nullptr;
  std::thread([&] {
    job = SharedJob::Begin(&phase, 1, 2);
    job->Hold();
    job->Work(0);
    job->Drop();
  }).join();
  EXPECT_TRUE(job->Exhausted());
  job->Work(1);
  job->Drop();
}

TEST(FunctionRef, CallsWhatItRefersTo) {
  int calls = 0;
  const auto count = [&](int64_t begin, int64_t end, int worker) { calls += static_cast<int>(end - begin) + worker; };
  const ParallelFor::Body body = count, copy = body;
  body(0, 3, 1);
  copy(5, 6, 0);
  EXPECT_EQ(calls, 5);
}

}  // namespace
}  // namespace bnn
