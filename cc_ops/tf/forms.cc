#include "tf/forms.h"

#include <algorithm>

#include "tf/status.h"

namespace bnn::ops {

absl::Status ConvForm::SetLists(const Sizes& strides, const Sizes& dilations, const Sizes& padding) {
  const bool has_padding = !padding.empty();
  for (const Message& error :
       {CheckLength(op(), "strides", strides, 2, "(height, width)"),
        CheckLength(op(), "dilations", dilations, 2, "(height, width)"),
        has_padding ? CheckLength(op(), "explicit_paddings", padding, 4, "(top, bottom, left, right)") : ""}) {
    if (!error.empty()) return Invalid(error);
  }
  std::copy_n(strides.begin(), 2, request_.strides.begin());
  std::copy_n(dilations.begin(), 2, request_.dilations.begin());
  if (has_padding) std::copy_n(padding.begin(), 4, request_.explicit_padding.begin());
  return absl::OkStatus();
}

}  // namespace bnn::ops
