#include "core/xnor_conv.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/reference.h"
#include "core/scratch.h"
#include "tests/cases.h"
#include "tests/compare.h"
#include "tests/run.h"

namespace bnn::testing {
namespace {

class XnorConvTest : public BackendTest {
 protected:
  Executor serial() const { return {backend(), kSerial}; }

  std::string Where(const ConvGeometry& g, int pad_value) const {
    return BackendTest::Where(Describe(g) + ", pad_value " + std::to_string(pad_value));
  }

  // Without scales the result is an integer: no tolerance.
  void ExpectExact(const ConvGeometry& g, Random* random) const {
    const std::vector<float> x = random->Specials(g.input_size()), w = random->Specials(g.kernel_size());
    const Packed packed = Pack(serial(), g, Scaling::kNone, w);
    const std::vector<double> ones(g.output_size(), 1.0), alpha(g.filters, 1.0);
    for (int pad_value : {-1, 0, 1}) {
      const std::vector<double> expected = reference::XnorConv(g, ToDouble(x), ToDouble(w), alpha, ones, pad_value);
      const Guard guard = pad_value == 0 ? Guard::kBefore : Guard::kAfter;
      ASSERT_TRUE(
          Agree(Where(g, pad_value), OutputShape(g), RunXnor(serial(), g, {false, pad_value}, x, packed, guard), expected));
    }
  }

  // A backend's mean of |x| adds at most channels/8 terms in each of several chains and joins them in 4 more additions; the
  // quotient, K, and the products with alpha and the integer round 5 times. All terms of K are positive: the error is relative.
  static std::vector<double> Bound(const ConvGeometry& g, const std::vector<double>& y) {
    const double roundings = static_cast<double>(g.group_channels()) / 8 + 10;
    std::vector<double> bound;
    for (double value : y) bound.push_back(std::fabs(value) * roundings * kRounding);
    return bound;
  }

  void ExpectScaled(const ConvGeometry& g, Scaling scaling, int pad_value, Random* random) const {
    const std::vector<float> x = random->Values(g.input_size()), w = random->Values(g.kernel_size());
    const Packed packed = Pack(serial(), g, scaling, w);
    const std::vector<double> k = reference::InputScale(g, ToDouble(x));
    const std::vector<double> expected = reference::XnorConv(g, ToDouble(x), ToDouble(w), ToDouble(packed.alpha), k, pad_value);
    const Guard guard = random->Chance(0.5) ? Guard::kAfter : Guard::kBefore;
    ASSERT_TRUE(Agree(Where(g, pad_value) + ", with K", OutputShape(g), RunXnor(serial(), g, {true, pad_value}, x, packed, guard),
                      expected, Bound(g, expected)));
  }
};

TEST_P(XnorConvTest, ListedShapesAreExact) {
  Random random(10);
  for (const ConvGeometry& g : ListedShapes()) ASSERT_NO_FATAL_FAILURE(ExpectExact(g, &random));
}

TEST_P(XnorConvTest, RandomShapesAreExact) {
  Random random(11);
  for (const ConvGeometry& g : RandomShapes(150, 1000000, &random)) ASSERT_NO_FATAL_FAILURE(ExpectExact(g, &random));
}

TEST_P(XnorConvTest, ListedShapesWithScales) {
  Random random(12);
  int turn = 0;
  for (const ConvGeometry& g : ListedShapes()) {
    ASSERT_NO_FATAL_FAILURE(ExpectScaled(g, turn % 2 ? Scaling::kChannel : Scaling::kTensor, turn % 3 - 1, &random));
    ++turn;
  }
}

TEST_P(XnorConvTest, RandomShapesWithScales) {
  Random random(13);
  for (const ConvGeometry& g : RandomShapes(150, 1000000, &random)) {
    const Scaling scaling = random.Of<Scaling>({Scaling::kChannel, Scaling::kTensor, Scaling::kNone});
    ASSERT_NO_FATAL_FAILURE(ExpectScaled(g, scaling, static_cast<int>(random.Int(-1, 1)), &random));
  }
}

TEST_P(XnorConvTest, ZeroScaleAndNoScaleDiffer) {
  // An image of zeros: the signs are +1, K is 0.
  const ConvGeometry g = Shape(1, 4, 4, 5).Kernel(3, 3, 6).Make();
  const std::vector<float> x(g.input_size(), 0.0f), w(g.kernel_size(), 1.0f);
  const Packed packed = Pack(serial(), g, Scaling::kNone, w);
  EXPECT_EQ(RunXnor(serial(), g, {true, 0}, x, packed), std::vector<float>(g.output_size(), 0.0f));
  EXPECT_EQ(RunXnor(serial(), g, {false, 1}, x, packed), std::vector<float>(g.output_size(), 45.0f));
}

TEST_P(XnorConvTest, FlippingOneWeightMovesOneChannelByTwoWhereTheTapIsInside) {
  Random random(14);
  for (const Shape& shape : {Shape(2, 6, 7, 5).Kernel(3, 4, 20), Shape(1, 5, 5, 64).Kernel(3, 3, 33).Strides(2, 1),
                             Shape(1, 7, 6, 6).Kernel(2, 2, 9).Groups(3).Dilations(2, 3)}) {
    const ConvGeometry g = shape.Make();
    const std::vector<float> x = random.Values(g.input_size()), w = random.Signs(g.kernel_size());
    for (int pad_value : {-1, 0, 1}) {
      const XnorOptions options{false, pad_value};
      const std::vector<float> before = RunXnor(serial(), g, options, x, Pack(serial(), g, Scaling::kNone, w));
      for (int repeat = 0; repeat < 10; ++repeat) {
        const int64_t flipped = random.Int(0, g.kernel_size() - 1);
        std::vector<float> other = w;
        other[flipped] = -other[flipped];
        const std::vector<float> after = RunXnor(serial(), g, options, x, Pack(serial(), g, Scaling::kNone, other));
        std::vector<double> moved;
        const int64_t tap = flipped / g.filters / g.group_channels();
        for (int64_t out = 0; out < g.output_size(); ++out) {
          const int64_t q = out / g.filters % g.w.out, p = out / g.filters / g.w.out % g.h.out;
          const int64_t row = g.h.At(p, tap / g.w.kernel), column = g.w.At(q, tap % g.w.kernel);
          const bool inside = row >= 0 && row < g.h.in && column >= 0 && column < g.w.in;
          moved.push_back(out % g.filters == flipped % g.filters && (inside || pad_value != 0) ? 2 : 0);
        }
        std::vector<float> difference;
        for (size_t i = 0; i < after.size(); ++i) difference.push_back(std::fabs(after[i] - before[i]));
        ASSERT_TRUE(Agree(Where(g, pad_value) + ", weight " + std::to_string(flipped), OutputShape(g), difference, moved));
      }
    }
  }
}

TEST_P(XnorConvTest, NegatingTheInputNegatesTheOutput) {
  Random random(15);
  for (const ConvGeometry& g : RandomShapes(30, 300000, &random)) {
    // -0 is as positive as 0, so there must be no zeros.
    std::vector<float> x = random.Signs(g.input_size());
    const Packed packed = Pack(serial(), g, Scaling::kChannel, random.Values(g.kernel_size()));
    for (int pad_value : {-1, 0, 1}) {
      std::vector<float> y = RunXnor(serial(), g, {true, pad_value}, x, packed);
      std::vector<float> negated = x;
      for (float& value : negated) value = -value;
      for (float& value : y) value = -value;
      ASSERT_TRUE(Identical(Where(g, pad_value), OutputShape(g), RunXnor(serial(), g, {true, -pad_value}, negated, packed), y));
    }
  }
}

TEST_P(XnorConvTest, ThreadsAndBatchesChangeNoBit) {
  Random random(16);
  const ThreadFor two(2), three(3);
  const BackwardsFor backwards;
  std::vector<ConvGeometry> shapes = RandomShapes(25, 1000000, &random);
  shapes.push_back(Shape(3, 15, 14, 64).Kernel(3, 3, 130).Make());
  for (const ConvGeometry& g : shapes) {
    const std::vector<float> x = random.Values(g.input_size());
    const Packed packed = Pack(serial(), g, Scaling::kChannel, random.Values(g.kernel_size()));
    const XnorOptions options{true, static_cast<int>(random.Int(-1, 1))};
    const std::vector<float> y = RunXnor(serial(), g, options, x, packed);
    for (const ParallelFor* parallel : {static_cast<const ParallelFor*>(&two), static_cast<const ParallelFor*>(&three),
                                        static_cast<const ParallelFor*>(&backwards)}) {
      ASSERT_TRUE(Identical(Where(g, options.pad_value) + ", " + std::to_string(parallel->workers()) + " workers", OutputShape(g),
                            RunXnor({backend(), *parallel}, g, options, x, packed), y));
    }
    ConvGeometry one = g;
    one.batch = 1;
    std::vector<float> parts;
    for (int64_t n = 0; n < g.batch; ++n) {
      const std::vector<float> image(x.begin() + n * one.input_size(), x.begin() + (n + 1) * one.input_size());
      const std::vector<float> part = RunXnor(serial(), one, options, image, packed);
      parts.insert(parts.end(), part.begin(), part.end());
    }
    ASSERT_TRUE(Identical(Where(g, options.pad_value) + ", image by image", OutputShape(g), parts, y));
  }
}

// A backend may round K otherwise than another, but not the integers, whatever the scale of the filter.
TEST_P(XnorConvTest, EveryBackendGivesTheSameBits) {
  Random random(17);
  const Executor portable{*AllBackends().back(), kSerial};
  for (const ConvGeometry& g : RandomShapes(60, 1000000, &random)) {
    const std::vector<float> x = random.Specials(g.input_size());
    const Packed packed = Pack(portable, g, Scaling::kChannel, random.Values(g.kernel_size()));
    const XnorOptions options{false, static_cast<int>(random.Int(-1, 1))};
    ASSERT_TRUE(Identical(Where(g, options.pad_value), OutputShape(g), RunXnor(serial(), g, options, x, packed),
                          RunXnor(portable, g, options, x, packed)));
  }
}

TEST_P(XnorConvTest, APixelThatIsNotFiniteSpoilsOnlyTheWindowsThatContainIt) {
  using Limits = std::numeric_limits<float>;
  Random random(18);
  for (const Shape& shape : {Shape(1, 20, 21, 3).Kernel(3, 3, 4), Shape(1, 20, 21, 3).Kernel(11, 10, 4),
                             Shape(1, 20, 21, 3).Kernel(2, 9, 4).Strides(2, 3),
                             Shape(1, 20, 21, 4).Kernel(9, 3, 4).Dilations(2, 1).Groups(2), Shape(2, 6, 6, 5).Kernel(1, 1, 3)}) {
    const ConvGeometry g = shape.Make();
    const Packed packed = Pack(serial(), g, Scaling::kChannel, random.Values(g.kernel_size()));
    std::vector<float> x = random.Values(g.input_size());
    for (float& value : x) value = value == 0 ? 1 : value;  // -0 would change its sign on the way to -infinity
    const std::vector<float> clean = RunXnor(serial(), g, {true, 0}, x, packed);
    for (float bad : {Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN()}) {
      const int64_t spoiled = random.Int(0, g.input_size() - 1);
      std::vector<float> other = x;
      // Its sign must not change, so that only K does.
      other[spoiled] = std::copysign(bad, x[spoiled]);
      if (std::isnan(bad) && reference::Sign(x[spoiled]) > 0) other[spoiled] = Limits::infinity();
      const std::vector<float> y = RunXnor(serial(), g, {true, 0}, other, packed);
      for (int64_t out = 0; out < g.output_size(); ++out) {
        bool contains = false;
        for (const reference::Tap& tap : reference::Taps(g, out)) contains = contains || tap.x == spoiled;
        const std::string where = Where(g, 0) + ", output " + IndexText(OutputShape(g), out);
        if (contains) {
          ASSERT_FALSE(std::isfinite(y[out])) << where;
        } else {
          ASSERT_EQ(y[out], clean[out]) << where;
        }
      }
    }
  }
}

// Three workers that never come; keeps the most items of a phase that were offered to them.
class CountingFor final : public ParallelFor {
 public:
  int workers() const override { return 3; }
  void Run(int64_t items, Body body) const override {
    most_ = std::max(most_, items);
    SerialFor().Run(items, body);
  }
  int64_t most() const { return most_; }

 private:
  mutable int64_t most_ = 0;
};

TEST_P(XnorConvTest, WhatOneThreadDoesInAMomentIsNotShared) {
  const auto most_items = [this](const Shape& shape) {
    const ConvGeometry g = shape.Make();
    const CountingFor three;
    const Executor executor{backend(), three};
    const Packed packed = Pack(serial(), g, Scaling::kChannel, std::vector<float>(g.kernel_size(), 1.0f));
    RunXnor(executor, g, {}, std::vector<float>(g.input_size(), 1.0f), packed);
    return three.most();
  };
  EXPECT_EQ(most_items(Shape(1, 4, 4, 32).Kernel(3, 3, 32)), 1);
  EXPECT_GT(most_items(Shape(1, 32, 32, 64).Kernel(3, 3, 64)), 3);
  EXPECT_GT(most_items(Shape(1, 28, 28, 1).Kernel(5, 5, 32)), 3);     // little to count, much to gather
  EXPECT_GT(most_items(Shape(1, 1, 1, 4096).Kernel(1, 1, 2048)), 3);  // little to count, much to read
}

BNN_FOR_EACH_BACKEND(XnorConvTest);

// A quarter of a gigabyte of pixels, four of output: a machine has them. K's sums for 32 threads take 2^64 bytes and a few.
TEST(XnorConv, ScratchMemoryThatHasNoSizeIsNotTakenForLittle) {
  const ThreadFor threads(32);
  const Executor executor{*SupportedBackends().front(), threads};
  const ConvGeometry g = Shape(1, 1, 1 << 26, 1).Kernel(1, 9, 1).Strides(1, 1 << 26).Explicit((1 << 30) - 1, 0, 0, 0).Make();
  ASSERT_EQ(g.output_size(), 1 << 30);
  EXPECT_EQ(XnorConvScratchBytes(executor, g, {true, 1}), kEndlessScratch);
}

TEST(XnorConv, AnEmptyOutputTouchesNothing) {
  const Executor executor{*SupportedBackends().front(), kSerial};
  const ConvGeometry g = Shape(0, 4, 4, 3).Make();
  EXPECT_EQ(XnorConvScratchBytes(executor, g, {}), 0);
  XnorConv(executor, g, {}, nullptr, nullptr, nullptr, nullptr, nullptr);
}

}  // namespace
}  // namespace bnn::testing
