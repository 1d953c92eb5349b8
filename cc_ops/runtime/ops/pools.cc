// max_pool2d, average_pool2d and their global forms. The average leaves out what is padded, as Keras does.
#include "runtime/ops/readers.h"
#include "runtime/ops/shapes.h"
#include "runtime/signs.h"

namespace bnn {
namespace {

using Row = void (*)(const WindowRow& row);

Row RowOf(const Loops& loops, bool average) { return average ? loops.average_row : loops.max_row; }

void RunPool(const Machine& machine, const ConvGeometry& g, const Axis::Range* inside, bool average, const float* x, float* y) {
  machine.parallel().Run(g.batch * g.h.out, Each([&](int64_t item, int) {
                           const int64_t p = item % g.h.out, n = item / g.h.out, line = g.w.in * g.channels;
                           const Axis::Range taps = g.h.Inside(p);
                           RowOf(machine.loops, average)({x + (n * g.h.in + g.h.At(p, taps.first)) * line, taps.size(), line,
                                                          &g.w, inside, g.channels, y + item * g.w.out * g.channels});
                         }));
}

std::shared_ptr<const SignRole> RoleOf(const ConvGeometry& g) {
  auto role = std::make_shared<SignRole>();
  role->reads = SignRole::Reads::kPool;
  role->window = g;
  return role;
}

Message PrepareOnSigns(const Machine& machine, const ConvGeometry& g, Step* step) {
  const auto in = step->signs_in, out = step->signs_out;
  const SignLayout &from = in->output.layout, &to = out->output.layout;
  step->scratch_bytes = SignPoolScratchBytes(machine.executor, g, from, to, out->falling);
  step->run = [=](const StepCall& call) {
    SignPool(machine.executor, g, in->output.layout, out->output.layout, out->falling,
             reinterpret_cast<const uint32_t*>(call.inputs[0]), reinterpret_cast<uint32_t*>(call.output), call.scratch);
  };
  return {};
}

Message PreparePool(const Window& window, bool average, const Machine& machine, const std::vector<Sizes>& inputs, Step* step) {
  if (Message error = CheckInputs(inputs, 1, 4); !error.empty()) return error;
  ConvGeometry g;
  const int64_t channels = inputs[0][3];
  if (Message error = GeometryOf(inputs[0], window, {window.kernel[0], window.kernel[1], kUnknown, channels}, 1, &g);
      !error.empty()) {
    return error;
  }
  step->shape = ConvOutputShape(g);
  if (!Known(inputs[0])) return {};
  if (Message error = CheckActivation(step->shape); !error.empty()) return error;
  for (const Axis& axis : {g.h, g.w}) {
    if (axis.before >= axis.kernel || axis.after >= axis.kernel) {
      return "a window would lie outside the image. The padding must be smaller than the window.";
    }
  }
  if (!average) step->role = RoleOf(g);
  if (step->signs_in) return PrepareOnSigns(machine, g, step);
  std::vector<Axis::Range> inside;
  for (int64_t q = 0; q < g.w.out; ++q) inside.push_back(g.w.Inside(q));
  step->run = [=](const StepCall& call) { RunPool(machine, g, inside.data(), average, call.inputs[0], call.output); };
  return {};
}

// The whole image as one window.
Message PrepareGlobal(bool keepdims, bool average, const Machine& machine, const std::vector<Sizes>& inputs, Step* step) {
  if (Message error = CheckInputs(inputs, 1, 4); !error.empty()) return error;
  const Sizes& in = inputs[0];
  step->shape = keepdims ? Sizes{in[0], 1, 1, in[3]} : Sizes{in[0], in[3]};
  if (!Known(in)) return {};
  const int64_t pixels = in[1] * in[2], channels = in[3];
  const Axis axis{pixels, 1, pixels, 1, 1, 0, 0};
  step->run = [=](const StepCall& call) {
    machine.parallel().Run(in[0], Each([&](int64_t n, int) {
                             const Axis::Range inside{0, pixels};
                             RowOf(machine.loops, average)({call.inputs[0] + n * pixels * channels, 1, 0, &axis, &inside,
                                                            channels, call.output + n * channels});
                           }));
  };
  return {};
}

Prepare ReadPool(Attributes& a, bool average) {
  const Window window = a.ReadWindow(false);
  return [=](const Machine& machine, const std::vector<Sizes>& inputs, Step* step) {
    return PreparePool(window, average, machine, inputs, step);
  };
}

Prepare ReadGlobal(Attributes& a, bool average) {
  const bool keepdims = a.Flag("keepdims");
  return [=](const Machine& machine, const std::vector<Sizes>& inputs, Step* step) {
    return PrepareGlobal(keepdims, average, machine, inputs, step);
  };
}

}  // namespace

Prepare ReadMaxPool2D(Attributes& a) { return ReadPool(a, false); }
Prepare ReadAveragePool2D(Attributes& a) { return ReadPool(a, true); }
Prepare ReadGlobalAveragePool(Attributes& a) { return ReadGlobal(a, true); }
Prepare ReadGlobalMaxPool(Attributes& a) { return ReadGlobal(a, false); }

}  // namespace bnn
