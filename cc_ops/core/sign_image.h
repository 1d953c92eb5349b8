// The signs of an input image, and the runs of signs that its windows see: the window of one kernel row is `kw * channels`
// consecutive bits, and a 3x3 window of 16 channels is read in three pieces. Rows outside the image are all one padding row.
//
// Where the channels are whole words, runs are read where they lie, piece by piece; elsewhere they are gathered first.
#pragma once

#include <cstdint>

#include "core/executor.h"
#include "core/geometry.h"
#include "core/scratch.h"
#include "core/sign_layout.h"

namespace bnn {

class SignImage {
 public:
  // `pad_bit`: what stands outside the image. `with_mean`: also keep the mean of |x| over the channels of each pixel and group.
  // `packed`: there are signs already, in this layout, and nothing is to be done.
  SignImage(const Executor& executor, const ConvGeometry& g, bool pad_bit, bool with_mean, ScratchCursor* scratch,
            const SignLayout* packed = nullptr);

  // The work, as independent items; Begin comes before them, with the signs where there are some already.
  void Begin(const uint32_t* packed = nullptr);
  int64_t items() const { return packed_ ? 0 : CeilDiv(g_.batch * g_.h.in, item_rows_) * row_pieces_; }
  void RunItem(const float* x, int64_t item, int worker) const;

  // All of it.
  void Pack(const float* x);

  int64_t pieces() const { return gathers_ ? 1 : g_.h.kernel * line_pieces_; }  // of a run

  // What gathering the runs of `pixels` output pixels takes; nothing where they are read where they lie.
  int64_t GatheredWords(int64_t pixels) const;

  // Where the pieces of the runs of `count` output pixels from (n, p, q) on lie, which must not leave the row: pieces() for each
  // pixel, of equally many words. `gathered`: the memory for them.
  void Runs(int64_t n, int64_t group, int64_t p, int64_t q, int64_t count, uint32_t* gathered, const uint32_t** runs,
            int worker) const;

  const float* mean() const { return mean_; }  // [batch, group, row, column]

 private:
  const uint32_t* Row(int64_t n, int64_t group, int64_t h) const {
    return h < 0 || h >= g_.h.in ? pad_row_ : rows_ + ((n * layout_.groups + group) * layout_.height + h) * row_words_;
  }
  void PackRow(const float* x, int64_t row, int64_t first, int64_t last, int worker) const;
  void Gather(const uint32_t* const* rows, int64_t q, int64_t count, uint32_t* words) const;

  const Executor& executor_;
  const ConvGeometry& g_;
  SignLayout layout_;
  bool packed_;
  int64_t row_words_;
  int64_t piece_pixels_, row_pieces_;  // how a row is cut, and into how many pieces
  int64_t item_rows_;                  // rows of pixels in an item
  bool gaps_;                          // columns that no window sees are left out
  bool gathers_;
  int64_t line_pieces_;  // of the taps of one kernel row
  uint32_t* own_rows_;
  const uint32_t* rows_;
  uint32_t* pad_row_;
  uint32_t* pixel_;  // a worker's signs of one pixel, for groups whose channels end inside a word
  int64_t pixel_words_;
  float* mean_;
  const uint32_t** kernel_rows_;  // of each worker: the rows that the rows of the kernel see
};

}  // namespace bnn
