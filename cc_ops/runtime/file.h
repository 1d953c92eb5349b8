// A packed model file, mapped into memory and checked: docs/packed-format.md is its description.
//
// Nothing is executed and nothing of the file is trusted: every offset and size is checked before it is used, so that behind
// here a tensor is a pointer to as many bytes as its shape says.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/arguments.h"
#include "core/geometry.h"
#include "runtime/json.h"

namespace bnn {

inline constexpr int64_t kFileAlignment = 64;  // of the sections and of every tensor
inline constexpr uint32_t kFormatVersion = 1;

enum class DType { kFloat32, kFloat16, kBits, kInt32 };

struct Tensor {
  DType dtype = DType::kFloat32;
  Sizes shape;
  int64_t elements = 0;
  const char* data = nullptr;
  int64_t bytes = 0;

  template <typename T>
  const T* as() const {
    return reinterpret_cast<const T*>(data);
  }
};

// Bytes that stay where they are as long as this lives.
class Bytes {
 public:
  virtual ~Bytes() = default;
  const char* data() const { return data_; }
  int64_t size() const { return size_; }

 protected:
  const char* data_ = nullptr;
  int64_t size_ = 0;
};

// The file at `path`, mapped for reading.
Message MapFile(const std::string& path, std::shared_ptr<const Bytes>* bytes);

// A copy of `size` bytes at an address aligned as the format wants it.
Message CopyBytes(const void* data, int64_t size, std::shared_ptr<const Bytes>* bytes);

class PackedFile {
 public:
  // `name` is what messages call the file.
  static Message Read(const std::string& name, std::shared_ptr<const Bytes> bytes, PackedFile* file);

  const std::string& name() const { return name_; }
  int64_t bytes() const { return bytes_->size(); }
  const Json& graph() const { return graph_; }
  std::string_view graph_text() const { return graph_text_; }
  const std::vector<Tensor>& tensors() const { return tensors_; }

 private:
  Message ReadHeader();
  Message ReadTensors();
  Message ReadTensor(const Json& json, Tensor* tensor) const;

  std::string name_;
  std::shared_ptr<const Bytes> bytes_;
  std::string_view graph_text_, data_;
  Json graph_;
  std::vector<Tensor> tensors_;
};

}  // namespace bnn
