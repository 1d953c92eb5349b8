// Whole operations of core, float in and float out, kernels packed before: 3x3 layers of ResNet-18 at batch 1, of the CIFAR
// ResNets at batch 32 and 1, and dense layers; packing a kernel; and gradients of layers that are trained.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <random>
#include <string>
#include <vector>

#include "bench/ceilings.h"
#include "bench/report.h"
#include "core/conv_grad.h"
#include "core/executor.h"
#include "core/packed_kernel.h"
#include "core/pool.h"
#include "core/reference.h"
#include "core/sign_conv.h"
#include "core/xnor_conv.h"

namespace bnn::bench {
namespace {

ConvGeometry Conv(int64_t batch, int64_t size, int64_t channels) {
  ConvRequest request;
  request.input = {batch, size, size, channels};
  request.kernel = {3, 3, channels, channels};
  ConvGeometry g;
  if (!MakeConv(request, &g).empty()) std::abort();
  return g;
}

ConvGeometry Dense(int64_t batch, int64_t channels, int64_t units) {
  ConvGeometry g;
  if (!MakeDense("BinaryDense", batch, channels, channels, units, &g).empty()) std::abort();
  return g;
}

// Inputs, a packed kernel and memory for the results.
struct Data {
  Data(const Executor& executor, const ConvGeometry& g, int64_t scratch_bytes) : x(g.input_size()), w(g.kernel_size()) {
    std::mt19937 engine(1);
    std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
    for (float& value : x) value = uniform(engine);
    for (float& value : w) value = uniform(engine);
    bits.resize(KernelLayout(g).total_words());
    alpha.resize(g.filters);
    y.resize(g.output_size());
    PackKernel(executor, g, Scaling::kChannel, w.data(), bits.data(), alpha.data());
    scratch.resize(scratch_bytes + kScratchAlignment);
    aligned_scratch = scratch.data() + (-reinterpret_cast<uintptr_t>(scratch.data()) & (kScratchAlignment - 1));
  }
  std::vector<float> x, w, alpha, y;
  std::vector<uint32_t> bits;
  std::vector<char> scratch;
  char* aligned_scratch;
};

// A wrong result is not timed: some outputs against the definition, at float32 accuracy.
bool Right(const ConvGeometry& g, const Data& data, bool binary_input) {
  for (int64_t out = 0; out < g.output_size(); out += 1 + g.output_size() / 50) {
    double sum = 0, mean = 0, size = 0;
    const std::vector<reference::Tap> taps = reference::Taps(g, out);
    for (const reference::Tap& tap : taps) {
      const double x = tap.x >= 0 ? data.x[tap.x] : 0.0;
      const double u = binary_input && tap.x >= 0 ? reference::Sign(x) : x;
      sum += u * reference::Sign(data.w[tap.w]);
      mean += std::fabs(x) / static_cast<double>(taps.size());
      size += std::fabs(u);
    }
    const double scale = data.alpha[out % g.filters] * (binary_input ? mean : 1.0);
    if (!(std::fabs(data.y[out] - scale * sum) <= 1e-5 * scale * size)) return false;
  }
  return true;
}

template <typename Run>
void TimeConv(benchmark::State& state, const ConvGeometry& g, const Data& data, bool binary_input, double ceiling, int threads,
              Run run) {
  run();
  if (!Right(g, data, binary_input)) return state.SkipWithError("the result is wrong");
  TimeRuns(state, 2.0 * static_cast<double>(g.output_size() * g.run()), ceiling, threads, run);
}

void Xnor(benchmark::State& state, const Backend& backend, const ConvGeometry& g, int threads) {
  const PoolFor parallel(threads);
  const Executor executor{backend, parallel};
  const XnorOptions options;
  Data data(executor, g, XnorConvScratchBytes(executor, g, options));
  TimeConv(state, g, data, true, CeilingsOf(backend.name).xnor * threads, threads, [&] {
    XnorConv(executor, g, options, data.x.data(), data.bits.data(), data.alpha.data(), data.y.data(), data.aligned_scratch);
  });
}

// As many images as threads, one call for each: what threads that share nothing of a call make of it, against which a call that
// is shared can be measured.
void XnorApart(benchmark::State& state, const Backend& backend, const ConvGeometry& g, int threads) {
  const PoolFor parallel(threads);
  const SerialFor serial;
  const Executor executor{backend, serial};
  const XnorOptions options;
  std::deque<Data> images;
  for (int i = 0; i < threads; ++i) images.emplace_back(executor, g, XnorConvScratchBytes(executor, g, options));
  const auto run = [&] {
    parallel.Run(threads, Each([&](int64_t image, int) {
                   Data& data = images[image];
                   XnorConv(executor, g, options, data.x.data(), data.bits.data(), data.alpha.data(), data.y.data(),
                            data.aligned_scratch);
                 }));
  };
  run();
  for (const Data& data : images) {
    if (!Right(g, data, true)) return state.SkipWithError("the result is wrong");
  }
  const double operations = 2.0 * static_cast<double>(threads * g.output_size() * g.run());
  TimeRuns(state, operations, CeilingsOf(backend.name).xnor * threads, threads, run);
}

void Sign(benchmark::State& state, const Backend& backend, const ConvGeometry& g, int threads) {
  const PoolFor parallel(threads);
  const Executor executor{backend, parallel};
  Data data(executor, g, SignConvScratchBytes(executor, g));
  TimeConv(state, g, data, false, CeilingsOf(backend.name).fma * threads, threads, [&] {
    SignConv(executor, g, data.x.data(), data.bits.data(), data.alpha.data(), data.y.data(), data.aligned_scratch);
  });
}

void Pack(benchmark::State& state, const Backend& backend, const ConvGeometry& g) {
  const SerialFor serial;
  const Executor executor{backend, serial};
  Data data(executor, g, 0);
  TimeBytes(state, g.kernel_size() * static_cast<int64_t>(sizeof(float)),
            [&] { PackKernel(executor, g, Scaling::kChannel, data.w.data(), data.bits.data(), data.alpha.data()); });
}

// A value and what its rounding errors are relative to.
struct Sum {
  void Add(double term) {
    value += term;
    size += std::fabs(term);
  }
  bool Agrees(float other) const { return std::fabs(other - value) <= 1e-5 * size; }
  double value = 0, size = 0;
};

// The gradients of one filter and of the first pixel, of a kernel whose scale is a mean over each filter; `y` came to the output.
bool Right(const ConvGeometry& g, const Data& data, const std::vector<float>& dx, const std::vector<float>& dkernel) {
  const int64_t filter = g.filters / 2;
  std::vector<Sum> products(g.kernel_size());
  for (int64_t out = filter; out < g.output_size(); out += g.filters) {
    for (const reference::Tap& tap : reference::Taps(g, out)) {
      if (tap.x >= 0) products[tap.w].Add(static_cast<double>(data.x[tap.x]) * data.y[out]);
    }
  }
  Sum through_alpha;
  for (int64_t at = filter; at < g.kernel_size(); at += g.filters) {
    through_alpha.value += reference::Sign(data.w[at]) * products[at].value / static_cast<double>(g.run());
    through_alpha.size += products[at].size / static_cast<double>(g.run());
  }
  for (int64_t at = filter; at < g.kernel_size(); at += g.filters) {
    const Sum expected = {data.alpha[filter] * products[at].value + reference::Sign(data.w[at]) * through_alpha.value,
                          data.alpha[filter] * products[at].size + through_alpha.size};
    if (!expected.Agrees(dkernel[at])) return false;
  }

  std::vector<Sum> inputs(g.channels);
  for (int64_t p = 0; p < std::min(g.h.out, g.h.kernel); ++p) {
    for (int64_t out = p * g.w.out * g.filters; out < (p * g.w.out + std::min(g.w.out, g.w.kernel)) * g.filters; ++out) {
      for (const reference::Tap& tap : reference::Taps(g, out)) {
        if (tap.x < 0 || tap.x >= g.channels) continue;
        inputs[tap.x].Add(static_cast<double>(data.y[out]) * data.alpha[out % g.filters] * reference::Sign(data.w[tap.w]));
      }
    }
  }
  for (int64_t c = 0; c < g.channels; ++c) {
    if (!inputs[c].Agrees(dx[c])) return false;
  }
  return true;
}

// Of a float input: two float convolutions' worth of multiply-adds, counted with those that meet the padding.
void SignGrad(benchmark::State& state, const Backend& backend, const ConvGeometry& g, int threads) {
  const PoolFor parallel(threads);
  const Executor executor{backend, parallel};
  Data data(executor, g, SignConvGradScratchBytes(executor, g));
  std::mt19937 engine(2);
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  for (float& value : data.y) value = uniform(engine);  // what came to the output
  std::vector<float> dx(g.input_size()), dkernel(g.kernel_size());
  const auto run = [&] {
    SignConvGrad(executor, g, {}, data.x.data(), data.w.data(), data.y.data(), dx.data(), dkernel.data(), data.aligned_scratch);
  };
  run();
  if (!Right(g, data, dx, dkernel)) return state.SkipWithError("the result is wrong");
  Time(state, 4.0 * static_cast<double>(g.output_size() * g.run()), CeilingsOf(backend.name).fma * threads, threads, run);
}

[[maybe_unused]] const bool registered = [] {
  struct Row {
    std::string shape;
    ConvGeometry g;
  };
  const std::vector<Row> rows = {
      {"56x56x64", Conv(1, 56, 64)},
      {"28x28x128", Conv(1, 28, 128)},
      {"14x14x256", Conv(1, 14, 256)},
      {"7x7x512", Conv(1, 7, 512)},
      {"32x32x32x16", Conv(32, 32, 16)},
      {"32x16x16x32", Conv(32, 16, 32)},
      {"32x8x8x64", Conv(32, 8, 64)},
      {"32x32x16", Conv(1, 32, 16)},
      {"16x16x32", Conv(1, 16, 32)},
      {"8x8x64", Conv(1, 8, 64)},
      {"dense3136x1024", Dense(1, 3136, 1024)},
      {"dense4096x4096", Dense(1, 4096, 4096)},
  };
  for (const Row& row : rows) {
    const ConvGeometry g = row.g;
    for (int threads : {1, 2}) {
      const std::string rest = row.shape + "/threads:" + std::to_string(threads);
      ForBackends("XnorConv", rest, threads, [=](benchmark::State& state, const Backend& b) { Xnor(state, b, g, threads); });
      ForBackends("SignConv", rest, threads, [=](benchmark::State& state, const Backend& b) { Sign(state, b, g, threads); });
    }
    if (g.batch == 1)
      ForBackends("XnorApart", row.shape + "/threads:2", 2,
                  [=](benchmark::State& state, const Backend& b) { XnorApart(state, b, g, 2); });
    if (g.batch == 1)
      ForBackends("PackKernel", row.shape, 1, [=](benchmark::State& state, const Backend& b) { Pack(state, b, g); });
  }
  const std::vector<Row> trained = {
      {"32x14x14x256", Conv(32, 14, 256)},
      {"128x32x32x16", Conv(128, 32, 16)},
      {"128x8x8x64", Conv(128, 8, 64)},
      {"dense128x3136x1024", Dense(128, 3136, 1024)},
      {"dense32x8192x2048", Dense(32, 8192, 2048)},
  };
  for (const Row& row : trained) {
    const ConvGeometry g = row.g;
    for (int threads : {1, 2}) {
      ForBackends("SignConvGrad", row.shape + "/threads:" + std::to_string(threads), threads,
                  [=](benchmark::State& state, const Backend& b) { SignGrad(state, b, g, threads); });
    }
  }
  return true;
}();

}  // namespace
}  // namespace bnn::bench
