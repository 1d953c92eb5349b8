// Every op of the packed runtime against plain loops in double, or the core's reference.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "core/packed_kernel.h"
#include "core/reference.h"
#include "tests/cases.h"
#include "tests/compare.h"
#include "tests/packed_builder.h"
#include "tests/random.h"
#include "tests/run.h"

namespace bnn {
namespace {

using namespace testing;

using Doubles = std::vector<double>;

std::string WindowOf(const ConvGeometry& g, bool dilations = true) {
  using B = PackedBuilder;
  return R"("window": {"kernel": )" + B::List({g.h.kernel, g.w.kernel}) + R"(, "strides": )" + B::List({g.h.stride, g.w.stride}) +
         (dilations ? R"(, "dilations": )" + B::List({g.h.dilation, g.w.dilation}) : "") + R"(, "padding": )" +
         B::List({g.h.before, g.h.after, g.w.before, g.w.after}) + "}";
}

PackedBuilder ImageModel(const ConvGeometry& g) { return PackedBuilder({g.h.in, g.w.in, g.channels}); }

// Shapes that a session takes: nothing in them is empty.
std::vector<ConvGeometry> Shapes() {
  std::vector<ConvGeometry> shapes = ListedShapes();
  Random random(1);
  for (const ConvGeometry& g : RandomShapes(40, 1 << 16, &random)) shapes.push_back(g);
  shapes.erase(
      std::remove_if(shapes.begin(), shapes.end(), [](const ConvGeometry& g) { return g.empty() || g.input_size() == 0; }),
      shapes.end());
  return shapes;
}

// How far a float32 sum of `terms` products may be off, each at most 4.
Doubles Bound(size_t count, int64_t terms) { return Doubles(count, 8 * static_cast<double>(terms + 8) * kRounding); }

class RuntimeTest : public BackendTest {
 protected:
  ModelOptions options(int threads = 1) const { return {threads, backend().name}; }
};

TEST_P(RuntimeTest, Conv2D) {
  Random random(2);
  for (const ConvGeometry& g : Shapes()) {
    if (g.output_size() * g.run() > 1 << 21) continue;
    const auto x = random.Values(g.input_size()), w = random.Values(g.kernel_size()), bias = random.Values(g.filters);
    PackedBuilder builder = ImageModel(g);
    builder.Node("conv2d", {-1},
                 WindowOf(g) + R"(, "groups": )" + std::to_string(g.groups) + R"(, "kernel": )" +
                     builder.Floats(KernelShape(g), w) + R"(, "bias": )" + builder.Vector(bias) + R"(, "activation": null)");
    Doubles expected(g.output_size());
    for (int64_t out = 0; out < g.output_size(); ++out) {
      for (const reference::Tap& tap : reference::Taps(g, out)) expected[out] += tap.x < 0 ? 0.0 : double{x[tap.x]} * w[tap.w];
      expected[out] += bias[out % g.filters];
    }
    for (const int threads : {1, 3}) {
      const auto y = RunFile(builder.Build(), InputShape(g), x, options(threads));
      EXPECT_TRUE(Agree(Where(Describe(g)), OutputShape(g), y, expected, Bound(y.size(), g.run())));
    }
  }
}

TEST_P(RuntimeTest, BinaryConv2D) {
  Random random(3);
  for (const ConvGeometry& g : Shapes()) {
    if (g.output_size() * g.run() > 1 << 20) continue;
    const auto x = random.Values(g.input_size()), w = random.Values(g.kernel_size()), bias = random.Values(g.filters);
    const Packed packed = Pack({backend(), kSerial}, g, Scaling::kChannel, w);
    PackedBuilder builder = ImageModel(g);
    builder.Node("binary_conv2d", {-1},
                 WindowOf(g) + R"(, "groups": )" + std::to_string(g.groups) + R"(, "bits": )" +
                     builder.Tensor("bits", KernelShape(g), packed.bits) + R"(, "alpha": )" + builder.Vector(packed.alpha) +
                     R"(, "bias": )" + builder.Vector(bias) + R"(, "activation": {"kind": "relu", "max": null, "slope": 0.0})");
    Doubles expected = reference::SignConv(g, ToDouble(x), ToDouble(w), ToDouble(packed.alpha));
    for (size_t i = 0; i < expected.size(); ++i) expected[i] = std::max(0.0, expected[i] + bias[i % g.filters]);
    const auto y = RunFile(builder.Build(), InputShape(g), x, options());
    EXPECT_TRUE(Agree(Where(Describe(g)), OutputShape(g), y, expected, Bound(y.size(), g.run())));
  }
}

TEST_P(RuntimeTest, BinaryConvInput2D) {
  Random random(4);
  int number = 0;
  for (const ConvGeometry& g : Shapes()) {
    if (g.output_size() * g.run() > 1 << 20) continue;
    const int pad_value = number++ % 3 - 1;
    const auto x = random.Values(g.input_size()), w = random.Values(g.kernel_size());
    const auto scale = random.Values(g.channels), shift = random.Values(g.channels);
    const Packed packed = Pack({backend(), kSerial}, g, Scaling::kNone, w);
    PackedBuilder builder = ImageModel(g);
    builder.Node("binary_conv_input2d", {-1},
                 WindowOf(g) + R"(, "groups": )" + std::to_string(g.groups) + R"(, "bits": )" +
                     builder.Tensor("bits", KernelShape(g), packed.bits) + R"(, "alpha": )" + builder.Vector(packed.alpha) +
                     R"(, "bias": null, "activation": null, "input_scaling": false, "pad_value": )" + std::to_string(pad_value) +
                     R"(, "pre_scale": )" + builder.Vector(scale) + R"(, "pre_shift": )" + builder.Vector(shift));
    Doubles scaled(x.size());
    for (size_t i = 0; i < x.size(); ++i) {
      const float product = x[i] * scale[i % g.channels];  // rounded, as the runtime does
      scaled[i] = product + shift[i % g.channels];
    }
    const Doubles expected =
        reference::XnorConv(g, scaled, ToDouble(w), ToDouble(packed.alpha), Doubles(g.output_size(), 1), pad_value);
    const auto y = RunFile(builder.Build(), InputShape(g), x, options());
    EXPECT_TRUE(Agree(Where(Describe(g)), OutputShape(g), y, expected));  // integers: no bound
  }
}

TEST_P(RuntimeTest, BinaryConvInput2DWithInputScaling) {
  Random random(5);
  const ConvGeometry g = Shape(2, 9, 8, 33).Kernel(3, 3, 20).Strides(2, 1).Make();
  const auto x = random.Values(g.input_size()), w = random.Values(g.kernel_size());
  const Packed packed = Pack({backend(), kSerial}, g, Scaling::kChannel, w);
  PackedBuilder builder = ImageModel(g);
  builder.Node(
      "binary_conv_input2d", {-1},
      WindowOf(g) + R"(, "groups": 1, "bits": )" + builder.Tensor("bits", KernelShape(g), packed.bits) + R"(, "alpha": )" +
          builder.Vector(packed.alpha) +
          R"(, "bias": null, "activation": null, "input_scaling": true, "pad_value": 0, "pre_scale": null, "pre_shift": null)");
  const Doubles expected =
      reference::XnorConv(g, ToDouble(x), ToDouble(w), ToDouble(packed.alpha), reference::InputScale(g, ToDouble(x)), 0);
  const auto y = RunFile(builder.Build(), InputShape(g), x, options());
  EXPECT_TRUE(Agree(Where(Describe(g)), OutputShape(g), y, expected, Bound(y.size(), g.run())));
}

TEST_P(RuntimeTest, Dense) {
  Random random(6);
  for (const int64_t rows : {1, 2, 13, 200}) {
    for (const auto& [channels, units] : {std::pair<int64_t, int64_t>{1, 1}, {7, 33}, {64, 32}, {1500, 70}}) {
      const auto x = random.Values(rows * channels), w = random.Values(channels * units), bias = random.Values(units);
      PackedBuilder builder({channels});
      builder.Node("dense", {-1},
                   R"("kernel": )" + builder.Floats({channels, units}, w) + R"(, "bias": )" + builder.Vector(bias) +
                       R"(, "activation": {"kind": "tanh"})");
      Doubles expected(rows * units);
      for (int64_t i = 0; i < rows * units; ++i) {
        for (int64_t c = 0; c < channels; ++c) expected[i] += double{x[i / units * channels + c]} * w[c * units + i % units];
        expected[i] = std::tanh(expected[i] + bias[i % units]);
      }
      const auto y = RunFile(builder.Build(), {rows, channels}, x, options(2));
      EXPECT_TRUE(Agree(Where("dense"), {rows, units}, y, expected, Bound(y.size(), channels)));
    }
  }
}

TEST_P(RuntimeTest, BinaryDenseLayers) {
  Random random(7);
  for (const bool binary_input : {false, true}) {
    const int64_t rows = 5, channels = 70, units = 19;
    const ConvGeometry g = [&] {
      ConvGeometry made;
      EXPECT_EQ(MakeDense("test", rows, channels, channels, units, &made), "");
      return made;
    }();
    const auto x = random.Values(g.input_size()), w = random.Values(g.kernel_size());
    const Packed packed = Pack({backend(), kSerial}, g, Scaling::kChannel, w);
    PackedBuilder builder({channels});
    builder.Node(binary_input ? "binary_dense_input" : "binary_dense", {-1},
                 R"("bits": )" + builder.Tensor("bits", {1, 1, channels, units}, packed.bits) + R"(, "alpha": )" +
                     builder.Vector(packed.alpha) + R"(, "bias": null, "activation": null)" +
                     (binary_input ? R"(, "input_scaling": true, "pad_value": 0, "pre_scale": null, "pre_shift": null)" : ""));
    const Doubles dx = ToDouble(x), dw = ToDouble(w), alpha = ToDouble(packed.alpha);
    const Doubles expected = binary_input ? reference::XnorConv(g, dx, dw, alpha, reference::InputScale(g, dx), 0)
                                          : reference::SignConv(g, dx, dw, alpha);
    const auto y = RunFile(builder.Build(), {rows, channels}, x, options());
    EXPECT_TRUE(Agree(Where("binary dense"), {rows, units}, y, expected, Bound(y.size(), channels)));
  }
}

TEST_P(RuntimeTest, Pools) {
  Random random(8);
  for (const int64_t channels : {1, 3, 32, 33, 70}) {
    for (const bool average : {false, true}) {
      const ConvGeometry g = Shape(2, 9, 7, channels).Kernel(3, 2, channels).Strides(2, 1).Explicit(1, 2, 0, 1).Make();
      const auto x = random.Values(g.input_size());
      PackedBuilder builder = ImageModel(g);
      builder.Node(average ? "average_pool2d" : "max_pool2d", {-1}, WindowOf(g, false));
      Doubles expected(g.output_size());
      for (int64_t out = 0; out < g.output_size(); ++out) {
        double sum = 0, largest = -HUGE_VAL, count = 0;
        for (const reference::Tap& tap : reference::Taps(g, out)) {
          if (tap.x < 0 || tap.x % channels != out % channels) continue;
          sum += x[tap.x];
          largest = std::max<double>(largest, x[tap.x]);
          ++count;
        }
        expected[out] = average ? sum / count : largest;
      }
      const auto y = RunFile(builder.Build(), InputShape(g), x, options(2));
      EXPECT_TRUE(Agree(Where("pool"), OutputShape(g), y, expected, Bound(y.size(), average ? 6 : 0)));
    }
  }
}

TEST_P(RuntimeTest, GlobalPools) {
  Random random(9);
  const int64_t pixels = 12, channels = 37;
  const auto x = random.Values(2 * pixels * channels);
  for (const std::string average : {"true", "false"}) {
    PackedBuilder builder({3, 4, channels});
    builder.Node(average == "true" ? "global_average_pool" : "global_max_pool", {-1}, R"("keepdims": )" + average);
    Doubles expected(2 * channels, average == "true" ? 0 : -HUGE_VAL);
    for (int64_t i = 0; i < 2 * pixels * channels; ++i) {
      double& value = expected[i / (pixels * channels) * channels + i % channels];
      value = average == "true" ? value + double{x[i]} / pixels : std::max<double>(value, x[i]);
    }
    const auto y = RunFile(builder.Build(), {2, 3, 4, channels}, x, options());
    EXPECT_TRUE(Agree(Where("global pool"), {2, channels}, y, expected, Bound(y.size(), pixels)));
  }
}

// One node that maps the input value by value.
void CheckElementwise(const std::string& where, const ModelOptions& options, const std::string& activation,
                      const std::function<double(double, int64_t)>& expected_of) {
  Random random(10);
  const int64_t channels = 21;
  auto x = random.Values(4 * 5 * channels * 40);
  for (float& value : x) value *= 4;
  PackedBuilder builder({4, 5, channels});
  std::vector<float> slopes(channels);
  for (int64_t c = 0; c < channels; ++c) slopes[c] = static_cast<float>(c) / 16;
  const std::string slope = builder.Vector(slopes);
  builder.Node("activation", {-1}, R"("activation": )" + activation + (activation.back() == ':' ? slope + "}" : ""));
  Doubles expected(x.size());
  for (size_t i = 0; i < x.size(); ++i) expected[i] = expected_of(x[i], static_cast<int64_t>(i) % channels);
  const auto y = RunFile(builder.Build(), {40, 4, 5, channels}, x, options);
  EXPECT_TRUE(Agree(where + ", " + activation, {40, 4, 5, channels}, y, expected, Bound(y.size(), 4)));
}

TEST_P(RuntimeTest, Activations) {
  const auto check = [&](const std::string& json, const std::function<double(double)>& f) {
    CheckElementwise(backend().name, options(2), json, [&](double v, int64_t) { return f(v); });
  };
  check("null", [](double v) { return v; });
  check(R"({"kind": "relu", "max": null, "slope": 0.0})", [](double v) { return std::max(v, 0.0); });
  check(R"({"kind": "relu", "max": 6.0, "slope": 0})", [](double v) { return std::clamp(v, 0.0, 6.0); });
  check(R"({"kind": "relu", "max": 2.0, "slope": 0.25})", [](double v) { return v < 0 ? v / 4 : std::min(v, 2.0); });
  check(R"({"kind": "sigmoid"})", [](double v) { return 1 / (1 + std::exp(-v)); });
  check(R"({"kind": "tanh"})", [](double v) { return std::tanh(v); });
  check(R"({"kind": "hard_tanh"})", [](double v) { return std::clamp(v, -1.0, 1.0); });
  check(R"({"kind": "elu"})", [](double v) { return v > 0 ? v : std::exp(v) - 1; });
  check(R"({"kind": "selu"})",
        [](double v) { return 1.0507009873554805 * (v > 0 ? v : 1.6732632423543772 * (std::exp(v) - 1)); });
  check(R"({"kind": "gelu"})", [](double v) { return v / 2 * (1 + std::erf(v / std::sqrt(2.0))); });
  check(R"({"kind": "silu"})", [](double v) { return v / (1 + std::exp(-v)); });
  check(R"({"kind": "softplus"})", [](double v) { return std::log1p(std::exp(v)); });
  check(R"({"kind": "hard_sigmoid"})", [](double v) { return std::clamp(v + 3, 0.0, 6.0) / 6; });
  CheckElementwise(backend().name, options(), R"({"kind": "prelu", "slope":)",
                   [](double v, int64_t c) { return v < 0 ? v * static_cast<double>(c) / 16 : v; });
}

TEST_P(RuntimeTest, CombinesInputsOfOneShape) {
  Random random(11);
  const int64_t channels = 19;
  const auto x = random.Values(3 * channels), scale = random.Values(channels), shift = random.Values(channels);
  const auto scaled = [&](size_t i) { return x[i] * scale[i % channels] + shift[i % channels]; };
  const struct {
    const char* op;
    std::function<double(double, double)> f;
  } cases[] = {{"add", [](double a, double b) { return a + b; }},
               {"subtract", [](double a, double b) { return a - b; }},
               {"multiply", [](double a, double b) { return a * b; }},
               {"maximum", [](double a, double b) { return std::max(a, b); }},
               {"average", [](double a, double b) { return (a + b) / 2; }}};
  for (const auto& [op, f] : cases) {
    PackedBuilder builder({channels});
    builder.Node("scale_shift", {-1},
                 R"("scale": )" + builder.Vector(scale) + R"(, "shift": )" + builder.Vector(shift) + R"(, "activation": null)");
    builder.Node(op, {0, -1}, op == std::string("add") ? R"("activation": null)" : "");
    Doubles expected(x.size());
    for (size_t i = 0; i < x.size(); ++i) expected[i] = f(scaled(i), x[i]);
    const auto y = RunFile(builder.Build(), {3, channels}, x, options());
    EXPECT_TRUE(Agree(Where(op), {3, channels}, y, expected, Bound(y.size(), 2)));
  }
}

TEST_P(RuntimeTest, Lrn) {
  Random random(12);
  const int64_t channels = 29;
  const auto x = random.Values(7 * channels);
  for (const double beta : {0.75, 0.5, 1.25}) {
    for (const int64_t radius : {0, 2, 40}) {
      PackedBuilder builder({channels});
      builder.Node(
          "lrn", {-1},
          R"("depth_radius": )" + std::to_string(radius) + R"(, "bias": 2, "alpha": 0.125, "beta": )" + std::to_string(beta));
      Doubles expected(x.size());
      for (int64_t i = 0; i < static_cast<int64_t>(x.size()); ++i) {
        double sum = 0;
        for (int64_t j = 0; j < channels; ++j) {
          if (std::abs(j - i % channels) <= radius) sum += std::pow(x[i / channels * channels + j], 2);
        }
        expected[i] = x[i] / std::pow(2 + 0.125 * sum, beta);
      }
      const auto y = RunFile(builder.Build(), {7, channels}, x, options(2));
      EXPECT_TRUE(Agree(Where("lrn"), {7, channels}, y, expected, Bound(y.size(), channels)));
    }
  }
}

TEST_P(RuntimeTest, Softmax) {
  const std::vector<float> x = {1, 2, 3, 1000, 1001, -1000, -90, -90, -90};
  PackedBuilder builder({3});
  builder.Node("softmax", {-1});
  Doubles expected;
  for (size_t row = 0; row < 9; row += 3) {
    const double largest = *std::max_element(x.begin() + row, x.begin() + row + 3);
    double sum = 0;
    for (size_t i = row; i < row + 3; ++i) sum += std::exp(x[i] - largest);
    for (size_t i = row; i < row + 3; ++i) expected.push_back(std::exp(x[i] - largest) / sum);
  }
  EXPECT_TRUE(Agree(Where("softmax"), {3, 3}, RunFile(builder.Build(), {3, 3}, x, options()), expected, Bound(9, 1)));
}

TEST_P(RuntimeTest, MovesValues) {
  Random random(13);
  const auto x = random.Values(2 * 3 * 4 * 2);  // [2, 3, 4, 2]
  const auto at = [&](int64_t n, int64_t h, int64_t w, int64_t c) -> double {
    return h < 0 || h >= 3 || w < 0 || w >= 4 || c < 0 || c >= 2 ? 0 : x[((n * 3 + h) * 4 + w) * 2 + c];
  };
  const auto check = [&](const std::string& op, const std::vector<int64_t>& inputs, const std::string& attributes,
                         const Sizes& shape, const std::function<double(int64_t, int64_t, int64_t, int64_t)>& f) {
    PackedBuilder builder({3, 4, 2});
    builder.Node(op, inputs, attributes);
    Doubles expected;
    for (int64_t i = 0; i < Elements(shape); ++i) {
      expected.push_back(
          f(i / shape[3] / shape[2] / shape[1], i / shape[3] / shape[2] % shape[1], i / shape[3] % shape[2], i % shape[3]));
    }
    EXPECT_TRUE(Agree(Where(op), shape, RunFile(builder.Build(), {2, 3, 4, 2}, x, options(2)), expected));
  };
  check("concat", {-1, -1}, R"("axis": -1)", {2, 3, 4, 4}, [&](auto n, auto h, auto w, auto c) { return at(n, h, w, c % 2); });
  check("pad", {-1}, R"("padding": [1, 2, 3, 0])", {2, 6, 7, 2},
        [&](auto n, auto h, auto w, auto c) { return at(n, h - 1, w - 3, c); });
  check("pad_channels", {-1}, R"("before": 1, "after": 3)", {2, 3, 4, 6},
        [&](auto n, auto h, auto w, auto c) { return at(n, h, w, c - 1); });
  check("flatten", {-1}, "", {2, 1, 1, 24}, [&](auto n, auto, auto, auto c) { return at(n, c / 8, c / 2 % 4, c % 2); });
  check("reshape", {-1}, R"("shape": [4, 3, 2])", {2, 4, 3, 2},
        [&](auto n, auto h, auto w, auto c) { return at(n, (h * 3 + w) / 4, (h * 3 + w) % 4, c); });
  check("windows", {-1}, R"("size": [2, 2], "dilations": [1, 2])", {2, 2, 2, 8},
        [&](auto n, auto h, auto w, auto c) { return at(n, h + c / 4, w + c / 2 % 2 * 2, c % 2); });
}

TEST_P(RuntimeTest, HalfPrecisionKernels) {
  // 1, -2, the smallest subnormal, the largest number, 0.5, -0
  const std::vector<uint16_t> halves = {0x3C00, 0xC000, 0x0001, 0x7BFF, 0x3800, 0x8000};
  const Doubles values = {1, -2, 0x1p-24, 65504, 0.5, -0.0};
  PackedBuilder builder({1});
  builder.Node("dense", {-1},
               R"("kernel": )" + builder.Tensor("float16", {1, 6}, halves) + R"(, "bias": null, "activation": null)");
  EXPECT_TRUE(Agree(Where("float16"), {1, 6}, RunFile(builder.Build(), {1, 1}, {1}, options()), values));
}

BNN_FOR_EACH_BACKEND(RuntimeTest);

}  // namespace
}  // namespace bnn
