// How a benchmark reports: operations a second and the share of the ceiling. Rows are called operation/backend/shape/threads.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string>
#include <vector>

#include "core/backend.h"

namespace bnn::bench {

// `operations`: of one run, two a multiply-add. `ceiling`: in 10^9 a second, of all threads; 0 where there is none. One thread is
// timed by the processor's clock, which other programs on the machine disturb less; several by the clock on the wall.
template <typename Run>
void Time(benchmark::State& state, double operations, double ceiling, int threads, Run run) {
  const auto seconds = [&] {
    if (threads == 1) return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  };
  const double start = seconds();
  for (auto _ : state) {
    run();
    benchmark::ClobberMemory();
  }
  const double rate = operations * static_cast<double>(state.iterations()) * 1e-9 / (seconds() - start);
  state.counters["Gop/s"] = rate;
  if (ceiling > 0) state.counters["of_ceiling"] = rate / ceiling;
}

// `Time`, which also tells in "quick_us" what one run in fifty is quicker than: what a run takes while its processors do nothing
// else, on a machine where others take them away now and then. For runs of microseconds: the clock takes some 30 ns.
template <typename Run>
void TimeRuns(benchmark::State& state, double operations, double ceiling, int threads, Run run) {
  std::vector<std::chrono::nanoseconds> runs;
  runs.reserve(state.max_iterations);
  Time(state, operations, ceiling, threads, [&] {
    const auto begin = std::chrono::steady_clock::now();
    run();
    runs.push_back(std::chrono::steady_clock::now() - begin);
  });
  const auto quick = runs.begin() + static_cast<std::ptrdiff_t>(runs.size() / 50);
  std::nth_element(runs.begin(), quick, runs.end());
  state.counters["quick_us"] = std::chrono::duration<double, std::micro>(*quick).count();
}

// For what only moves memory.
template <typename Run>
void TimeBytes(benchmark::State& state, int64_t bytes, Run run) {
  for (auto _ : state) {
    run();
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * bytes);
}

// Runs `body(state, backend)` under the name operation/backend/rest on every backend of this machine.
template <typename Body>
void ForBackends(const std::string& operation, const std::string& rest, int threads, Body body) {
  for (const Backend* backend : SupportedBackends()) {
    const std::string name = operation + "/" + backend->name + (rest.empty() ? "" : "/" + rest);
    auto* row = benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) { body(state, *backend); });
    row->Unit(benchmark::kMicrosecond);
    if (threads > 1) row->UseRealTime();
  }
}

}  // namespace bnn::bench
