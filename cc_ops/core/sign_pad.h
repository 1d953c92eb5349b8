// Padding of a map of signs, with signs of its own for each channel.
#pragma once

#include <cstdint>

#include "core/parallel.h"
#include "core/sign_layout.h"

namespace bnn {

struct SignPadding {
  int64_t top = 0, left = 0;       // rows and columns before the image; those after it follow from the layouts
  const uint32_t* bits = nullptr;  // of a pixel outside: [group][SignPadWords]
};

// A pixel's channels, and what reading them may touch behind.
inline int64_t SignPadWords(const SignLayout& layout) { return WordsFor(layout.group_channels()) + 2; }

// Both layouts have the same channels and groups.
void SignPad(const ParallelFor& parallel, const SignLayout& input, const SignLayout& output, const SignPadding& padding,
             const uint32_t* x, uint32_t* y);

}  // namespace bnn
