// How to run: which instructions, which threads.
#pragma once

#include "core/backend.h"
#include "core/parallel.h"

namespace bnn {

struct Executor {
  const Backend& backend;
  const ParallelFor& parallel;
};

// Called with each finished part of an output while it is still in the cache: `rows` rows of the filters [filter, filter +
// filters), `stride` floats apart. For a bias or an activation behind a convolution; any thread, each part once.
using PartDone = FunctionRef<void(float* y, int64_t stride, int64_t rows, int64_t filter, int64_t filters)>;

// Scratch memory is the caller's: each operation says how many bytes it needs and takes a pointer aligned to this.
inline constexpr int64_t kScratchAlignment = 64;

}  // namespace bnn
