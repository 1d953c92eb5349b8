// The packed kernel of a convolution's gradient. At stride 1, what reaches the input is a convolution of what came to the output,
// with the kernel turned by 180 degrees and its channels and filters exchanged.
#pragma once

#include <cstdint>

#include "core/executor.h"
#include "core/geometry.h"

namespace bnn {

// From `bits`, laid out for `g`, those of
//
//   turned[taps - 1 - tap][filter of the group][channel] = kernel[tap][channel][filter of the group]
//
// laid out for a convolution of g.filters channels and g.channels filters: groups * ceil(channels of a group / 16) blocks of
// ceil(taps * filters of a group / 32) words.
void TurnKernel(const Executor& executor, const ConvGeometry& g, const uint32_t* bits, uint32_t* turned);

}  // namespace bnn
