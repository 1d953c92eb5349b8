// What only moves values: concat, pad, pad_channels, flatten, reshape, windows.
#include <algorithm>

#include "runtime/ops/readers.h"
#include "runtime/ops/shapes.h"
#include "runtime/signs.h"

namespace bnn {
namespace {

constexpr int64_t kMaxSize = int64_t{1} << 30;

std::shared_ptr<const SignRole> RoleOf(SignRole::Reads reads) {
  auto role = std::make_shared<SignRole>();
  role->reads = reads;
  return role;
}

// Along the last axis.
Message PrepareConcat(const Machine& machine, const std::vector<Sizes>& inputs, Step* step) {
  if (inputs.empty()) return "takes an input or more.";
  step->shape = inputs[0];
  int64_t channels = 0;
  std::vector<int64_t> widths;
  for (const Sizes& shape : inputs) {
    if (shape.size() != inputs[0].size() || !std::equal(shape.begin(), shape.end() - 1, inputs[0].begin())) {
      return "its inputs must differ in channels alone. Got " + Text(inputs[0]) + " and " + Text(shape) + ".";
    }
    widths.push_back(shape.back());
    channels = shape.back() == kUnknown || channels == kUnknown ? kUnknown : channels + shape.back();
  }
  step->shape.back() = channels;
  if (!Known(step->shape)) return {};
  if (Message error = CheckActivation(step->shape); !error.empty()) return error;
  const int64_t rows = RowsOf(step->shape);
  step->run = [=](const StepCall& call) {
    ForRows(machine.parallel(), rows, channels, [&](int64_t first, int64_t last) {
      int64_t at = 0;
      for (size_t i = 0; i < widths.size(); at += widths[i], ++i) {
        for (int64_t row = first; row < last; ++row) {
          std::copy_n(call.inputs[i] + row * widths[i], widths[i], call.output + row * channels + at);
        }
      }
    });
  };
  return {};
}

// Zeros around the image.
Message PreparePad(const std::vector<int64_t>& padding, const Machine& machine, const std::vector<Sizes>& inputs, Step* step) {
  if (Message error = CheckInputs(inputs, 1, 4); !error.empty()) return error;
  const Sizes& in = inputs[0];
  const int64_t top = padding[0], bottom = padding[1], left = padding[2], right = padding[3];
  const auto padded = [](int64_t size, int64_t more) { return size == kUnknown ? kUnknown : size + more; };
  step->shape = {in[0], padded(in[1], top + bottom), padded(in[2], left + right), in[3]};
  if (!Known(step->shape)) return {};
  if (Message error = CheckActivation(step->shape); !error.empty()) return error;
  step->role = RoleOf(SignRole::Reads::kPad);
  if (step->signs_in) {
    const auto from = step->signs_in, to = step->signs_out;
    step->run = [=](const StepCall& call) {
      SignPad(machine.parallel(), from->output.layout, to->output.layout, {top, left, to->zero_bits.data()},
              reinterpret_cast<const uint32_t*>(call.inputs[0]), reinterpret_cast<uint32_t*>(call.output));
    };
    return {};
  }
  const int64_t height = step->shape[1], line = step->shape[2] * in[3], inside = in[2] * in[3];
  step->run = [=](const StepCall& call) {
    ForRows(machine.parallel(), in[0] * height, line, [&](int64_t first, int64_t last) {
      for (int64_t row = first; row < last; ++row) {
        const int64_t h = row % height - top, n = row / height;
        float* y = call.output + row * line;
        if (h < 0 || h >= in[1]) {
          std::fill_n(y, line, 0.0f);
          continue;
        }
        std::fill_n(y, left * in[3], 0.0f);
        std::copy_n(call.inputs[0] + (n * in[1] + h) * inside, inside, y + left * in[3]);
        std::fill_n(y + left * in[3] + inside, right * in[3], 0.0f);
      }
    });
  };
  return {};
}

// Channels of zeros on both sides.
Message PreparePadChannels(int64_t before, int64_t after, const Machine& machine, const std::vector<Sizes>& inputs, Step* step) {
  if (Message error = CheckInputs(inputs, 1); !error.empty()) return error;
  step->shape = inputs[0];
  const int64_t inside = step->shape.back();
  if (inside != kUnknown) step->shape.back() += before + after;
  if (!Known(step->shape)) return {};
  if (Message error = CheckActivation(step->shape); !error.empty()) return error;
  const int64_t rows = RowsOf(step->shape), channels = step->shape.back();
  step->run = [=](const StepCall& call) {
    ForRows(machine.parallel(), rows, channels, [&](int64_t first, int64_t last) {
      for (int64_t row = first; row < last; ++row) {
        float* y = call.output + row * channels;
        std::fill_n(y, before, 0.0f);
        std::copy_n(call.inputs[0] + row * inside, inside, y + before);
        std::fill_n(y + before + inside, after, 0.0f);
      }
    });
  };
  return {};
}

// `target` without the batch; empty for all values in one row.
Message PrepareReshape(const Sizes& target, const std::vector<Sizes>& inputs, Step* step) {
  if (Message error = CheckInputs(inputs, 1); !error.empty()) return error;
  const Sizes& in = inputs[0];
  const int64_t values = Elements(Sizes(in.begin() + 1, in.end()));
  step->shape = {in[0]};
  if (target.empty()) {
    step->shape.push_back(values);
    step->role = RoleOf(SignRole::Reads::kFlatten);
  } else {
    step->shape.insert(step->shape.end(), target.begin(), target.end());
    if (values != kUnknown && values != Elements(target)) {
      return "an input of shape " + Text(in) + " does not fit the shape " + Text(target) + ".";
    }
  }
  step->alias = true;
  return {};
}

struct Tiling {
  std::vector<int64_t> size, dilations;
};

// y[n, p, q, (i * width + j) * channels + c] = x[n, p + i * d, q + j * d, c]
Message PrepareWindows(const Tiling& tiling, const Machine& machine, const std::vector<Sizes>& inputs, Step* step) {
  if (Message error = CheckInputs(inputs, 1, 4); !error.empty()) return error;
  const Sizes& in = inputs[0];
  Window window;
  window.kernel = {tiling.size[0], tiling.size[1]};
  window.dilations = {tiling.dilations[0], tiling.dilations[1]};
  window.padding = "valid";
  ConvGeometry g;
  if (Message error = GeometryOf(in, window, {window.kernel[0], window.kernel[1], kUnknown, 1}, 1, &g); !error.empty()) {
    return error;
  }
  step->shape = {g.batch, g.h.out, g.w.out, g.channels == kUnknown ? kUnknown : g.run()};
  if (!Known(step->shape)) return {};
  if (Message error = CheckActivation(step->shape); !error.empty()) return error;
  step->run = [=](const StepCall& call) {
    machine.parallel().Run(
        g.batch * g.h.out, Each([&](int64_t row, int) {
          const int64_t p = row % g.h.out, n = row / g.h.out;
          float* y = call.output + row * g.w.out * g.run();
          for (int64_t q = 0; q < g.w.out; ++q) {
            for (int64_t i = 0; i < g.h.kernel; ++i) {
              for (int64_t j = 0; j < g.w.kernel; ++j, y += g.channels) {
                std::copy_n(call.inputs[0] + ((n * g.h.in + g.h.At(p, i)) * g.w.in + g.w.At(q, j)) * g.channels, g.channels, y);
              }
            }
          }
        }));
  };
  return {};
}

}  // namespace

Prepare ReadConcat(Attributes& a) {
  a.Integer("axis", -1, -1);
  return PrepareConcat;
}

Prepare ReadPad(Attributes& a) {
  const std::vector<int64_t> padding = a.Integers("padding", 4, 0, kMaxSize);
  return [=](const Machine& machine, const std::vector<Sizes>& inputs, Step* step) {
    return PreparePad(padding, machine, inputs, step);
  };
}

Prepare ReadPadChannels(Attributes& a) {
  const int64_t before = a.Integer("before", 0, kMaxSize), after = a.Integer("after", 0, kMaxSize);
  return [=](const Machine& machine, const std::vector<Sizes>& inputs, Step* step) {
    return PreparePadChannels(before, after, machine, inputs, step);
  };
}

Prepare ReadFlatten(Attributes&) {
  return [](const Machine&, const std::vector<Sizes>& inputs, Step* step) { return PrepareReshape({}, inputs, step); };
}

Prepare ReadReshape(Attributes& a) {
  const Sizes target = a.Integers("shape", 0, 1, kMaxSize);
  if (target.empty() || target.size() > 7) a.Fail("`shape` must have 1 to 7 sizes.");
  return [=](const Machine&, const std::vector<Sizes>& inputs, Step* step) { return PrepareReshape(target, inputs, step); };
}

Prepare ReadWindows(Attributes& a) {
  const Tiling tiling{a.Integers("size", 2, 1, kMaxSize), a.Integers("dilations", 2, 1, kMaxSize)};
  return [=](const Machine& machine, const std::vector<Sizes>& inputs, Step* step) {
    return PrepareWindows(tiling, machine, inputs, step);
  };
}

}  // namespace bnn
