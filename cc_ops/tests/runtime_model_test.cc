// Whole models: memory that values share, sizes that change, threads, pixels.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <thread>
#include <vector>

#include "tests/child.h"
#include "tests/compare.h"
#include "tests/packed_builder.h"
#include "tests/random.h"
#include "tests/run.h"
#include "tests/sample_model.h"

namespace bnn {
namespace {

using namespace testing;

std::unique_ptr<PackedModel> Sample(const ModelOptions& options = {1, ""}) {
  std::unique_ptr<PackedModel> model;
  EXPECT_EQ(LoadBytes(SampleModel().Build(), &model, options), "");
  return model;
}

std::vector<float> Image(const Sizes& shape, uint64_t stream = 0) { return Random(stream).Values(Elements(shape)); }

TEST(RuntimeModel, EveryBackendAndThreadCountAgrees) {
  const Sizes shape = {90, 12, 10, 3};  // enough for its convolutions to be shared
  const std::vector<float> x = Image(shape);
  const std::vector<float> expected = RunModel(*Sample({1, "portable"}), shape, x);
  ASSERT_EQ(expected.size(), 450u);
  for (size_t row = 0; row < 450; row += 5) {
    EXPECT_NEAR(std::accumulate(expected.begin() + row, expected.begin() + row + 5, 0.0), 1, 1e-6);
  }
  for (const Backend* backend : SupportedBackends()) {
    for (const int threads : {1, 2, 5}) {
      const std::vector<float> y = RunModel(*Sample({threads, backend->name}), shape, x);
      EXPECT_TRUE(Agree(backend->name, {90, 5}, y, ToDouble(expected), std::vector<double>(450, 1e-5)));
    }
  }
}

TEST(RuntimeModel, ABatchIsItsParts) {
  const auto model = Sample();
  const std::vector<float> x = Image({4, 12, 10, 3});
  const std::vector<float> all = RunModel(*model, {4, 12, 10, 3}, x);
  std::vector<float> parts;
  for (int64_t n = 0; n < 4; ++n) {
    const std::vector<float> one(x.begin() + n * 360, x.begin() + (n + 1) * 360);
    const std::vector<float> y = RunModel(*model, {1, 12, 10, 3}, one);
    parts.insert(parts.end(), y.begin(), y.end());
  }
  EXPECT_TRUE(Agree("parts", {4, 5}, all, ToDouble(parts), std::vector<double>(20, 1e-6)));
}

TEST(RuntimeModel, TakesOtherSizesWhereItIsResizable) {
  const auto model = Sample();
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{12, 10}, {31, 17}, {7, 64}, {12, 10}}) {
    const Sizes shape = {2, height, width, 3};
    EXPECT_EQ(RunModel(*model, shape, Image(shape)).size(), 10u);
  }
  Session session;
  EXPECT_NE(model->Open({1, 2, 10, 3}, &session).find("node 4 \"n4\" (binary_conv2d): its window: the kernel is larger"),
            std::string::npos);
  EXPECT_EQ(model->Open({1, 12, 10, 4}, &session), "test.bnn: takes an input of shape [?, ?, ?, 3]. Got shape [1, 12, 10, 4].");
  EXPECT_NE(model->Open({0, 12, 10, 3}, &session), "");
  EXPECT_NE(model->Open({12, 10, 3}, &session), "");
  EXPECT_NE(model->Open({1, -1, 10, 3}, &session), "");
}

TEST(RuntimeModel, RefusesInputsBeyondTheBound) {
  const auto model = Sample();
  Session session;
  EXPECT_NE(model->Open({1 << 20, 1 << 20, 1 << 20, 3}, &session).find("at most 2^31 values"), std::string::npos);
  EXPECT_NE(model->Open({1, 1 << 14, 1 << 14, 3}, &session).find("more than 2^31 values"), std::string::npos);
  PackedBuilder b({1 << 14, 1 << 14, 3});
  for (int64_t i = 0; i < 7; ++i) b.Node("activation", {-1}, R"("activation": {"kind": "tanh"})");
  b.Node("add", {0, 1, 2, 3, 4, 5, 6}, R"("activation": null)");
  std::unique_ptr<PackedModel> wide;
  EXPECT_NE(LoadBytes(b.Build(), &wide).find("The bound is 2^34"), std::string::npos);
}

// Each value of a chain that forks and joins again is still whole when it is last read.
TEST(RuntimeModel, SharedMemoryKeepsWhatIsStillRead) {
  const std::string none = R"("activation": null)", relu = R"("activation": {"kind": "relu", "max": null, "slope": 0.0})";
  PackedBuilder b({2, 2, 3});
  const std::string two = b.Vector({2, 2, 2});
  const int doubled = b.Node("scale_shift", {-1}, R"("scale": )" + two + R"(, "shift": null, )" + none);          // 2x
  const int quadrupled = b.Node("scale_shift", {doubled}, R"("scale": )" + two + R"(, "shift": null, )" + none);  // 4x
  const int flat = b.Node("flatten", {doubled});                                                                  // 2x
  const int rectified = b.Node("activation", {doubled}, relu);                                                    // relu(2x)
  const int back = b.Node("reshape", {flat}, R"("shape": [2, 2, 3])");                                            // 2x
  const int thrice = b.Node("add", {back, back, back}, none);                                                     // 6x
  const int all = b.Node("add", {thrice, quadrupled, rectified, -1}, none);  // 11x + relu(2x)
  b.Node("subtract", {all, doubled}, "");                                    // 9x + relu(2x)
  const std::vector<float> x = Image({5, 2, 2, 3});
  std::vector<double> expected;
  for (const float value : x) expected.push_back(9.0 * value + std::max(0.0, 2.0 * value));
  const std::vector<float> y = RunFile(b.Build(), {5, 2, 2, 3}, x);
  EXPECT_TRUE(Agree("chain", {5, 2, 2, 3}, y, expected, std::vector<double>(60, 1e-5)));
}

// The caller's input is never written to, and may itself be the output.
TEST(RuntimeModel, LeavesTheInputAlone) {
  PackedBuilder b({6});
  b.Node("reshape", {-1}, R"("shape": [3, 2])");
  const std::vector<float> x = Image({4, 6}), before = x;
  EXPECT_EQ(RunFile(b.Build(), {4, 6}, x), before);
  b.Node("activation", {0}, R"("activation": {"kind": "relu", "max": null, "slope": 0.0})");
  RunFile(b.Build(), {4, 6}, x);
  EXPECT_EQ(x, before);
}

TEST(RuntimeModel, ConvertsPixels) {
  const auto model = Sample();
  const Sizes shape = {2, 12, 10, 3};
  std::vector<uint8_t> pixels(Elements(shape));
  Random random(3);
  for (uint8_t& pixel : pixels) pixel = static_cast<uint8_t>(random.Int(0, 255));
  const float mean[] = {120, 110.5f, 100}, deviation[] = {60, 61, 62.5f};
  std::vector<float> x(pixels.size());
  for (size_t i = 0; i < x.size(); ++i) x[i] = (static_cast<float>(pixels[i]) - mean[i % 3]) / deviation[i % 3];
  Session session;
  ASSERT_EQ(model->Open(shape, true, &session), "");
  std::vector<float> y(session.output_size());
  session.Run(pixels.data(), y.data());
  EXPECT_EQ(y, RunModel(*model, shape, x));
  PackedBuilder plain({3});
  plain.Node("flatten", {-1});
  std::unique_ptr<PackedModel> identity;
  ASSERT_EQ(LoadBytes(plain.Build(), &identity), "");
  ASSERT_EQ(identity->Open({1, 3}, true, &session), "");
  std::vector<float> copied(3);
  session.Run(pixels.data(), copied.data());
  EXPECT_EQ(copied, (std::vector<float>{float(pixels[0]), float(pixels[1]), float(pixels[2])}));
  session.Close();
}

// Half of the threads share sizes with another, half bring their own.
TEST(RuntimeModel, ThreadsShareAModel) {
  const auto model = Sample({2, ""});
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int64_t thread = 0; thread < 8; ++thread) {
    const Sizes shape = {50 + thread % 2, 12 + thread / 2, 10, 3};
    threads.emplace_back([&model, &wrong, shape, thread] {
      const std::vector<float> x = Image(shape, thread);
      const std::vector<float> expected = RunModel(*model, shape, x);
      for (int i = 0; i < 20; ++i) wrong += RunModel(*model, shape, x) != expected;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

// Forked at moments when other threads take and give back sessions, which a small model does all the time.
TEST(RuntimeModel, AChildProcessUsesTheModelsOfItsParent) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer's own allocator may stay locked in a child: it was another thread's at fork().";
#endif
  PackedBuilder builder({1, 1, 4});
  builder.Node("flatten", {-1});
  std::unique_ptr<PackedModel> model;
  ASSERT_EQ(LoadBytes(builder.Build(), &model, {1, ""}), "");
  const std::vector<float> x = {1, 2, 3, 4};
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 3; ++thread) {
    threads.emplace_back([&] {
      while (!stop) RunModel(*model, {1, 1, 1, 4}, x);
    });
  }
  int failed = 0;
  for (int round = 0; round < 50 && failed == 0; ++round) {
    failed += !HoldsInAChild([&] { return RunModel(*model, {1, 1, 1, 4}, x) == x && RunModel(*model, {1, 1, 1, 4}, x) == x; });
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
}

TEST(RuntimeModel, ProfilesEveryNode) {
  const auto model = Sample();
  Session session;
  ASSERT_EQ(model->Open({1, 12, 10, 3}, &session), "");
  std::vector<double> times(model->graph().nodes.size());
  std::vector<float> y(5);
  session.Profile(Image({1, 12, 10, 3}).data(), y.data(), times.data());
  EXPECT_TRUE(std::all_of(times.begin(), times.end(), [](double time) { return time > 0; }));
}

// As a caller's: nothing outside of the output, and nothing behind it, is touched.
TEST(RuntimeModel, StaysInsideTheCallersMemory) {
  const auto model = Sample();
  Session session;
  for (const Guard guard : {Guard::kAfter, Guard::kBefore}) {
    ASSERT_EQ(model->Open({3, 12, 10, 3}, &session), "");
    const Guarded<float> x(Image({3, 12, 10, 3}), guard);
    Guarded<float> y(session.output_size(), guard);
    session.Run(x.data(), y.data());
    EXPECT_EQ(y.Values(), RunModel(*model, {3, 12, 10, 3}, x.Values()));
  }
}

}  // namespace
}  // namespace bnn
