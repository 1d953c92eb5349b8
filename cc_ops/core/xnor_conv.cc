#include "core/xnor_conv.h"

#include <algorithm>
#include <optional>

#include "core/border.h"
#include "core/packed_kernel.h"
#include "core/sign_image.h"
#include "core/sign_store.h"
#include "core/window_mean.h"

namespace bnn {
namespace {

// Windows of this many bytes meet the filters at once: they stay in the first-level cache beside a panel of filters.
constexpr int64_t kWindowBytes = 16384;
constexpr int64_t kMinRows = 12, kMaxRows = 128;

// Filters are split over tasks in panels of this many, the widest a backend takes at once, and pixels in tiles of most
// backends' height.
constexpr int64_t kPanel = 4 * kLanes;
constexpr int64_t kTile = 4;

// What is worth a task, in pixels times blocks of filters times words: some microseconds.
constexpr int64_t kTaskWords = 4096;

// How long a call takes one thread, in nanoseconds and within a factor of two or three: besides meeting words, each window's
// signs are put together, bit by bit or byte by byte, and with each block of filters it ends in sums that become floats; floats
// are read, and so are the kernel's bits.
double EstimateNs(const Backend& backend, const ConvGeometry& g, const KernelLayout& layout, bool packed) {
  constexpr double kSums = 2, kValue = 0.06, kKernelWord = 0.024;
  const double window = g.group_channels() % 8 ? 24 : 5;
  const double blocks = static_cast<double>(g.groups * layout.blocks), words = static_cast<double>(layout.words);
  return static_cast<double>(g.pixels()) * (window + blocks * (words * backend.word_ns + kSums)) +
         (packed ? 0 : static_cast<double>(g.input_size()) * kValue) + static_cast<double>(layout.total_words()) * kKernelWord;
}

// How the work is cut: tasks of a few output pixels, times groups, times ranges of filters. Neighbouring pixels are handed out
// together and meet the filters at once, `rows` at most: to read a panel of filters again for each task would count.
struct Tasks {
  Tasks(const ConvGeometry& g, int64_t words, int workers) : pixels(g.pixels()) {
    const int64_t panels = CeilDiv(g.group_filters(), kPanel), blocks = CeilDiv(g.group_filters(), kLanes);
    rows = RoundUp(std::min(pixels, std::clamp(kWindowBytes / (words * 4), kMinRows, kMaxRows)), kTile);
    step = workers == 1 ? rows : std::min(rows, RoundUp(CeilDiv(kTaskWords, words * blocks), kTile));
    steps = CeilDiv(pixels, step);
    // Filters are split where the pixels are too few to keep all workers busy.
    const int64_t wanted = workers == 1 ? 1 : 8 * workers;
    ranges = std::min(panels, CeilDiv(wanted, steps * g.groups));
    filters = CeilDiv(panels, ranges) * kPanel;
    ranges = CeilDiv(g.group_filters(), filters);
    count = steps * g.groups * ranges;
    together = std::min(rows / step, steps);
    rows = together * step;
  }
  int64_t pixels, rows, step, steps, together, ranges, filters, count;
};

// Everything of one call, laid out in scratch memory.
class Call {
 public:
  Call(const Executor& executor, const ConvGeometry& g, const XnorOptions& options, const XnorMaps& maps, void* memory)
      : executor_(executor),
        g_(g),
        scratch_(memory),
        layout_(g),
        workers_(EstimateNs(executor.backend, g, layout_, maps.input != nullptr) < executor.parallel.worth_sharing_ns()
                     ? 1
                     : executor.parallel.workers()),
        tasks_(g, layout_.words, workers_),
        image_(executor, g, options.pad_value < 0, options.input_scaling, &scratch_, maps.input),
        bases_(executor, g, options.pad_value == 0, &scratch_),
        packed_(maps.input != nullptr),
        signs_(maps.output) {
    if (options.input_scaling) window_mean_.emplace(executor, g, &scratch_);
    window_words_ = RoundUp(image_.GatheredWords(tasks_.rows), kLanes);
    windows_ = scratch_.Take<uint32_t>(window_words_, workers_);
    runs_ = scratch_.Take<const uint32_t*>(tasks_.rows * image_.pieces(), workers_);
    row_bases_ = scratch_.Take<const int32_t*>(tasks_.rows, workers_);
    row_scales_size_ = RoundUp(tasks_.rows, kLanes);  // whole cache lines
    row_scales_ = scratch_.Take<float>(row_scales_size_, workers_);
    if (!signs_) return;
    store_.emplace(g, signs_->layout, &scratch_);
    row_thresholds_ = scratch_.Take<const int32_t*>(tasks_.rows, workers_);
    row_flips_ = scratch_.Take<const uint16_t*>(tasks_.rows, workers_);
    row_signs_ = scratch_.Take<SignHalf*>(tasks_.rows, workers_);
  }

  int64_t bytes() const { return scratch_.bytes(); }

  void Run(const void* x, const uint32_t* bits, const float* alpha, void* y, const PartDone* done) {
    image_.Begin(packed_ ? static_cast<const uint32_t*>(x) : nullptr);
    bases_.Begin();
    const auto* floats = static_cast<const float*>(x);
    auto* rows = static_cast<uint32_t*>(y);
    const int64_t pieces = image_.items(), blocks = bases_.items(), padding = store_ ? store_->padding_items() : 0;
    const auto prepare = Each([&](int64_t item, int worker) {
      if (item < pieces) return image_.RunItem(floats, item, worker);
      if (item < pieces + blocks) return bases_.RunItem(bits, item - pieces, worker);
      store_->FillPadding(rows, item - pieces - blocks);
    });
    const auto average = Each([&](int64_t item, int worker) { window_mean_->RunItem(image_.mean(), item, worker); });
    const auto convolve = [&](int64_t begin, int64_t end, int worker) {
      for (int64_t task = begin; task < end;) task += RunTasks(task, end, bits, alpha, y, done, worker);
    };
    const auto join = Each([&](int64_t item, int) { store_->Join(rows, item); });
    const ParallelFor::Phase phases[] = {{pieces + blocks + padding, prepare},
                                         {window_mean_ ? window_mean_->items() : 0, average},
                                         {tasks_.count, convolve, tasks_.together},
                                         {store_ ? store_->join_items() : 0, join}};
    if (workers_ > 1) return executor_.parallel.RunPhases(phases, 4);
    // As one item: what its owner does around the work of a thread, he does here too.
    executor_.parallel.Run(1, [&](int64_t, int64_t, int) { SerialFor().RunPhases(phases, 4); });
  }

 private:
  // As many of the tasks [task, end) as meet the filters at once, at least one; returns how many.
  int64_t RunTasks(int64_t task, int64_t end, const uint32_t* bits, const float* alpha, void* y, const PartDone* done,
                   int worker) const {
    // Ranges of filters last: neighbours in time share weights, not windows, and weights are the larger part.
    const int64_t step = task % tasks_.steps, group = task / tasks_.steps % g_.groups, range = task / tasks_.steps / g_.groups;
    const int64_t count = std::min({end - task, tasks_.steps - step, tasks_.together});
    const int64_t first = step * tasks_.step, rows = std::min(count * tasks_.step, tasks_.pixels - first);
    const int64_t filter = range * tasks_.filters, filters = std::min(tasks_.filters, g_.group_filters() - filter);

    uint32_t* windows = windows_ + worker * window_words_;
    const uint32_t** runs = runs_ + worker * tasks_.rows * image_.pieces();
    const int32_t** row_bases = row_bases_ + worker * tasks_.rows;
    float* row_scales = row_scales_ + worker * row_scales_size_;
    for (int64_t row = 0; row < rows;) {
      const int64_t pixel = first + row;
      const int64_t q = pixel % g_.w.out, p = pixel / g_.w.out % g_.h.out, n = pixel / (g_.w.out * g_.h.out);
      const int64_t length = std::min(rows - row, g_.w.out - q);  // to the end of the rows or of the image's line
      image_.Runs(n, group, p, q, length, windows + row * layout_.words, runs + row * image_.pieces(), worker);
      bases_.Line(group, filter, p, q, length, row_bases + row);
      if (window_mean_) window_mean_->Line(image_.mean(), n * g_.groups + group, p, q, length, row_scales + row, worker);
      if (store_) AddSigns(n * g_.h.out + p, q, length, group, filter, static_cast<uint32_t*>(y), worker * tasks_.rows + row);
      row += length;
    }

    XnorGemm gemm{};
    gemm.a = runs;
    gemm.pieces = image_.pieces();
    gemm.piece_words = layout_.words / gemm.pieces;
    gemm.rows = rows;
    gemm.bits = bits + group * layout_.group_words() + filter / kLanes * layout_.block_words();
    gemm.filters = filters;
    gemm.base = row_bases;
    if (store_) {
      const int64_t at = worker * tasks_.rows;
      gemm.signs = {row_thresholds_ + at, row_flips_ + at, row_signs_ + at};
      executor_.backend.xnor_gemm(gemm);
      return count;
    }
    const int64_t out = group * g_.group_filters() + filter;
    gemm.alpha = alpha + out;
    gemm.scale = window_mean_ ? row_scales : nullptr;
    gemm.y = static_cast<float*>(y) + first * g_.filters + out;
    gemm.y_stride = g_.filters;
    executor_.backend.xnor_gemm(gemm);
    if (done) (*done)(gemm.y, g_.filters, rows, out, filters);
    return count;
  }

  // Where the signs of `count` pixels from column `q` of a line on go, and what they are compared with; `at`: of the worker's
  // rows.
  void AddSigns(int64_t line, int64_t q, int64_t count, int64_t group, int64_t filter, uint32_t* y, int64_t at) const {
    SignHalf* to = store_->At(y, line, q, group, filter);
    const int32_t* positions = signs_->positions ? signs_->positions + line % g_.h.out * g_.w.out + q : nullptr;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t block = ((positions ? positions[i] : 0) * g_.groups + group) * layout_.blocks + filter / kLanes;
      row_thresholds_[at + i] = signs_->thresholds + block * kLanes;
      row_flips_[at + i] = signs_->flips + block;
      row_signs_[at + i] = to + i * store_->pixel_halves();
    }
  }

  const Executor& executor_;
  const ConvGeometry& g_;
  ScratchCursor scratch_;
  KernelLayout layout_;
  int workers_;
  Tasks tasks_;
  SignImage image_;
  BorderBases bases_;
  std::optional<WindowMean> window_mean_;  // where K is wanted
  int64_t window_words_;
  uint32_t* windows_;  // of each worker: the runs of its pixels, where they are gathered
  const uint32_t** runs_;
  const int32_t** row_bases_;
  int64_t row_scales_size_;
  float* row_scales_;
  bool packed_;  // the input is signs already
  const SignOutput* signs_;
  std::optional<SignStore> store_;
  const int32_t** row_thresholds_ = nullptr;
  const uint16_t** row_flips_ = nullptr;
  SignHalf** row_signs_ = nullptr;
};

}  // namespace

int64_t XnorConvScratchBytes(const Executor& executor, const ConvGeometry& g, const XnorOptions& options, const XnorMaps& maps) {
  return g.empty() ? 0 : Call(executor, g, options, maps, nullptr).bytes();
}

void XnorConv(const Executor& executor, const ConvGeometry& g, const XnorOptions& options, const float* x, const uint32_t* bits,
              const float* alpha, float* y, void* scratch, const PartDone* done) {
  XnorConv(executor, g, options, {}, x, bits, alpha, y, scratch, done);
}

void XnorConv(const Executor& executor, const ConvGeometry& g, const XnorOptions& options, const XnorMaps& maps, const void* x,
              const uint32_t* bits, const float* alpha, void* y, void* scratch, const PartDone* done) {
  if (!g.empty()) Call(executor, g, options, maps, scratch).Run(x, bits, alpha, y, done);
}

}  // namespace bnn
