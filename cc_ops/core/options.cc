#include "core/options.h"

namespace bnn {

Message ParseScaling(const std::string& op, const std::string& text, Scaling* scaling) {
  if (text == "channel") {
    *scaling = Scaling::kChannel;
  } else if (text == "tensor") {
    *scaling = Scaling::kTensor;
  } else if (text == "none") {
    *scaling = Scaling::kNone;
  } else {
    return op + ": unknown `scaling` \"" + text +
           "\". Expected \"channel\" (a scale per filter), \"tensor\" (one per layer) or \"none\".";
  }
  return {};
}

Message ParseSte(const std::string& op, const std::string& argument, const std::string& text, Ste* ste) {
  if (text == "identity") {
    *ste = Ste::kIdentity;
  } else if (text == "clip") {
    *ste = Ste::kClip;
  } else if (text == "custom") {
    *ste = Ste::kCustom;
  } else {
    return op + ": unknown `" + argument + "` \"" + text +
           "\". Expected \"identity\", \"clip\" or \"custom\" (with a tensor of pseudo-gradients).";
  }
  return {};
}

Message CheckPadValue(const std::string& op, int64_t pad_value) {
  if (pad_value >= -1 && pad_value <= 1) return {};
  return op + ": `pad_value` must be -1, 0 or +1. Got " + std::to_string(pad_value) +
         ". Use 0 for the padding that an ordinary convolution has.";
}

}  // namespace bnn
