// How the signs of a batch of images lie in memory, between the layer that writes them and those that read windows of them.
//
//   rows[image][group][row]      one row of pixels of one group's channels each, `row_words()` words
//
// A row is one dense run of bits, (column, channel) after (column, channel), whatever the number of channels. Columns outside the
// image that windows reach stand in the row as bits of padding; rows outside are not stored.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/bits.h"
#include "core/geometry.h"

namespace bnn {

struct SignLayout {
  int64_t batch = 1, height = 1, width = 1, channels = 1, groups = 1;
  int64_t before = 0, after = 0;  // columns of padding
  bool pad_bit = false;

  // What a convolution reads. `pad_bit`: what stands outside the image.
  static SignLayout Of(const ConvGeometry& g, bool pad_bit);

  // Rows are read, and written, up to this many words past their end.
  static constexpr int64_t kSlackWords = 8;

  int64_t group_channels() const { return channels / groups; }
  int64_t first_bit() const { return RoundUp(before * group_channels(), kWordBits); }  // of column 0: rows are written by words
  int64_t end_bit() const { return first_bit() + width * group_channels(); }
  int64_t row_words() const { return WordsFor(end_bit() + after * group_channels()) + kSlackWords; }
  int64_t words() const { return batch * groups * height * row_words(); }
  int64_t RowAt(int64_t n, int64_t group, int64_t h) const { return ((n * groups + group) * height + h) * row_words(); }

  // The padding beside the columns of a row. Bits of columns in a word with padding stay as they are.
  void FillPadding(uint32_t* row) const;
};

}  // namespace bnn
