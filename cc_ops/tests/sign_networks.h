// Random networks of binary layers, for what keeps signs between them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/packed_kernel.h"
#include "tests/cases.h"
#include "tests/packed_builder.h"
#include "tests/random.h"
#include "tests/run.h"

namespace bnn::testing {

// What scales and shifts are made of: of wild numbers some are tiny, huge, infinite or NaN. Monotone networks have no activation,
// so that every sum has a threshold.
enum class Numbers { kMonotone, kPlain, kWild };

// Appends node after node to a chain that begins with the model's input.
class SignNetwork {
 public:
  SignNetwork(const Sizes& image, Numbers numbers, Random* random)
      : random_(*random), numbers_(numbers), builder_({image[0], image[1], image[2]}), shape_(image) {}

  const Sizes& shape() const { return shape_; }  // of the last node's output, without the batch
  int last() const { return last_; }
  PackedBuilder& builder() { return builder_; }

  std::optional<int64_t> pad_value;  // of the next convolutions; none: any

  // Positive and negative, 0 and -0.
  std::vector<float> Floats(int64_t count) {
    if (numbers_ != Numbers::kWild) return random_.Values(count);
    std::vector<float> values = random_.Values(count);
    for (float& value : values) {
      if (random_.Chance(0.1)) value = random_.Special();
      if (random_.Chance(0.1)) value *= random_.Chance(0.5) ? 1e30f : 1e-41f;
    }
    return values;
  }

  std::string Vector(int64_t count, double null) { return random_.Chance(null) ? "null" : builder_.Vector(Floats(count)); }

  std::string Activation(int64_t channels) {
    static const std::vector<std::string> known = {"null", "null", R"({"kind": "relu", "max": null, "slope": 0.0})",
                                                   R"({"kind": "relu", "max": 1.5, "slope": 0.25})", R"({"kind": "hard_tanh"})"};
    static const std::vector<std::string> odd = {R"({"kind": "relu", "max": null, "slope": -1.0})", R"({"kind": "tanh"})",
                                                 R"({"kind": "gelu"})", R"({"kind": "silu"})", R"({"kind": "sigmoid"})"};
    if (numbers_ == Numbers::kMonotone) return "null";
    if (random_.Chance(0.1)) return R"({"kind": "prelu", "slope": )" + builder_.Vector(Floats(channels)) + "}";
    return random_.Of(random_.Chance(0.15) ? odd : known);
  }

  std::string Window(const ConvGeometry& g, bool dilations) const {
    using B = PackedBuilder;
    return R"("window": {"kernel": )" + B::List({g.h.kernel, g.w.kernel}) + R"(, "strides": )" +
           B::List({g.h.stride, g.w.stride}) + (dilations ? R"(, "dilations": )" + B::List({g.h.dilation, g.w.dilation}) : "") +
           R"(, "padding": )" + B::List({g.h.before, g.h.after, g.w.before, g.w.after}) + "}";
  }

  // binary_conv_input2d behind `input`.
  int Conv(int input, const ConvGeometry& g, const std::string& pre, bool input_scaling = false) {
    last_ = builder_.Node("binary_conv_input2d", {input},
                          Window(g, true) + R"(, "groups": )" + std::to_string(g.groups) + ", " + Bits(g) + ", " + pre +
                              R"(, "input_scaling": )" + (input_scaling ? "true" : "false") + R"(, "pad_value": )" +
                              std::to_string(pad_value ? *pad_value : random_.Int(-1, 1)));
    shape_ = {g.h.out, g.w.out, g.filters};
    return last_;
  }

  int Conv(const ConvGeometry& g) { return Conv(last_, g, Pre(g.channels)); }

  int Dense(int64_t units) {
    const ConvGeometry g = Shape(1, 1, 1, shape_.back()).Kernel(1, 1, units).Make();
    last_ = builder_.Node("binary_dense_input", {last_},
                          Bits(g) + ", " + Pre(g.channels) + R"(, "input_scaling": false, "pad_value": 0)");
    shape_ = {units};
    return last_;
  }

  int MaxPool(const ConvGeometry& g) {
    last_ = builder_.Node("max_pool2d", {last_}, Window(g, false));
    shape_ = {g.h.out, g.w.out, g.channels};
    return last_;
  }

  int Pad(int64_t top, int64_t bottom, int64_t left, int64_t right) {
    last_ = builder_.Node("pad", {last_}, R"("padding": )" + PackedBuilder::List({top, bottom, left, right}));
    shape_ = {shape_[0] + top + bottom, shape_[1] + left + right, shape_[2]};
    return last_;
  }

  int Stage() {
    const int64_t channels = shape_.back();
    last_ = builder_.Node("scale_shift", {last_},
                          R"("scale": )" + Vector(channels, 0.3) + R"(, "shift": )" + Vector(channels, 0.3) +
                              R"(, "activation": )" + Activation(channels));
    return last_;
  }

  // A batch norm.
  int Scale() {
    const int64_t channels = shape_.back();
    last_ =
        builder_.Node("scale_shift", {last_},
                      R"("scale": )" + Vector(channels, 0) + R"(, "shift": )" + Vector(channels, 0) + R"(, "activation": null)");
    return last_;
  }

  int Flatten() {
    last_ = builder_.Node("flatten", {last_});
    shape_ = {Elements(shape_)};
    return last_;
  }

  std::string Pre(int64_t channels) {
    return R"("pre_scale": )" + Vector(channels, 0.4) + R"(, "pre_shift": )" + Vector(channels, 0.4);
  }

 private:
  // The kernel, alpha and what follows the sum.
  std::string Bits(const ConvGeometry& g) {
    const Packed packed = Pack({*AllBackends().back(), kSerial}, g, Scaling::kNone, random_.Values(g.kernel_size()));
    return R"("bits": )" + builder_.Tensor("bits", KernelShape(g), packed.bits) + R"(, "alpha": )" +
           builder_.Vector(Floats(g.filters)) + R"(, "bias": )" + Vector(g.filters, 0.4) + R"(, "activation": )" +
           Activation(g.filters);
  }

  Random& random_;
  Numbers numbers_;
  PackedBuilder builder_;
  Sizes shape_;
  int last_ = -1;
};

}  // namespace bnn::testing
