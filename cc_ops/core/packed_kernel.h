// Packed kernels: one bit a weight, laid out once for every backend.
//
// A filter's weights, in the order (row, column, channel) of HWIO, are one run of `run` signs: taps and channels share words, so
// that 3x3x16 takes 4.5 words and not nine. Sixteen filters lie side by side:
//
//   bits[group][block][word][lane]     filter = 16*block + lane of the group, bit b of a word = run index 32*word + b
//
// One word of 16 lanes is one 512-bit register: for XNOR each lane meets the same word of the input; for a float input each
// 4 bits of a lane choose one of the 16 signed sums of 4 neighbouring inputs. Lanes without a filter hold 0.
#pragma once

#include <cstdint>

#include "core/bits.h"
#include "core/executor.h"
#include "core/geometry.h"
#include "core/options.h"

namespace bnn {

struct KernelLayout {
  explicit KernelLayout(const ConvGeometry& g);

  int64_t groups, blocks, words;  // per group: blocks of 16 filters; words of a run
  int64_t block_words() const { return words * kLanes; }
  int64_t group_words() const { return blocks * block_words(); }
  int64_t total_words() const { return groups * group_words(); }
};

// Bits and scales of an HWIO kernel. `bits` takes KernelLayout(g).total_words() words, `alpha` one float a filter.
void PackKernel(const Executor& executor, const ConvGeometry& g, Scaling scaling, const float* kernel, uint32_t* bits,
                float* alpha);

// The inverse, as +1 and -1 in HWIO.
void UnpackKernel(const ConvGeometry& g, const uint32_t* bits, float* kernel);

// The same for consecutive blocks of one group: signs[k*stride + filter].
void UnpackFilters(const uint32_t* bits, int64_t run, int64_t filters, float* signs, int64_t stride);

}  // namespace bnn
