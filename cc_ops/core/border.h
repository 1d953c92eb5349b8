// Zero padding in the bit domain.
//
// A bit is +1 or -1, never 0, so taps outside the image are packed as +1 and their share is taken out again:
//
//   sum over the taps inside = (run - 2*popcount) - sum_{taps outside} sum_c sign(w)
//
// which depends on the output pixel only through the rows and columns of taps that lie inside. Pixels with the same ones form a
// class (3x3, SAME: 3 x 3 classes); each class and filter has its `base`, run - (the sum above), so that the kernels compute
// base - 2*popcount for every pixel, border or not.
#pragma once

#include <cstdint>

#include "core/executor.h"
#include "core/geometry.h"
#include "core/packed_kernel.h"
#include "core/scratch.h"

namespace bnn {

class BorderBases {
 public:
  // `zero_padding` false: what lies outside was packed as it counts, and there is one class.
  BorderBases(const Executor& executor, const ConvGeometry& g, bool zero_padding, ScratchCursor* scratch);

  // The work, as independent items; Begin comes before them.
  void Begin();
  int64_t items() const { return border_ ? CeilDiv(layout_.groups * layout_.blocks, kBlocksPerItem) : 0; }
  void RunItem(const uint32_t* bits, int64_t item, int worker) const;

  // Where the bases of a group's filters from `filter` on lie (padded to whole blocks), for `count` outputs from (p, q) on, in
  // one row.
  void Line(int64_t group, int64_t filter, int64_t p, int64_t q, int64_t count, const int32_t** bases) const {
    const int64_t filters = layout_.blocks * kLanes, step = layout_.groups * filters;
    const int32_t* row = bases_ + (border_ ? row_class_[p] * column_classes_ * step : 0) + group * filters + filter;
    for (int64_t i = 0; i < count; ++i) bases[i] = row + (border_ ? column_class_[q + i] * step : 0);
  }

 private:
  // A block takes some 0.2 us.
  static constexpr int64_t kBlocksPerItem = 4;

  void ComputeBlock(const uint32_t* bits, int64_t block, int worker) const;

  const Backend& backend_;
  const ConvGeometry& g_;
  KernelLayout layout_;
  bool border_;  // some window reaches into the padding
  int64_t row_classes_, column_classes_, classes_;
  int32_t* row_class_ = nullptr;  // of each output row
  int32_t* column_class_ = nullptr;
  Axis::Range* row_taps_ = nullptr;  // inside the image, of each class
  Axis::Range* column_taps_ = nullptr;
  int32_t* bases_ = nullptr;   // [class][group][block][lane]
  int32_t* taps_ = nullptr;    // a worker's weights of -1 in each tap, [tap][lane]
  int32_t* counts_ = nullptr;  // a worker's weights of -1, [kh+1][kw+1][lane], summed over the taps above and before
};

}  // namespace bnn
