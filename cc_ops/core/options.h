// The words of the public interface (`scaling`, `ste`, `pad_value`) as types, and the one place that reads them.
#pragma once

#include <string>

#include "core/geometry.h"

namespace bnn {

// alpha of a filter: mean |w| over the filter (XNOR-Net), over the whole kernel (one scale a layer), or 1.
enum class Scaling { kChannel, kTensor, kNone };

// d sign(u)/du: 1 everywhere, 1 where |u| <= 1 (and 0 elsewhere), or given value by value.
enum class Ste { kIdentity, kClip, kCustom };

Message ParseScaling(const std::string& op, const std::string& text, Scaling* scaling);

// `argument` is "ste" or "input_ste". "custom" is the form that takes its values from a tensor.
Message ParseSte(const std::string& op, const std::string& argument, const std::string& text, Ste* ste);

// What sign(x) is outside the image: -1, 0 or +1.
Message CheckPadValue(const std::string& op, int64_t pad_value);

}  // namespace bnn
