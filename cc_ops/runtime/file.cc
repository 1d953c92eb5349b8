#include "runtime/file.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/bits.h"
#include "runtime/crc32.h"

namespace bnn {
namespace {

constexpr char kMagic[8] = {'\x89', 'B', 'N', 'N', '\r', '\n', '\x1A', '\n'};
constexpr int64_t kHeaderBytes = 64;
constexpr size_t kMaxTensors = 1 << 16;
constexpr size_t kMaxRank = 8;

// The fields of the header, at these offsets.
enum Field : int64_t {
  kVersion = 8,
  kFlags = 12,
  kFileSize = 16,
  kGraphSize = 24,
  kDataOffset = 32,
  kDataSize = 40,
  kGraphCrc = 48,
  kDataCrc = 52,
  kReserved = 56,
  kHeaderCrc = 60,
};

template <typename T>
T Load(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

std::string Number(uint64_t value) { return std::to_string(value); }

struct NamedDType {
  const char* name;
  DType dtype;
  int64_t bytes;  // of an element; bits are counted by layout
};

constexpr NamedDType kDTypes[] = {
    {"float32", DType::kFloat32, 4}, {"float16", DType::kFloat16, 2}, {"int32", DType::kInt32, 4}, {"bits", DType::kBits, 0}};

// The product of the sizes; false where one is no size, or the product is beyond any file.
bool ElementsOf(const Sizes& shape, int64_t* elements) {
  constexpr int64_t kMax = int64_t{1} << 40;
  *elements = 1;
  for (const int64_t size : shape) {
    if (size < 1 || size > kMax / *elements) return false;
    *elements *= size;
  }
  return true;
}

}  // namespace

Message PackedFile::Read(const std::string& name, std::shared_ptr<const Bytes> bytes, PackedFile* file) {
  file->name_ = name;
  file->bytes_ = std::move(bytes);
  if (Message error = file->ReadHeader(); !error.empty()) return name + ": " + error;
  if (Message error = ParseJson(file->graph_text_, &file->graph_); !error.empty()) {
    return name + ": the graph is not valid JSON: " + error + ". The file is damaged; pack the model again.";
  }
  if (Message error = file->ReadTensors(); !error.empty()) return name + ": " + error;
  return {};
}

Message PackedFile::ReadHeader() {
  const char* base = bytes_->data();
  const auto size = static_cast<uint64_t>(bytes_->size());
  if (size < kHeaderBytes || std::memcmp(base, kMagic, sizeof kMagic) != 0) {
    const bool text = size >= 4 && std::memcmp(base, kMagic, 4) == 0;
    return text ? "was cut, or changed by a transfer in text mode. Copy it again, in binary mode."
                : "is no packed model: it does not begin with \\x89BNN. Expected a file that bnn_tf.pack wrote.";
  }
  const auto u32 = [&](Field field) { return Load<uint32_t>(base + field); };
  const auto u64 = [&](Field field) { return Load<uint64_t>(base + field); };
  // Before all else: another version may mean anything by the rest.
  if (u32(kVersion) != kFormatVersion) {
    return "is of format version " + Number(u32(kVersion)) + ", and this bnn_tf reads version " + Number(kFormatVersion) +
           ". Update bnn_tf, or pack the model again with this one.";
  }
  if (u32(kHeaderCrc) != Crc32(base, kHeaderCrc)) return "the header is damaged: its checksum is wrong. Pack the model again.";
  if (u32(kFlags) != 0 || u32(kReserved) != 0) {
    return "asks for features that this bnn_tf does not know (flags " + Number(u32(kFlags)) + "). Update bnn_tf.";
  }
  if (u64(kFileSize) != size) {
    return "should have " + Number(u64(kFileSize)) + " bytes and has " + Number(size) +
           ": it was cut, or something was added. Copy it again.";
  }
  const uint64_t graph = u64(kGraphSize), offset = u64(kDataOffset), data = u64(kDataSize);
  if (graph > static_cast<uint64_t>(kMaxJsonBytes) || offset < kHeaderBytes + graph || offset > size || data != size - offset ||
      offset % kFileAlignment != 0 || offset - (kHeaderBytes + graph) >= kFileAlignment) {
    return "the sections do not fit: a graph of " + Number(graph) + " bytes, data of " + Number(data) + " bytes at " +
           Number(offset) + ", in a file of " + Number(size) + " bytes. The file is damaged; pack the model again.";
  }
  graph_text_ = {base + kHeaderBytes, graph};
  data_ = {base + offset, data};
  if (std::any_of(base + kHeaderBytes + graph, base + offset, [](char c) { return c != 0; })) {
    return "there is something between graph and data. The file is damaged; pack the model again.";
  }
  if (u32(kGraphCrc) != Crc32(graph_text_.data(), graph)) {
    return "the graph is damaged: its checksum is wrong. Pack the model again.";
  }
  if (u32(kDataCrc) != Crc32(data_.data(), data))
    return "the weights are damaged: their checksum is wrong. Pack the model again.";
  return {};
}

Message PackedFile::ReadTensors() {
  const Json* list = graph_.Find("tensors");
  if (!list || !list->is(Json::Kind::kList)) return "the graph has no list of `tensors`.";
  if (list->items.size() > kMaxTensors) return "there are more than 65536 tensors. Got " + Number(list->items.size()) + ".";
  tensors_.resize(list->items.size());
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (Message error = ReadTensor(list->items[i], &tensors_[i]); !error.empty()) {
      return "tensor " + Number(i) + " " + error;
    }
  }
  std::vector<const Tensor*> sorted;
  for (const Tensor& tensor : tensors_) sorted.push_back(&tensor);
  std::sort(sorted.begin(), sorted.end(), [](const Tensor* a, const Tensor* b) { return a->data < b->data; });
  for (size_t i = 1; i < sorted.size(); ++i) {
    if (sorted[i]->data < sorted[i - 1]->data + sorted[i - 1]->bytes) {
      return "tensors " + Number(sorted[i - 1] - tensors_.data()) + " and " + Number(sorted[i] - tensors_.data()) + " overlap.";
    }
  }
  return {};
}

Message PackedFile::ReadTensor(const Json& json, Tensor* tensor) const {
  const Json *dtype = json.Find("dtype"), *shape = json.Find("shape"), *offset = json.Find("offset"), *bytes = json.Find("bytes");
  const auto integer = [](const Json* value) { return value && value->is(Json::Kind::kInteger); };
  if (!dtype || !dtype->is(Json::Kind::kText) || !shape || !shape->is(Json::Kind::kList) || !integer(offset) || !integer(bytes) ||
      json.keys.size() != 4) {
    return "should have dtype, shape, offset and bytes, and nothing else.";
  }
  const auto* known = std::find_if(std::begin(kDTypes), std::end(kDTypes), [&](auto& d) { return dtype->text == d.name; });
  if (known == std::end(kDTypes)) {
    return "has the unknown dtype " + QuoteJson(dtype->text) + ". Expected float32, float16, int32 or bits.";
  }
  tensor->dtype = known->dtype;
  if (shape->items.size() > kMaxRank) return "has more than 8 dimensions.";
  for (const Json& size : shape->items) tensor->shape.push_back(integer(&size) ? size.integer : 0);
  if (!ElementsOf(tensor->shape, &tensor->elements)) return "has a shape that is no list of positive integers, or is too large.";
  if (offset->integer < 0 || offset->integer % kFileAlignment != 0) {
    return "lies at offset " + std::to_string(offset->integer) + ", which is no multiple of 64.";
  }
  const auto size = static_cast<int64_t>(data_.size());
  if (bytes->integer < 1 || offset->integer > size || bytes->integer > size - offset->integer) {
    return "lies outside the data section: " + std::to_string(bytes->integer) + " bytes at " + std::to_string(offset->integer) +
           " of " + std::to_string(size) + ".";
  }
  // How many bits there must be depends on the groups, which the node knows.
  if (known->dtype == DType::kBits ? bytes->integer % (kLanes * 4) != 0 : bytes->integer != tensor->elements * known->bytes) {
    return "has " + std::to_string(bytes->integer) + " bytes, which does not fit its shape of " +
           std::to_string(tensor->elements) + " elements.";
  }
  tensor->data = data_.data() + offset->integer;
  tensor->bytes = bytes->integer;
  return {};
}

}  // namespace bnn
