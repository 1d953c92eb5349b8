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
constexpr int64_t kChunkBytes = 16384;
constexpr int64_t kMinRows = 12, kMaxRows = 128;

// Filters are split over tasks in panels of this many, the widest a backend takes at once.
constexpr int64_t kPanel = 4 * kLanes;

// How the work is cut: chunks of output pixels, times groups, times ranges of filters.
struct Tasks {
  Tasks(const ConvGeometry& g, int64_t words, int workers) : pixels(g.pixels()) {
    rows = std::clamp(kChunkBytes / (words * 4), kMinRows, kMaxRows);
    // Enough chunks that no worker waits long for another, but none so thin that it counts to read a panel of filters again for
    // each of them: 14x14x256 on two threads takes 60 us in 8 chunks a worker, 58 in 4.
    const int64_t wanted = workers == 1 ? 1 : 4 * workers;
    rows = std::clamp(CeilDiv(pixels, CeilDiv(wanted, g.groups)), std::min(kMinRows, rows), rows);
    chunks = CeilDiv(pixels, rows);
    rows = CeilDiv(pixels, chunks);
    const int64_t panels = CeilDiv(g.group_filters(), kPanel);
    ranges = std::min(panels, CeilDiv(wanted, chunks * g.groups));
    filters = CeilDiv(panels, ranges) * kPanel;
    ranges = CeilDiv(g.group_filters(), filters);
    count = chunks * g.groups * ranges;
  }
  int64_t pixels, rows, chunks, ranges, filters, count;
};

// Everything of one call, laid out in scratch memory.
class Call {
 public:
  Call(const Executor& executor, const ConvGeometry& g, const XnorOptions& options, const XnorMaps& maps, void* memory)
      : executor_(executor),
        g_(g),
        scratch_(memory),
        layout_(g),
        tasks_(g, layout_.words, executor.parallel.workers()),
        image_(executor, g, options.pad_value < 0, options.input_scaling, &scratch_, maps.input),
        bases_(executor, g, options.pad_value == 0, &scratch_),
        window_mean_(executor, g, &scratch_),
        own_k_(options.input_scaling && !WindowMean::IsIdentity(g)),
        packed_(maps.input != nullptr),
        signs_(maps.output) {
    const int64_t workers = executor.parallel.workers();
    k_ = own_k_ ? scratch_.Take<float>(g.pixels() * g.groups) : nullptr;
    window_words_ = RoundUp(image_.GatheredWords(tasks_.rows), kLanes);
    windows_ = scratch_.Take<uint32_t>(window_words_, workers);
    runs_ = scratch_.Take<const uint32_t*>(tasks_.rows * image_.pieces(), workers);
    row_bases_ = scratch_.Take<const int32_t*>(tasks_.rows, workers);
    row_scales_ = scratch_.Take<float>(tasks_.rows, workers);
    if (!signs_) return;
    store_.emplace(g, signs_->layout, &scratch_);
    row_thresholds_ = scratch_.Take<const int32_t*>(tasks_.rows, workers);
    row_flips_ = scratch_.Take<const uint16_t*>(tasks_.rows, workers);
    row_signs_ = scratch_.Take<SignHalf*>(tasks_.rows, workers);
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
    const auto average = Each([&](int64_t item, int worker) { window_mean_.RunItem(image_.mean(), k_, item, worker); });
    const auto convolve = Each([&](int64_t item, int worker) { RunTask(item, bits, alpha, y, done, worker); });
    const auto join = Each([&](int64_t item, int) { store_->Join(rows, item); });
    const ParallelFor::Phase phases[] = {{pieces + blocks + padding, prepare},
                                         {own_k_ ? window_mean_.items() : 0, average},
                                         {tasks_.count, convolve},
                                         {store_ ? store_->join_items() : 0, join}};
    executor_.parallel.RunPhases(phases, 4);
  }

 private:
  void RunTask(int64_t task, const uint32_t* bits, const float* alpha, void* y, const PartDone* done, int worker) const {
    // Ranges of filters last: neighbours in time share weights, not windows, and weights are the larger part.
    const int64_t chunk = task % tasks_.chunks, group = task / tasks_.chunks % g_.groups,
                  range = task / tasks_.chunks / g_.groups;
    const int64_t first = chunk * tasks_.rows, rows = std::min(tasks_.rows, tasks_.pixels - first);
    const int64_t filter = range * tasks_.filters, filters = std::min(tasks_.filters, g_.group_filters() - filter);
    const float* k = own_k_ ? k_ : image_.mean();

    uint32_t* windows = windows_ + worker * window_words_;
    const uint32_t** runs = runs_ + worker * tasks_.rows * image_.pieces();
    const int32_t** row_bases = row_bases_ + worker * tasks_.rows;
    float* row_scales = row_scales_ + worker * tasks_.rows;
    for (int64_t row = 0; row < rows;) {
      const int64_t pixel = first + row;
      const int64_t q = pixel % g_.w.out, p = pixel / g_.w.out % g_.h.out, n = pixel / (g_.w.out * g_.h.out);
      const int64_t count = std::min(rows - row, g_.w.out - q);  // to the end of the chunk or of the image row
      image_.Runs(n, group, p, q, count, windows + row * layout_.words, runs + row * image_.pieces(), worker);
      for (int64_t i = 0; i < count; ++i) row_bases[row + i] = bases_.At(group, p, q + i) + filter;
      if (k) std::copy_n(k + ((n * g_.groups + group) * g_.h.out + p) * g_.w.out + q, count, row_scales + row);
      if (store_) AddSigns(n * g_.h.out + p, q, count, group, filter, static_cast<uint32_t*>(y), worker * tasks_.rows + row);
      row += count;
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
      return;
    }
    const int64_t out = group * g_.group_filters() + filter;
    gemm.alpha = alpha + out;
    gemm.scale = k ? row_scales : nullptr;
    gemm.y = static_cast<float*>(y) + first * g_.filters + out;
    gemm.y_stride = g_.filters;
    executor_.backend.xnor_gemm(gemm);
    if (done) (*done)(gemm.y, g_.filters, rows, out, filters);
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
  Tasks tasks_;
  SignImage image_;
  BorderBases bases_;
  WindowMean window_mean_;
  bool own_k_;  // K is not simply the mean of |x|
  float* k_;
  int64_t window_words_;
  uint32_t* windows_;  // of each worker: the runs of a chunk's pixels, where they are gathered
  const uint32_t** runs_;
  const int32_t** row_bases_;
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
