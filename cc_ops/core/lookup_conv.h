// The convolution of sign_conv.h by tables: 16 signed sums a quad of inputs, made once for all taps and filters that meet the
// quad.
#pragma once

#include <cstdint>

#include "core/executor.h"
#include "core/geometry.h"

namespace bnn {

// Inputs that share a table of signed sums. Where a group's channels are no multiple, zeros are added to each pixel.
inline constexpr int64_t kQuad = 4;

int64_t LookupConvScratchBytes(const Executor& executor, const ConvGeometry& g);

void LookupConv(const Executor& executor, const ConvGeometry& g, const float* x, const uint32_t* bits, const float* alpha,
                float* y, void* scratch, const PartDone* done);

}  // namespace bnn
