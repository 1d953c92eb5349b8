#include "runtime/attributes.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>
#include <utility>

namespace bnn {
namespace {

constexpr int64_t kMaxSize = int64_t{1} << 30;

// IEEE 754 half to single precision, subnormals, infinities and NaNs included.
float FromHalf(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 1023;
  uint32_t bits;
  if (exponent == 31) {
    bits = 0x7F800000 | fraction << 13;
  } else if (exponent > 0) {
    bits = (exponent + 112) << 23 | fraction << 13;
  } else {
    const float value = static_cast<float>(fraction) * 0x1p-24f;
    std::memcpy(&bits, &value, sizeof bits);
  }
  bits |= sign;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

std::string Quoted(const std::string& text) { return "`" + text + "`"; }

}  // namespace

std::shared_ptr<float> AllocateFloats(int64_t count) {
  constexpr auto kAlign = std::align_val_t(kScratchAlignment);
  auto* data = static_cast<float*>(::operator new(std::max<int64_t>(count, 1) * sizeof(float), kAlign, std::nothrow));
  return std::shared_ptr<float>(data, [](float* floats) { ::operator delete(floats, kAlign); });
}

Attributes::Attributes(const Json& node, const std::vector<Tensor>& tensors) : node_(node), tensors_(tensors) {}

void Attributes::Fail(const Message& error) {
  if (error_.empty()) error_ = error;
}

Message Attributes::Finish() {
  CheckKeys(node_, read_, "attribute");
  return error_;
}

void Attributes::CheckKeys(const Json& object, const std::vector<std::string>& known, const std::string& where) {
  for (const std::string& key : object.keys) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      Fail("unknown " + where + " " + QuoteJson(key) + ". A newer bnn_tf wrote the file, or it is damaged.");
    }
  }
}

const Json* Attributes::Take(const Json& object, const char* key) {
  const Json* value = object.Find(key);
  if (!value) Fail(Quoted(key) + " is missing.");
  if (&object == &node_) read_.emplace_back(key);
  return value;
}

int64_t Attributes::IntegerOf(const Json* value, const char* key, int64_t low, int64_t high) {
  if (value && value->is(Json::Kind::kInteger) && value->integer >= low && value->integer <= high) return value->integer;
  Fail(Quoted(key) + " must be an integer in " + std::to_string(low) + ".." + std::to_string(high) + ".");
  return low;
}

std::vector<int64_t> Attributes::IntegersOf(const Json* value, const char* key, size_t count, int64_t low, int64_t high) {
  std::vector<int64_t> integers;
  if (value && value->is(Json::Kind::kList) && (count == 0 || value->items.size() == count)) {
    for (const Json& item : value->items) integers.push_back(IntegerOf(&item, key, low, high));
  } else {
    Fail(Quoted(key) + " must be a list of " + (count ? std::to_string(count) + " " : "") + "integers.");
  }
  integers.resize(count ? count : integers.size(), low);
  return integers;
}

float Attributes::RealOf(const Json* value, const char* key) {
  const auto real = value && value->number() ? static_cast<float>(value->real) : NAN;
  if (!std::isfinite(real)) Fail(Quoted(key) + " must be a number that float32 holds.");
  return real;
}

int64_t Attributes::Integer(const char* key, int64_t low, int64_t high) { return IntegerOf(Take(node_, key), key, low, high); }

float Attributes::Real(const char* key) { return RealOf(Take(node_, key), key); }

bool Attributes::Flag(const char* key) {
  const Json* value = Take(node_, key);
  if (!value || !value->is(Json::Kind::kBool)) Fail(Quoted(key) + " must be true or false.");
  return value && value->boolean;
}

std::vector<int64_t> Attributes::Integers(const char* key, size_t count, int64_t low, int64_t high) {
  return IntegersOf(Take(node_, key), key, count, low, high);
}

Window Attributes::ReadWindow(bool dilations) {
  Window window;
  const Json* json = Take(node_, "window");
  if (!json || !json->is(Json::Kind::kObject)) {
    Fail("`window` must be an object.");
    return window;
  }
  const auto pair = [&](const char* key, std::array<int64_t, 2>* out) {
    const std::vector<int64_t> sizes = IntegersOf(Take(*json, key), key, 2, 1, kMaxSize);
    *out = {sizes[0], sizes[1]};
  };
  std::vector<std::string> known = {"kernel", "strides", "padding"};
  pair("kernel", &window.kernel);
  pair("strides", &window.strides);
  if (dilations) {
    pair("dilations", &window.dilations);
    known.emplace_back("dilations");
  }
  CheckKeys(*json, known, "attribute of the window");
  const Json* padding = Take(*json, "padding");
  if (padding && padding->is(Json::Kind::kText)) {
    window.padding = padding->text;
    if (padding->text != "same" && padding->text != "valid") {
      Fail("`padding` must be \"same\", \"valid\" or [top, bottom, left, right]. Got " + QuoteJson(padding->text) + ".");
    }
  } else {
    window.padding = "explicit";
    const std::vector<int64_t> sizes = IntegersOf(padding, "padding", 4, 0, kMaxSize);
    std::copy_n(sizes.begin(), 4, window.explicit_padding.begin());
  }
  return window;
}

Activation Attributes::ReadActivation() {
  using Kind = Activation::Kind;
  static const std::pair<const char*, Kind> kinds[] = {
      {"sigmoid", Kind::kSigmoid}, {"tanh", Kind::kTanh}, {"elu", Kind::kElu},           {"selu", Kind::kSelu},
      {"gelu", Kind::kGelu},       {"silu", Kind::kSilu}, {"softplus", Kind::kSoftplus}, {"hard_sigmoid", Kind::kHardSigmoid}};
  Activation activation;
  const Json* json = Take(node_, "activation");
  if (!json || json->is(Json::Kind::kNull)) return activation;
  const Json* kind = json->Find("kind");
  const std::string name = kind ? kind->text : "";
  std::vector<std::string> known = {"kind"};
  if (name == "relu") {
    known = {"kind", "max", "slope"};
    const Json *max = Take(*json, "max"), *slope = Take(*json, "slope");
    if (max && !max->is(Json::Kind::kNull)) activation.high = RealOf(max, "max");
    activation.slope = RealOf(slope, "slope");
    if (activation.slope != 0) activation.kind = Kind::kSlope;
    activation.low = 0;
  } else if (name == "hard_tanh") {
    activation.low = -1;
    activation.high = 1;
  } else if (name == "prelu") {
    known = {"kind", "slope"};
    activation.kind = Kind::kSlope;
    const Json* slope = Take(*json, "slope");
    const int64_t index = IntegerOf(slope, "slope", 0, static_cast<int64_t>(tensors_.size()) - 1);
    if (failed()) return activation;
    const Tensor& tensor = tensors_[index];
    if (tensor.dtype != DType::kFloat32) Fail("the slopes of prelu must be float32.");
    activation.slopes = tensor.as<float>();
    activation.channels = tensor.elements;
  } else {
    const auto* found = std::find_if(std::begin(kinds), std::end(kinds), [&](const auto& k) { return name == k.first; });
    if (found == std::end(kinds)) {
      Fail("unknown activation " + QuoteJson(name) + ".");
    } else {
      activation.kind = found->second;
    }
  }
  CheckKeys(*json, known, "attribute of the activation");
  return activation;
}

const Tensor* Attributes::TensorAt(const char* key, bool optional) {
  const Json* value = Take(node_, key);
  if (!value || (optional && value->is(Json::Kind::kNull))) return nullptr;
  if (!value->is(Json::Kind::kInteger) || value->integer < 0 || value->integer >= static_cast<int64_t>(tensors_.size())) {
    Fail(Quoted(key) + " must be the number of a tensor, one of " + std::to_string(tensors_.size()) + ".");
    return nullptr;
  }
  return &tensors_[value->integer];
}

const Tensor* Attributes::Bits(const char* key) {
  const Tensor* tensor = TensorAt(key, false);
  if (!tensor) return nullptr;
  if (tensor->dtype == DType::kBits && tensor->shape.size() == 4) return tensor;
  Fail(Quoted(key) + " must be a tensor of bits of rank 4.");
  return nullptr;
}

FloatTensor Attributes::Kernel(const char* key, size_t rank) {
  const Tensor* tensor = TensorAt(key, false);
  if (!tensor) return {};
  const bool half = tensor->dtype == DType::kFloat16;
  if ((!half && tensor->dtype != DType::kFloat32) || tensor->shape.size() != rank) {
    Fail(Quoted(key) + " must be a float tensor of rank " + std::to_string(rank) + ". Got shape " + Text(tensor->shape) + ".");
    return {};
  }
  if (!half) return {tensor->shape, {std::shared_ptr<void>(), tensor->as<float>()}};
  const std::shared_ptr<float> floats = AllocateFloats(tensor->elements);
  if (!floats) {
    Fail("there is no memory for " + Quoted(key) + ".");
    return {};
  }
  std::transform(tensor->as<uint16_t>(), tensor->as<uint16_t>() + tensor->elements, floats.get(), FromHalf);
  return {tensor->shape, floats};
}

const float* Attributes::Vector(const char* key, int64_t* count, bool optional) {
  const Tensor* tensor = TensorAt(key, optional);
  if (!tensor) return nullptr;
  if (*count == 0) *count = tensor->elements;
  if (tensor->dtype == DType::kFloat32 && tensor->shape.size() == 1 && tensor->elements == *count) return tensor->as<float>();
  Fail(Quoted(key) + " must be a float32 tensor of shape [" + std::to_string(*count) + "]. Got shape " + Text(tensor->shape) +
       ".");
  return nullptr;
}

}  // namespace bnn
