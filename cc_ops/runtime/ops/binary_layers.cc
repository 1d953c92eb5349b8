// binary_conv2d, binary_conv_input2d, binary_dense, binary_dense_input: the core's convolutions on the bits of the file.
#include <algorithm>

#include "core/bits.h"
#include "core/options.h"
#include "core/packed_kernel.h"
#include "core/scratch.h"
#include "core/sign_conv.h"
#include "core/xnor_conv.h"
#include "runtime/ops/readers.h"
#include "runtime/ops/shapes.h"
#include "runtime/signs.h"

namespace bnn {
namespace {

struct Layer {
  bool dense = false, binary_input = false;
  Window window;
  int64_t groups = 1;
  Sizes shape;  // of the kernel: [kh, kw, channels / groups, filters]
  const uint32_t* bits = nullptr;
  const float* alpha = nullptr;
  Epilogue epilogue;
  XnorOptions xnor;
  const float *pre_scale = nullptr, *pre_shift = nullptr;

  Stage pre() const { return {pre_scale, pre_shift, {}}; }
  bool signs() const { return binary_input && !xnor.input_scaling; }
};

// That the bits behind the last weight of a run, and the lanes behind the last filter, are 0: a product counts on it.
bool RestIsZero(const KernelLayout& layout, const ConvGeometry& g, const uint32_t* bits) {
  const uint32_t last_word = BitsBetween(0, g.run() - (layout.words - 1) * kWordBits);
  for (int64_t block = 0; block < layout.groups * layout.blocks; ++block, bits += layout.block_words()) {
    const int64_t filters = std::min<int64_t>(kLanes, g.group_filters() - block % layout.blocks * kLanes);
    const uint32_t* last = bits + layout.block_words() - kLanes;
    if (std::any_of(last, last + kLanes, [&](uint32_t word) { return (word & ~last_word) != 0; })) return false;
    for (int64_t word = 0; word < layout.words && filters < kLanes; ++word) {
      const uint32_t* lanes = bits + word * kLanes;
      if (std::any_of(lanes + filters, lanes + kLanes, [](uint32_t lane) { return lane != 0; })) return false;
    }
  }
  return true;
}

Message CheckBits(const Tensor& tensor, int64_t groups) {
  ConvGeometry g;
  if (Message error = KernelOfShape("its kernel", tensor.shape, groups, &g); !error.empty()) return error;
  const KernelLayout layout(g);
  if (tensor.bytes != layout.total_words() * 4) {
    return "its bits take " + std::to_string(tensor.bytes) + " bytes. Expected " + std::to_string(layout.total_words() * 4) +
           " for a kernel of shape " + Text(tensor.shape) + " in " + std::to_string(groups) + " groups.";
  }
  if (!RestIsZero(layout, g, tensor.as<uint32_t>())) return "there are bits set where its kernel has no weights.";
  return {};
}

Message PrepareGeometry(const Layer& layer, const std::vector<Sizes>& inputs, ConvGeometry* g, Sizes* output) {
  const Sizes& kernel = layer.shape;
  if (Message error = CheckInputs(inputs, 1, layer.dense ? 0 : 4); !error.empty()) return error;
  if (!layer.dense) {
    Message error = GeometryOf(inputs[0], layer.window, {kernel[0], kernel[1], kernel[2], kernel[3]}, layer.groups, g);
    *output = ConvOutputShape(*g);
    return error;
  }
  if (inputs[0].size() < 2) return "takes an input of rank 2 or more. Got shape " + Text(inputs[0]) + ".";
  *output = inputs[0];
  output->back() = kernel[3];
  return MakeDense("its kernel", RowsOf(inputs[0]), inputs[0].back(), kernel[2], kernel[3], g);
}

std::shared_ptr<const SignRole> RoleOf(const Layer& layer, const ConvGeometry& g, const Sizes& input) {
  if (!layer.signs() || g.empty()) return nullptr;
  auto role = std::make_shared<SignRole>();
  if (!layer.dense || input.size() == 2) role->reads = SignRole::Reads::kSigns;
  role->stage = layer.pre();
  role->window = g;
  role->dense = layer.dense;
  role->pad_value = layer.xnor.pad_value;
  role->sums = !layer.dense || input.size() == 2;
  role->run = g.run();
  role->alpha = layer.alpha;
  role->after.epilogue = layer.epilogue;
  return role;
}

XnorMaps MapsOf(const std::shared_ptr<const SignMap>& in, const std::shared_ptr<const SignMap>& out) {
  return {in ? &in->output.layout : nullptr, out ? &out->output : nullptr};
}

// A vector is an image that the kernel covers: the pixels of an image lie in it one behind the other, as a kernel's taps do. One
// that comes as floats is a pixel.
Message MakeDenseOnSigns(const SignMap* input, ConvGeometry* g) {
  const SignLayout image = input ? input->output.layout : SignLayout{g->w.in, 1, 1, g->channels};
  ConvRequest request;
  request.input = {image.batch, image.height, image.width, image.channels};
  request.kernel = {image.height, image.width, image.channels, g->filters};
  request.padding = "valid";
  return MakeConv(request, g);
}

Message PrepareLayer(const Layer& layer, const Machine& machine, const std::vector<Sizes>& inputs, Step* step) {
  ConvGeometry g;
  if (Message error = PrepareGeometry(layer, inputs, &g, &step->shape); !error.empty()) return error;
  if (Message error = layer.epilogue.activation.Check(step->shape); !error.empty()) return error;
  if (!Known(inputs[0])) return {};
  if (Message error = CheckActivation(step->shape); !error.empty()) return error;

  step->role = RoleOf(layer, g, inputs[0]);
  const auto signs_in = step->signs_in, signs_out = step->signs_out;
  if (layer.dense && (signs_in || signs_out)) {
    if (Message error = MakeDenseOnSigns(signs_in.get(), &g); !error.empty()) return error;
  }
  const Stage pre = signs_in ? Stage() : layer.pre();
  const int64_t scaled_floats = pre.by_channel() ? g.input_size() : 0;
  ScratchCursor counter;
  counter.Take<float>(scaled_floats);
  step->scratch_bytes =
      counter.bytes() + (layer.binary_input ? XnorConvScratchBytes(machine.executor, g, layer.xnor, MapsOf(signs_in, signs_out))
                                            : SignConvScratchBytes(machine.executor, g));
  step->run = [=](const StepCall& call) {
    ScratchCursor cursor(call.scratch);
    float* scaled = cursor.Take<float>(scaled_floats);
    const float* x = call.inputs[0];
    if (pre.by_channel()) {
      ForRows(machine.parallel(), g.input_size() / g.channels, g.channels, [&](int64_t first, int64_t last) {
        machine.loops.scale_shift(x + first * g.channels, last - first, g.channels, pre.scale, pre.shift,
                                  scaled + first * g.channels);
      });
      x = scaled;
    }
    char* scratch = call.scratch + cursor.bytes();
    const auto finish = [&](float* y, int64_t stride, int64_t rows, int64_t filter, int64_t filters) {
      layer.epilogue.Tile(machine.loops, y, stride, rows, filter, filters);
    };
    const PartDone done(finish);
    const PartDone* after = layer.epilogue.empty() ? nullptr : &done;
    if (layer.binary_input) {
      XnorConv(machine.executor, g, layer.xnor, MapsOf(signs_in, signs_out), x, layer.bits, layer.alpha, call.output, scratch,
               after);
    } else {
      SignConv(machine.executor, g, x, layer.bits, layer.alpha, call.output, scratch, after);
    }
  };
  return {};
}

Prepare ReadLayer(Attributes& a, bool dense, bool binary_input) {
  Layer layer;
  layer.dense = dense;
  layer.binary_input = binary_input;
  if (!dense) {
    layer.window = a.ReadWindow(true);
    layer.groups = a.Integer("groups", 1, int64_t{1} << 30);
  }
  const Tensor* bits = a.Bits("bits");
  if (a.failed()) return {};
  layer.shape = bits->shape;
  layer.bits = bits->as<uint32_t>();
  if (Message error = CheckBits(*bits, layer.groups); !error.empty()) a.Fail(error);
  if (layer.shape[0] != layer.window.kernel[0] || layer.shape[1] != layer.window.kernel[1]) {
    a.Fail("its kernel of shape " + Text(layer.shape) + " does not fit the window.");
  }
  layer.alpha = a.Vector("alpha", layer.shape[3], false);
  layer.epilogue.bias = a.Vector("bias", layer.shape[3], true);
  layer.epilogue.activation = a.ReadActivation();
  if (binary_input) {
    layer.xnor.input_scaling = a.Flag("input_scaling");
    // A dense layer has no outside: a converter may leave the value away.
    if (!dense || a.Has("pad_value")) layer.xnor.pad_value = static_cast<int>(a.Integer("pad_value", -1, 1));
    const int64_t channels = layer.shape[2] * layer.groups;
    layer.pre_scale = a.Vector("pre_scale", channels, true);
    layer.pre_shift = a.Vector("pre_shift", channels, true);
  }
  return [layer](const Machine& machine, const std::vector<Sizes>& inputs, Step* step) {
    return PrepareLayer(layer, machine, inputs, step);
  };
}

}  // namespace

Prepare ReadBinaryConv2D(Attributes& a) { return ReadLayer(a, false, false); }
Prepare ReadBinaryConvInput2D(Attributes& a) { return ReadLayer(a, false, true); }
Prepare ReadBinaryDense(Attributes& a) { return ReadLayer(a, true, false); }
Prepare ReadBinaryDenseInput(Attributes& a) { return ReadLayer(a, true, true); }

}  // namespace bnn
