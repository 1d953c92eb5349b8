#include "core/window_mean.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "core/reference.h"
#include "core/scratch.h"
#include "tests/cases.h"
#include "tests/compare.h"
#include "tests/run.h"

namespace bnn::testing {
namespace {

// As window_mean.h states it: n sums of positive terms in float64, one rounding to float32.
double Bound(const ConvGeometry& g, double k) { return k * (kRounding + static_cast<double>(g.taps()) * 0x1p-53); }

// One channel, one filter, so that K of the reference and K here have the same elements.
ConvGeometry Plane(Shape shape, int64_t height, int64_t width) { return shape.Kernel(height, width, 1).Make(); }

std::vector<float> RunWindowMean(const ParallelFor& parallel, const ConvGeometry& g, const std::vector<float>& a,
                                 Guard guard = Guard::kAfter) {
  const Executor executor{*AllBackends().back(), parallel};
  ScratchCursor count;
  const WindowMean counting(executor, g, &count);
  Guarded<char> scratch(count.bytes(), guard);
  ScratchCursor cursor(scratch.data());
  const Guarded<float> from(a, guard);
  Guarded<float> k(g.output_size(), guard);
  WindowMean(executor, g, &cursor).Run(from.data(), k.data());
  return k.Values();
}

// Values of K are positive, and its terms of very different size.
std::vector<float> Image(int64_t size, Random* random) {
  std::vector<float> a(size);
  for (float& value : a) value = std::ldexp(std::fabs(random->Value()), static_cast<int>(random->Int(-20, 20)));
  return a;
}

// Kernels of few taps are summed otherwise than those of many.
std::vector<ConvGeometry> Planes() {
  std::vector<ConvGeometry> planes;
  for (const auto& [height, width] :
       std::vector<std::pair<int, int>>{{1, 1}, {3, 3}, {2, 8}, {9, 1}, {1, 12}, {8, 9}, {11, 10}, {20, 20}}) {
    for (int stride : {1, 3, 13}) {
      for (int dilation : {1, 2}) {
        planes.push_back(Plane(Shape(2, 17, 19, 1).Strides(stride, 1).Dilations(1, dilation), height, width));
        planes.push_back(
            Plane(Shape(1, 30, 9, 1).Strides(1, stride).Dilations(dilation, 1).Explicit(3, 40, 30, 1), height, width));
      }
    }
  }
  planes.push_back(Plane(Shape(1, 1, 1, 1), 9, 9));
  planes.push_back(Plane(Shape(1, 0, 4, 1).Explicit(9, 9, 9, 9), 10, 10));
  return planes;
}

TEST(WindowMean, AgreesWithTheFormula) {
  Random random(30);
  const ThreadFor parallel(2);
  const BackwardsFor backwards;
  for (const ConvGeometry& g : Planes()) {
    const std::vector<float> a = Image(g.input_size(), &random);
    const std::vector<double> expected = reference::InputScale(g, ToDouble(a));
    std::vector<double> bound;
    for (double k : expected) bound.push_back(Bound(g, k));
    const std::vector<float> k = RunWindowMean(kSerial, g, a);
    ASSERT_TRUE(Agree(Describe(g), OutputShape(g), k, expected, bound));
    ASSERT_TRUE(Identical(Describe(g), OutputShape(g), RunWindowMean(kSerial, g, a, Guard::kBefore), k));
    ASSERT_TRUE(Identical(Describe(g) + ", 2 threads", OutputShape(g), RunWindowMean(parallel, g, a), k));
    ASSERT_TRUE(Identical(Describe(g) + ", backwards", OutputShape(g), RunWindowMean(backwards, g, a), k));
  }
}

TEST(WindowMean, ALargeImageLosesNoAccuracy) {
  Random random(31);
  for (int kernel : {3, 5, 16, 33}) {
    const ConvGeometry g = Plane(Shape(1, 1024, 1024, 1), kernel, kernel);
    const std::vector<float> a = Image(g.input_size(), &random);
    const std::vector<float> k = RunWindowMean(kSerial, g, a);
    std::vector<float> some;
    std::vector<double> expected, bound;
    for (int64_t out = 0; out < g.output_size(); out += 37) {
      double sum = 0;
      for (const reference::Tap& tap : reference::Taps(g, out)) sum += tap.x >= 0 ? static_cast<double>(a[tap.x]) : 0.0;
      some.push_back(k[out]);
      expected.push_back(sum / static_cast<double>(g.taps()));
      bound.push_back(Bound(g, expected.back()));
    }
    ASSERT_TRUE(Agree(Describe(g) + ", every 37th output", {static_cast<int64_t>(some.size())}, some, expected, bound));
  }
}

TEST(WindowMean, AValueReachesOnlyTheWindowsThatContainIt) {
  using Limits = std::numeric_limits<float>;
  Random random(32);
  for (const ConvGeometry& g : Planes()) {
    if (g.empty() || g.input_size() == 0) continue;
    std::vector<float> a = Image(g.input_size(), &random);
    const std::vector<float> clean = RunWindowMean(kSerial, g, a);
    for (float bad : {Limits::infinity(), Limits::quiet_NaN(), Limits::max()}) {
      const int64_t at = random.Int(0, g.input_size() - 1);
      std::vector<float> other = a;
      other[at] = bad;
      const std::vector<float> k = RunWindowMean(kSerial, g, other);
      std::vector<double> expected = ToDouble(clean);
      for (int64_t out = 0; out < g.output_size(); ++out) {
        for (const reference::Tap& tap : reference::Taps(g, out)) {
          if (tap.x != at) continue;
          expected[out] = k[out];  // whatever it is; the others must not have moved
          ASSERT_EQ(std::isfinite(k[out]), bad == Limits::max()) << Describe(g);
        }
      }
      ASSERT_TRUE(Agree(Describe(g), OutputShape(g), k, expected));
    }
  }
}

TEST(WindowMean, TheGradientIsTheTranspose) {
  Random random(33);
  const ThreadFor parallel(2);
  for (const ConvGeometry& g : Planes()) {
    const std::vector<float> dk = random.Values(g.output_size()), before = random.Values(g.input_size());
    std::vector<double> expected = ToDouble(before), bound;
    for (double value : expected) bound.push_back(std::fabs(value));
    for (int64_t out = 0; out < g.output_size(); ++out) {
      for (const reference::Tap& tap : reference::Taps(g, out)) {
        if (tap.x < 0) continue;
        expected[tap.x] += dk[out] / static_cast<double>(g.taps());
        bound[tap.x] += std::fabs(dk[out]) / static_cast<double>(g.taps());
      }
    }
    for (double& value : bound) value *= static_cast<double>(g.taps() + 3) * kRounding;
    for (const ParallelFor* executor : {static_cast<const ParallelFor*>(&kSerial), static_cast<const ParallelFor*>(&parallel)}) {
      const Guarded<float> from(dk, Guard::kAfter);
      Guarded<float> da(before, Guard::kAfter);
      WindowMean::AddGradient({*AllBackends().back(), *executor}, g, from.data(), da.data());
      ASSERT_TRUE(Agree(Describe(g), InputShape(g), da.Values(), expected, bound));
    }
  }
}

}  // namespace
}  // namespace bnn::testing
