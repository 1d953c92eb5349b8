#include "runtime/op.h"

#include "runtime/signs.h"

namespace bnn {

int64_t Elements(const Sizes& shape) {
  constexpr int64_t kLimit = int64_t{1} << 62;
  int64_t product = 1;
  for (const int64_t size : shape) {
    if (size == kUnknown) return kUnknown;
    if (size == 0) return 0;
    product = size > kLimit / product ? kLimit : product * size;
  }
  return product;
}

int64_t Step::output_bytes() const {
  return signs_out ? signs_out->output.layout.words() * static_cast<int64_t>(sizeof(uint32_t))
                   : Elements(shape) * static_cast<int64_t>(sizeof(float));
}

Message CheckActivation(const Sizes& shape) {
  if (shape.size() == 4 && (shape[1] > kMaxImageSide || shape[2] > kMaxImageSide)) {
    return "the output would have shape " + Text(shape) + ". An image may be at most 2^20 high and wide.";
  }
  if (Elements(shape) <= kMaxActivation) return {};
  return "the output would have shape " + Text(shape) + ", more than 2^31 values. Use a smaller batch or image.";
}

std::string Text(const Sizes& shape) {
  std::string text;
  for (const int64_t size : shape) text += (text.empty() ? "" : ", ") + (size == kUnknown ? "?" : std::to_string(size));
  return "[" + text + "]";
}

}  // namespace bnn
