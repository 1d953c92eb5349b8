// Writes the signs of a convolution's output where the next layer reads them.
//
// Where a pixel's filters are whole blocks of 16 in one group, kernels write into the rows themselves. Else they write blocks
// side by side, [pixel][group][block], which are joined to rows afterwards: a pass over one bit a value.
#pragma once

#include <cstdint>

#include "core/geometry.h"
#include "core/scratch.h"
#include "core/sign_layout.h"

namespace bnn {

class SignStore {
 public:
  SignStore(const ConvGeometry& g, const SignLayout& layout, ScratchCursor* scratch);

  // Before anything is written: items that fill the padding of rows.
  int64_t padding_items() const { return joined_ ? 0 : CeilDiv(layout_.height * layout_.batch, kItemRows); }
  void FillPadding(uint32_t* rows, int64_t item) const;

  // Where the filters from `filter` on, the first of a block, of output pixel (line, q) go, `line` counting the rows of all
  // images; and how many halves further those of the next pixel.
  SignHalf* At(uint32_t* rows, int64_t line, int64_t q, int64_t group, int64_t filter) const {
    const int64_t block = (group * g_.group_filters() + filter) / kLanes;
    if (joined_) return compact_ + (line * g_.w.out + q) * pixel_halves_ + group * blocks_ + filter / kLanes;
    return reinterpret_cast<SignHalf*>(rows + line * row_words_) + first_half_ + q * pixel_halves_ + block;
  }
  int64_t pixel_halves() const { return pixel_halves_; }

  // After everything is written: items that join blocks to rows.
  int64_t join_items() const { return joined_ ? CeilDiv(layout_.height * layout_.batch, kItemRows) : 0; }
  void Join(uint32_t* rows, int64_t item) const;

 private:
  static constexpr int64_t kItemRows = 8;

  void JoinRow(uint32_t* rows, int64_t n, int64_t p) const;

  const ConvGeometry& g_;
  const SignLayout& layout_;
  bool joined_;
  int64_t blocks_;        // of a group of filters
  int64_t pixel_halves_;  // from a pixel to the next
  int64_t row_words_, first_half_;
  SignHalf* compact_;  // [pixel][group][block]
};

}  // namespace bnn
