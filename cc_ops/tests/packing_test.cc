#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "core/packed_kernel.h"
#include "core/reference.h"
#include "core/relaid_kernel.h"
#include "tests/cases.h"
#include "tests/compare.h"
#include "tests/run.h"

namespace bnn::testing {
namespace {

class PackKernelTest : public BackendTest {};

// The layout as packed_kernel.h states it, bit by bit, and nothing in the bits between.
std::vector<uint32_t> ExpectedBits(const ConvGeometry& g, const std::vector<float>& w) {
  const int64_t filters = g.filters / g.groups, run = g.h.kernel * g.w.kernel * (g.channels / g.groups);
  const int64_t blocks = (filters + 15) / 16, words = (run + 31) / 32;
  std::vector<uint32_t> bits(g.groups * blocks * words * 16, 0);
  for (int64_t group = 0; group < g.groups; ++group) {
    for (int64_t filter = 0; filter < filters; ++filter) {
      for (int64_t k = 0; k < run; ++k) {
        const bool minus = !(w[k * g.filters + group * filters + filter] >= 0);
        bits[((group * blocks + filter / 16) * words + k / 32) * 16 + filter % 16] |= static_cast<uint32_t>(minus) << k % 32;
      }
    }
  }
  return bits;
}

TEST_P(PackKernelTest, BitsLieWhereTheLayoutSays) {
  Random random(1);
  for (const ConvGeometry& g : ListedShapes()) {
    const std::vector<float> w = random.Specials(g.kernel_size());
    const KernelLayout layout(g);
    const std::vector<int64_t> shape = {layout.groups, layout.blocks, layout.words, kLanes};
    const std::vector<uint32_t> expected = ExpectedBits(g, w);
    for (Guard guard : {Guard::kAfter, Guard::kBefore}) {
      const Packed packed = Pack({backend(), kSerial}, g, Scaling::kChannel, w, guard);
      ASSERT_TRUE(Identical(Where(Describe(g)), shape, packed.bits, expected));
    }
  }
}

TEST_P(PackKernelTest, UnpackingIsTheInverse) {
  Random random(2);
  for (const ConvGeometry& g : ListedShapes()) {
    const std::vector<float> w = random.Signs(g.kernel_size());
    const Packed packed = Pack({backend(), kSerial}, g, Scaling::kNone, w);
    const Guarded<uint32_t> bits(packed.bits, Guard::kAfter);
    Guarded<float> unpacked(g.kernel_size());
    UnpackKernel(g, bits.data(), unpacked.data());
    ASSERT_TRUE(Identical(Where(Describe(g)), KernelShape(g), unpacked.Values(), w));
  }
}

// Turned on floats, then packed: the same bits, whoever turns which part, and nothing in the bits between.
TEST_P(PackKernelTest, TurnedOnBits) {
  Random random(6);
  const ThreadFor three(3);
  std::vector<ConvGeometry> shapes = ListedShapes();
  for (const ConvGeometry& g : RandomShapes(60, 300000, &random)) shapes.push_back(g);
  for (const ConvGeometry& g : shapes) {
    ConvGeometry exchanged = g;
    std::swap(exchanged.channels, exchanged.filters);
    const int64_t channels = g.group_channels(), filters = g.group_filters(), taps = g.taps();
    const std::vector<float> w = random.Values(g.kernel_size());
    std::vector<float> turned(w.size());
    for (int64_t tap = 0; tap < taps; ++tap) {
      for (int64_t c = 0; c < channels; ++c) {
        for (int64_t f = 0; f < g.filters; ++f) {
          const int64_t group = f / filters;
          turned[((taps - 1 - tap) * filters + f % filters) * g.channels + group * channels + c] =
              w[(tap * channels + c) * g.filters + f];
        }
      }
    }
    const std::vector<uint32_t> expected = ExpectedBits(exchanged, turned), packed = ExpectedBits(g, w);
    const std::vector<int64_t> shape = {static_cast<int64_t>(expected.size())};
    for (const ParallelFor* parallel : {static_cast<const ParallelFor*>(&kSerial), static_cast<const ParallelFor*>(&three)}) {
      for (Guard guard : {Guard::kAfter, Guard::kBefore}) {
        const Guarded<uint32_t> bits(packed, guard);
        Guarded<uint32_t> to(static_cast<int64_t>(expected.size()), guard);
        TurnKernel({backend(), *parallel}, g, bits.data(), to.data());
        ASSERT_TRUE(Identical(Where(Describe(g)), shape, to.Values(), expected));
      }
    }
  }
}

TEST_P(PackKernelTest, ChannelsPaddedOnBits) {
  Random random(7);
  const ThreadFor three(3);
  for (const ConvGeometry& g : RandomShapes(60, 300000, &random)) {
    const int64_t own = g.group_channels(), channels = own + random.Int(0, 40);
    ConvGeometry wide = g;
    wide.channels = g.groups * channels;
    const std::vector<float> w = random.Values(g.kernel_size());
    std::vector<float> padded(wide.kernel_size(), 1.0f);
    for (int64_t tap = 0; tap < g.taps(); ++tap) {
      std::copy_n(&w[tap * own * g.filters], own * g.filters, &padded[tap * channels * g.filters]);
    }
    const std::vector<uint32_t> expected = ExpectedBits(wide, padded);
    for (const ParallelFor* parallel : {static_cast<const ParallelFor*>(&kSerial), static_cast<const ParallelFor*>(&three)}) {
      for (Guard guard : {Guard::kAfter, Guard::kBefore}) {
        const Guarded<uint32_t> bits(ExpectedBits(g, w), guard);
        Guarded<uint32_t> to(static_cast<int64_t>(expected.size()), guard);
        PadChannels({backend(), *parallel}, g, channels, bits.data(), to.data());
        ASSERT_TRUE(Identical(Where(Describe(g)), {static_cast<int64_t>(expected.size())}, to.Values(), expected));
      }
    }
  }
}

// Backends add 32 weights in float32 (31 roundings, all terms positive), then go on in float64; the quotient and, for "tensor",
// the mean of the filters' means are rounded once more each.
constexpr double kAlphaError = 34 * kRounding;

TEST_P(PackKernelTest, AlphaAgreesWithFloat64) {
  Random random(3);
  for (const ConvGeometry& g : ListedShapes()) {
    const std::vector<float> w = random.Values(g.kernel_size());
    for (Scaling scaling : {Scaling::kChannel, Scaling::kTensor, Scaling::kNone}) {
      const std::vector<double> expected = reference::Alpha(g, scaling, ToDouble(w));
      std::vector<double> bound;
      for (double alpha : expected) bound.push_back(alpha * kAlphaError);
      ASSERT_TRUE(Agree(Where(Describe(g)), {g.filters}, Pack({backend(), kSerial}, g, scaling, w).alpha, expected, bound));
    }
  }
}

TEST_P(PackKernelTest, ThreadsChangeNoBit) {
  Random random(5);
  const ThreadFor three(3);
  const BackwardsFor backwards;
  for (const ConvGeometry& g : RandomShapes(30, 1000000, &random)) {
    const std::vector<float> w = random.Values(g.kernel_size());
    const Scaling scaling = random.Of<Scaling>({Scaling::kChannel, Scaling::kTensor, Scaling::kNone});
    const Packed serial = Pack({backend(), kSerial}, g, scaling, w);
    for (const ParallelFor* parallel : {static_cast<const ParallelFor*>(&three), static_cast<const ParallelFor*>(&backwards)}) {
      const Packed other = Pack({backend(), *parallel}, g, scaling, w);
      ASSERT_TRUE(Identical(Where(Describe(g)), {static_cast<int64_t>(serial.bits.size())}, other.bits, serial.bits));
      ASSERT_TRUE(Identical(Where(Describe(g)), {g.filters}, other.alpha, serial.alpha));
    }
  }
}

TEST_P(PackKernelTest, ALongFilterLosesNoAccuracy) {
  const ConvGeometry g = Shape(1, 1, 1, 1 << 20).Kernel(1, 1, 3).Make();
  const std::vector<float> w = Random(4).Values(g.kernel_size());
  const std::vector<double> expected = reference::Alpha(g, Scaling::kChannel, ToDouble(w));
  std::vector<double> bound;
  for (double alpha : expected) bound.push_back(alpha * kAlphaError);
  EXPECT_TRUE(Agree(Where(Describe(g)), {g.filters}, Pack({backend(), kSerial}, g, Scaling::kChannel, w).alpha, expected, bound));
}

TEST_P(PackKernelTest, ZerosArePlusNanIsMinus) {
  using Limits = std::numeric_limits<float>;
  const ConvGeometry g = Shape(1, 1, 1, 8).Kernel(1, 1, 1).Make();
  const std::vector<float> w = {0.0f,
                                -0.0f,
                                Limits::quiet_NaN(),
                                -Limits::quiet_NaN(),
                                Limits::infinity(),
                                -Limits::infinity(),
                                Limits::denorm_min(),
                                -Limits::denorm_min()};
  const Packed packed = Pack({backend(), kSerial}, g, Scaling::kNone, w);
  EXPECT_EQ(packed.bits[0], 0b10101100u);
}

TEST_P(PackKernelTest, AWeightThatIsNotFiniteSpoilsTheScaleOfItsFilterOnly) {
  using Limits = std::numeric_limits<float>;
  const ConvGeometry g = Shape(1, 5, 5, 7).Kernel(3, 3, 21).Make();
  std::vector<float> w(g.kernel_size(), 0.5f);
  w[10 * g.filters + 3] = Limits::quiet_NaN();
  w[62 * g.filters + 17] = -Limits::infinity();
  const std::vector<float> alpha = Pack({backend(), kSerial}, g, Scaling::kChannel, w).alpha;
  for (int64_t o = 0; o < g.filters; ++o) {
    if (o == 3) {
      EXPECT_TRUE(std::isnan(alpha[o]));
    } else {
      EXPECT_EQ(alpha[o], o == 17 ? Limits::infinity() : 0.5f) << Where("filter " + std::to_string(o));
    }
  }
}

BNN_FOR_EACH_BACKEND(PackKernelTest);

TEST(KernelLayout, TapsAndChannelsShareWords) {
  const KernelLayout layout(Shape(1, 5, 5, 16).Kernel(3, 3, 33).Make());
  EXPECT_EQ(layout.groups, 1);
  EXPECT_EQ(layout.blocks, 3);
  EXPECT_EQ(layout.words, 5);  // 144 bits
  EXPECT_EQ(layout.total_words(), 3 * 5 * 16);
}

}  // namespace
}  // namespace bnn::testing
