// Max pooling of signs. A maximum is taken of the floats before their sign; where the sign grows with the float, it is +1 when
// one of the signs is (AND of bits, 1 being -1), and where it falls, when all are (OR).
#pragma once

#include <cstdint>

#include "core/executor.h"
#include "core/geometry.h"
#include "core/scratch.h"
#include "core/sign_layout.h"

namespace bnn {

// Bits of columns and channels, of each group and each row of the output (or one row for all): set where the sign falls.
struct FallingSigns {
  const uint32_t* bits = nullptr;  // [group][row][words]; null: none falls
  int64_t rows = 1;
};

inline int64_t FallingWords(const SignLayout& output) { return WordsFor(output.width * output.group_channels()); }

int64_t SignPoolScratchBytes(const Executor& executor, const ConvGeometry& g, const SignLayout& input, const SignLayout& output,
                             const FallingSigns& falling);

// g: of the window, every one of which sees a pixel. Both layouts have the same groups.
void SignPool(const Executor& executor, const ConvGeometry& g, const SignLayout& input, const SignLayout& output,
              const FallingSigns& falling, const uint32_t* x, uint32_t* y, void* scratch);

}  // namespace bnn
