// What maps a value to a value, or a pixel to a pixel: the output may take the place of the first input.
#include <cmath>

#include "core/scratch.h"
#include "runtime/ops/readers.h"
#include "runtime/ops/shapes.h"
#include "runtime/signs.h"

namespace bnn {
namespace {

using Binary = void (*)(const float* a, const float* b, int64_t n, float* y);
using BinaryOf = Binary (*)(const Loops& loops);

// y = activation(a op b op c ...), divided by their number where `average`.
Message PrepareBinary(BinaryOf op, bool average, const Activation& activation, const Machine& machine,
                      const std::vector<Sizes>& inputs, Step* step) {
  for (const Sizes& shape : inputs) {
    if (shape != inputs[0]) return "its inputs must be of one shape. Got " + Text(inputs[0]) + " and " + Text(shape) + ".";
  }
  step->shape = inputs[0];
  step->in_place = true;
  if (Message error = activation.Check(step->shape); !error.empty()) return error;
  if (!Known(step->shape)) return {};
  const int64_t channels = step->shape.back(), rows = RowsOf(step->shape);
  const Epilogue epilogue{nullptr, activation};
  const size_t count = inputs.size();
  step->run = [=](const StepCall& call) {
    ForRows(machine.parallel(), rows, channels, [&](int64_t first, int64_t last) {
      const int64_t at = first * channels, n = (last - first) * channels;
      float* y = call.output + at;
      for (size_t i = 1; i < count; ++i) op(machine.loops)(i == 1 ? call.inputs[0] + at : y, call.inputs[i] + at, n, y);
      if (average) machine.loops.scale(1.0f / static_cast<float>(count), n, y);
      epilogue.Tile(machine.loops, y, channels, last - first, 0, channels);
    });
  };
  return {};
}

Prepare ReadBinary(const Activation& activation, BinaryOf op, size_t most, bool average = false) {
  return [=](const Machine& machine, const std::vector<Sizes>& inputs, Step* step) -> Message {
    if (inputs.size() < 2 || inputs.size() > most) return "takes two inputs" + std::string(most > 2 ? " or more." : ".");
    return PrepareBinary(op, average, activation, machine, inputs, step);
  };
}

constexpr size_t kAny = 4096;

Message PrepareScaleShift(const float* scale, const float* shift, int64_t channels, const Epilogue& epilogue,
                          const Machine& machine, const std::vector<Sizes>& inputs, Step* step) {
  if (Message error = CheckInputs(inputs, 1); !error.empty()) return error;
  step->shape = inputs[0];
  step->in_place = true;
  if (Message error = epilogue.activation.Check(step->shape); !error.empty()) return error;
  if (channels != 0 && step->shape.back() != kUnknown && step->shape.back() != channels) {
    return "takes " + std::to_string(channels) + " channels. Got an input of shape " + Text(step->shape) + ".";
  }
  if (!Known(step->shape)) return {};
  auto role = std::make_shared<SignRole>();
  role->reads = SignRole::Reads::kStage;
  role->stage = {scale, shift, epilogue};
  step->role = role;
  const int64_t n = step->shape.back(), rows = RowsOf(step->shape);
  step->run = [=](const StepCall& call) {
    ForRows(machine.parallel(), rows, n, [&](int64_t first, int64_t last) {
      float* y = call.output + first * n;
      if (scale || shift || y != call.inputs[0] + first * n) {
        machine.loops.scale_shift(call.inputs[0] + first * n, last - first, n, scale, shift, y);
      }
      epilogue.Tile(machine.loops, y, n, last - first, 0, n);
    });
  };
  return {};
}

// exp(x - largest) / sum, over the last axis.
void Softmax(const float* x, int64_t n, float* y) {
  float largest = x[0], sum = 0;
  for (int64_t i = 1; i < n; ++i) largest = x[i] > largest ? x[i] : largest;
  for (int64_t i = 0; i < n; ++i) sum += y[i] = std::exp(x[i] - largest);
  for (int64_t i = 0; i < n; ++i) y[i] /= sum;
}

Message PrepareSoftmax(const Machine& machine, const std::vector<Sizes>& inputs, Step* step) {
  if (Message error = CheckInputs(inputs, 1); !error.empty()) return error;
  step->shape = inputs[0];
  step->in_place = true;
  if (!Known(step->shape)) return {};
  const int64_t n = step->shape.back(), rows = RowsOf(step->shape);
  step->run = [=](const StepCall& call) {
    ForRows(machine.parallel(), rows, n, [&](int64_t first, int64_t last) {
      for (int64_t row = first; row < last; ++row) Softmax(call.inputs[0] + row * n, n, call.output + row * n);
    });
  };
  return {};
}

struct Lrn {
  int64_t radius;
  float bias, alpha, beta;
};

// Any beta; 3/4, which all networks have, goes by square roots.
void Normalize(const Loops& loops, const Lrn& lrn, const float* x, int64_t n, float* sums, float* y) {
  if (lrn.beta == 0.75f) return loops.normalize(x, n, lrn.radius, lrn.alpha, lrn.bias, sums, y);
  for (int64_t c = 0; c < n; ++c) {
    const int64_t first = c < lrn.radius ? 0 : c - lrn.radius, last = lrn.radius >= n - c ? n : c + lrn.radius + 1;
    sums[c] = 0;
    for (int64_t j = first; j < last; ++j) sums[c] += x[j] * x[j];
  }
  for (int64_t c = 0; c < n; ++c) y[c] = x[c] / std::pow(lrn.bias + lrn.alpha * sums[c], lrn.beta);
}

Message PrepareLrn(const Lrn& lrn, const Machine& machine, const std::vector<Sizes>& inputs, Step* step) {
  if (Message error = CheckInputs(inputs, 1); !error.empty()) return error;
  step->shape = inputs[0];
  if (!Known(step->shape)) return {};
  const int64_t n = step->shape.back(), rows = RowsOf(step->shape), sums = RoundUp(n, 16);
  const int64_t floats = machine.parallel().workers() * sums;
  ScratchCursor counter;
  counter.Take<float>(floats);
  step->scratch_bytes = counter.bytes();
  step->run = [=](const StepCall& call) {
    ScratchCursor cursor(call.scratch);
    float* all_sums = cursor.Take<float>(floats);
    const int64_t range = CeilDiv(4096, n);
    machine.parallel().Run(CeilDiv(rows, range), [&](int64_t begin, int64_t end, int worker) {
      float* memory = all_sums + worker * sums;
      for (int64_t row = begin * range; row < end * range && row < rows; ++row) {
        Normalize(machine.loops, lrn, call.inputs[0] + row * n, n, memory, call.output + row * n);
      }
    });
  };
  return {};
}

}  // namespace

Prepare ReadScaleShift(Attributes& a) {
  int64_t channels = 0;
  const float* scale = a.Vector("scale", &channels, true);
  const float* shift = a.Vector("shift", &channels, true);
  const Epilogue epilogue{nullptr, a.ReadActivation()};
  return [=](const Machine& machine, const std::vector<Sizes>& inputs, Step* step) {
    return PrepareScaleShift(scale, shift, channels, epilogue, machine, inputs, step);
  };
}

Prepare ReadActivationOp(Attributes& a) {
  const Epilogue epilogue{nullptr, a.ReadActivation()};
  return [=](const Machine& machine, const std::vector<Sizes>& inputs, Step* step) {
    return PrepareScaleShift(nullptr, nullptr, 0, epilogue, machine, inputs, step);
  };
}

Prepare ReadAdd(Attributes& a) {
  return ReadBinary(a.ReadActivation(), [](const Loops& loops) { return loops.add; }, kAny);
}

Prepare ReadMultiply(Attributes&) {
  return ReadBinary({}, [](const Loops& loops) { return loops.multiply; }, kAny);
}

Prepare ReadSubtract(Attributes&) {
  return ReadBinary({}, [](const Loops& loops) { return loops.subtract; }, 2);
}

Prepare ReadMaximum(Attributes&) {
  return ReadBinary({}, [](const Loops& loops) { return loops.maximum; }, kAny);
}

Prepare ReadAverage(Attributes&) {
  return ReadBinary({}, [](const Loops& loops) { return loops.add; }, kAny, true);
}

Prepare ReadSoftmax(Attributes&) { return PrepareSoftmax; }

Prepare ReadLrn(Attributes& a) {
  const Lrn lrn{a.Integer("depth_radius", 0, int64_t{1} << 30), a.Real("bias"), a.Real("alpha"), a.Real("beta")};
  return [=](const Machine& machine, const std::vector<Sizes>& inputs, Step* step) {
    return PrepareLrn(lrn, machine, inputs, step);
  };
}

}  // namespace bnn
