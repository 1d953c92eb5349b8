#include "tf/inputs.h"

#include "tensorflow/core/platform/errors.h"

namespace bnn::ops {

using tensorflow::OpKernelConstruction;

namespace {

const std::string& OpName(OpKernelConstruction* context) { return context->def().op(); }

}  // namespace

absl::Status ReadScaling(OpKernelConstruction* context, Scaling* scaling) {
  std::string text;
  TF_RETURN_IF_ERROR(context->GetAttr("scaling", &text));
  return Invalid(ParseScaling(OpName(context), text, scaling));
}

absl::Status ReadSte(OpKernelConstruction* context, const std::string& attribute, Ste* ste) {
  std::string text;
  TF_RETURN_IF_ERROR(context->GetAttr(attribute, &text));
  return Invalid(ParseSte(OpName(context), attribute, text, ste));
}

absl::Status BinaryInput::Read(OpKernelConstruction* context) {
  TF_RETURN_IF_ERROR(context->GetAttr("input_scaling", &options_.input_scaling));
  if (context->HasAttr("pad_value")) {
    int64_t pad_value;
    TF_RETURN_IF_ERROR(context->GetAttr("pad_value", &pad_value));
    TF_RETURN_IF_ERROR(Invalid(CheckPadValue(OpName(context), pad_value)));
    options_.pad_value = static_cast<int>(pad_value);
  }
  if (context->HasAttr("input_ste")) TF_RETURN_IF_ERROR(ReadSte(context, "input_ste", &ste_));
  return absl::OkStatus();
}

}  // namespace bnn::ops
