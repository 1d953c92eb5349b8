#include "tf/shape_functions.h"

#include "core/bits.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/platform/errors.h"
#include "tf/forms.h"
#include "tf/status.h"

namespace bnn::ops {
namespace {

using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

static_assert(InferenceContext::kUnknownDim == kUnknown, "sizes are passed on as they are");

// Sizes of an input; of an input of unknown rank, `rank` unknown sizes.
Sizes SizesOf(InferenceContext* c, int input, int rank) {
  const ShapeHandle shape = c->input(input);
  if (!c->RankKnown(shape)) return Sizes(rank, kUnknown);
  Sizes sizes;
  for (int i = 0; i < c->Rank(shape); ++i) sizes.push_back(c->Value(c->Dim(shape, i)));
  return sizes;
}

ShapeHandle ShapeOf(InferenceContext* c, const Sizes& sizes) {
  std::vector<tensorflow::shape_inference::DimensionHandle> dims;
  for (int64_t size : sizes) dims.push_back(c->MakeDim(size));
  return c->MakeShape(dims);
}

// The form of an op, its attributes read, and the geometry of its first input with a kernel.
template <typename Form>
absl::Status Infer(InferenceContext* c, const std::string& op, const Sizes& kernel, ConvGeometry* g) {
  Form form(op);
  TF_RETURN_IF_ERROR(form.Read(*c));
  return Invalid(form.Geometry(SizesOf(c, 0, Form::kRank), kernel, g));
}

template <typename Form>
ShapeFunction Forward(const std::string& op) {
  return [op](InferenceContext* c) {
    ConvGeometry g;
    TF_RETURN_IF_ERROR(Infer<Form>(c, op, SizesOf(c, 1, Form::kRank), &g));
    c->set_output(0, ShapeOf(c, Form::OutputShape(g)));
    return absl::OkStatus();
  };
}

template <typename Form>
ShapeFunction PackedForward(const std::string& op) {
  return [op](InferenceContext* c) {
    Sizes kernel_shape;
    TF_RETURN_IF_ERROR(c->GetAttr("kernel_shape", &kernel_shape));
    TF_RETURN_IF_ERROR(Invalid(CheckKernelShape(op, kernel_shape, Form::kRank)));
    ConvGeometry g;
    TF_RETURN_IF_ERROR(Infer<Form>(c, op, kernel_shape, &g));
    if (c->FullyDefined(c->input(1)) && c->FullyDefined(c->input(2))) {
      TF_RETURN_IF_ERROR(Invalid(CheckPacked(op, g, SizesOf(c, 1, 4), SizesOf(c, 2, 1))));
    }
    c->set_output(0, ShapeOf(c, Form::OutputShape(g)));
    return absl::OkStatus();
  };
}

template <typename Form>
ShapeFunction Grad(const std::string& op) {
  return [op](InferenceContext* c) {
    ConvGeometry g;
    TF_RETURN_IF_ERROR(Infer<Form>(c, op, SizesOf(c, 1, Form::kRank), &g));
    c->set_output(0, c->input(0));
    c->set_output(1, c->input(1));
    return absl::OkStatus();
  };
}

}  // namespace

ShapeFunction ConvShape(const std::string& op) { return Forward<ConvForm>(op); }
ShapeFunction DenseShape(const std::string& op) { return Forward<DenseForm>(op); }
ShapeFunction ConvPackedShape(const std::string& op) { return PackedForward<ConvForm>(op); }
ShapeFunction DensePackedShape(const std::string& op) { return PackedForward<DenseForm>(op); }
ShapeFunction ConvGradShape(const std::string& op) { return Grad<ConvForm>(op); }
ShapeFunction DenseGradShape(const std::string& op) { return Grad<DenseForm>(op); }

ShapeFunction PackKernelShape(const std::string& op) {
  return [op](InferenceContext* c) {
    int64_t groups;
    TF_RETURN_IF_ERROR(c->GetAttr("groups", &groups));
    if (!c->RankKnown(c->input(0))) {
      c->set_output(0, ShapeOf(c, {kUnknown, kUnknown, kUnknown, kLanes}));
      c->set_output(1, ShapeOf(c, {kUnknown}));
      return absl::OkStatus();
    }
    const Sizes kernel = SizesOf(c, 0, 4);
    ConvGeometry g;
    TF_RETURN_IF_ERROR(Invalid(KernelOfShape(op, kernel, groups, &g)));
    const bool known = c->FullyDefined(c->input(0));
    c->set_output(0, ShapeOf(c, known ? BitsShape(g) : Sizes{groups, kUnknown, kUnknown, kLanes}));
    c->set_output(1, ShapeOf(c, AlphaShape(g)));
    return absl::OkStatus();
  };
}

}  // namespace bnn::ops
