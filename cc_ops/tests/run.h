// Calls the operations of core as a user does, every argument in a guarded buffer of its own.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "core/backend.h"
#include "core/conv_grad.h"
#include "core/executor.h"
#include "core/geometry.h"
#include "core/options.h"
#include "core/packed_kernel.h"
#include "core/parallel.h"
#include "core/sign_conv.h"
#include "core/xnor_conv.h"
#include "tests/guarded.h"

namespace bnn::testing {

// Tests that run once for each backend of this machine.
class BackendTest : public ::testing::TestWithParam<const Backend*> {
 protected:
  const Backend& backend() const { return *GetParam(); }
  std::string Where(const std::string& what) const { return std::string(backend().name) + ", " + what; }
};

inline std::string BackendName(const ::testing::TestParamInfo<const Backend*>& info) { return info.param->name; }

#define BNN_FOR_EACH_BACKEND(suite) \
  INSTANTIATE_TEST_SUITE_P(Backends, suite, ::testing::ValuesIn(SupportedBackends()), BackendName)

inline const SerialFor kSerial;

struct Packed {
  std::vector<uint32_t> bits;
  std::vector<float> alpha;
};

inline Packed Pack(const Executor& executor, const ConvGeometry& g, Scaling scaling, const std::vector<float>& kernel,
                   Guard guard = Guard::kAfter) {
  const Guarded<float> w(kernel, guard);
  Guarded<uint32_t> bits(KernelLayout(g).total_words(), guard);
  Guarded<float> alpha(g.filters, guard);
  PackKernel(executor, g, scaling, w.data(), bits.data(), alpha.data());
  return {bits.Values(), alpha.Values()};
}

inline std::vector<float> RunXnor(const Executor& executor, const ConvGeometry& g, const XnorOptions& options,
                                  const std::vector<float>& input, const Packed& packed, Guard guard = Guard::kAfter) {
  const Guarded<float> x(input, guard), alpha(packed.alpha, guard);
  const Guarded<uint32_t> bits(packed.bits, guard);
  Guarded<char> scratch(XnorConvScratchBytes(executor, g, options), guard);
  Guarded<float> y(g.output_size(), guard);
  XnorConv(executor, g, options, x.data(), bits.data(), alpha.data(), y.data(), scratch.data());
  return y.Values();
}

inline std::vector<float> RunSign(const Executor& executor, const ConvGeometry& g, const std::vector<float>& input,
                                  const Packed& packed, Guard guard = Guard::kAfter) {
  const Guarded<float> x(input, guard), alpha(packed.alpha, guard);
  const Guarded<uint32_t> bits(packed.bits, guard);
  Guarded<char> scratch(SignConvScratchBytes(executor, g), guard);
  Guarded<float> y(g.output_size(), guard);
  SignConv(executor, g, x.data(), bits.data(), alpha.data(), y.data(), scratch.data());
  return y.Values();
}

// Shares items among workers as no scheduler would: the last first, as many at once as may be, each time with another worker's
// scratch.
class BackwardsFor final : public ParallelFor {
 public:
  int workers() const override { return 3; }
  double worth_sharing_ns() const override { return 0; }
  void Run(int64_t items, Body body) const override { RunBackwards({items, body}); }
  void RunPhases(const Phase* phases, int count) const override { std::for_each_n(phases, count, RunBackwards); }

 private:
  static void RunBackwards(const Phase& phase) {
    for (int64_t end = phase.items, turn = 0; end > 0; ++turn) {
      const int64_t begin = std::max<int64_t>(0, end - phase.together);
      phase.body(begin, end, static_cast<int>(turn * 2 % 3));
      end = begin;
    }
  }
};

// A thread for every worker, items in turn: however small a call, its threads really share it. ThreadSanitizer sees these,
// while it can't look into OpenMP's library.
class ThreadFor final : public ParallelFor {
 public:
  explicit ThreadFor(int threads) : threads_(threads) {}
  int workers() const override { return threads_; }
  double worth_sharing_ns() const override { return 0; }
  void Run(int64_t items, Body body) const override {
    std::vector<std::thread> threads;
    for (int worker = 0; worker < std::min<int64_t>(threads_, items); ++worker) {
      threads.emplace_back([=] {
        for (int64_t item = worker; item < items; item += threads_) body(item, item + 1, worker);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

 private:
  int threads_;
};

}  // namespace bnn::testing
