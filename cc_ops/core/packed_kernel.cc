#include "core/packed_kernel.h"

#include <algorithm>

namespace bnn {

KernelLayout::KernelLayout(const ConvGeometry& g)
    : groups(g.groups), blocks(CeilDiv(g.group_filters(), kLanes)), words(WordsFor(g.run())) {}

namespace {

// Blocks that one worker packs side by side. A word's 32 rows are read over this width before the next 32: a kernel's rows lie
// kilobytes apart, and 16 filters at a time would touch a new page for every 64 bytes.
constexpr int64_t kSideBySide = 16;

}  // namespace

void PackKernel(const Executor& executor, const ConvGeometry& g, Scaling scaling, const float* kernel, uint32_t* bits,
                float* alpha) {
  const KernelLayout layout(g);
  const int64_t parts = CeilDiv(layout.blocks, kSideBySide);
  executor.parallel.Run(layout.groups * parts, [&](int64_t begin, int64_t end, int) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t group = item / parts, first = item % parts * kSideBySide;
      const int64_t blocks = std::min(kSideBySide, layout.blocks - first);
      const float* columns = kernel + group * g.group_filters();
      double abs_sum[kSideBySide][kLanes] = {};
      for (int64_t word = 0; word < layout.words; ++word) {
        const int64_t row = word * kWordBits, rows = std::min<int64_t>(kWordBits, g.run() - row);
        for (int64_t block = first; block < first + blocks; ++block) {
          const int lanes = static_cast<int>(std::min<int64_t>(kLanes, g.group_filters() - block * kLanes));
          executor.backend.pack_block(columns + row * g.filters + block * kLanes, g.filters, rows, lanes,
                                      bits + group * layout.group_words() + block * layout.block_words() + word * kLanes,
                                      abs_sum[block - first]);
        }
      }
      const int64_t last = std::min(g.group_filters(), (first + blocks) * kLanes);
      for (int64_t filter = first * kLanes; filter < last; ++filter) {
        const double mean = abs_sum[filter / kLanes - first][filter % kLanes] / static_cast<double>(g.run());
        alpha[group * g.group_filters() + filter] = scaling == Scaling::kNone ? 1.0f : static_cast<float>(mean);
      }
    }
  });
  if (scaling == Scaling::kTensor) {
    // Every filter has as many weights, so the mean of the means is the mean. One order of summation for any number of threads.
    double sum = 0;
    for (int64_t filter = 0; filter < g.filters; ++filter) sum += alpha[filter];
    std::fill_n(alpha, g.filters, static_cast<float>(sum / static_cast<double>(g.filters)));
  }
}

void UnpackKernel(const ConvGeometry& g, const uint32_t* bits, float* kernel) {
  const KernelLayout layout(g);
  for (int64_t group = 0; group < g.groups; ++group) {
    UnpackFilters(bits + group * layout.group_words(), g.run(), g.group_filters(), kernel + group * g.group_filters(), g.filters);
  }
}

void UnpackFilters(const uint32_t* bits, int64_t run, int64_t filters, float* signs, int64_t stride) {
  const int64_t words = WordsFor(run);
  for (int64_t filter = 0; filter < filters; filter += kLanes, bits += words * kLanes) {
    const int64_t lanes = std::min<int64_t>(kLanes, filters - filter);
    for (int64_t k = 0; k < run; ++k) {
      const uint32_t* word = bits + k / kWordBits * kLanes;
      float* row = signs + k * stride + filter;
      for (int64_t lane = 0; lane < lanes; ++lane)
        row[lane] = 1.0f - 2.0f * static_cast<float>(word[lane] >> (k % kWordBits) & 1u);
    }
  }
}

}  // namespace bnn
