#include "core/sign_conv.h"

#include <algorithm>

#include "core/lookup_conv.h"
#include "core/packed_kernel.h"
#include "core/scratch.h"

namespace bnn {
namespace {

// Two ways. Lookup: core/lookup_conv.h. FMA: the signs as +-1.0f, one multiply-add a weight. What an output costs, in units of
// one multiply-add of 16 filters: by FMA each input takes a unit for each block of filters, and one to be gathered; by lookup
// each quad takes a unit for each block, and its table 6, shared by taps / strides outputs. Fitted to both ways on 295 shapes,
// with AVX-512 and AVX2. The batch has no say, or it would change results in their last bits.
bool LookupPays(const ConvGeometry& g) {
  const int64_t channels = g.group_channels(), quads = CeilDiv(channels, kQuad), blocks = CeilDiv(g.group_filters(), kLanes);
  const int64_t strides = std::min(g.h.kernel, g.h.stride) * std::min(g.w.kernel, g.w.stride);
  return channels * (blocks + 1) * g.taps() > quads * (blocks * g.taps() + 6 * strides);
}

constexpr int64_t kGatherFloats = 16 * 1024;

class FmaCall {
 public:
  FmaCall(const Executor& executor, const ConvGeometry& g, void* memory)
      : executor_(executor), g_(g), scratch_(memory), layout_(g) {
    rows_ = std::clamp<int64_t>(kGatherFloats / g.run(), 8, 128);
    chunks_ = CeilDiv(g.pixels(), rows_);
    signs_ = scratch_.Take<float>(g.kernel_size());
    windows_ = scratch_.Take<float>(rows_ * g.run(), executor.parallel.workers());
  }

  int64_t bytes() const { return scratch_.bytes(); }

  void Run(const float* x, const uint32_t* bits, const float* alpha, float* y, const PartDone* done) {
    UnpackSigns(bits);
    executor_.parallel.Run(chunks_ * g_.groups, [&](int64_t begin, int64_t end, int worker) {
      for (int64_t task = begin; task < end; ++task) RunTask(task % chunks_, task / chunks_, x, alpha, y, done, worker);
    });
  }

 private:
  // signs_[group][run][filter]
  void UnpackSigns(const uint32_t* bits) {
    executor_.parallel.Run(layout_.groups * layout_.blocks, [&](int64_t begin, int64_t end, int) {
      for (int64_t item = begin; item < end; ++item) {
        const int64_t group = item / layout_.blocks, filter = item % layout_.blocks * kLanes;
        UnpackFilters(bits + item * layout_.block_words(), g_.run(), std::min<int64_t>(kLanes, g_.group_filters() - filter),
                      signs_ + group * g_.run() * g_.group_filters() + filter, g_.group_filters());
      }
    });
  }

  void RunTask(int64_t chunk, int64_t group, const float* x, const float* alpha, float* y, const PartDone* done,
               int worker) const {
    const int64_t first = chunk * rows_, rows = std::min(rows_, g_.pixels() - first), filters = g_.group_filters();
    float* windows = windows_ + worker * rows_ * g_.run();
    for (int64_t row = 0; row < rows; ++row) Gather(x, group, first + row, windows + row * g_.run());
    float* out = y + first * g_.filters + group * filters;
    executor_.backend.float_gemm(
        {rows, filters, g_.run(), windows, g_.run(), 1, signs_ + group * g_.run() * filters, filters, out, g_.filters, false});
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t f = 0; f < filters; ++f) out[row * g_.filters + f] *= alpha[group * filters + f];
    }
    if (done) (*done)(out, g_.filters, rows, group* filters, filters);
  }

  // The inputs that output `pixel` sees, in the order of the kernel.
  void Gather(const float* x, int64_t group, int64_t pixel, float* window) const {
    const int64_t q = pixel % g_.w.out, p = pixel / g_.w.out % g_.h.out, n = pixel / (g_.w.out * g_.h.out);
    const int64_t channels = g_.group_channels();
    for (int64_t i = 0; i < g_.h.kernel; ++i) {
      const int64_t h = g_.h.At(p, i);
      for (int64_t j = 0; j < g_.w.kernel; ++j, window += channels) {
        const int64_t w = g_.w.At(q, j);
        if (h < 0 || h >= g_.h.in || w < 0 || w >= g_.w.in) {
          std::fill_n(window, channels, 0.0f);
        } else {
          std::copy_n(x + ((n * g_.h.in + h) * g_.w.in + w) * g_.channels + group * channels, channels, window);
        }
      }
    }
  }

  const Executor& executor_;
  const ConvGeometry& g_;
  ScratchCursor scratch_;
  KernelLayout layout_;
  int64_t rows_, chunks_;
  float* signs_;
  float* windows_;
};

}  // namespace

int64_t SignConvScratchBytes(const Executor& executor, const ConvGeometry& g) {
  if (g.empty()) return 0;
  return LookupPays(g) ? LookupConvScratchBytes(executor, g) : FmaCall(executor, g, nullptr).bytes();
}

void SignConv(const Executor& executor, const ConvGeometry& g, const float* x, const uint32_t* bits, const float* alpha, float* y,
              void* scratch, const PartDone* done) {
  if (g.empty()) return;
  if (LookupPays(g)) {
    LookupConv(executor, g, x, bits, alpha, y, scratch, done);
  } else {
    FmaCall(executor, g, scratch).Run(x, bits, alpha, y, done);
  }
}

}  // namespace bnn
