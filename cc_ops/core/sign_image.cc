#include "core/sign_image.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "core/bit_runs.h"

namespace bnn {
namespace {

// An item takes about a microsecond; less in a small image, so that each of several threads has some.
constexpr int64_t kItemValues = 16384, kMinItemValues = 4096, kItemsPerWorker = 4;

// Pieces are short and a call of memcpy is not: copies in steps of 8 or 32 bytes and writes up to 31 past the end, where the next
// piece follows.
void CopyBytes(const unsigned char* from, int64_t bytes, unsigned char* to) {
  if (bytes <= 8) {
    std::memcpy(to, from, 8);
  } else {
    for (int64_t i = 0; i < bytes; i += 32) std::memcpy(to + i, from + i, 32);
  }
}

// Whether GatherShort can: pieces of up to eight bytes. Behind one of seven up to three more may belong to the window.
bool IsShort(int64_t piece_bits) { return piece_bits <= 64 && piece_bits != 56; }

// The windows of `count` pixels whose kernel rows are one short piece each: as small layers have them, where gathering takes as
// long as counting. Each piece is one load and one store, which also clears what follows it up to the end of the window.
template <typename Count>  // so that three rows can be unrolled
void GatherShort(const uint32_t* const* rows, Count kernel_rows, int64_t first_byte, int64_t pixel_bytes, int64_t count,
                 int64_t piece_bits, int64_t window_words, uint32_t* words) {
  const uint64_t inside = ~uint64_t{0} >> (64 - piece_bits);
  for (int64_t pixel = 0; pixel < count; ++pixel, first_byte += pixel_bytes, words += window_words) {
    auto* to = reinterpret_cast<unsigned char*>(words);
    for (int64_t i = 0; i < kernel_rows; ++i, to += piece_bits / 8) {
      uint64_t piece;
      std::memcpy(&piece, reinterpret_cast<const unsigned char*>(rows[i]) + first_byte, sizeof piece);
      piece &= inside;
      std::memcpy(to, &piece, sizeof piece);
    }
  }
}

}  // namespace

SignImage::SignImage(const Executor& executor, const ConvGeometry& g, bool pad_bit, bool with_mean, ScratchCursor* scratch,
                     const SignLayout* packed)
    : executor_(executor),
      g_(g),
      layout_(packed ? *packed : SignLayout::Of(g, pad_bit)),
      packed_(packed != nullptr),
      row_words_(layout_.row_words()) {
  const int64_t channels = g.group_channels();
  // Pieces begin at a word, whatever the channels: 32 pixels are `channels` words.
  piece_pixels_ = RoundUp(CeilDiv(kItemValues, std::max<int64_t>(g.channels, 1)), kWordBits);
  row_pieces_ = std::max<int64_t>(1, CeilDiv(g.w.in, piece_pixels_));  // padding wants its row all the same
  const int64_t workers = executor.parallel.workers();
  const int64_t values = std::clamp(g.input_size() / (kItemsPerWorker * workers), kMinItemValues, kItemValues);
  item_rows_ = std::max<int64_t>(1, (workers == 1 ? kItemValues : values) / std::max<int64_t>(1, g.w.in * g.channels));
  gathers_ = channels % kWordBits != 0;
  line_pieces_ = g.w.dilation == 1 ? 1 : g.w.kernel;  // taps lie side by side, unless dilation pulls them apart
  gaps_ = g.w.kernel == 1 && g.w.stride > 1 && channels % kWordBits == 0;
  own_rows_ = scratch->Take<uint32_t>(packed_ ? 0 : layout_.words());
  rows_ = own_rows_;
  pad_row_ = scratch->Take<uint32_t>(row_words_);
  pixel_words_ = !packed_ && g.groups > 1 && channels % kWordBits ? WordsFor(channels) + 2 : 0;
  pixel_ = scratch->Take<uint32_t>(pixel_words_, workers);
  kernel_rows_ = scratch->Take<const uint32_t*>(g.h.kernel, workers);
  mean_ = with_mean ? scratch->Take<float>(g.batch * g.groups * g.h.in * g.w.in) : nullptr;
}

void SignImage::Begin(const uint32_t* rows) {
  if (packed_) rows_ = rows;
  std::fill_n(pad_row_, row_words_, layout_.pad_bit ? ~0u : 0u);
}

void SignImage::RunItem(const float* x, int64_t item, int worker) const {
  const int64_t first_row = item / row_pieces_ * item_rows_, last_row = std::min(g_.batch * g_.h.in, first_row + item_rows_);
  const int64_t first = item % row_pieces_ * piece_pixels_, last = std::min(g_.w.in, first + piece_pixels_);
  for (int64_t row = first_row; row < last_row; ++row) {
    if (g_.h.Seen(row % g_.h.in)) PackRow(x, row, first, last, worker);
  }
}

void SignImage::Pack(const float* x) {
  Begin();
  executor_.parallel.Run(items(), [&](int64_t begin, int64_t end, int worker) {
    for (int64_t item = begin; item < end; ++item) RunItem(x, item, worker);
  });
}

// Columns [first, last) of one row of one image, all groups, with the padding beside them.
void SignImage::PackRow(const float* x, int64_t row, int64_t first, int64_t last, int worker) const {
  const int64_t channels = g_.group_channels();
  const float* pixels = x + (row * g_.w.in + first) * g_.channels;
  for (int64_t group = 0; group < g_.groups; ++group) {
    const int64_t plane_row = (row / g_.h.in * g_.groups + group) * g_.h.in + row % g_.h.in;
    uint32_t* words = own_rows_ + plane_row * row_words_;
    uint32_t* to = words + (layout_.first_bit() + first * channels) / kWordBits;
    float* mean = mean_ ? mean_ + plane_row * g_.w.in + first : nullptr;
    if (g_.groups == 1 && gaps_) {
      for (int64_t i = 0; i < last - first; ++i) {
        if (!g_.w.Seen(first + i)) continue;
        executor_.backend.pack_rows(pixels + i * channels, 1, channels, to + i * channels / kWordBits, mean ? mean + i : nullptr);
      }
    } else if (g_.groups == 1) {
      executor_.backend.pack_rows(pixels, last - first, channels, to, mean);
    } else {
      uint32_t* pixel = pixel_ + worker * pixel_words_;
      BitWriter writer(to);
      for (int64_t i = 0; i < last - first; ++i) {
        const float* values = pixels + i * g_.channels + group * channels;
        if (channels % kWordBits) {
          executor_.backend.pack_rows(values, 1, channels, pixel, mean ? mean + i : nullptr);
          writer.Append(pixel, 0, channels);
        } else {
          executor_.backend.pack_rows(values, 1, channels, to + i * channels / kWordBits, mean ? mean + i : nullptr);
        }
      }
      writer.Finish();
    }
    if (last == g_.w.in) layout_.FillPadding(words);
  }
}

int64_t SignImage::GatheredWords(int64_t pixels) const {
  // A piece is copied in steps that may end behind it.
  return gathers_ ? pixels * WordsFor(g_.run()) + SignLayout::kSlackWords : 0;
}

void SignImage::Runs(int64_t n, int64_t group, int64_t p, int64_t q, int64_t count, uint32_t* gathered, const uint32_t** runs,
                     int worker) const {
  const int64_t kernel_rows = g_.h.kernel, channels = g_.group_channels();
  const uint32_t** rows = kernel_rows_ + worker * kernel_rows;
  for (int64_t i = 0; i < kernel_rows; ++i) rows[i] = Row(n, group, g_.h.At(p, i));
  if (gathers_) {
    Gather(rows, q, count, gathered);
    const int64_t window_words = WordsFor(g_.run());
    for (int64_t pixel = 0; pixel < count; ++pixel) runs[pixel] = gathered + pixel * window_words;
    return;
  }
  const int64_t start = (layout_.first_bit() + g_.w.At(q, 0) * channels) / kWordBits;
  const int64_t pixel_step = g_.w.stride * channels / kWordBits, piece_step = g_.w.dilation * channels / kWordBits;
  const int64_t pieces = this->pieces();
  for (int64_t i = 0; i < kernel_rows; ++i) {
    for (int64_t j = 0; j < line_pieces_; ++j) {
      const uint32_t* first = rows[i] + start + j * piece_step;
      const uint32_t** to = runs + i * line_pieces_ + j;
      for (int64_t pixel = 0; pixel < count; ++pixel) to[pixel * pieces] = first + pixel * pixel_step;
    }
  }
}

// The runs of `count` pixels from column q on, WordsFor(g.run()) words each, from the rows that the kernel's rows see.
void SignImage::Gather(const uint32_t* const* rows, int64_t q, int64_t count, uint32_t* words) const {
  const int64_t kernel_rows = g_.h.kernel, channels = g_.group_channels(), pieces = line_pieces_;
  const int64_t piece = g_.w.kernel / pieces * channels, piece_step = g_.w.dilation * channels;
  const int64_t start = layout_.first_bit() + g_.w.At(q, 0) * channels;
  const int64_t pixel_step = g_.w.stride * channels, window_words = WordsFor(g_.run());

  if (channels % 8 == 0 && pieces == 1 && IsShort(piece)) {
    const auto gather = [&](auto rows_of_kernel) {
      GatherShort(rows, rows_of_kernel, start / 8, pixel_step / 8, count, piece, window_words, words);
    };
    return kernel_rows == 3 ? gather(std::integral_constant<int64_t, 3>()) : gather(kernel_rows);
  }
  if (channels % 8 == 0) {
    // Whole bytes. What a copy writes past the end of the run is taken out of its last word.
    const uint32_t last_word = BitsBetween(0, g_.run() - (window_words - 1) * kWordBits);
    for (int64_t pixel = 0; pixel < count; ++pixel, words += window_words) {
      auto* to = reinterpret_cast<unsigned char*>(words);
      for (int64_t i = 0; i < kernel_rows; ++i) {
        const auto* from = reinterpret_cast<const unsigned char*>(rows[i]) + (start + pixel * pixel_step) / 8;
        for (int64_t j = 0; j < pieces; ++j, to += piece / 8) CopyBytes(from + j * piece_step / 8, piece / 8, to);
      }
      words[window_words - 1] &= last_word;
    }
    return;
  }
  for (int64_t pixel = 0; pixel < count; ++pixel) {
    BitWriter writer(words + pixel * window_words);
    for (int64_t i = 0; i < kernel_rows; ++i) {
      for (int64_t j = 0; j < pieces; ++j) writer.Append(rows[i], start + pixel * pixel_step + j * piece_step, piece);
    }
    writer.Finish();
  }
}

}  // namespace bnn
