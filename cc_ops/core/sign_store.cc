#include "core/sign_store.h"

#include <algorithm>

#include "core/bit_runs.h"

namespace bnn {

SignStore::SignStore(const ConvGeometry& g, const SignLayout& layout, ScratchCursor* scratch)
    : g_(g),
      layout_(layout),
      joined_(layout.groups > 1 || g.group_filters() % kLanes != 0),
      blocks_(CeilDiv(g.group_filters(), kLanes)),
      pixel_halves_(joined_ ? g.groups * blocks_ : g.filters / kLanes),
      row_words_(layout.row_words()),
      first_half_(layout.first_bit() / kLanes) {
  // Runs are read up to 8 bytes past their end.
  compact_ = scratch->Take<SignHalf>(joined_ ? g.pixels() * g.groups * blocks_ + 4 : 0);
}

void SignStore::FillPadding(uint32_t* rows, int64_t item) const {
  const int64_t last = std::min((item + 1) * kItemRows, layout_.batch * layout_.height);
  for (int64_t row = item * kItemRows; row < last; ++row) layout_.FillPadding(rows + row * layout_.row_words());
}

void SignStore::Join(uint32_t* rows, int64_t item) const {
  const int64_t last = std::min((item + 1) * kItemRows, layout_.batch * layout_.height);
  for (int64_t row = item * kItemRows; row < last; ++row) JoinRow(rows, row / layout_.height, row % layout_.height);
}

// Groups of this layer's filters are cut anew into groups of the next layer's channels.
void SignStore::JoinRow(uint32_t* rows, int64_t n, int64_t p) const {
  const auto* blocks = reinterpret_cast<const uint32_t*>(compact_);
  const int64_t filters = g_.group_filters();
  for (int64_t group = 0; group < layout_.groups; ++group) {
    uint32_t* row = rows + layout_.RowAt(n, group, p);
    const int64_t first = group * layout_.group_channels(), last = first + layout_.group_channels();
    BitWriter writer(row + layout_.first_bit() / kWordBits);
    for (int64_t q = 0; q < layout_.width; ++q) {
      const int64_t pixel = (n * layout_.height + p) * layout_.width + q;
      for (int64_t filter = first; filter < last;) {
        const int64_t from = filter / filters, take = std::min(last - filter, filters - filter % filters);
        writer.Append(blocks, (pixel * g_.groups + from) * blocks_ * kLanes + filter % filters, take);
        filter += take;
      }
    }
    writer.Finish();
    layout_.FillPadding(row);
  }
}

}  // namespace bnn
