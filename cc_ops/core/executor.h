// How to run: which instructions, which threads.
#pragma once

#include "core/backend.h"
#include "core/parallel.h"

namespace bnn {

struct Executor {
  const Backend& backend;
  const ParallelFor& parallel;
};

// Scratch memory is the caller's: each operation says how many bytes it needs and takes a pointer aligned to this.
inline constexpr int64_t kScratchAlignment = 64;

}  // namespace bnn
