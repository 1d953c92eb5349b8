// Packed kernels laid out anew, from bits to bits.
#pragma once

#include <cstdint>

#include "core/executor.h"
#include "core/geometry.h"

namespace bnn {

// At stride 1, what reaches the input of a convolution is a convolution of what came to its output, with the kernel turned by 180
// degrees and its channels and filters exchanged. From `bits`, laid out for `g`, those of
//
//   turned[taps - 1 - tap][filter of the group][channel] = kernel[tap][channel][filter of the group]
//
// laid out for a convolution of g.filters channels and g.channels filters: groups * ceil(channels of a group / 16) blocks of
// ceil(taps * filters of a group / 32) words.
void TurnKernel(const Executor& executor, const ConvGeometry& g, const uint32_t* bits, uint32_t* turned);

// The same kernel for `channels` channels a group, at least as many as there are; the new ones have weights of +1. `padded` takes
// groups * blocks of ceil(taps * channels / 32) words.
void PadChannels(const Executor& executor, const ConvGeometry& g, int64_t channels, const uint32_t* bits, uint32_t* padded);

}  // namespace bnn
