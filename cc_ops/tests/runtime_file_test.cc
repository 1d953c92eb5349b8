// Files that can't be run: each is refused with a sentence that says why.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/packed_builder.h"
#include "tests/sample_model.h"

namespace bnn {
namespace {

using namespace testing;

std::string LoadError(const std::string& file) {
  std::unique_ptr<PackedModel> model;
  return LoadBytes(file, &model);
}

void ExpectRefused(const std::string& file, const std::string& reason) {
  const std::string error = LoadError(file);
  EXPECT_NE(error.find(reason), std::string::npos) << "expected \"" << reason << "\", got \"" << error << "\"";
  EXPECT_EQ(error.rfind("test.bnn: ", 0), 0u) << error;
}

template <typename T>
std::string With(std::string file, size_t offset, T value, bool repair = true) {
  std::memcpy(&file[offset], &value, sizeof value);
  const uint32_t crc = Crc32(file.data(), 60);
  if (repair) std::memcpy(&file[60], &crc, sizeof crc);
  return file;
}

TEST(RuntimeFile, LoadsTheSample) { EXPECT_EQ(LoadError(SampleModel().Build()), ""); }

TEST(RuntimeFile, RefusesOtherFiles) {
  ExpectRefused("", "is no packed model");
  ExpectRefused("PK\3\4 something else that is longer than a header, so that its size is not what is wrong with it",
                "is no packed");
  std::string text = SampleModel().Build();
  text.replace(text.find("\r\n"), 2, "\n");
  ExpectRefused(text, "text mode");
}

TEST(RuntimeFile, RefusesDamagedHeaders) {
  const std::string good = SampleModel().Build();
  ExpectRefused(With(good, 8, uint32_t{2}), "is of format version 2, and this bnn_tf reads version 1");
  ExpectRefused(With(good, 8, uint32_t{2}, false), "is of format version 2");
  ExpectRefused(With(good, 12, uint32_t{1}), "asks for features");
  ExpectRefused(With(good, 56, uint32_t{1}), "asks for features");
  ExpectRefused(With(good, 20, uint32_t{1}, false), "the header is damaged");
  ExpectRefused(With(good, 16, uint64_t{12}), "should have 12 bytes");
  for (const uint64_t wrong : {uint64_t{0}, uint64_t{63}, uint64_t{1} << 40, ~uint64_t{0}, ~uint64_t{0} - 63}) {
    ExpectRefused(With(good, 32, wrong), "the sections do not fit");
    ExpectRefused(With(good, 40, wrong), "the sections do not fit");
    if (wrong > 63) ExpectRefused(With(good, 24, wrong), "the sections do not fit");
  }
}

TEST(RuntimeFile, RefusesCutAndLongerFiles) {
  const std::string good = SampleModel().Build();
  for (const size_t size : {good.size() - 1, good.size() / 2, size_t{64}}) ExpectRefused(good.substr(0, size), "it was cut");
  for (const size_t size : {size_t{1}, size_t{8}, size_t{63}}) EXPECT_NE(LoadError(good.substr(0, size)), "");
  ExpectRefused(good + "x", "or something was added");
}

TEST(RuntimeFile, RefusesDamagedSections) {
  const std::string good = SampleModel().Build();
  std::string graph = good, data = good, gap = good;
  graph[70] ^= 1;
  data.back() ^= 1;
  ExpectRefused(graph, "the graph is damaged");
  ExpectRefused(data, "the weights are damaged");
  uint64_t size;
  std::memcpy(&size, &good[24], sizeof size);
  if (size % 64 != 0) {
    gap[64 + size] = 1;
    ExpectRefused(gap, "something between graph and data");
  }
  ExpectRefused(PackedBuilder::File("{", ""), "not valid JSON");
}

// The graph of a network that is whole, but for one change of text.
TEST(RuntimeFile, RefusesGraphs) {
  PackedBuilder b({4, 4, 2});
  const std::string kernel = b.Floats({3, 3, 2, 2}, std::vector<float>(36)), bias = b.Vector({1, 2});
  b.Node("conv2d", {-1},
         SampleWindow(3, 1, "\"same\"") + R"(, "groups": 1, "kernel": )" + kernel + R"(, "bias": )" + bias +
             R"(, "activation": {"kind": "relu", "max": null, "slope": 0.0})");
  b.Node("flatten", {0});
  const std::string graph = b.Graph(), data(256, '\0');
  EXPECT_EQ(LoadError(PackedBuilder::File(graph, data)), "");
  const std::vector<std::tuple<const char*, const char*, const char*>> changes = {
      {R"("format": 1)", R"("format": 2)", "`format` must be 1"},
      {R"("format": 1, )", "", "no `format`"},
      {R"("name": "test")", R"("name": 7)", "`name` must be a string"},
      {R"("provenance": {})", R"("provenance": [])", "`provenance` must be an object"},
      {R"("provenance": {})", R"("provenance": {}, "more": 1)", "unknown section \"more\""},
      {R"("classes": [])", R"("classes": ["a", 1])", "`classes` must be a list of strings"},
      {R"("classes": [])", R"("classes": ["a"])", "names 1 classes and has 32 scores"},
      {R"("preprocessing": null)", R"("preprocessing": {"mean": [1, 2]})", "`preprocessing` must be null"},
      {R"("preprocessing": null)", R"("preprocessing": {"mean": [1, 2], "deviation": [1, 0]})", "`preprocessing` must be null"},
      {R"("preprocessing": null)", R"("preprocessing": {"mean": [1, 2], "deviation": [1, 2], "short_side": 0})", "`short_side`"},
      {R"("preprocessing": null)", R"("preprocessing": {"mean": [1, 2], "deviation": [1, 2], "crop": 1})", "nothing else"},
      {R"("shape": [4, 4, 2], "res)", R"("shape": [4, null, 2], "res)", "must lie in 1..2^20"},
      {R"("shape": [4, 4, 2], "res)", R"("shape": [4, 4, 1, 2], "res)", "must have 1 to 3 sizes"},
      {R"("shape": [4, 4, 2], "res)", R"("shape": [4, 4, 3], "res)", "the kernel sees 2 channels"},
      {R"("shape": [4, 4, 2], "res)", R"("shape": [1048576, 1048576, 2], "res)", "at most 2^31 values"},
      {R"("dtype": "float32", "shape": [3)", R"("dtype": "float31", "shape": [3)", "unknown dtype \"float31\""},
      {R"("shape": [3, 3, 2, 2])", R"("shape": [3, 3, 2, -2])", "no list of positive integers"},
      {R"("shape": [3, 3, 2, 2])", R"("shape": [3, 3, 2, 9223372036854775807])", "is too large"},
      {R"("shape": [3, 3, 2, 2])", R"("shape": [3, 3, 2, 3])", "does not fit its shape"},
      {R"("shape": [3, 3, 2, 2])", R"("shape": [3, 3, 1, 4])", "`bias` must be a float32 tensor of shape [4]"},
      {R"("offset": 192)", R"("offset": 128)", "tensors 0 and 1 overlap"},
      {R"("offset": 192)", R"("offset": 196)", "no multiple of 64"},
      {R"("offset": 192)", R"("offset": -64)", "no multiple of 64"},
      {R"("offset": 192)", R"("offset": 256)", "lies outside the data section"},
      {R"("offset": 192)", R"("offset": 9223372036854775744)", "lies outside the data section"},
      {R"("bytes": 8)", R"("bytes": 9223372036854775807)", "lies outside the data section"},
      {R"("bytes": 8)", R"("bytes": 12)", "does not fit its shape"},
      {R"("bytes": 8)", R"("bytes": 8, "more": 1)", "and nothing else"},
      {R"("op": "conv2d")", R"("op": "conv3d")", "node 0 \"n0\" (conv3d): unknown op"},
      {R"("inputs": [-1])", R"("inputs": [0])", "node 0 \"n0\" (conv2d): its inputs must be"},
      {R"("inputs": [-1])", R"("inputs": [-2])", "its inputs must be"},
      {R"("inputs": [-1])", R"("inputs": [1])", "its inputs must be"},
      {R"("inputs": [-1])", R"("inputs": [])", "has no inputs"},
      {R"("inputs": [-1])", R"("inputs": [-1, -1])", "takes 1 input. Got 2"},
      {R"("kernel": 0)", R"("kernel": 2)", "`kernel` must be the number of a tensor"},
      {R"("kernel": 0)", R"("kernel": 1)", "`kernel` must be a float tensor of rank 4"},
      {R"("kernel": 0)", R"("kernel": null)", "`kernel` must be the number of a tensor"},
      {R"("bias": 1)", R"("bias": 0)", "`bias` must be a float32 tensor of shape [2]"},
      {R"("bias": 1, )", "", "`bias` is missing"},
      {R"("bias": 1)", R"("bias": 1, "dropout": 0.5)", "unknown attribute \"dropout\""},
      {R"("groups": 1)", R"("groups": 0)", "`groups` must be an integer in 1.."},
      {R"("groups": 1)", R"("groups": 3)", "fits neither window nor groups"},
      {R"("kernel": [3, 3])", R"("kernel": [3, 2])", "fits neither window nor groups"},
      {R"("strides": [1, 1])", R"("strides": [1, 0])", "`strides` must be an integer in 1.."},
      {R"("strides": [1, 1])", R"("strides": [1])", "`strides` must be a list of 2 integers"},
      {R"("dilations": [1, 1])", R"("dilations": [1, 1], "depth": 1)", "unknown attribute of the window"},
      {R"("padding": "same")", R"("padding": "full")", "`padding` must be"},
      {R"("padding": "same")", R"("padding": [1, 1, 1])", "`padding` must be a list of 4 integers"},
      {R"("padding": "same")", R"("padding": [0, 0, 1073741824, 1073741824])", "at most 2^20 high and wide"},
      {R"("kind": "relu")", R"("kind": "relo")", "unknown activation \"relo\""},
      {R"("slope": 0.0)", R"("slope": 1e300)", "`slope` must be a number that float32 holds"},
      {R"("outputs": [1])", R"("outputs": [2])", "`outputs` must be a list of one node"},
      {R"("outputs": [1])", R"("outputs": [-1])", "`outputs` must be a list of one node"},
      {R"("outputs": [1])", R"("outputs": [0, 1])", "`outputs` must be a list of one node"},
  };
  for (const auto& [from, to, reason] : changes) {
    std::string changed = graph;
    const size_t at = changed.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    SCOPED_TRACE(to);
    ExpectRefused(PackedBuilder::File(changed.replace(at, std::strlen(from), to), data), reason);
  }
}

// A dense layer of 20 inputs with these bits.
std::string DenseOfBits(int64_t units, const std::vector<uint32_t>& bits) {
  PackedBuilder b({20});
  b.Node("binary_dense", {-1},
         R"("bits": )" + b.Tensor("bits", {1, 1, 20, units}, bits) + R"(, "alpha": )" + b.Vector(std::vector<float>(units, 1)) +
             R"(, "bias": null, "activation": null)");
  return b.Build();
}

TEST(RuntimeFile, RefusesBitsWithoutWeights) {
  std::vector<uint32_t> bits(16);
  EXPECT_EQ(LoadError(DenseOfBits(9, bits)), "");
  bits[0] = 1u << 20;
  ExpectRefused(DenseOfBits(9, bits), "bits set where its kernel has no weights");  // behind the last weight of a run
  bits[0] = 0;
  bits[9] = 1;
  ExpectRefused(DenseOfBits(9, bits), "bits set where its kernel has no weights");  // in a lane without a filter
  ExpectRefused(DenseOfBits(17, bits), "its bits take 64 bytes. Expected 128");
}

TEST(RuntimeFile, RefusesPaths) {
  std::unique_ptr<PackedModel> model;
  EXPECT_EQ(PackedModel::Load("/nowhere/net.bnn", {}, &model), "/nowhere/net.bnn: can't be opened: No such file or directory.");
  EXPECT_EQ(PackedModel::Load("/", {}, &model), "/: is no file. Expected a packed model, as bnn_tf.pack writes it.");
  EXPECT_EQ(PackedModel::Load("/dev/null", {}, &model),
            "/dev/null: is no file. Expected a packed model, as bnn_tf.pack writes it.");
  EXPECT_EQ(PackedModel::Load("x", {-1, ""}, &model), "x: can't be opened: No such file or directory.");
  EXPECT_NE(LoadBytes(SampleModel().Build(), &model, {-1, ""}).find("`threads` must not be negative"), std::string::npos);
  EXPECT_NE(LoadBytes(SampleModel().Build(), &model, {1, "sse9"}), "");
}

TEST(RuntimeFile, MapsAFile) {
  const std::string good = SampleModel().Build();
  std::string path = ::testing::TempDir() + "bnn_runtime_XXXXXX";
  const int descriptor = mkstemp(path.data());
  ASSERT_GE(descriptor, 0);
  ASSERT_EQ(write(descriptor, good.data(), good.size()), static_cast<ssize_t>(good.size()));
  close(descriptor);
  std::unique_ptr<PackedModel> model;
  EXPECT_EQ(PackedModel::Load(path, {1, ""}, &model), "");
  std::remove(path.c_str());  // the mapping stays
  const std::vector<float> x(2 * 12 * 10 * 3, 0.5f);
  EXPECT_EQ(RunModel(*model, {2, 12, 10, 3}, x), RunFile(good, {2, 12, 10, 3}, x));
}

}  // namespace
}  // namespace bnn
