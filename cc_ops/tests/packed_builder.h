// Writes packed model files for tests, from docs/packed-format.md alone.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "runtime/crc32.h"
#include "runtime/model.h"

namespace bnn::testing {

class PackedBuilder {
 public:
  explicit PackedBuilder(const std::vector<int64_t>& input, bool resizable = false) {
    input_ = R"({"shape": )" + List(input) + R"(, "resizable": )" + (resizable ? "true" : "false") + "}";
  }

  static std::string List(const std::vector<int64_t>& values) {
    std::string text;
    for (const int64_t value : values) text += (text.empty() ? "" : ", ") + std::to_string(value);
    return "[" + text + "]";
  }

  template <typename T>
  std::string Tensor(const std::string& dtype, const std::vector<int64_t>& shape, const std::vector<T>& values) {
    data_.resize((data_.size() + 63) / 64 * 64);
    const size_t bytes = values.size() * sizeof(T), offset = data_.size();
    tensors_.push_back(R"({"dtype": ")" + dtype + R"(", "shape": )" + List(shape) + R"(, "offset": )" + std::to_string(offset) +
                       R"(, "bytes": )" + std::to_string(bytes) + "}");
    data_.append(reinterpret_cast<const char*>(values.data()), bytes);
    return std::to_string(tensors_.size() - 1);
  }
  std::string Floats(const std::vector<int64_t>& shape, const std::vector<float>& values) {
    return Tensor("float32", shape, values);
  }
  std::string Vector(const std::vector<float>& values) { return Floats({static_cast<int64_t>(values.size())}, values); }

  // `attributes`: what stands behind op, name and inputs, as JSON without braces.
  int Node(const std::string& op, const std::vector<int64_t>& inputs, const std::string& attributes = "") {
    const size_t index = nodes_.size();
    nodes_.push_back(R"({"op": ")" + op + R"(", "name": "n)" + std::to_string(index) + R"(", "inputs": )" + List(inputs) +
                     (attributes.empty() ? "" : ", " + attributes) + "}");
    return static_cast<int>(index);
  }

  void SetPreprocessing(const std::string& json) { preprocessing_ = json; }
  void SetClasses(const std::string& json) { classes_ = json; }

  std::string Graph() const {
    return R"({"format": 1, "name": "test", "producer": "tests", "provenance": {}, "classes": )" + classes_ +
           R"(, "preprocessing": )" + preprocessing_ + R"(, "input": )" + input_ + R"(, "tensors": [)" + Join(tensors_) +
           R"(], "nodes": [)" + Join(nodes_) + R"(], "outputs": [)" + std::to_string(nodes_.size() - 1) + "]}";
  }

  const std::string& Data() const { return data_; }
  std::string Build() const { return File(Graph(), data_); }

  static std::string File(const std::string& graph, const std::string& data) {
    const uint64_t offset = (64 + graph.size() + 63) / 64 * 64;
    std::string file(
        "\x89"
        "BNN\r\n\x1A\n",
        8);
    const auto add = [&](auto value) { file.append(reinterpret_cast<const char*>(&value), sizeof value); };
    add(uint32_t{1});
    add(uint32_t{0});
    add(uint64_t{offset + data.size()});
    add(uint64_t{graph.size()});
    add(offset);
    add(uint64_t{data.size()});
    add(Crc32(graph.data(), static_cast<int64_t>(graph.size())));
    add(Crc32(data.data(), static_cast<int64_t>(data.size())));
    add(uint32_t{0});
    add(Crc32(file.data(), 60));
    file += graph;
    file.resize(offset);
    return file + data;
  }

 private:
  static std::string Join(const std::vector<std::string>& parts) {
    std::string text;
    for (const std::string& part : parts) text += (text.empty() ? "" : ",\n") + part;
    return text;
  }

  std::string input_, preprocessing_ = "null", classes_ = "[]", data_;
  std::vector<std::string> tensors_, nodes_;
};

inline Message LoadBytes(const std::string& file, std::unique_ptr<PackedModel>* model, const ModelOptions& options = {1, ""}) {
  return PackedModel::Load("test.bnn", file.data(), static_cast<int64_t>(file.size()), options, model);
}

// The output for one input; a failure of the test where there is none.
inline std::vector<float> RunModel(const PackedModel& model, const Sizes& shape, const std::vector<float>& x) {
  Session session;
  const Message error = model.Open(shape, &session);
  EXPECT_EQ(error, "");
  if (!error.empty()) return {};
  std::vector<float> y(session.output_size());
  session.Run(x.data(), y.data());
  return y;
}

inline std::vector<float> RunFile(const std::string& file, const Sizes& shape, const std::vector<float>& x,
                                  const ModelOptions& options = {1, ""}) {
  std::unique_ptr<PackedModel> model;
  const Message error = LoadBytes(file, &model, options);
  EXPECT_EQ(error, "");
  return error.empty() ? RunModel(*model, shape, x) : std::vector<float>();
}

}  // namespace bnn::testing
