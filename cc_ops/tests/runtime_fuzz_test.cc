// Damaged files: bytes flipped, cut, spliced; checksums repaired, so that what lies behind them is met; graphs that are well
// formed and say something else. Each is refused with a sentence, or runs. Under the sanitizers any access outside is found.
//
// BNN_TF_FUZZ=100000 runs as many.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "tests/packed_builder.h"
#include "tests/random.h"
#include "tests/sample_model.h"
#include "tests/sign_networks.h"

namespace bnn {
namespace {

using namespace testing;

int64_t Count() {
  const char* text = std::getenv("BNN_TF_FUZZ");
  return text ? std::strtoll(text, nullptr, 10) : 3000;
}

// Larger models may be right, but a run of them proves nothing more.
constexpr int64_t kMaxRunBytes = 4 << 20;

// Bytes of the file changed, and in most cases the header made to fit what came of it.
class Bytewise {
 public:
  explicit Bytewise(Random* random) : random_(*random) {}

  std::string Damage(std::string file) {
    const int64_t changes = random_.Chance(0.5) ? 1 : random_.Int(2, 6);
    for (int64_t i = 0; i < changes && !file.empty(); ++i) Change(&file);
    if (random_.Chance(0.75)) Repair(&file);
    return file;
  }

 private:
  // In the header, the graph or the weights: the graph is where most can go wrong.
  size_t Position(const std::string& file) {
    const int64_t size = static_cast<int64_t>(file.size()), header = std::min<int64_t>(size, 64);
    if (random_.Chance(0.1)) return random_.Int(0, header - 1);
    return random_.Chance(0.7) ? random_.Int(0, std::min<int64_t>(size, kGraphBytes) - 1) : random_.Int(0, size - 1);
  }

  void Change(std::string* file) {
    const size_t at = Position(*file), from = Position(*file);
    switch (random_.Int(0, 5)) {
      case 0:
        (*file)[at] = static_cast<char>((*file)[at] ^ 1 << random_.Int(0, 7));
        return;
      case 1:
        (*file)[at] = static_cast<char>(random_.Int(0, 255));
        return;
      case 2:
        file->resize(at);
        return;
      case 3:
        file->erase(at, random_.Int(1, 40));
        return;
      case 4:
        file->insert(at, file->substr(from, random_.Int(1, 80)));
        return;
      default:
        std::memmove(&(*file)[at], &(*file)[from], std::min<size_t>(random_.Int(1, 200), file->size() - std::max(at, from)));
    }
  }

  // Sizes and checksums follow the bytes, where the header still says something usable.
  void Repair(std::string* file) {
    if (file->size() < 64) return;
    uint64_t graph, offset;
    std::memcpy(&graph, &(*file)[24], 8);
    std::memcpy(&offset, &(*file)[32], 8);
    const uint64_t size = file->size();
    if (random_.Chance(0.9)) std::memcpy(&(*file)[16], &size, 8);
    if (graph <= size - 64 && offset <= size && offset >= 64 + graph) {
      const uint64_t data = size - offset;
      const uint32_t graph_crc = Crc32(&(*file)[64], graph), data_crc = Crc32(file->data() + offset, data);
      if (random_.Chance(0.9)) std::memcpy(&(*file)[40], &data, 8);
      std::memcpy(&(*file)[48], &graph_crc, 4);
      std::memcpy(&(*file)[52], &data_crc, 4);
    }
    const uint32_t crc = Crc32(file->data(), 60);
    std::memcpy(&(*file)[60], &crc, 4);
  }

  static constexpr int64_t kGraphBytes = 5000;
  Random& random_;
};

// Numbers, words and whole nodes of the graph exchanged; the file around it is sound.
class Graphwise {
 public:
  explicit Graphwise(Random* random) : random_(*random) {}

  std::string Damage(std::string graph) {
    for (int64_t i = random_.Int(1, 3); i > 0; --i) Change(&graph);
    return graph;
  }

 private:
  struct Part {
    size_t first, count;
  };

  // A number, from a random place on.
  Part Number(const std::string& graph) {
    constexpr char kDigits[] = "0123456789";
    size_t first = graph.find_first_of(kDigits, random_.Int(0, static_cast<int64_t>(graph.size()) - 1));
    if (first == std::string::npos) first = graph.find_first_of(kDigits);
    if (first == std::string::npos) return {0, 0};
    return {first, graph.find_first_not_of(kDigits, first) - first};
  }

  // A line, in which one tensor or node stands.
  Part Line(const std::string& graph) {
    const size_t first = graph.find('\n', random_.Int(0, static_cast<int64_t>(graph.size()) - 1));
    if (first == std::string::npos) return {0, 0};
    return {first, std::min(graph.find('\n', first + 1), graph.size()) - first};
  }

  void Change(std::string* graph) {
    static const std::vector<std::string> values = {"0",
                                                    "1",
                                                    "2",
                                                    "3",
                                                    "5",
                                                    "7",
                                                    "8",
                                                    "16",
                                                    "20",
                                                    "24",
                                                    "48",
                                                    "63",
                                                    "64",
                                                    "65",
                                                    "1000",
                                                    "65536",
                                                    "1048576",
                                                    "1073741824",
                                                    "2147483647",
                                                    "2147483648",
                                                    "4294967296",
                                                    "1152921504606846976",
                                                    "9223372036854775807",
                                                    "1e3",
                                                    "0.5",
                                                    "1e38",
                                                    "null",
                                                    "true",
                                                    "[]",
                                                    "{}",
                                                    "\"same\"",
                                                    "\"valid\"",
                                                    "[1, 1, 1, 1]",
                                                    "[2, 2]"};
    static const std::vector<std::string> words = {
        "conv2d",  "binary_conv2d", "max_pool2d", "average_pool2d", "scale_shift",     "softmax",
        "lrn",     "add",           "maximum",    "concat",         "global_max_pool", "global_average_pool",
        "relu",    "tanh",          "prelu",      "same",           "valid",           "float32",
        "float16", "bits",          "int32"};
    const Part number = Number(*graph), other = Number(*graph), line = Line(*graph);
    switch (random_.Int(0, 4)) {
      case 0:
      case 1:
        graph->replace(number.first, number.count, random_.Of(values));
        return;
      case 2:
        graph->replace(number.first, number.count, graph->substr(other.first, other.count));
        return;
      case 3: {  // one word for another, at its next place
        const std::string from = random_.Of(words);
        const size_t at = graph->find("\"" + from + "\"");
        if (at != std::string::npos) graph->replace(at + 1, from.size(), random_.Of(words));
        return;
      }
      default:
        if (random_.Chance(0.5)) {
          graph->erase(line.first, line.count);
        } else {
          graph->insert(line.first, graph->substr(line.first, line.count));
        }
    }
  }

  Random& random_;
};

struct Tally {
  int64_t refused = 0, loaded = 0, ran = 0;
};

void Run(const PackedModel& model, const Sizes& shape, Tally* tally) {
  int64_t bytes;
  if (Elements(shape) > kMaxRunBytes / 4 || !model.MemoryBytes(shape, &bytes).empty() || bytes > kMaxRunBytes) return;
  Session session;
  ASSERT_EQ(model.Open(shape, &session), "");
  if (session.output_size() > kMaxRunBytes / 4) return;
  const std::vector<float> x(Elements(shape), 0.5f);
  std::vector<float> y(session.output_size());
  session.Run(x.data(), y.data());
  ++tally->ran;
}

void Load(const std::string& file, int64_t number, Tally* tally) {
  std::unique_ptr<PackedModel> model;
  const Message error = LoadBytes(file, &model);
  if (!error.empty()) {
    EXPECT_EQ(error.rfind("test.bnn: ", 0), 0u) << "file " << number << ": " << error;
    ++tally->refused;
    return;
  }
  ++tally->loaded;
  Sizes shape = {2};
  for (const int64_t size : model->graph().input) shape.push_back(size == kUnknown ? 9 : size);
  Run(*model, shape, tally);
  if (model->graph().resizable) Run(*model, {1, 11, 17, shape[3]}, tally);
}

// Signs all the way from the first layer to the last.
PackedBuilder SignModel() {
  Random random(999);
  SignNetwork net({9, 8, 16}, Numbers::kPlain, &random);
  net.Conv(Shape(1, 9, 8, 16).Kernel(3, 3, 20).Strides(1, 2).Make());
  net.Stage();
  net.MaxPool(Shape(1, 9, 4, 20).Kernel(2, 2, 20).Groups(20).Strides(2, 2).Make());
  net.Conv(Shape(1, 5, 2, 20).Kernel(3, 3, 32).Groups(2).Make());
  net.Flatten();
  net.Scale();
  net.Dense(16);
  net.Dense(5);
  return net.builder();
}

class RuntimeFuzz : public ::testing::TestWithParam<const char*> {};

TEST_P(RuntimeFuzz, DamagedFilesAreRefusedOrRun) {
  const PackedBuilder builder = GetParam() == std::string("sample") ? SampleModel() : SignModel();
  const std::string good = builder.Build(), graph = builder.Graph();
  Tally bytewise, graphwise;
  for (int64_t i = 0; i < Count() / 2; ++i) {
    Random random(1000 + i);
    if (i % 2 == 0) {
      Load(Bytewise(&random).Damage(good), i, &bytewise);
    } else {
      Load(PackedBuilder::File(Graphwise(&random).Damage(graph), builder.Data()), i, &graphwise);
    }
  }
  // The damage reaches behind the checksums, and behind the graph.
  for (const Tally& tally : {bytewise, graphwise}) {
    if (std::getenv("BNN_TF_FUZZ")) {
      std::printf("%ld refused, %ld loaded, %ld runs\n", long{tally.refused}, long{tally.loaded}, long{tally.ran});
    }
    if (Count() >= 1000) {
      EXPECT_GT(tally.refused, Count() / 20);
      EXPECT_GT(tally.ran, Count() / 200);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, RuntimeFuzz, ::testing::Values("sample", "signs"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace bnn
