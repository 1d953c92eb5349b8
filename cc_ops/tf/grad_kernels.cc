// Kernels of the gradient ops.
#include <algorithm>

#include "tensorflow/core/platform/errors.h"
#include "tf/forms.h"
#include "tf/inputs.h"
#include "tf/kernel.h"

namespace bnn::ops {
namespace {

using tensorflow::DEVICE_CPU;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;

void FillZero(Tensor* tensor) { std::fill_n(Floats(tensor), tensor->NumElements(), 0.0f); }

// (x, kernel, dy, [x_pseudo,] kernel_pseudo) -> (dx, dkernel)
template <typename Form, typename Input>
class GradOp final : public StatusOpKernel {
 public:
  explicit GradOp(OpKernelConstruction* context) : StatusOpKernel(context), form_(type_string()) {
    OP_REQUIRES_OK(context, form_.Read(*context));
    OP_REQUIRES_OK(context, input_.Read(context));
    OP_REQUIRES_OK(context, ReadScaling(context, &options_.scaling));
    OP_REQUIRES_OK(context, ReadSte(context, "ste", &options_.kernel.ste));
    OP_REQUIRES_OK(context, context->GetAttr("scale_gradient", &options_.scale_gradient));
  }

 private:
  absl::Status Run(OpKernelContext* context) override {
    const Tensor &x = context->input(0), &kernel = context->input(1), &dy = context->input(2);
    ConvGeometry g;
    TF_RETURN_IF_ERROR(Invalid(form_.Geometry(ToSizes(x), ToSizes(kernel), &g)));
    TF_RETURN_IF_ERROR(
        Invalid(CheckShape(form_.op(), "dy", ToSizes(dy), Form::OutputShape(g), "Pass the gradient of the op's output.")));

    KernelGradOptions options = options_;
    TF_RETURN_IF_ERROR(ReadPseudo(context, "kernel_pseudo", kernel, &options.kernel));
    PseudoGradient input{input_.ste()};
    if (Input::kBinary) TF_RETURN_IF_ERROR(ReadPseudo(context, "x_pseudo", x, &input));

    CallExecutor executor;
    TF_RETURN_IF_ERROR(executor.Init(context));
    Tensor *dx, *dkernel;
    TF_RETURN_IF_ERROR(context->allocate_output(0, x.shape(), &dx));
    TF_RETURN_IF_ERROR(context->allocate_output(1, kernel.shape(), &dkernel));
    if (g.empty()) {
      FillZero(dx);
      FillZero(dkernel);
      return absl::OkStatus();
    }
    Scratch scratch;
    TF_RETURN_IF_ERROR(scratch.Allocate(context, input_.GradScratchBytes(executor.get(), g)));
    const GradArrays arrays{Floats(x), Floats(kernel), Floats(dy), Floats(dx), Floats(dkernel)};
    input_.RunGrad(executor.get(), g, options, input, arrays, scratch.data());
    return absl::OkStatus();
  }

  // The pseudo-gradients of `u`, where the estimator takes them from a tensor.
  absl::Status ReadPseudo(OpKernelContext* context, const char* name, const Tensor& u, PseudoGradient* pseudo) const {
    if (pseudo->ste != Ste::kCustom) return absl::OkStatus();
    const Tensor* values;
    TF_RETURN_IF_ERROR(context->input(name, &values));
    pseudo->values = Floats(*values);
    return Invalid(CheckShape(form_.op(), name, ToSizes(*values), ToSizes(u), "Pass d sign(u)/du, one value an element of u."));
  }

  Form form_;
  Input input_;
  KernelGradOptions options_;
};

using Conv2DGrad = GradOp<ConvForm, FloatInput>;
using ConvInput2DGrad = GradOp<ConvForm, BinaryInput>;
using DenseGrad = GradOp<DenseForm, FloatInput>;
using DenseInputGrad = GradOp<DenseForm, BinaryInput>;

REGISTER_KERNEL_BUILDER(Name("BinaryConv2DGrad").Device(DEVICE_CPU), Conv2DGrad);
REGISTER_KERNEL_BUILDER(Name("BinaryConvInput2DGrad").Device(DEVICE_CPU), ConvInput2DGrad);
REGISTER_KERNEL_BUILDER(Name("BinaryDenseGrad").Device(DEVICE_CPU), DenseGrad);
REGISTER_KERNEL_BUILDER(Name("BinaryDenseInputGrad").Device(DEVICE_CPU), DenseInputGrad);

}  // namespace
}  // namespace bnn::ops
