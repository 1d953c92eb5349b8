// A small network that has something of everything: what the tests of whole models, and those of damaged files, start from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/packed_kernel.h"
#include "core/parallel.h"
#include "tests/packed_builder.h"
#include "tests/random.h"

namespace bnn::testing {

inline std::string SampleWindow(int64_t kernel, int64_t stride, const std::string& padding, bool dilations = true) {
  using B = PackedBuilder;
  return R"("window": {"kernel": )" + B::List({kernel, kernel}) + R"(, "strides": )" + B::List({stride, stride}) +
         (dilations ? R"(, "dilations": [1, 1])" : "") + R"(, "padding": )" + padding + "}";
}

inline std::string SampleBits(PackedBuilder* builder, int64_t kernel, int64_t channels, int64_t filters, Random* random) {
  ConvRequest request;
  request.input = {1, 8, 8, channels};
  request.kernel = {kernel, kernel, channels, filters};
  ConvGeometry g;
  EXPECT_EQ(MakeConv(request, &g), "");
  const SerialFor serial;
  const Backend* backend = AllBackends().back();
  std::vector<uint32_t> bits(KernelLayout(g).total_words());
  std::vector<float> alpha(filters);
  PackKernel({*backend, serial}, g, Scaling::kNone, random->Values(g.kernel_size()).data(), bits.data(), alpha.data());
  return R"("bits": )" + builder->Tensor("bits", {kernel, kernel, channels, filters}, bits) + R"(, "alpha": )" +
         builder->Vector(random->Values(filters)) + R"(, "bias": )" + builder->Vector(random->Values(filters));
}

// Input [12, 10, 3] of any size, 5 scores.
inline PackedBuilder SampleModel() {
  Random random(100);
  PackedBuilder b({12, 10, 3}, true);
  const std::string relu = R"("activation": {"kind": "relu", "max": null, "slope": 0.0})", none = R"("activation": null)";
  const int conv =
      b.Node("conv2d", {-1},
             SampleWindow(3, 1, "\"same\"") + R"(, "groups": 1, "kernel": )" + b.Floats({3, 3, 3, 20}, random.Values(540)) +
                 R"(, "bias": )" + b.Vector(random.Values(20)) + ", " + relu);
  const int pool = b.Node("max_pool2d", {conv}, SampleWindow(2, 2, "[0, 1, 0, 1]", false));
  const int xnor = b.Node("binary_conv_input2d", {pool},
                          SampleWindow(3, 1, "\"same\"") + R"(, "groups": 1, )" + SampleBits(&b, 3, 20, 20, &random) + ", " +
                              none + R"(, "input_scaling": true, "pad_value": 0, "pre_scale": )" + b.Vector(random.Values(20)) +
                              R"(, "pre_shift": null)");
  const int add = b.Node("add", {xnor, pool}, none);
  const int bwn =
      b.Node("binary_conv2d", {add},
             SampleWindow(3, 2, "\"valid\"") + R"(, "groups": 1, )" + SampleBits(&b, 3, 20, 24, &random) + ", " + relu);
  const int depthwise = b.Node("conv2d", {bwn},
                               SampleWindow(3, 1, "\"same\"") + R"(, "groups": 24, "kernel": )" +
                                   b.Floats({3, 3, 1, 24}, random.Values(216)) + R"(, "bias": null, )" + none);
  const int norm = b.Node("lrn", {depthwise}, R"("depth_radius": 2, "bias": 1.0, "alpha": 0.1, "beta": 0.75)");
  const int scaled =
      b.Node("scale_shift", {norm},
             R"("scale": )" + b.Vector(random.Values(24)) + R"(, "shift": )" + b.Vector(random.Values(24)) + ", " + none);
  const int both = b.Node("concat", {scaled, depthwise}, R"("axis": -1)");
  const int mean = b.Node("global_average_pool", {both}, R"("keepdims": false)");
  const int hidden =
      b.Node("binary_dense_input", {mean},
             SampleBits(&b, 1, 48, 16, &random) + R"(, "activation": {"kind": "prelu", "slope": )" + b.Vector(random.Values(16)) +
                 R"(}, "input_scaling": true, "pad_value": 0, "pre_scale": null, "pre_shift": null)");
  const int scores =
      b.Node("dense", {hidden},
             R"("kernel": )" + b.Floats({16, 5}, random.Values(80)) + R"(, "bias": )" + b.Vector(random.Values(5)) + ", " + none);
  b.Node("softmax", {scores});
  b.SetPreprocessing(R"({"mean": [120, 110.5, 100], "deviation": [60, 61, 62.5], "short_side": 16})");
  b.SetClasses(R"(["a", "b", "c", "d", "\u00e9"])");
  return b;
}

}  // namespace bnn::testing
