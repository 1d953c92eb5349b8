#include "runtime/float_conv.h"

#include <algorithm>

#include "core/scratch.h"
#include "runtime/attributes.h"

namespace bnn {
namespace {

// Longer sums are cut, so that the rows of a register tile stay in the first-level cache beside a panel.
constexpr int64_t kLongRun = 1024;

// Rows of a product a task takes: the panel it reads stays in the second-level cache for all of them.
constexpr int64_t kTaskRows = 192;

// Tasks of a phase that keep all workers busy to the end.
int64_t Wanted(const Machine& machine) {
  const int workers = machine.parallel().workers();
  return workers == 1 ? 1 : 4 * workers;
}

// The image with its padding, as far as windows reach into it.
struct Padded {
  explicit Padded(const ConvGeometry& g)
      : rows(Reach(g.h)),
        columns(Reach(g.w)),
        copied(g.groups > 1 || g.h.before > 0 || g.w.before > 0 || rows > g.h.in || columns > g.w.in),
        channels(g.group_channels()),
        row(copied ? columns * channels : g.w.in * channels),
        image(copied ? rows * row : g.h.in * row) {}

  static int64_t Reach(const Axis& axis) { return axis.At(axis.out - 1, axis.kernel - 1) + axis.before + 1; }

  int64_t size(const ConvGeometry& g) const { return copied ? g.batch * g.groups * image : 0; }

  int64_t rows, columns;
  bool copied;
  int64_t channels, row, image;  // floats of a row, and of an image of one group
};

bool IsProduct(const ConvGeometry& g) {
  return g.groups == 1 && g.taps() == 1 && g.h.stride == 1 && g.w.stride == 1 && g.h.before == 0 && g.w.before == 0 &&
         g.h.out == g.h.in && g.w.out == g.w.in;
}

// padded[n][group][row][column][channel]; `item` counts the first three together.
void CopyRow(const ConvGeometry& g, const Padded& padded, const float* x, int64_t item, float* to) {
  to += item * padded.row;
  const int64_t group = item / padded.rows % g.groups, n = item / padded.rows / g.groups, h = item % padded.rows - g.h.before;
  if (h < 0 || h >= g.h.in) {
    std::fill_n(to, padded.row, 0.0f);
    return;
  }
  const int64_t before = g.w.before, inside = std::min(g.w.in, padded.columns - before), channels = padded.channels;
  std::fill_n(to, std::min(before, padded.columns) * channels, 0.0f);
  if (inside <= 0) return;
  const float* from = x + (n * g.h.in + h) * g.w.in * g.channels + group * channels;
  to += before * channels;
  if (g.groups == 1) {
    std::copy_n(from, inside * channels, to);
  } else {
    for (int64_t w = 0; w < inside; ++w) std::copy_n(from + w * g.channels, channels, to + w * channels);
  }
  std::fill(to + inside * channels, to + (padded.columns - before) * channels, 0.0f);
}

// One row of outputs against one panel.
void MultiplyRow(const Machine& machine, const ConvGeometry& g, const Padded& padded, const float* window, const float* panel,
                 int64_t filters, float* y) {
  FloatGemm gemm{};
  gemm.m = g.w.out;
  gemm.n = filters;
  gemm.a_row = g.w.stride * padded.channels;
  gemm.a_step = 1;
  gemm.b_stride = FloatKernel::kWidth;
  gemm.c = y;
  gemm.c_stride = g.filters;
  const int64_t row_run = g.w.kernel * padded.channels;
  if (g.w.dilation == 1 || g.w.kernel == 1) {
    gemm.k = row_run;
    gemm.a = window;
    gemm.b = panel;
    gemm.slabs = g.h.kernel;
    gemm.a_slab = g.h.dilation * padded.row;
    gemm.b_slab = row_run * FloatKernel::kWidth;
    machine.executor.backend.float_gemm(gemm);
    return;
  }
  gemm.k = padded.channels;
  gemm.slabs = g.w.kernel;
  gemm.a_slab = g.w.dilation * padded.channels;
  gemm.b_slab = padded.channels * FloatKernel::kWidth;
  for (int64_t i = 0; i < g.h.kernel; ++i) {
    gemm.a = window + i * g.h.dilation * padded.row;
    gemm.b = panel + i * row_run * FloatKernel::kWidth;
    gemm.accumulate = i > 0;
    machine.executor.backend.float_gemm(gemm);
  }
}

// Cuts `panels` into so many ranges that `others` times as many tasks are enough.
struct PanelRanges {
  PanelRanges(const Machine& machine, int64_t panels, int64_t others)
      : each(CeilDiv(panels, std::min(panels, CeilDiv(Wanted(machine), others)))), count(CeilDiv(panels, each)) {}
  int64_t each, count;
};

}  // namespace

FloatKernel::FloatKernel(const float* hwio, int64_t run, int64_t filters, int64_t groups)
    : run_(run), filters_(filters), groups_(groups) {
  panels_ = AllocateFloats(groups * group_panels() * run * kWidth);
  if (!panels_) return;
  const int64_t group_filters = filters / groups;
  for (int64_t group = 0; group < groups; ++group) {
    for (int64_t panel = 0; panel < group_panels(); ++panel) {
      const int64_t first = panel * kWidth, count = std::min(kWidth, group_filters - first);
      float* to = panels_.get() + (group * group_panels() + panel) * run * kWidth;
      for (int64_t k = 0; k < run; ++k, to += kWidth) {
        std::copy_n(hwio + k * filters + group * group_filters + first, count, to);
        std::fill(to + count, to + kWidth, 0.0f);
      }
    }
  }
}

int64_t FloatKernel::group_panels() const { return CeilDiv(filters_ / groups_, kWidth); }

const float* FloatKernel::Panel(int64_t group, int64_t panel) const {
  return panels_.get() + (group * group_panels() + panel) * run_ * kWidth;
}

int64_t FloatConvScratchBytes(const ConvGeometry& g) {
  ScratchCursor cursor;
  cursor.Take<float>(IsProduct(g) ? 0 : Padded(g).size(g));
  return cursor.bytes();
}

void FloatConv(const Machine& machine, const ConvGeometry& g, const FloatKernel& kernel, const Epilogue& epilogue, const float* x,
               float* y, char* scratch) {
  if (IsProduct(g)) return FloatDense(machine, g.pixels(), kernel, epilogue, x, y);
  const Padded padded(g);
  ScratchCursor cursor(scratch);
  float* copy = cursor.Take<float>(padded.size(g));
  const float* image = padded.copied ? copy : x;
  const auto prepare = Each([&](int64_t item, int) { CopyRow(g, padded, x, item, copy); });

  const int64_t strips = std::max(CeilDiv(g.h.out * g.w.out, kTaskRows), std::min(g.h.out, CeilDiv(Wanted(machine), g.batch)));
  const int64_t rows = CeilDiv(g.h.out, std::min(strips, g.h.out)), row_tasks = CeilDiv(g.h.out, rows);
  const int64_t images = g.batch * g.groups, panels = kernel.group_panels();
  const PanelRanges ranges(machine, panels, images * row_tasks);
  const auto multiply = Each([&](int64_t task, int) {
    const int64_t strip = task % row_tasks, item = task / row_tasks % images, range = task / row_tasks / images;
    const int64_t n = item / g.groups, group = item % g.groups;
    for (int64_t panel = range * ranges.each; panel < std::min(panels, (range + 1) * ranges.each); ++panel) {
      const int64_t first = panel * FloatKernel::kWidth, filters = std::min(FloatKernel::kWidth, g.group_filters() - first);
      const int64_t channel = group * g.group_filters() + first;
      for (int64_t p = strip * rows; p < std::min(g.h.out, (strip + 1) * rows); ++p) {
        float* to = y + (n * g.h.out + p) * g.w.out * g.filters + channel;
        MultiplyRow(machine, g, padded, image + item * padded.image + p * g.h.stride * padded.row, kernel.Panel(group, panel),
                    filters, to);
        epilogue.Tile(machine.loops, to, g.filters, g.w.out, channel, filters);
      }
    }
  });
  const ParallelFor::Phase phases[] = {{padded.copied ? images * padded.rows : 0, prepare},
                                       {row_tasks * images * ranges.count, multiply}};
  machine.parallel().RunPhases(phases, 2);
}

void FloatDense(const Machine& machine, int64_t rows, const FloatKernel& kernel, const Epilogue& epilogue, const float* x,
                float* y) {
  const int64_t chunks = std::max(CeilDiv(rows, kTaskRows), std::min(CeilDiv(rows, 12), Wanted(machine)));
  const int64_t chunk = CeilDiv(rows, chunks), row_tasks = CeilDiv(rows, chunk), panels = kernel.group_panels();
  const PanelRanges ranges(machine, panels, row_tasks);
  machine.parallel().Run(
      row_tasks * ranges.count, Each([&](int64_t task, int) {
        const int64_t first_row = task % row_tasks * chunk, count = std::min(chunk, rows - first_row);
        const int64_t range = task / row_tasks;
        for (int64_t panel = range * ranges.each; panel < std::min(panels, (range + 1) * ranges.each); ++panel) {
          const int64_t first = panel * FloatKernel::kWidth, filters = std::min(FloatKernel::kWidth, kernel.filters() - first);
          float* to = y + first_row * kernel.filters() + first;
          for (int64_t k = 0; k < kernel.run(); k += kLongRun) {
            machine.executor.backend.float_gemm(
                {count, filters, std::min(kLongRun, kernel.run() - k), x + first_row * kernel.run() + k, kernel.run(), 1,
                 kernel.Panel(0, panel) + k * FloatKernel::kWidth, FloatKernel::kWidth, to, kernel.filters(), k > 0});
          }
          epilogue.Tile(machine.loops, to, kernel.filters(), count, first, filters);
        }
      }));
}

void DepthwiseConv(const Machine& machine, const ConvGeometry& g, const float* weights, const Axis::Range* inside,
                   const Epilogue& epilogue, const float* x, float* y) {
  machine.parallel().Run(g.batch * g.h.out, Each([&](int64_t row, int) {
                           const int64_t p = row % g.h.out, n = row / g.h.out, line = g.w.in * g.channels;
                           const Axis::Range taps = g.h.Inside(p);
                           float* to = y + row * g.w.out * g.channels;
                           const float* from = x + (n * g.h.in + (taps.size() > 0 ? g.h.At(p, taps.first) : 0)) * line;
                           machine.loops.depthwise_row({from, taps.size(), g.h.dilation * line, &g.w, inside, g.channels, to},
                                                       weights + taps.first * g.w.kernel * g.channels, g.w.kernel * g.channels);
                           epilogue.Tile(machine.loops, to, g.channels, g.w.out, 0, g.channels);
                         }));
}

}  // namespace bnn
