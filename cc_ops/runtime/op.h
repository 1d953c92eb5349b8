// What an op of the graph is to the rest of the runtime.
//
//   read      once a file: attributes and weights become a Prepare                      (ops/*.cc, listed in registry.h)
//   prepare   once a size of input: the output's shape, the scratch memory, a Step
//   run       every time: pointers in, floats out, nothing allocated
//
// To add an op: write its reader, put it into the table of registry.cc, describe it in docs/packed-format.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "core/arguments.h"
#include "core/executor.h"
#include "core/geometry.h"
#include "runtime/loops.h"

namespace bnn {

// Whose threads and instructions compute.
struct Machine {
  Executor executor;
  const Loops& loops;

  const ParallelFor& parallel() const { return executor.parallel; }
};

// Maps are floats, or the signs that the step was prepared for.
struct StepCall {
  const float* const* inputs;
  float* output;
  char* scratch;
};

struct SignRole;  // runtime/signs.h
struct SignMap;

// A node for inputs of one size.
struct Step {
  Sizes shape;                // of the output
  int64_t scratch_bytes = 0;  // aligned to kScratchAlignment
  bool alias = false;         // the output is the first input under another shape: nothing to run
  bool in_place = false;      // the output may overwrite the first input
  std::function<void(const StepCall&)> run;

  std::shared_ptr<const SignRole> role;  // what it can have to do with maps of signs; null: nothing

  // What the planner asks for before it has the step prepared again: maps of signs instead of floats.
  std::shared_ptr<const SignMap> signs_in, signs_out;

  int64_t output_bytes() const;
};

// Where sizes are unknown only the shape is made. What it captures lives as long as the model.
using Prepare = std::function<Message(const Machine& machine, const std::vector<Sizes>& inputs, Step* step)>;

// The product of the sizes, or kUnknown where one is unknown. Saturates at 2^62.
int64_t Elements(const Sizes& shape);

inline bool Known(const Sizes& shape) { return Elements(shape) != kUnknown; }

// Bounds on what a file may ask for.
inline constexpr int64_t kMaxImageSide = int64_t{1} << 20;   // height and width
inline constexpr int64_t kMaxActivation = int64_t{1} << 31;  // elements of one activation: 8 GiB
inline constexpr int64_t kMaxArenaBytes = int64_t{1} << 34;  // all activations that are alive at one time, and scratch

// Empty, or that an output would be too large.
Message CheckActivation(const Sizes& shape);

std::string Text(const Sizes& shape);

// Runs `f(first, last)` over ranges of [0, count), each worth a thread's while where a value costs an instruction or two.
template <typename F>
void ForRanges(const ParallelFor& parallel, int64_t count, const F& f) {
  constexpr int64_t kRange = 16384;
  parallel.Run(CeilDiv(count, kRange),
               [&](int64_t begin, int64_t end, int) { f(begin * kRange, end * kRange < count ? end * kRange : count); });
}

// The same in whole rows of `n` values.
template <typename F>
void ForRows(const ParallelFor& parallel, int64_t rows, int64_t n, const F& f) {
  const int64_t range = n >= 16384 ? 1 : 16384 / (n > 0 ? n : 1);
  parallel.Run(CeilDiv(rows, range),
               [&](int64_t begin, int64_t end, int) { f(begin * range, end * range < rows ? end * range : rows); });
}

}  // namespace bnn
