// The attributes of one node, read one by one: the first thing that is wrong becomes the node's error, and what is not read by
// the end is unknown.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/epilogue.h"
#include "runtime/file.h"
#include "runtime/json.h"

namespace bnn {

// How a convolution or a pool walks over the image.
struct Window {
  std::array<int64_t, 2> kernel = {1, 1}, strides = {1, 1}, dilations = {1, 1};
  std::string padding = "same";
  std::array<int64_t, 4> explicit_padding = {0, 0, 0, 0};
};

// Floats with the alignment of scratch memory; null where there is no memory for them.
std::shared_ptr<float> AllocateFloats(int64_t count);

// A float kernel: in the file, or a copy made from half precision.
struct FloatTensor {
  Sizes shape;
  std::shared_ptr<const float> data;
};

class Attributes {
 public:
  Attributes(const Json& node, const std::vector<Tensor>& tensors);

  bool failed() const { return !error_.empty(); }
  void Fail(const Message& error);

  // Everything but `op`, `name` and `inputs` must have been read by now.
  Message Finish();

  bool Has(const char* key) const { return node_.Find(key) != nullptr; }
  int64_t Integer(const char* key, int64_t low, int64_t high);
  float Real(const char* key);
  bool Flag(const char* key);
  std::vector<int64_t> Integers(const char* key, size_t count, int64_t low, int64_t high);  // count 0: any
  Window ReadWindow(bool dilations);
  Activation ReadActivation();

  // Index of a tensor: `bits` of shape [kh, kw, channels / groups, filters].
  const Tensor* Bits(const char* key);
  FloatTensor Kernel(const char* key, size_t rank);
  // `count` floats; where `optional`, null is allowed. count 0: any number of them, which is stored there.
  const float* Vector(const char* key, int64_t* count, bool optional);
  const float* Vector(const char* key, int64_t count, bool optional) { return Vector(key, &count, optional); }

 private:
  const Json* Take(const Json& object, const char* key);
  const Tensor* TensorAt(const char* key, bool optional);
  int64_t IntegerOf(const Json* value, const char* key, int64_t low, int64_t high);
  std::vector<int64_t> IntegersOf(const Json* value, const char* key, size_t count, int64_t low, int64_t high);
  void CheckKeys(const Json& object, const std::vector<std::string>& known, const std::string& where);
  float RealOf(const Json* value, const char* key);

  const Json& node_;
  const std::vector<Tensor>& tensors_;
  std::vector<std::string> read_ = {"op", "name", "inputs"};
  Message error_;
};

}  // namespace bnn
