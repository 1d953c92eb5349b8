#include "core/sign_conv.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/reference.h"
#include "tests/cases.h"
#include "tests/compare.h"
#include "tests/run.h"

namespace bnn::testing {
namespace {

// A float32 sum of n terms rounds n - 1 times in whatever order, each time by at most 2^-24 of a partial sum, itself at most S =
// sum|x| over the window: n * 2^-24 * S at the very worst. With signs that do not conspire partial sums are about S / sqrt(n) and
// the roundings add up like a random walk of n steps: S * 2^-24, whatever n. 8 leaves room for both and is the worst case for n
// = 8.
constexpr double kRandomSigns = 8;

class SignConvTest : public BackendTest {
 protected:
  Executor serial() const { return {backend(), kSerial}; }
  std::string Where(const ConvGeometry& g) const { return BackendTest::Where(Describe(g)); }

  // `roundings` * 2^-24 * |alpha| * sum|x| for each output.
  static std::vector<double> Bound(const ConvGeometry& g, const std::vector<float>& x, const std::vector<float>& alpha,
                                   double roundings) {
    std::vector<double> bound = reference::InputScale(g, ToDouble(x));
    for (int64_t out = 0; out < g.output_size(); ++out) {
      bound[out] *= static_cast<double>(g.run()) * std::fabs(alpha[out % g.filters]) * roundings * kRounding;
    }
    return bound;
  }

  void ExpectClose(const ConvGeometry& g, Scaling scaling, const std::vector<float>& x, const std::vector<float>& w,
                   double roundings, Guard guard) const {
    const Packed packed = Pack(serial(), g, scaling, w);
    const std::vector<double> expected = reference::SignConv(g, ToDouble(x), ToDouble(w), ToDouble(packed.alpha));
    ASSERT_TRUE(
        Agree(Where(g), OutputShape(g), RunSign(serial(), g, x, packed, guard), expected, Bound(g, x, packed.alpha, roundings)));
  }
};

TEST_P(SignConvTest, ListedShapes) {
  Random random(20);
  int turn = 0;
  for (const ConvGeometry& g : ListedShapes()) {
    const Scaling scaling = std::vector<Scaling>{Scaling::kChannel, Scaling::kTensor, Scaling::kNone}[turn % 3];
    const std::vector<float> x = random.Values(g.input_size()), w = random.Values(g.kernel_size());
    ASSERT_NO_FATAL_FAILURE(ExpectClose(g, scaling, x, w, kRandomSigns, Guard::kAfter));
    ASSERT_NO_FATAL_FAILURE(ExpectClose(g, scaling, x, w, kRandomSigns, Guard::kBefore));
    ++turn;
  }
}

TEST_P(SignConvTest, RandomShapes) {
  Random random(21);
  for (const ConvGeometry& g : RandomShapes(150, 1000000, &random)) {
    const std::vector<float> x = random.Values(g.input_size()), w = random.Values(g.kernel_size());
    ASSERT_NO_FATAL_FAILURE(
        ExpectClose(g, Scaling::kChannel, x, w, kRandomSigns, random.Chance(0.5) ? Guard::kAfter : Guard::kBefore));
  }
}

// Small integers add up without rounding, so here nothing may be off at all.
TEST_P(SignConvTest, IntegersAreExact) {
  Random random(22);
  std::vector<ConvGeometry> shapes = RandomShapes(100, 1000000, &random);
  for (const ConvGeometry& g : ListedShapes()) shapes.push_back(g);
  for (const ConvGeometry& g : shapes) {
    std::vector<float> x(g.input_size());
    for (float& value : x) value = static_cast<float>(random.Int(-100, 100));
    ASSERT_NO_FATAL_FAILURE(ExpectClose(g, Scaling::kNone, x, random.Values(g.kernel_size()), 0, Guard::kAfter));
  }
}

// Values of very different size that cancel: only the bound of the worst case holds.
TEST_P(SignConvTest, CancellationStaysInsideTheWorstCase) {
  Random random(23);
  for (const ConvGeometry& g : RandomShapes(60, 500000, &random)) {
    std::vector<float> x = random.Values(g.input_size());
    for (float& value : x) value = std::ldexp(value, static_cast<int>(random.Int(-30, 30)));
    ASSERT_NO_FATAL_FAILURE(
        ExpectClose(g, Scaling::kChannel, x, random.Values(g.kernel_size()), static_cast<double>(g.run() + 1), Guard::kAfter));
  }
}

TEST_P(SignConvTest, FlippingOneWeightMovesOneChannelWhereTheTapIsInside) {
  Random random(24);
  for (const Shape& shape : {Shape(2, 6, 7, 5).Kernel(3, 4, 20), Shape(1, 5, 5, 64).Kernel(3, 3, 33).Strides(2, 1),
                             Shape(1, 7, 6, 12).Kernel(2, 2, 9).Groups(3).Dilations(2, 3)}) {
    const ConvGeometry g = shape.Make();
    const std::vector<float> x = random.Signs(g.input_size()), w = random.Signs(g.kernel_size());
    const std::vector<float> before = RunSign(serial(), g, x, Pack(serial(), g, Scaling::kNone, w));
    for (int repeat = 0; repeat < 10; ++repeat) {
      const int64_t flipped = random.Int(0, g.kernel_size() - 1);
      std::vector<float> other = w;
      other[flipped] = -other[flipped];
      const std::vector<float> after = RunSign(serial(), g, x, Pack(serial(), g, Scaling::kNone, other));
      std::vector<double> moved(g.output_size(), 0);
      for (int64_t out = 0; out < g.output_size(); ++out) {
        for (const reference::Tap& tap : reference::Taps(g, out)) moved[out] += tap.w == flipped && tap.x >= 0 ? 2 : 0;
      }
      std::vector<float> difference;
      for (size_t i = 0; i < after.size(); ++i) difference.push_back(std::fabs(after[i] - before[i]));
      ASSERT_TRUE(Agree(Where(g) + ", weight " + std::to_string(flipped), OutputShape(g), difference, moved));
    }
  }
}

// Rounding is symmetric, so this too is exact.
TEST_P(SignConvTest, NegatingTheInputNegatesTheOutput) {
  Random random(25);
  for (const ConvGeometry& g : RandomShapes(40, 300000, &random)) {
    std::vector<float> x = random.Values(g.input_size());
    const Packed packed = Pack(serial(), g, Scaling::kChannel, random.Values(g.kernel_size()));
    std::vector<float> y = RunSign(serial(), g, x, packed);
    for (float& value : y) value = -value;
    for (float& value : x) value = -value;
    ASSERT_TRUE(Identical(Where(g), OutputShape(g), RunSign(serial(), g, x, packed), y));
  }
}

TEST_P(SignConvTest, ThreadsAndBatchesChangeNoBit) {
  Random random(26);
  const ThreadFor two(2), three(3);
  const BackwardsFor backwards;
  std::vector<ConvGeometry> shapes = RandomShapes(25, 1000000, &random);
  shapes.push_back(Shape(3, 15, 14, 64).Kernel(3, 3, 130).Make());
  shapes.push_back(Shape(2, 15, 14, 68).Kernel(3, 3, 7).Make());
  for (const ConvGeometry& g : shapes) {
    const std::vector<float> x = random.Values(g.input_size());
    const Packed packed = Pack(serial(), g, Scaling::kChannel, random.Values(g.kernel_size()));
    const std::vector<float> y = RunSign(serial(), g, x, packed);
    for (const ParallelFor* parallel : {static_cast<const ParallelFor*>(&two), static_cast<const ParallelFor*>(&three),
                                        static_cast<const ParallelFor*>(&backwards)}) {
      ASSERT_TRUE(Identical(Where(g) + ", " + std::to_string(parallel->workers()) + " workers", OutputShape(g),
                            RunSign({backend(), *parallel}, g, x, packed), y));
    }
    ConvGeometry one = g;
    one.batch = 1;
    std::vector<float> parts;
    for (int64_t n = 0; n < g.batch; ++n) {
      const std::vector<float> image(x.begin() + n * one.input_size(), x.begin() + (n + 1) * one.input_size());
      const std::vector<float> part = RunSign(serial(), one, image, packed);
      parts.insert(parts.end(), part.begin(), part.end());
    }
    ASSERT_TRUE(Identical(Where(g) + ", image by image", OutputShape(g), parts, y));
  }
}

TEST_P(SignConvTest, AnInfinityReachesTheWindowsThatContainIt) {
  using Limits = std::numeric_limits<float>;
  Random random(27);
  for (const Shape& shape :
       {Shape(1, 9, 8, 3).Kernel(3, 3, 4), Shape(1, 9, 8, 8).Kernel(3, 3, 40), Shape(1, 9, 8, 8).Kernel(2, 3, 34).Groups(2),
        Shape(1, 9, 8, 12).Kernel(3, 3, 40).Strides(2, 2).Dilations(2, 1), Shape(2, 4, 4, 5).Kernel(1, 1, 3)}) {
    const ConvGeometry g = shape.Make();
    const std::vector<float> w = random.Values(g.kernel_size());
    const Packed packed = Pack(serial(), g, Scaling::kChannel, w);
    std::vector<float> x = random.Values(g.input_size());
    for (float bad : {Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN()}) {
      std::vector<float> other = x;
      other[random.Int(0, g.input_size() - 1)] = bad;
      const std::vector<double> expected = reference::SignConv(g, ToDouble(other), ToDouble(w), ToDouble(packed.alpha));
      ASSERT_TRUE(Agree(Where(g) + ", " + std::to_string(bad), OutputShape(g), RunSign(serial(), g, other, packed), expected,
                        Bound(g, x, packed.alpha, 2 * kRandomSigns)));
    }
  }
}

BNN_FOR_EACH_BACKEND(SignConvTest);

TEST(SignConv, AnEmptyOutputTouchesNothing) {
  const Executor executor{*SupportedBackends().front(), kSerial};
  const ConvGeometry g = Shape(0, 4, 4, 3).Make();
  EXPECT_EQ(SignConvScratchBytes(executor, g), 0);
  SignConv(executor, g, nullptr, nullptr, nullptr, nullptr, nullptr);
}

}  // namespace
}  // namespace bnn::testing
