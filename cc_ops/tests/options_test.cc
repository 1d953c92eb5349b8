#include "core/options.h"

#include <gtest/gtest.h>

#include <string>

namespace bnn {
namespace {

TEST(Options, Scaling) {
  Scaling scaling = Scaling::kNone;
  EXPECT_EQ(ParseScaling("BinaryDense", "channel", &scaling), "");
  EXPECT_EQ(scaling, Scaling::kChannel);
  EXPECT_EQ(ParseScaling("BinaryDense", "tensor", &scaling), "");
  EXPECT_EQ(scaling, Scaling::kTensor);
  EXPECT_EQ(ParseScaling("BinaryDense", "none", &scaling), "");
  EXPECT_EQ(scaling, Scaling::kNone);
  EXPECT_EQ(ParseScaling("BinaryDense", "filter", &scaling),
            "BinaryDense: unknown `scaling` \"filter\". Expected \"channel\" (a scale per filter), \"tensor\" (one per layer) or "
            "\"none\".");
}

TEST(Options, Ste) {
  Ste ste = Ste::kCustom;
  EXPECT_EQ(ParseSte("BinaryConv2D", "ste", "identity", &ste), "");
  EXPECT_EQ(ste, Ste::kIdentity);
  EXPECT_EQ(ParseSte("BinaryConv2D", "ste", "clip", &ste), "");
  EXPECT_EQ(ste, Ste::kClip);
  EXPECT_EQ(ParseSte("BinaryConv2D", "ste", "custom", &ste), "");
  EXPECT_EQ(ste, Ste::kCustom);
  EXPECT_EQ(ParseSte("BinaryConvInput2D", "input_ste", "tanh", &ste),
            "BinaryConvInput2D: unknown `input_ste` \"tanh\". Expected \"identity\", \"clip\" or \"custom\" (with a tensor of "
            "pseudo-gradients).");
}

TEST(Options, PadValue) {
  for (int value : {-1, 0, 1}) EXPECT_EQ(CheckPadValue("BinaryConvInput2D", value), "");
  for (int64_t value : {int64_t{-2}, int64_t{2}, int64_t{1} << 32}) {
    EXPECT_EQ(CheckPadValue("BinaryConvInput2D", value), "BinaryConvInput2D: `pad_value` must be -1, 0 or +1. Got " +
                                                             std::to_string(value) +
                                                             ". Use 0 for the padding that an ordinary convolution has.");
  }
}

}  // namespace
}  // namespace bnn
