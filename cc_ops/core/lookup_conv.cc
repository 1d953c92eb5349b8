#include "core/lookup_conv.h"

#include <algorithm>

#include "core/packed_kernel.h"
#include "core/relaid_kernel.h"
#include "core/scratch.h"

namespace bnn {
namespace {

constexpr int64_t kPanel = 4 * kLanes;

// Tables of this many channels are made at once, so that those of a strip of the image stay in the second-level cache.
constexpr int64_t kChunkChannels = 64;
constexpr int64_t kStripFloats = 96 * 1024;
// Tables of so many floats stay in the first-level cache beside the words that choose from them.
constexpr int64_t kFewFloats = 4096;
constexpr int64_t kNarrow = 16;  // columns of a strip that is not halved again

// The lines of the image that `outputs` neighbouring outputs of an axis see, stored so that the line of output r and tap i is
// number r*output_step + i*tap_step. Lines between that no output sees take no memory where windows lie apart (a stride beyond
// the kernel) or interleave (a dilation beyond the outputs); else there are no more of them than seen ones, by a factor of the
// stride.
class Strip {
 public:
  Strip(const Axis& axis, int64_t outputs) : axis_(axis), outputs_(outputs) {
    if (axis.dilation == 1 && axis.stride > axis.kernel) {
      output_step = axis.kernel;
      tap_step = 1;
    } else if ((outputs - 1) * axis.stride < axis.dilation) {
      output_step = 1;
      tap_step = outputs;
    } else {
      output_step = axis.stride;
      tap_step = axis.dilation;
    }
    lines = (outputs - 1) * output_step + (axis.kernel - 1) * tap_step + 1;
  }

  // The position in the image of a line, where the first output is `first`.
  enum : int64_t { kOutside = -1, kUnseen = -2 };
  int64_t Position(int64_t first, int64_t line) const {
    for (int64_t i = 0; i < axis_.kernel; ++i) {
      const int64_t from_tap = line - i * tap_step;
      if (from_tap < 0 || from_tap % output_step || from_tap / output_step >= outputs_) continue;
      const int64_t position = axis_.At(first + from_tap / output_step, i);
      return position < 0 || position >= axis_.in ? kOutside : position;
    }
    return kUnseen;
  }

  int64_t output_step, tap_step, lines;

 private:
  const Axis& axis_;
  int64_t outputs_;
};

class LookupCall {
 public:
  LookupCall(const Executor& executor, const ConvGeometry& g, void* memory)
      : executor_(executor),
        g_(g),
        scratch_(memory),
        layout_(g),
        channels_(RoundUp(g.group_channels(), kQuad)),
        words_(WordsFor(g.taps() * channels_)) {
    const int64_t channels = channels_;
    // Words must not straddle chunks.
    chunk_ = channels % kWordBits == 0 ? std::min(channels, kChunkChannels) : channels;
    pixel_floats_ = TableFloats(chunk_);
    ChooseStrip();
    // Few pixels, as in a dense layer, leave memory for more channels: their words are then read one after the other.
    if (channels % kWordBits == 0) {
      chunk_ = std::min(channels, chunk_ * std::max<int64_t>(1, kFewFloats / StripFloats(rows_, columns_)));
      pixel_floats_ = TableFloats(chunk_);
    }

    const int64_t workers = executor.parallel.workers();
    const int64_t wanted = workers == 1 ? 1 : 2 * workers;
    // As few strips as fit, for each makes the tables of its border anew; with several workers as many for each. Where filters
    // divide better than rows, workers share the filters of the same rows.
    const int64_t images = g.batch * g.groups, panels = CeilDiv(g.group_filters(), kPanel);
    row_strips_ = CeilDiv(g.h.out, rows_);
    column_strips_ = CeilDiv(g.w.out, columns_);
    const bool by_filters =
        images * row_strips_ * column_strips_ <= workers && images % workers && PanelsDivideBetter(panels, workers);
    if (!by_filters) {
      row_strips_ = std::max(row_strips_, std::min(g.h.out, CeilDiv(wanted, images)));
      if (images % workers) row_strips_ = std::min(g.h.out, RoundUp(row_strips_, workers));
    }
    const int64_t strips = images * row_strips_ * column_strips_;
    const int64_t ranges = by_filters ? workers : std::min(panels, CeilDiv(wanted, strips));
    rows_ = CeilDiv(g.h.out, row_strips_);
    filters_ = CeilDiv(panels, ranges) * kPanel;
    ranges_ = CeilDiv(g.group_filters(), filters_);
    tasks_ = strips * ranges_;

    table_floats_ = StripFloats(rows_, columns_);
    tables_ = scratch_.Take<float>(table_floats_, workers);
    row_tables_ = scratch_.Take<const float*>(rows_ * columns_, workers);
    chunk_words_ = channels % kWordBits == 0 ? g.taps() * (chunk_ / kWordBits) : words_;
    offset_ = scratch_.Take<int64_t>(chunk_words_ * kWordBits / kQuad, workers);
    word_ = scratch_.Take<int32_t>(chunk_words_, workers);
    if (channels > g.group_channels()) padded_ = scratch_.Take<uint32_t>(layout_.groups * group_words());
  }

  int64_t bytes() const { return scratch_.bytes(); }

  void Run(const float* x, const uint32_t* bits, const float* alpha, float* y, const PartDone* done) {
    if (padded_) {
      PadChannels(executor_, g_, channels_, bits, padded_);
      bits = padded_;
    }
    executor_.parallel.Run(tasks_, [&](int64_t begin, int64_t end, int worker) {
      for (int64_t task = begin; task < end; ++task) RunTask(task, x, bits, alpha, y, done, worker);
    });
  }

 private:
  // Whether panels of filters make fuller shares for so many workers than rows of an image do, by a twentieth at least.
  bool PanelsDivideBetter(int64_t panels, int64_t workers) const {
    return RoundUp(panels, workers) * g_.h.out * 21 < RoundUp(g_.h.out, workers) * panels * 20;
  }

  struct Task {
    int64_t n, group, p, q, rows, columns, filter, filters;
  };

  int64_t block_words() const { return words_ * kLanes; }
  int64_t group_words() const { return layout_.blocks * block_words(); }

  int64_t TableFloats(int64_t channels) const { return channels / kQuad * executor_.backend.table_size; }

  int64_t StripFloats(int64_t rows, int64_t columns) const {
    return Strip(g_.h, rows).lines * Strip(g_.w, columns).lines * pixel_floats_;
  }

  // Neighbouring strips each make the tables of the lines that both see: the fewest per output, in the memory there is, and of
  // those that differ little the widest. 224 columns in one strip of one row would make each table three times.
  void ChooseStrip() {
    double least = 0;
    for (int64_t columns = g_.w.out;; columns = CeilDiv(columns, 2)) {
      const bool fits = StripFloats(1, columns) <= kStripFloats, narrow = columns <= kNarrow;
      if (fits || narrow) {
        int64_t rows = 1;
        while (rows < g_.h.out && StripFloats(rows + 1, columns) <= kStripFloats) ++rows;
        const double each = static_cast<double>(StripFloats(rows, columns)) / static_cast<double>(rows * columns);
        if (least == 0 || each < 0.9 * least) {
          least = each;
          rows_ = rows;
          columns_ = columns;
        }
      }
      if (narrow) return;
    }
  }

  Task Find(int64_t task) const {
    const int64_t strip_q = task % column_strips_, strip_p = task / column_strips_ % row_strips_;
    const int64_t rest = task / column_strips_ / row_strips_;
    const int64_t range = rest % ranges_, group = rest / ranges_ % g_.groups, n = rest / ranges_ / g_.groups;
    // Longer and shorter strips by turns: workers take neighbours.
    const int64_t p = strip_p * g_.h.out / row_strips_, end = (strip_p + 1) * g_.h.out / row_strips_;
    const int64_t q = strip_q * columns_, filter = range * filters_;
    return {n, group, p, q, end - p, std::min(columns_, g_.w.out - q), filter, std::min(filters_, g_.group_filters() - filter)};
  }

  void RunTask(int64_t index, const float* x, const uint32_t* bits, const float* alpha, float* y, const PartDone* done,
               int worker) const {
    const Task task = Find(index);
    const Strip lines(g_.h, task.rows), columns(g_.w, task.columns);
    float* tables = tables_ + worker * table_floats_;
    const float** row_tables = row_tables_ + worker * rows_ * columns_;
    for (int64_t row = 0; row < task.rows; ++row) {
      for (int64_t column = 0; column < task.columns; ++column) {
        row_tables[row * task.columns + column] =
            tables + (row * lines.output_step * columns.lines + column * columns.output_step) * pixel_floats_;
      }
    }
    const int64_t out = task.group * g_.group_filters() + task.filter;
    LookupGemm gemm{};
    gemm.offset = offset_ + worker * chunk_words_ * kWordBits / kQuad;
    gemm.word = word_ + worker * chunk_words_;
    gemm.bits = bits + task.group * group_words() + task.filter / kLanes * block_words();
    gemm.words = words_;
    gemm.filters = task.filters;
    gemm.y_stride = g_.filters;
    // Whole rows of the output lie one after the other; parts of rows do not.
    const bool joined = task.columns == g_.w.out;
    const int64_t calls = joined ? 1 : task.rows;
    gemm.rows = joined ? task.rows * task.columns : task.columns;

    for (int64_t channel = 0; channel < channels_; channel += chunk_) {
      const int64_t channels = std::min(chunk_, channels_ - channel);
      Build(task, lines, columns, x, channel, channels, tables);
      gemm.quads = Address(lines, columns, channel, channels, worker);
      gemm.accumulate = channel > 0;
      gemm.alpha = channel + channels == channels_ ? alpha + out : nullptr;
      for (int64_t call = 0; call < calls; ++call) {
        gemm.table = row_tables + call * task.columns;
        gemm.y = y + ((task.n * g_.h.out + task.p + call) * g_.w.out + task.q) * g_.filters + out;
        executor_.backend.lookup_gemm(gemm);
        if (done && gemm.alpha) (*done)(gemm.y, g_.filters, gemm.rows, out, task.filters);
      }
    }
  }

  // The tables of channels [channel, channel + channels) at every position that the strip sees; zeros outside the image.
  void Build(const Task& task, const Strip& lines, const Strip& columns, const float* x, int64_t channel, int64_t channels,
             float* tables) const {
    const int64_t quads = channels / kQuad, table_size = executor_.backend.table_size;
    const int64_t own = std::min(channels, g_.group_channels() - channel), full = own / kQuad;
    for (int64_t line = 0; line < lines.lines; ++line) {
      const int64_t h = lines.Position(task.p, line);
      if (h == Strip::kUnseen) continue;
      for (int64_t column = 0; column < columns.lines; ++column) {
        const int64_t w = columns.Position(task.q, column);
        if (w == Strip::kUnseen) continue;
        float* table = tables + (line * columns.lines + column) * pixel_floats_;
        if (h == Strip::kOutside || w == Strip::kOutside) {
          std::fill_n(table, quads * table_size, 0.0f);
          continue;
        }
        const float* pixel =
            x + ((task.n * g_.h.in + h) * g_.w.in + w) * g_.channels + task.group * g_.group_channels() + channel;
        executor_.backend.build_tables(pixel, full, table);
        if (full < quads) {
          float last[kQuad] = {};
          std::copy_n(pixel + full * kQuad, own - full * kQuad, last);
          executor_.backend.build_tables(last, 1, table + full * table_size);
        }
      }
    }
  }

  // Where the quads of a chunk lie: in the tables of a window, and in the words of a filter. Returns how many there are.
  int64_t Address(const Strip& lines, const Strip& columns, int64_t channel, int64_t channels, int worker) const {
    int64_t* offset = offset_ + worker * chunk_words_ * kWordBits / kQuad;
    int32_t* word = word_ + worker * chunk_words_;
    int64_t quads = 0, words = 0;
    for (int64_t i = 0; i < g_.h.kernel; ++i) {
      for (int64_t j = 0; j < g_.w.kernel; ++j) {
        const int64_t pixel = (i * lines.tap_step * columns.lines + j * columns.tap_step) * pixel_floats_;
        const int64_t run = (i * g_.w.kernel + j) * channels_ + channel;
        for (int64_t c = 0; c < channels; c += kQuad) {
          if (quads % (kWordBits / kQuad) == 0) word[words++] = static_cast<int32_t>((run + c) / kWordBits);
          offset[quads++] = pixel + c / kQuad * executor_.backend.table_size;
        }
      }
    }
    return quads;
  }

  const Executor& executor_;
  const ConvGeometry& g_;
  ScratchCursor scratch_;
  KernelLayout layout_;
  const int64_t channels_, words_;                       // of a group, with those that are added; of a filter's run
  int64_t chunk_;                                        // channels whose tables are made at once
  int64_t pixel_floats_;                                 // of their tables, a pixel
  int64_t rows_, columns_, row_strips_, column_strips_;  // outputs of a strip; strips of an image
  int64_t filters_, ranges_;                             // of a task; of a group
  int64_t tasks_, table_floats_, chunk_words_;
  float* tables_;  // of each worker: [line][column][quad][table]
  const float** row_tables_;
  int64_t* offset_;
  int32_t* word_;
  uint32_t* padded_ = nullptr;  // the kernel, where channels are added
};

}  // namespace

int64_t LookupConvScratchBytes(const Executor& executor, const ConvGeometry& g) {
  return LookupCall(executor, g, nullptr).bytes();
}

void LookupConv(const Executor& executor, const ConvGeometry& g, const float* x, const uint32_t* bits, const float* alpha,
                float* y, void* scratch, const PartDone* done) {
  LookupCall(executor, g, scratch).Run(x, bits, alpha, y, done);
}

}  // namespace bnn
