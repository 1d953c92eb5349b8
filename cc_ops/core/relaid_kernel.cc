#include "core/relaid_kernel.h"

#include <algorithm>

#include "core/packed_kernel.h"

namespace bnn {
namespace {

// Bit j of row i becomes bit i of row j: squares of 16, 8, ... bits off the diagonal change places (Warren, Hacker's Delight,
// 7-3).
void Transpose(uint32_t* rows) {
  uint32_t low = 0xffff;  // the lower half of each square's bits
  for (int half = kWordBits / 2; half > 0; half /= 2, low ^= low << half) {
    for (int square = 0; square < kWordBits; square += 2 * half) {
      for (int i = square; i < square + half; ++i) {
        const uint32_t changed = (rows[i] >> half ^ rows[i + half]) & low;
        rows[i] ^= changed << half;
        rows[i + half] ^= changed;
      }
    }
  }
}

// `count` bits, up to 32, from bit `bit` of the runs of 16 lanes on, whose first word is at `from`; their other bits are 0.
void ReadLanes(const uint32_t* from, int64_t bit, int64_t count, uint32_t* lanes) {
  const int shift = static_cast<int>(bit % kWordBits);
  const uint32_t mask = BitsBetween(0, count);
  const uint32_t* word = from + bit / kWordBits * kLanes;
  if (shift + count <= kWordBits) {
    for (int lane = 0; lane < kLanes; ++lane) lanes[lane] = word[lane] >> shift & mask;
  } else {
    for (int lane = 0; lane < kLanes; ++lane) {
      lanes[lane] = (word[lane] >> shift | word[lane + kLanes] << (kWordBits - shift)) & mask;
    }
  }
}

// The inverse, into bits that are 0.
void WriteLanes(const uint32_t* lanes, int64_t bit, int64_t count, uint32_t* to) {
  const int shift = static_cast<int>(bit % kWordBits);
  uint32_t* word = to + bit / kWordBits * kLanes;
  for (int lane = 0; lane < kLanes; ++lane) word[lane] |= lanes[lane] << shift;
  if (shift + count <= kWordBits) return;
  for (int lane = 0; lane < kLanes; ++lane) word[lane + kLanes] |= lanes[lane] >> (kWordBits - shift);
}

}  // namespace

void TurnKernel(const Executor& executor, const ConvGeometry& g, const uint32_t* bits, uint32_t* turned) {
  const KernelLayout layout(g);
  const int64_t channels = g.group_channels(), filters = g.group_filters();
  const int64_t blocks = CeilDiv(channels, kLanes), block_words = WordsFor(g.taps() * filters) * kLanes;
  const int64_t pairs = CeilDiv(blocks, 2);  // of blocks: 32 channels, a word's bits
  executor.parallel.Run(g.groups * pairs, [&](int64_t begin, int64_t end, int) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t group = item / pairs, block = item % pairs * 2, channel = block * kLanes;
      const int64_t count = std::min<int64_t>(kWordBits, channels - channel), written = CeilDiv(count, kLanes);
      const uint32_t* from = bits + group * layout.group_words();
      uint32_t* to = turned + (group * blocks + block) * block_words;
      std::fill_n(to, written * block_words, 0u);
      for (int64_t tap = 0; tap < g.taps(); ++tap) {
        const int64_t first = (g.taps() - 1 - tap) * channels + channel;
        for (int64_t filter = 0; filter < filters; filter += kWordBits) {
          uint32_t rows[kWordBits] = {};  // of the filters: a bit for each channel
          for (int64_t lanes = 0; lanes < kWordBits && filter + lanes < filters; lanes += kLanes) {
            ReadLanes(from + (filter + lanes) / kLanes * layout.block_words(), first, count, rows + lanes);
          }
          Transpose(rows);
          const int64_t width = std::min<int64_t>(kWordBits, filters - filter);
          for (int64_t i = 0; i < written; ++i) {
            WriteLanes(rows + i * kLanes, tap * filters + filter, width, to + i * block_words);
          }
        }
      }
    }
  });
}

void PadChannels(const Executor& executor, const ConvGeometry& g, int64_t channels, const uint32_t* bits, uint32_t* padded) {
  const KernelLayout layout(g);
  const int64_t own = g.group_channels(), block_words = WordsFor(g.taps() * channels) * kLanes;
  executor.parallel.Run(layout.groups * layout.blocks, [&](int64_t begin, int64_t end, int) {
    for (int64_t block = begin; block < end; ++block) {
      const uint32_t* from = bits + block * layout.block_words();
      uint32_t* to = padded + block * block_words;
      std::fill_n(to, block_words, 0u);
      for (int64_t tap = 0; tap < g.taps(); ++tap) {
        for (int64_t channel = 0; channel < own; channel += kWordBits) {
          const int64_t count = std::min<int64_t>(kWordBits, own - channel);
          uint32_t lanes[kLanes];
          ReadLanes(from, tap * own + channel, count, lanes);
          WriteLanes(lanes, tap * channels + channel, count, to);
        }
      }
    }
  });
}

}  // namespace bnn
