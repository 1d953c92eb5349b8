#include "core/sign_layout.h"

namespace bnn {

SignLayout SignLayout::Of(const ConvGeometry& g, bool pad_bit) {
  SignLayout layout{g.batch, g.h.in, g.w.in, g.channels, g.groups, g.w.before, 0, pad_bit};
  layout.after = std::max<int64_t>(0, g.w.At(g.w.out - 1, g.w.kernel - 1) - (g.w.in - 1));
  return layout;
}

void SignLayout::FillPadding(uint32_t* row) const {
  const uint32_t padding = pad_bit ? ~0u : 0u;
  std::fill_n(row, first_bit() / kWordBits, padding);
  std::fill(row + WordsFor(end_bit()), row + row_words(), padding);
  if (end_bit() % kWordBits == 0) return;
  uint32_t& shared = row[end_bit() / kWordBits];
  const uint32_t columns = BitsBetween(0, end_bit() % kWordBits);
  shared = (shared & columns) | (padding & ~columns);
}

}  // namespace bnn
