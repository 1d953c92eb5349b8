#include "core/border.h"

#include <algorithm>

namespace bnn {
namespace {

// Calls `found(taps, first, last)` for each class, the outputs [first, last) that see these taps: taps inside come and go in
// order, so outputs of one class are neighbours. Those that see every tap, most of an image, are not looked at one by one.
template <typename Found>
void FindClasses(const Axis& axis, Found found) {
  const int64_t inner = axis.Outputs(0).first, inner_end = axis.Outputs(axis.kernel - 1).last;
  for (int64_t first = 0; first < axis.out;) {
    const Axis::Range taps = axis.Inside(first);
    int64_t last = first >= inner && first < inner_end ? inner_end : first + 1;
    while (last < axis.out && axis.Inside(last) == taps) ++last;
    found(taps, first, last);
    first = last;
  }
}

int64_t CountClasses(const Axis& axis) {
  int64_t classes = 0;
  FindClasses(axis, [&](const Axis::Range&, int64_t, int64_t) { ++classes; });
  return classes;
}

// The class of each output, and the taps inside of each class.
void NameClasses(const Axis& axis, int32_t* cls, Axis::Range* taps) {
  int32_t named = 0;
  FindClasses(axis, [&](const Axis::Range& inside, int64_t first, int64_t last) {
    taps[named] = inside;
    std::fill(cls + first, cls + last, named++);
  });
}

bool TouchesPadding(const Axis& axis) { return axis.before > 0 || axis.At(axis.out - 1, axis.kernel - 1) >= axis.in; }

}  // namespace

BorderBases::BorderBases(const Executor& executor, const ConvGeometry& g, bool zero_padding, ScratchCursor* scratch)
    : backend_(executor.backend), g_(g), layout_(g) {
  border_ = zero_padding && (TouchesPadding(g.h) || TouchesPadding(g.w));
  row_classes_ = border_ ? CountClasses(g.h) : 1;
  column_classes_ = border_ ? CountClasses(g.w) : 1;
  classes_ = border_ ? row_classes_ * column_classes_ : 1;
  if (border_) {
    row_class_ = scratch->Take<int32_t>(g.h.out);
    column_class_ = scratch->Take<int32_t>(g.w.out);
    row_taps_ = scratch->Take<Axis::Range>(row_classes_);
    column_taps_ = scratch->Take<Axis::Range>(column_classes_);
    counts_ = scratch->Take<int32_t>((g.h.kernel + 1) * (g.w.kernel + 1) * kLanes, executor.parallel.workers());
    taps_ = scratch->Take<int32_t>(g.taps() * kLanes, executor.parallel.workers());
  }
  bases_ = scratch->Take<int32_t>(classes_ * layout_.groups * layout_.blocks * kLanes);
}

void BorderBases::Begin() {
  if (!border_) {
    std::fill_n(bases_, layout_.groups * layout_.blocks * kLanes, static_cast<int32_t>(g_.run()));
    return;
  }
  NameClasses(g_.h, row_class_, row_taps_);
  NameClasses(g_.w, column_class_, column_taps_);
}

void BorderBases::RunItem(const uint32_t* bits, int64_t item, int worker) const {
  const int64_t last = std::min(layout_.groups * layout_.blocks, (item + 1) * kBlocksPerItem);
  for (int64_t block = item * kBlocksPerItem; block < last; ++block) ComputeBlock(bits, block, worker);
}

void BorderBases::ComputeBlock(const uint32_t* bits, int64_t block, int worker) const {
  const int64_t kh = g_.h.kernel, kw = g_.w.kernel, columns = kw + 1;
  int32_t* counts = counts_ + worker * (kh + 1) * columns * kLanes;
  const auto at = [&](int64_t i, int64_t j) { return counts + (i * columns + j) * kLanes; };

  // counts(i, j) becomes the weights of -1 in the taps above row i and before column j.
  int32_t* tap = taps_ + worker * g_.taps() * kLanes;
  backend_.count_taps(bits + block * layout_.block_words(), g_.taps(), g_.group_channels(), tap);
  std::fill_n(counts, columns * kLanes, 0);
  for (int64_t i = 0; i < kh; ++i) {
    std::fill_n(at(i + 1, 0), kLanes, 0);
    for (int64_t j = 1; j <= kw; ++j, tap += kLanes) {
      const int32_t *left = at(i + 1, j - 1), *above = at(i, j), *corner = at(i, j - 1);
      int32_t sum[kLanes];  // of its own, so that the compiler need not ask what overlaps what
      for (int lane = 0; lane < kLanes; ++lane) sum[lane] = tap[lane] + left[lane] + above[lane] - corner[lane];
      std::copy_n(sum, kLanes, at(i + 1, j));
    }
  }

  for (int64_t row_class = 0; row_class < row_classes_; ++row_class) {
    const Axis::Range rows = row_taps_[row_class];
    for (int64_t column_class = 0; column_class < column_classes_; ++column_class) {
      const Axis::Range taps = column_taps_[column_class];
      const int64_t cls = row_class * column_classes_ + column_class;
      int32_t* base = bases_ + (cls * layout_.groups * layout_.blocks + block) * kLanes;
      const int32_t weights = static_cast<int32_t>(rows.size() * taps.size() * g_.group_channels());
      const int32_t *all = at(kh, kw), *ends = at(rows.last, taps.last), *starts = at(rows.first, taps.first);
      const int32_t *above = at(rows.first, taps.last), *left = at(rows.last, taps.first);
      int32_t outside[kLanes];  // weights of -1
      for (int lane = 0; lane < kLanes; ++lane)
        outside[lane] = all[lane] - (ends[lane] - above[lane] - left[lane] + starts[lane]);
      // run - (weights outside - 2 * those of -1 outside)
      for (int lane = 0; lane < kLanes; ++lane) base[lane] = weights + 2 * outside[lane];
    }
  }
}

}  // namespace bnn
