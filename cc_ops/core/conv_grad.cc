#include "core/conv_grad.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

#include "core/packed_kernel.h"
#include "core/relaid_kernel.h"
#include "core/scratch.h"
#include "core/sign_conv.h"
#include "core/sign_image.h"
#include "core/window_mean.h"

namespace bnn {
namespace {

constexpr int64_t kChannelBlock = 256;   // at most: with 256 filters their products are 256 kB, and dy streams past once a tap
constexpr int64_t kElementwise = 16384;  // values an item, where each costs an instruction or two
constexpr int64_t kMaxChunks = 64;       // of a kernel's rows

// The derivative of |u|.
float SignOrZero(float u) { return static_cast<float>((u > 0) - (u < 0)); }

// Calls f with the pseudo-gradient as a function of a value and its index: one loop for each, without a choice inside.
template <typename F>
void WithPseudo(const PseudoGradient& gradient, F f) {
  switch (gradient.ste) {
    case Ste::kIdentity:
      return f([](float, int64_t) { return 1.0f; });
    case Ste::kClip:
      return f([](float u, int64_t) { return std::abs(u) <= 1.0f ? 1.0f : 0.0f; });
    default:
      return f([values = gradient.values](float, int64_t index) { return values[index]; });
  }
}

// Partial sums: open to vectorisation, and more accurate than one.
float Dot(const float* a, const float* b, int64_t count) {
  constexpr int kParts = 16;
  float sums[kParts] = {};
  int64_t i = 0;
  for (; i + kParts <= count; i += kParts) {
    for (int part = 0; part < kParts; ++part) sums[part] += a[i + part] * b[i + part];
  }
  for (int part = 0; i < count; ++i, ++part) sums[part] += a[i] * b[i];
  float sum = 0;
  for (float part : sums) sum += part;
  return sum;
}

template <typename F>
void ForElements(const Executor& executor, int64_t count, F&& f) {
  executor.parallel.Run(CeilDiv(count, kElementwise), [&](int64_t begin, int64_t end, int) {
    const int64_t last = std::min(count, end * kElementwise);
    for (int64_t i = begin * kElementwise; i < last; ++i) f(i);
  });
}

// What both forms share: float convolutions with the signs on one side. `input` is x or sign(x), `dy` the gradient of
// alpha * sum, already multiplied by K where there is one.
class Gradients {
 public:
  Gradients(const Executor& executor, const ConvGeometry& g, ScratchCursor* scratch)
      : executor_(executor), g_(g), turned_(Turn(g)) {
    const KernelLayout layout(g);
    bits_ = scratch->Take<uint32_t>(layout.total_words());
    alpha_ = scratch->Take<float>(g.filters);
    if (turned_) {
      const KernelLayout turned_layout(*turned_);
      turned_bits_ = scratch->Take<uint32_t>(turned_layout.total_words());
      turned_alpha_ = scratch->Take<float>(g.channels);
      scaled_dy_ = scratch->Take<float>(g.output_size());
      turned_scratch_ = scratch->Take<char>(SignConvScratchBytes(executor, *turned_));
    } else {
      signs_ = scratch->Take<float>(g.kernel_size());
    }
    chunks_ = std::min({g.run(), kMaxChunks, CeilDiv(g.kernel_size(), kElementwise)});
    chunk_dalpha_ = scratch->Take<double>(g.filters, chunks_);
    dalpha_ = scratch->Take<float>(g.filters);
  }

  const uint32_t* bits() const { return bits_; }
  const float* alpha() const { return alpha_; }

  void Pack(Scaling scaling, const float* kernel) { PackKernel(executor_, g_, scaling, kernel, bits_, alpha_); }

  // dkernel[k][o] = P[k][o] = sum over pixels of input * dy: one product a tap, over the pixels at which the tap lies inside.
  void CorrelateInput(const float* input, float pad_value, const float* dy, float* dkernel) const {
    const int64_t channels = g_.group_channels(), filters = g_.group_filters();
    const int64_t share = CeilDiv(g_.taps() * g_.channels, 4 * executor_.parallel.workers());  // channels that keep all busy
    const int64_t block = std::clamp(RoundUp(share, kLanes), int64_t{kLanes}, kChannelBlock), blocks = CeilDiv(channels, block);
    executor_.parallel.Run(g_.taps() * g_.groups * blocks, [&](int64_t begin, int64_t end, int) {
      for (int64_t item = begin; item < end; ++item) {
        const int64_t channel = item % blocks * block, group = item / blocks % g_.groups, tap = item / blocks / g_.groups;
        const int64_t i = tap / g_.w.kernel, j = tap % g_.w.kernel;
        const int64_t count = std::min(block, channels - channel);
        float* to = dkernel + (tap * channels + channel) * g_.filters + group * filters;
        for (int64_t c = 0; c < count; ++c) std::fill_n(to + c * g_.filters, filters, 0.0f);
        const Axis::Range rows = g_.h.Outputs(i), columns = g_.w.Outputs(j);
        for (int64_t n = 0; n < g_.batch; ++n) {
          const float* image = dy + n * g_.h.out * g_.w.out * g_.filters + group * filters;
          if (rows.size() > 0 && columns.size() > 0) {
            const int64_t h = g_.h.At(rows.first, i), w = g_.w.At(columns.first, j);
            FloatGemm gemm{};
            gemm.m = count;
            gemm.n = filters;
            gemm.k = columns.size();
            gemm.a = input + ((n * g_.h.in + h) * g_.w.in + w) * g_.channels + group * channels + channel;
            gemm.a_row = 1;
            gemm.a_step = g_.w.stride * g_.channels;
            gemm.b = image + (rows.first * g_.w.out + columns.first) * g_.filters;
            gemm.b_stride = g_.filters;
            gemm.c = to;
            gemm.c_stride = g_.filters;
            gemm.accumulate = true;
            gemm.slabs = rows.size();
            gemm.a_slab = g_.h.stride * g_.w.in * g_.channels;
            gemm.b_slab = g_.w.out * g_.filters;
            executor_.backend.float_gemm(gemm);
          }
          if (pad_value != 0.0f) AddPadding(pad_value, image, rows, columns, count, to);
        }
      }
    });
  }

  // Turns P into the gradient of the latent weights, in place.
  void KernelGradient(const KernelGradOptions& options, const float* kernel, float* dkernel) const {
    const bool through_alpha = options.scale_gradient && options.scaling != Scaling::kNone;
    std::fill_n(dalpha_, g_.filters, 0.0f);
    if (through_alpha) AlphaGradient(options.scaling, kernel, dkernel);
    WithPseudo(options.kernel, [&](auto pseudo) {
      ForChunks([&](int64_t, int64_t first, int64_t last) {
        for (int64_t row = first * g_.filters; row < last * g_.filters; row += g_.filters) {
          for (int64_t o = 0; o < g_.filters; ++o) {
            const float w = kernel[row + o];
            dkernel[row + o] = alpha_[o] * dkernel[row + o] * pseudo(w, row + o) + SignOrZero(w) * dalpha_[o];
          }
        }
      });
    });
  }

  // dinput = convT(dy * alpha, signs). At stride 1 that is itself a convolution with binary weights, the kernel turned by 180
  // degrees and its channels and filters exchanged, and takes the fast way; else a product a tap.
  void SpreadToInput(const float* dy, float* dinput) {
    if (turned_) {
      TurnKernel(executor_, g_, bits_, turned_bits_);
      std::fill_n(turned_alpha_, g_.channels, 1.0f);
      ScaleByAlpha(dy);
      SignConv(executor_, *turned_, scaled_dy_, turned_bits_, turned_alpha_, dinput, turned_scratch_);
    } else {
      SpreadByTaps(dy, dinput);
    }
  }

 private:
  // The geometry of the gradient as a convolution, where it is one.
  static std::optional<ConvGeometry> Turn(const ConvGeometry& g) {
    if (g.h.stride != 1 || g.w.stride != 1) return std::nullopt;
    ConvGeometry turned = g;
    std::swap(turned.channels, turned.filters);
    for (Axis* axis : {&turned.h, &turned.w}) {
      std::swap(axis->in, axis->out);
      // Negative where the padding was wider than the kernel: what was padded there has no gradient to give.
      axis->before = (axis->kernel - 1) * axis->dilation - axis->before;
      axis->after = (axis->kernel - 1) * axis->dilation - axis->after;
    }
    return turned;
  }

  void ScaleByAlpha(const float* dy) {
    executor_.parallel.Run(g_.batch * g_.h.out, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin * g_.w.out * g_.filters; i < end * g_.w.out * g_.filters; i += g_.filters) {
        for (int64_t o = 0; o < g_.filters; ++o) scaled_dy_[i + o] = dy[i + o] * alpha_[o];
      }
    });
  }

  // Row by row of the input, so that no two workers write to one place.
  void SpreadByTaps(const float* dy, float* dinput) {
    TransposeSigns();
    const int64_t channels = g_.group_channels(), filters = g_.group_filters();
    const int64_t rows = g_.batch * g_.h.in;
    const int64_t blocks = rows * g_.groups >= 4 * executor_.parallel.workers() ? 1 : CeilDiv(channels, kChannelBlock);
    const int64_t block = CeilDiv(channels, blocks);
    executor_.parallel.Run(rows * g_.groups * blocks, [&](int64_t begin, int64_t end, int) {
      for (int64_t item = begin; item < end; ++item) {
        const int64_t channel = item % blocks * block, group = item / blocks % g_.groups, row = item / blocks / g_.groups;
        const int64_t h = row % g_.h.in, n = row / g_.h.in, count = std::min(block, channels - channel);
        float* to = dinput + row * g_.w.in * g_.channels + group * channels + channel;
        for (int64_t w = 0; w < g_.w.in; ++w) std::fill_n(to + w * g_.channels, count, 0.0f);
        for (int64_t i = 0; i < g_.h.kernel; ++i) {
          const int64_t from_tap = h + g_.h.before - i * g_.h.dilation;
          if (from_tap < 0 || from_tap % g_.h.stride || from_tap / g_.h.stride >= g_.h.out) continue;
          const float* gradient = dy + (n * g_.h.out + from_tap / g_.h.stride) * g_.w.out * g_.filters + group * filters;
          for (int64_t j = 0; j < g_.w.kernel; ++j) {
            const Axis::Range columns = g_.w.Outputs(j);
            if (columns.size() == 0) continue;
            const float* signs = signs_ + ((group * g_.taps() + i * g_.w.kernel + j) * filters) * channels + channel;
            executor_.backend.float_gemm({columns.size(), count, filters, gradient + columns.first * g_.filters, g_.filters, 1,
                                          signs, channels, to + g_.w.At(columns.first, j) * g_.channels,
                                          g_.w.stride * g_.channels, true});
          }
        }
      }
    });
  }

  // The share of the outputs of one image at which a tap lies outside.
  void AddPadding(float pad_value, const float* image, Axis::Range rows, Axis::Range columns, int64_t count, float* to) const {
    for (int64_t p = 0; p < g_.h.out; ++p) {
      for (int64_t q = 0; q < g_.w.out; ++q) {
        const bool inside = p >= rows.first && p < rows.last && q >= columns.first && q < columns.last;
        if (!inside) AddToRows(pad_value, image + (p * g_.w.out + q) * g_.filters, count, to);
      }
    }
  }

  void AddToRows(float factor, const float* from, int64_t rows, float* to) const {
    for (int64_t row = 0; row < rows; ++row, to += g_.filters) {
      for (int64_t f = 0; f < g_.group_filters(); ++f) to[f] += factor * from[f];
    }
  }

  // Calls f(chunk, first, last) for chunks of the kernel's rows, which are the same for any number of threads.
  template <typename F>
  void ForChunks(F f) const {
    executor_.parallel.Run(chunks_, [&](int64_t begin, int64_t end, int) {
      for (int64_t chunk = begin; chunk < end; ++chunk) f(chunk, chunk * g_.run() / chunks_, (chunk + 1) * g_.run() / chunks_);
    });
  }

  // dalpha_[o] = what reaches alpha, for each of the weights whose mean it is.
  void AlphaGradient(Scaling scaling, const float* kernel, const float* dkernel) const {
    ForChunks([&](int64_t chunk, int64_t first, int64_t last) {
      double* sums = chunk_dalpha_ + chunk * g_.filters;
      std::fill_n(sums, g_.filters, 0.0);
      for (int64_t at = first * g_.filters; at < last * g_.filters; at += g_.filters) {
        for (int64_t o = 0; o < g_.filters; ++o) sums[o] += Sign(kernel[at + o]) * dkernel[at + o];
      }
    });
    double* sums = chunk_dalpha_;
    for (int64_t chunk = 1; chunk < chunks_; ++chunk) {
      for (int64_t o = 0; o < g_.filters; ++o) sums[o] += sums[chunk * g_.filters + o];
    }
    if (scaling == Scaling::kTensor) std::fill_n(sums, g_.filters, std::accumulate(sums, sums + g_.filters, 0.0));
    const double shared = static_cast<double>(scaling == Scaling::kTensor ? g_.kernel_size() : g_.run());
    for (int64_t o = 0; o < g_.filters; ++o) dalpha_[o] = static_cast<float>(sums[o] / shared);
  }

  // signs_[group][tap][filter][channel] = alpha * sign(w)
  void TransposeSigns() {
    const KernelLayout layout(g_);
    const int64_t channels = g_.group_channels(), filters = g_.group_filters();
    executor_.parallel.Run(g_.groups * filters, [&](int64_t begin, int64_t end, int) {
      for (int64_t item = begin; item < end; ++item) {
        const int64_t filter = item % filters, group = item / filters;
        const uint32_t* bits = bits_ + group * layout.group_words() + filter / kLanes * layout.block_words() + filter % kLanes;
        const float alpha = alpha_[group * filters + filter];
        for (int64_t k = 0; k < g_.run(); ++k) {
          const bool minus = bits[k / kWordBits * kLanes] >> (k % kWordBits) & 1;
          signs_[((group * g_.taps() + k / channels) * filters + filter) * channels + k % channels] = minus ? -alpha : alpha;
        }
      }
    });
  }

  const Executor& executor_;
  const ConvGeometry& g_;
  const std::optional<ConvGeometry> turned_;
  uint32_t* bits_;
  float* alpha_;
  float* signs_ = nullptr;  // where nothing is turned
  int64_t chunks_;
  double* chunk_dalpha_;
  float* dalpha_;
  uint32_t* turned_bits_ = nullptr;
  float* turned_alpha_ = nullptr;  // 1: alpha belongs to what are now the inputs
  float* scaled_dy_ = nullptr;
  char* turned_scratch_ = nullptr;
};

class XnorCall {
 public:
  XnorCall(const Executor& executor, const ConvGeometry& g, const XnorOptions& xnor, void* memory)
      : executor_(executor), g_(g), xnor_(xnor), scratch_(memory), gradients_(executor, g, &scratch_) {
    signs_ = scratch_.Take<float>(g.input_size());
    if (!xnor.input_scaling) return;
    const int64_t image = g.batch * g.groups * g.h.in * g.w.in;
    scaled_ = scratch_.Take<float>(g.output_size());
    conv_ = scratch_.Take<float>(g.output_size());
    k_ = scratch_.Take<float>(g.pixels() * g.groups);
    dmean_ = scratch_.Take<float>(image);
    conv_scratch_ = scratch_.Take<char>(XnorConvScratchBytes(executor, g, WithoutK()));
  }

  int64_t bytes() {
    // What is only needed to make K comes last and is counted here.
    ScratchCursor scratch = scratch_;
    if (xnor_.input_scaling) MakeK(&scratch, nullptr);
    return scratch.bytes();
  }

  void Run(const KernelGradOptions& options, const PseudoGradient& input, const float* x, const float* kernel, const float* dy,
           float* dx, float* dkernel) {
    gradients_.Pack(options.scaling, kernel);
    ForElements(executor_, g_.input_size(), [&](int64_t i) { signs_[i] = Sign(x[i]); });
    const float* gradient = dy;
    if (xnor_.input_scaling) {
      ScratchCursor scratch = scratch_;
      MakeK(&scratch, x);
      ScaleByK(x, dy);
      gradient = scaled_;
    }
    gradients_.CorrelateInput(signs_, static_cast<float>(xnor_.pad_value), gradient, dkernel);
    gradients_.KernelGradient(options, kernel, dkernel);
    gradients_.SpreadToInput(gradient, dx);
    Finish(input, x, dx);
  }

 private:
  XnorOptions WithoutK() const { return {false, xnor_.pad_value}; }

  // K, from scratch memory that is given back. Without `x` only the memory is counted.
  void MakeK(ScratchCursor* scratch, const float* x) {
    SignImage image(executor_, g_, false, true, scratch);
    WindowMean window_mean(executor_, g_, scratch);
    if (!x) return;
    image.Pack(x);
    window_mean.Run(image.mean(), k_);
  }

  // scaled = dy * K, and dK = sum_o dy * alpha * conv, carried on to dA.
  void ScaleByK(const float* x, const float* dy) {
    XnorConv(executor_, g_, WithoutK(), x, gradients_.bits(), gradients_.alpha(), conv_, conv_scratch_);
    const int64_t plane = g_.h.out * g_.w.out, filters = g_.group_filters();
    executor_.parallel.Run(g_.batch * g_.h.out, [&](int64_t begin, int64_t end, int) {
      for (int64_t pixel = begin * g_.w.out; pixel < end * g_.w.out; ++pixel) {
        for (int64_t group = 0; group < g_.groups; ++group) {
          const int64_t at = pixel * g_.filters + group * filters;
          float& k = k_[(pixel / plane * g_.groups + group) * plane + pixel % plane];
          for (int64_t o = at; o < at + filters; ++o) scaled_[o] = dy[o] * k;
          k = Dot(dy + at, conv_ + at, filters);  // dK from here on
        }
      }
    });
    std::fill_n(dmean_, g_.batch * g_.groups * g_.h.in * g_.w.in, 0.0f);
    WindowMean::AddGradient(executor_, g_, k_, dmean_);
  }

  void Finish(const PseudoGradient& input, const float* x, float* dx) const {
    WithPseudo(input, [&](auto pseudo) { FinishWith(pseudo, x, dx); });
  }

  template <typename Pseudo>
  void FinishWith(Pseudo pseudo, const float* x, float* dx) const {
    const int64_t plane = g_.h.in * g_.w.in, channels = g_.group_channels();
    executor_.parallel.Run(g_.batch * g_.h.in, [&](int64_t begin, int64_t end, int) {
      for (int64_t pixel = begin * g_.w.in; pixel < end * g_.w.in; ++pixel) {
        for (int64_t group = 0; group < g_.groups; ++group) {
          const int64_t first = pixel * g_.channels + group * channels;
          for (int64_t i = first; i < first + channels; ++i) dx[i] *= pseudo(x[i], i);
          if (!xnor_.input_scaling) continue;
          const float dmean = dmean_[(pixel / plane * g_.groups + group) * plane + pixel % plane] / static_cast<float>(channels);
          for (int64_t i = first; i < first + channels; ++i) dx[i] += SignOrZero(x[i]) * dmean;
        }
      }
    });
  }

  const Executor& executor_;
  const ConvGeometry& g_;
  const XnorOptions xnor_;
  ScratchCursor scratch_;
  Gradients gradients_;
  float* signs_;
  float* scaled_ = nullptr;  // dy * K
  float* conv_ = nullptr;    // alpha * the integer convolution
  float* k_ = nullptr;       // K, later dK
  float* dmean_ = nullptr;
  char* conv_scratch_ = nullptr;
};

void ClearBoth(const ConvGeometry& g, float* dx, float* dkernel) {
  std::fill_n(dx, g.input_size(), 0.0f);
  std::fill_n(dkernel, g.kernel_size(), 0.0f);
}

}  // namespace

int64_t SignConvGradScratchBytes(const Executor& executor, const ConvGeometry& g) {
  if (g.empty()) return 0;
  ScratchCursor scratch;
  Gradients(executor, g, &scratch);
  return scratch.bytes();
}

void SignConvGrad(const Executor& executor, const ConvGeometry& g, const KernelGradOptions& options, const float* x,
                  const float* kernel, const float* dy, float* dx, float* dkernel, void* memory) {
  if (g.empty()) return ClearBoth(g, dx, dkernel);
  ScratchCursor scratch(memory);
  Gradients gradients(executor, g, &scratch);
  gradients.Pack(options.scaling, kernel);
  gradients.CorrelateInput(x, 0.0f, dy, dkernel);
  gradients.KernelGradient(options, kernel, dkernel);
  gradients.SpreadToInput(dy, dx);
}

int64_t XnorConvGradScratchBytes(const Executor& executor, const ConvGeometry& g, const XnorOptions& xnor) {
  return g.empty() ? 0 : XnorCall(executor, g, xnor, nullptr).bytes();
}

void XnorConvGrad(const Executor& executor, const ConvGeometry& g, const KernelGradOptions& options, const XnorOptions& xnor,
                  const PseudoGradient& input, const float* x, const float* kernel, const float* dy, float* dx, float* dkernel,
                  void* memory) {
  if (g.empty()) return ClearBoth(g, dx, dkernel);
  XnorCall(executor, g, xnor, memory).Run(options, input, x, kernel, dy, dx, dkernel);
}

}  // namespace bnn
