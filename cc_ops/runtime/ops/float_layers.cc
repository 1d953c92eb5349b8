// conv2d, dense: float weights, packed into panels once a file.
#include <algorithm>

#include "runtime/float_conv.h"
#include "runtime/ops/readers.h"
#include "runtime/ops/shapes.h"

namespace bnn {
namespace {

// Everything of a layer that doesn't depend on the input's size.
struct Layer {
  Window window;
  int64_t groups = 1;
  FloatTensor weights;  // HWIO
  FloatKernel kernel;   // the same in panels; empty for a depthwise convolution
  Epilogue epilogue;

  bool depthwise() const { return groups > 1 && weights.shape[2] == 1 && weights.shape[3] == groups; }
};

Message PrepareConv(const Layer& layer, const Machine& machine, const std::vector<Sizes>& inputs, Step* step) {
  if (Message error = CheckInputs(inputs, 1, 4); !error.empty()) return error;
  const Sizes& shape = layer.weights.shape;
  ConvGeometry g;
  if (Message error = GeometryOf(inputs[0], layer.window, {shape[0], shape[1], shape[2], shape[3]}, layer.groups, &g);
      !error.empty()) {
    return error;
  }
  step->shape = ConvOutputShape(g);
  if (Message error = layer.epilogue.activation.Check(step->shape); !error.empty()) return error;
  if (!Known(inputs[0])) return {};
  if (Message error = CheckActivation(step->shape); !error.empty()) return error;
  if (layer.depthwise()) {
    std::vector<Axis::Range> inside;
    for (int64_t q = 0; q < g.w.out; ++q) inside.push_back(g.w.Inside(q));
    step->run = [=](const StepCall& call) {
      DepthwiseConv(machine, g, layer.weights.data.get(), inside.data(), layer.epilogue, call.inputs[0], call.output);
    };
    return {};
  }
  step->scratch_bytes = FloatConvScratchBytes(g);
  step->run = [=](const StepCall& call) {
    FloatConv(machine, g, layer.kernel, layer.epilogue, call.inputs[0], call.output, call.scratch);
  };
  return {};
}

Message PrepareDense(const Layer& layer, const Machine& machine, const std::vector<Sizes>& inputs, Step* step) {
  if (Message error = CheckInputs(inputs, 1); !error.empty()) return error;
  if (inputs[0].size() < 2) return "takes an input of rank 2 or more. Got shape " + Text(inputs[0]) + ".";
  const Sizes& shape = layer.weights.shape;
  ConvGeometry g;
  if (Message error = MakeDense("its kernel", kUnknown, inputs[0].back(), shape[0], shape[1], &g); !error.empty()) return error;
  step->shape = inputs[0];
  step->shape.back() = shape[1];
  if (Message error = layer.epilogue.activation.Check(step->shape); !error.empty()) return error;
  if (!Known(inputs[0])) return {};
  if (Message error = CheckActivation(step->shape); !error.empty()) return error;
  const int64_t rows = RowsOf(inputs[0]);
  step->run = [=](const StepCall& call) { FloatDense(machine, rows, layer.kernel, layer.epilogue, call.inputs[0], call.output); };
  return {};
}

// The panels, and what stands beside the kernel in both ops.
void Finish(Attributes& a, int64_t run, Layer* layer) {
  const int64_t filters = a.failed() ? 1 : layer->weights.shape.back();
  layer->epilogue.bias = a.Vector("bias", filters, true);
  layer->epilogue.activation = a.ReadActivation();
  if (a.failed() || layer->depthwise()) return;
  layer->kernel = FloatKernel(layer->weights.data.get(), run, filters, layer->groups);
  if (!layer->kernel.ready()) a.Fail("there is no memory for its kernel.");
}

}  // namespace

Prepare ReadConv2D(Attributes& a) {
  Layer layer;
  layer.window = a.ReadWindow(true);
  layer.groups = a.Integer("groups", 1, int64_t{1} << 30);
  layer.weights = a.Kernel("kernel", 4);
  if (a.failed()) return {};
  const Sizes& shape = layer.weights.shape;
  if (shape[0] != layer.window.kernel[0] || shape[1] != layer.window.kernel[1] || shape[3] % layer.groups != 0) {
    a.Fail("its kernel of shape " + Text(shape) + " fits neither window nor groups.");
    return {};
  }
  Finish(a, shape[0] * shape[1] * shape[2], &layer);
  return [layer](const Machine& machine, const std::vector<Sizes>& inputs, Step* step) {
    return PrepareConv(layer, machine, inputs, step);
  };
}

Prepare ReadDense(Attributes& a) {
  Layer layer;
  layer.weights = a.Kernel("kernel", 2);
  if (a.failed()) return {};
  Finish(a, layer.weights.shape[0], &layer);
  return [layer](const Machine& machine, const std::vector<Sizes>& inputs, Step* step) {
    return PrepareDense(layer, machine, inputs, step);
  };
}

}  // namespace bnn
