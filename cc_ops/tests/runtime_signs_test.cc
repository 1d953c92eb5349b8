// Signs between binary layers: the same scores as with floats, bit by bit, in less memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/compare.h"
#include "tests/sign_networks.h"

namespace bnn {
namespace {

using namespace testing;

const std::vector<int64_t> kChannels = {1, 3, 7, 16, 17, 31, 32, 33, 48, 64, 65, 96};

ConvGeometry RandomConv(const Sizes& image, Random* random) {
  const int64_t channels = image[2];
  std::vector<int64_t> divisors;
  for (int64_t d = 1; d <= channels; ++d) {
    if (channels % d == 0 && d <= 4) divisors.push_back(d);
  }
  const int64_t groups = random->Chance(0.3) ? random->Of(divisors) : 1;
  const int64_t height = random->Int(1, std::min<int64_t>(3, image[0])), width = random->Int(1, std::min<int64_t>(3, image[1]));
  const int64_t filters = random->Chance(0.5) ? random->Of<int64_t>({16, 32, 64}) : random->Of(kChannels);
  Shape shape = Shape(2, image[0], image[1], channels)
                    .Kernel(height, width, RoundUp(filters, groups))
                    .Groups(groups)
                    .Strides(random->Int(1, 2), random->Int(1, 2));
  if (random->Chance(0.2)) shape.Dilations(2, 2).Strides(1, 1);
  if (random->Chance(0.3)) return shape.Explicit(random->Int(0, 2), 2, random->Int(0, 3), 2).Make();
  return shape.Padding("same").Make();
}

ConvGeometry RandomPool(const Sizes& image, Random* random) {
  const int64_t height = random->Int(1, std::min<int64_t>(3, image[0])), width = random->Int(1, std::min<int64_t>(3, image[1]));
  Shape shape = Shape(2, image[0], image[1], image[2])
                    .Kernel(height, width, image[2])
                    .Groups(image[2])
                    .Strides(random->Int(1, 3), random->Int(1, 3));
  return shape.Padding(random->Chance(0.5) ? "same" : "valid").Make();
}

// Some convolutions with pools and stages between them, then often dense layers.
PackedBuilder RandomNetwork(const Sizes& image, Numbers numbers, Random* random) {
  SignNetwork net(image, numbers, random);
  for (int64_t layers = random->Int(2, 4); layers-- > 0;) {
    net.Conv(RandomConv(net.shape(), random));
    if (random->Chance(0.25)) net.Stage();
    if (random->Chance(0.2)) net.Pad(random->Int(0, 2), 1, random->Int(0, 2), 0);
    if (random->Chance(0.4)) net.MaxPool(RandomPool(net.shape(), random));
    if (random->Chance(0.25)) net.Stage();
  }
  if (random->Chance(0.6)) {
    net.Flatten();
    if (random->Chance(0.3)) net.Stage();
    net.Dense(random->Of(kChannels));
    net.Dense(10);
  }
  return net.builder();
}

struct Outcome {
  int kept = 0;  // maps of signs
  int64_t bytes = 0, float_bytes = 0;
};

// Runs a network on signs and on floats.
Outcome Compare(const std::string& where, PackedBuilder builder, const Sizes& input, ModelOptions options, Random* random) {
  const std::string file = builder.Build();
  const std::vector<float> x = random->Values(Elements(input));
  std::unique_ptr<PackedModel> signs, floats;
  EXPECT_EQ(LoadBytes(file, &signs, options), "");
  options.signs = false;
  EXPECT_EQ(LoadBytes(file, &floats, options), "");
  std::vector<Sizes> shapes;
  EXPECT_EQ(signs->Shapes(input, &shapes), "");
  EXPECT_TRUE(Identical(where, shapes.back(), RunModel(*signs, input, x), RunModel(*floats, input, x))) << builder.Graph();
  Outcome outcome;
  std::vector<ActivationMemory> kept, all;
  EXPECT_EQ(signs->Activations(input, &kept), "");
  EXPECT_EQ(floats->Activations(input, &all), "");
  for (size_t i = 0; i < kept.size(); ++i) {
    outcome.kept += kept[i].bits == 1;
    EXPECT_EQ(all[i].bits, 32);
    EXPECT_EQ(all[i].bytes, Elements(shapes[i]) * 4);
  }
  EXPECT_EQ(signs->MemoryBytes(input, &outcome.bytes), "");
  EXPECT_EQ(floats->MemoryBytes(input, &outcome.float_bytes), "");
  return outcome;
}

class RuntimeSignsTest : public BackendTest {
 protected:
  // How many maps of signs `count` random networks keep.
  int CompareRandom(int count, Numbers numbers, uint64_t stream) {
    Random random(stream);
    int kept = 0;
    for (int i = 0; i < count; ++i) {
      const Sizes image = {random.Int(3, 12), random.Int(3, 12), random.Of(kChannels)};
      const PackedBuilder net = RandomNetwork(image, numbers, &random);
      const int threads = random.Chance(0.3) ? 3 : 1;
      const int64_t batch = threads == 1 ? random.Int(1, 3) : random.Int(10, 20);  // enough for threads to share it
      const Sizes input = {batch, image[0], image[1], image[2]};
      kept += Compare(Where("network " + std::to_string(i)), net, input, {threads, backend().name}, &random).kept;
      if (HasFailure()) return kept;
    }
    return kept;
  }
};

TEST_P(RuntimeSignsTest, RandomNetworksGiveTheScoresOfFloats) { EXPECT_GT(CompareRandom(120, Numbers::kPlain, 300), 120); }

// Scales and shifts that are tiny, huge, infinite or NaN.
TEST_P(RuntimeSignsTest, WildNumbersGiveTheScoresOfFloats) { EXPECT_GT(CompareRandom(120, Numbers::kWild, 301), 20); }

// Rows whose words are shared by tasks (48 channels), and rows that are joined afterwards (33).
TEST_P(RuntimeSignsTest, ThreadsShareRows) {
  Random random(302);
  for (const int64_t filters : {48, 33}) {
    SignNetwork net({17, 15, 16}, Numbers::kMonotone, &random);
    net.Conv(Shape(1, 17, 15, 16).Kernel(3, 3, filters).Make());
    net.Conv(Shape(1, 17, 15, filters).Kernel(3, 3, filters).Make());
    net.MaxPool(Shape(1, 17, 15, filters).Kernel(2, 2, filters).Groups(filters).Strides(2, 2).Make());
    net.Conv(Shape(1, 9, 8, filters).Kernel(3, 3, 16).Make());
    for (int repeat = 0; repeat < 5; ++repeat) {
      EXPECT_EQ(Compare(Where("rows"), net.builder(), {2, 17, 15, 16}, {4, backend().name}, &random).kept, 3);
    }
  }
}

BNN_FOR_EACH_BACKEND(RuntimeSignsTest);

const ConvGeometry kSame = Shape(1, 8, 8, 32).Kernel(3, 3, 32).Make();
const std::string kNoPre = R"("pre_scale": null, "pre_shift": null)";

// What a map of signs takes: rows of words, with columns of padding and slack.
int64_t SignBytes(int64_t rows, int64_t words) { return rows * (words + SignLayout::kSlackWords) * 4; }

TEST(RuntimeSigns, TellsWhatIsBits) {
  Random random(310);
  SignNetwork net({8, 8, 32}, Numbers::kMonotone, &random);
  net.Conv(kSame);
  net.MaxPool(Shape(1, 8, 8, 32).Kernel(2, 2, 32).Groups(32).Strides(2, 2).Make());
  net.Conv(Shape(1, 4, 4, 32).Kernel(3, 3, 48).Make());
  net.Flatten();
  net.Dense(10);
  std::unique_ptr<PackedModel> model;
  ASSERT_EQ(LoadBytes(net.builder().Build(), &model), "");
  std::vector<ActivationMemory> maps;
  ASSERT_EQ(model->Activations({1, 8, 8, 32}, &maps), "");
  ASSERT_EQ(maps.size(), 5u);
  const std::vector<int> bits = {1, 1, 1, 1, 32};
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(maps[i].bits, bits[i]);
  EXPECT_EQ(maps[0].bytes, SignBytes(8, 8));      // a word a pixel
  EXPECT_EQ(maps[1].bytes, SignBytes(4, 4 + 2));  // with a column of padding on either side
  EXPECT_EQ(maps[2].bytes, SignBytes(4, 6));      // 4 pixels of 48 channels
  EXPECT_EQ(maps[4].bytes, 40);
}

TEST(RuntimeSigns, TakesLessMemory) {
  Random random(311);
  SignNetwork net({32, 32, 64}, Numbers::kMonotone, &random);
  const ConvGeometry conv = Shape(1, 32, 32, 64).Kernel(3, 3, 64).Make();
  for (int i = 0; i < 4; ++i) net.Conv(conv);
  net.MaxPool(Shape(1, 32, 32, 64).Kernel(32, 32, 64).Groups(64).Padding("valid").Make());
  const Outcome outcome = Compare("vgg", net.builder(), {1, 32, 32, 64}, {1, ""}, &random);
  EXPECT_EQ(outcome.kept, 3);
  // Two maps of floats are alive at a time: one where a layer reads floats or writes them, of signs 1/32 and the padding.
  EXPECT_LT(outcome.bytes, outcome.float_bytes - 32 * 32 * 64 * 4 + 16384);
}

// Two layers that want the same signs get one map, with the padding that either wants; but not two kinds of padding.
TEST(RuntimeSigns, SeveralReadersOfOneMap) {
  for (const int64_t other : {0, 1, -1}) {
    Random random(312);
    SignNetwork net({8, 8, 32}, Numbers::kMonotone, &random);
    const int first = net.Conv(kSame);
    const std::string pre = net.Pre(32);
    net.pad_value = 1;
    const int one = net.Conv(first, kSame, pre);
    net.pad_value = other;
    const int wide = net.Conv(first, Shape(1, 8, 8, 32).Kernel(5, 5, 32).Make(), pre);
    net.builder().Node("add", {one, wide}, R"("activation": null)");
    const Outcome outcome = Compare("fork", net.builder(), {1, 8, 8, 32}, {1, ""}, &random);
    EXPECT_EQ(outcome.kept, other < 0 ? 0 : 1) << "pad_value " << other;
  }
}

TEST(RuntimeSigns, ZerosAroundAMapHaveSigns) {
  Random random(315);
  SignNetwork net({8, 8, 32}, Numbers::kMonotone, &random);
  net.Conv(kSame);
  net.Pad(1, 2, 0, 3);
  net.MaxPool(Shape(1, 11, 11, 32).Kernel(2, 2, 32).Groups(32).Strides(2, 2).Make());
  net.Pad(1, 1, 1, 1);
  net.Conv(Shape(1, 8, 8, 32).Kernel(3, 3, 32).Padding("valid").Make());
  EXPECT_EQ(Compare("pad", net.builder(), {2, 8, 8, 32}, {1, ""}, &random).kept, 4);
}

// A map of which one reader wants floats, K, or other signs stays floats.
TEST(RuntimeSigns, ReadersOfFloatsGetFloats) {
  const std::string none = R"("activation": null)";
  for (const std::string kind : {"sum", "scaled", "other signs", "output"}) {
    Random random(313);
    SignNetwork net({8, 8, 32}, Numbers::kMonotone, &random);
    const int first = net.Conv(kSame);
    const int second = net.Conv(first, kSame, kNoPre, kind == "scaled");
    if (kind == "sum") net.builder().Node("add", {first, second}, none);
    if (kind == "other signs") {
      const int third = net.Conv(first, kSame, R"("pre_scale": null, "pre_shift": )" + net.builder().Vector(random.Values(32)));
      net.builder().Node("add", {second, third}, none);
    }
    if (kind == "output") net.builder().Node("concat", {first, first}, R"("axis": -1)");
    EXPECT_EQ(Compare(kind, net.builder(), {1, 8, 8, 32}, {1, ""}, &random).kept, 0) << kind;
  }
}

// A batch norm behind the flatten has a scale of its own for each pixel: so has a threshold.
TEST(RuntimeSigns, ThresholdsOfEveryPixel) {
  for (const bool overlap : {false, true}) {
    Random random(314);
    SignNetwork net({9, 8, 32}, Numbers::kMonotone, &random);
    net.Conv(Shape(1, 9, 8, 32).Kernel(3, 3, 33).Make());
    net.MaxPool(Shape(1, 9, 8, 33).Kernel(overlap ? 3 : 2, 2, 33).Groups(33).Strides(2, 2).Make());
    net.Flatten();
    net.Scale();
    net.Dense(64);
    net.Dense(10);
    const Outcome outcome = Compare("pixels", net.builder(), {3, 9, 8, 32}, {2, ""}, &random);
    EXPECT_EQ(outcome.kept, overlap ? 1 : 5) << "overlap " << overlap;
  }
}

}  // namespace
}  // namespace bnn
