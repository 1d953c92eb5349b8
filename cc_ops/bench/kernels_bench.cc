// The ceilings of the machine, and the bare inner loops on data that lies in the cache.
#include <benchmark/benchmark.h>

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "bench/ceilings.h"
#include "bench/report.h"
#include "core/backend.h"
#include "core/bits.h"

namespace bnn::bench {
namespace {

std::vector<uint32_t> RandomWords(int64_t count) {
  std::mt19937 engine(1);
  std::vector<uint32_t> words(count);
  for (uint32_t& word : words) word = engine();
  return words;
}

// What CeilingsOf measured, as a row of the table; its time means nothing.
void Ceiling(benchmark::State& state, double ceiling) {
  if (ceiling == 0) return state.SkipWithError("no vector instructions to measure");
  for (auto _ : state) benchmark::DoNotOptimize(ceiling);
  state.counters["Gop/s"] = ceiling;
}

void Xnor(benchmark::State& state, const Backend& backend, int64_t rows, int64_t run, int64_t filters) {
  const int64_t words = WordsFor(run);
  const std::vector<uint32_t> a = RandomWords(rows * words), bits = RandomWords(RoundUp(filters, kLanes) * words);
  std::vector<const uint32_t*> runs;
  for (int64_t row = 0; row < rows; ++row) runs.push_back(a.data() + row * words);
  const std::vector<int32_t> base(RoundUp(filters, kLanes), static_cast<int32_t>(run));
  const std::vector<const int32_t*> bases(rows, base.data());
  const std::vector<float> alpha(filters, 1.0f), scale(rows, 1.0f);
  std::vector<float> y(rows * filters);
  Time(state, 2.0 * static_cast<double>(rows * run * filters), CeilingsOf(backend.name).xnor, 1, [&] {
    backend.xnor_gemm(
        {runs.data(), 1, words, rows, bits.data(), filters, bases.data(), alpha.data(), scale.data(), y.data(), filters});
  });
}

void Lookup(benchmark::State& state, const Backend& backend, int64_t rows, int64_t run, int64_t filters) {
  const int64_t quads = run / 4, words = WordsFor(run);
  const std::vector<float> x(rows * run, 0.5f);
  std::vector<float> tables(rows * quads * backend.table_size);
  backend.build_tables(x.data(), rows * quads, tables.data());
  std::vector<const float*> table;
  for (int64_t row = 0; row < rows; ++row) table.push_back(tables.data() + row * quads * backend.table_size);
  std::vector<int64_t> offset;
  for (int64_t quad = 0; quad < quads; ++quad) offset.push_back(quad * backend.table_size);
  std::vector<int32_t> word;
  for (int64_t i = 0; i < words; ++i) word.push_back(static_cast<int32_t>(i));
  const std::vector<uint32_t> bits = RandomWords(RoundUp(filters, kLanes) * words);
  const std::vector<float> alpha(filters, 1.0f);
  std::vector<float> y(rows * filters);
  Time(state, 2.0 * static_cast<double>(rows * run * filters), CeilingsOf(backend.name).fma, 1, [&] {
    backend.lookup_gemm({table.data(), offset.data(), rows, bits.data(), word.data(), quads, words, filters, alpha.data(), false,
                         y.data(), filters});
  });
}

void BuildTables(benchmark::State& state, const Backend& backend, int64_t channels) {
  const std::vector<float> x(channels, 0.5f);
  std::vector<float> tables(channels / 4 * backend.table_size);
  TimeBytes(state, channels * static_cast<int64_t>(sizeof(float)),
            [&] { backend.build_tables(x.data(), channels / 4, tables.data()); });
}

void PackRows(benchmark::State& state, const Backend& backend, int64_t pixels, int64_t channels, bool with_mean) {
  const std::vector<float> x(pixels * channels, -0.5f);
  std::vector<uint32_t> words(WordsFor(pixels * channels));
  std::vector<float> mean(pixels);
  TimeBytes(state, pixels * channels * static_cast<int64_t>(sizeof(float)),
            [&] { backend.pack_rows(x.data(), pixels, channels, words.data(), with_mean ? mean.data() : nullptr); });
}

[[maybe_unused]] const bool registered = [] {
  ForBackends("ceiling_xnor", "", 1, [](benchmark::State& state, const Backend& b) { Ceiling(state, CeilingsOf(b.name).xnor); });
  ForBackends("ceiling_fma", "", 1, [](benchmark::State& state, const Backend& b) { Ceiling(state, CeilingsOf(b.name).fma); });
  // A chunk of 14x14x256, 3x3; and one of so few channels that its parts outside the loop show.
  for (const auto& [rows, run, filters] : {std::array<int64_t, 3>{48, 2304, 256}, {64, 144, 16}}) {
    const std::string shape = std::to_string(rows) + "x" + std::to_string(run) + "x" + std::to_string(filters);
    const int64_t r = rows, k = run, f = filters;
    ForBackends("xnor_gemm", shape, 1, [=](benchmark::State& state, const Backend& b) { Xnor(state, b, r, k, f); });
    ForBackends("lookup_gemm", shape, 1, [=](benchmark::State& state, const Backend& b) { Lookup(state, b, r, k, f); });
  }
  ForBackends("build_tables", "256", 1, [](benchmark::State& state, const Backend& b) { BuildTables(state, b, 256); });
  ForBackends("pack_rows", "14x256", 1, [](benchmark::State& state, const Backend& b) { PackRows(state, b, 14, 256, false); });
  ForBackends("pack_rows", "14x256/mean", 1,
              [](benchmark::State& state, const Backend& b) { PackRows(state, b, 14, 256, true); });
  return true;
}();

}  // namespace
}  // namespace bnn::bench
