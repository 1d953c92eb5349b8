// Kernels of the forward ops: with a float kernel, which they pack in the call, and with a packed one.
#include "core/packed_kernel.h"
#include "tensorflow/core/platform/errors.h"
#include "tf/forms.h"
#include "tf/inputs.h"
#include "tf/kernel.h"

namespace bnn::ops {
namespace {

using tensorflow::DEVICE_CPU;
using tensorflow::DT_FLOAT;
using tensorflow::DT_INT32;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;

// Bits and scales of a float kernel, as temporaries of a call.
absl::Status PackTemporary(OpKernelContext* context, const Executor& executor, const ConvGeometry& g, Scaling scaling,
                           const Tensor& kernel, Tensor* bits, Tensor* alpha) {
  TF_RETURN_IF_ERROR(context->allocate_temp(DT_INT32, ToTensorShape(BitsShape(g)), bits));
  TF_RETURN_IF_ERROR(context->allocate_temp(DT_FLOAT, ToTensorShape(AlphaShape(g)), alpha));
  PackKernel(executor, g, scaling, Floats(kernel), Words(bits), Floats(alpha));
  return absl::OkStatus();
}

template <typename Input>
absl::Status Convolve(OpKernelContext* context, const Executor& executor, const ConvGeometry& g, const Input& input,
                      const Tensor& x, const Tensor& bits, const Tensor& alpha, Tensor* y) {
  Scratch scratch;
  TF_RETURN_IF_ERROR(scratch.Allocate(context, input.ScratchBytes(executor, g)));
  input.Run(executor, g, Floats(x), Words(bits), Floats(alpha), Floats(y), scratch.data());
  return absl::OkStatus();
}

// (x, kernel) -> y
template <typename Form, typename Input>
class ForwardOp final : public StatusOpKernel {
 public:
  explicit ForwardOp(OpKernelConstruction* context) : StatusOpKernel(context), form_(type_string()) {
    OP_REQUIRES_OK(context, form_.Read(*context));
    OP_REQUIRES_OK(context, input_.Read(context));
    OP_REQUIRES_OK(context, ReadScaling(context, &scaling_));
    Ste ste;  // the gradient's affair: only checked here
    OP_REQUIRES_OK(context, ReadSte(context, "ste", &ste));
  }

 private:
  absl::Status Run(OpKernelContext* context) override {
    const Tensor &x = context->input(0), &kernel = context->input(1);
    ConvGeometry g;
    const auto derive = [&](ConvGeometry* derived) { return Invalid(form_.Geometry(ToSizes(x), ToSizes(kernel), derived)); };
    TF_RETURN_IF_ERROR(geometry_.Get(*context, derive, &g));
    CallExecutor executor;
    TF_RETURN_IF_ERROR(executor.Init(context));
    Tensor* y;
    TF_RETURN_IF_ERROR(context->allocate_output(0, ToTensorShape(Form::OutputShape(g)), &y));
    if (g.empty()) return absl::OkStatus();
    Tensor bits, alpha;
    TF_RETURN_IF_ERROR(PackTemporary(context, executor.get(), g, scaling_, kernel, &bits, &alpha));
    return Convolve(context, executor.get(), g, input_, x, bits, alpha, y);
  }

  Form form_;
  Input input_;
  Scaling scaling_;
  LastGeometry geometry_;
};

// (x, bits, alpha) -> y
template <typename Form, typename Input>
class PackedForwardOp final : public StatusOpKernel {
 public:
  explicit PackedForwardOp(OpKernelConstruction* context) : StatusOpKernel(context), form_(type_string()) {
    OP_REQUIRES_OK(context, form_.Read(*context));
    OP_REQUIRES_OK(context, input_.Read(context));
    OP_REQUIRES_OK(context, context->GetAttr("kernel_shape", &kernel_shape_));
    OP_REQUIRES_OK(context, Invalid(CheckKernelShape(form_.op(), kernel_shape_, Form::kRank)));
  }

 private:
  absl::Status Run(OpKernelContext* context) override {
    const Tensor &x = context->input(0), &bits = context->input(1), &alpha = context->input(2);
    ConvGeometry g;
    const auto derive = [&](ConvGeometry* derived) -> absl::Status {
      TF_RETURN_IF_ERROR(Invalid(form_.Geometry(ToSizes(x), kernel_shape_, derived)));
      return Invalid(CheckPacked(form_.op(), *derived, ToSizes(bits), ToSizes(alpha)));
    };
    TF_RETURN_IF_ERROR(geometry_.Get(*context, derive, &g));
    CallExecutor executor;
    TF_RETURN_IF_ERROR(executor.Init(context));
    Tensor* y;
    TF_RETURN_IF_ERROR(context->allocate_output(0, ToTensorShape(Form::OutputShape(g)), &y));
    if (g.empty()) return absl::OkStatus();
    return Convolve(context, executor.get(), g, input_, x, bits, alpha, y);
  }

  Form form_;
  Input input_;
  Sizes kernel_shape_;
  LastGeometry geometry_;
};

// kernel -> (bits, alpha)
class PackKernelOp final : public StatusOpKernel {
 public:
  explicit PackKernelOp(OpKernelConstruction* context) : StatusOpKernel(context) {
    OP_REQUIRES_OK(context, ReadScaling(context, &scaling_));
    OP_REQUIRES_OK(context, context->GetAttr("groups", &groups_));
  }

 private:
  absl::Status Run(OpKernelContext* context) override {
    const Tensor& kernel = context->input(0);
    ConvGeometry g;
    TF_RETURN_IF_ERROR(Invalid(KernelOfShape(type_string(), ToSizes(kernel), groups_, &g)));
    CallExecutor executor;
    TF_RETURN_IF_ERROR(executor.Init(context));
    Tensor *bits, *alpha;
    TF_RETURN_IF_ERROR(context->allocate_output(0, ToTensorShape(BitsShape(g)), &bits));
    TF_RETURN_IF_ERROR(context->allocate_output(1, ToTensorShape(AlphaShape(g)), &alpha));
    PackKernel(executor.get(), g, scaling_, Floats(kernel), Words(bits), Floats(alpha));
    return absl::OkStatus();
  }

  Scaling scaling_;
  int64_t groups_;
};

using Conv2D = ForwardOp<ConvForm, FloatInput>;
using ConvInput2D = ForwardOp<ConvForm, BinaryInput>;
using Dense = ForwardOp<DenseForm, FloatInput>;
using DenseInput = ForwardOp<DenseForm, BinaryInput>;
using Conv2DPacked = PackedForwardOp<ConvForm, FloatInput>;
using ConvInput2DPacked = PackedForwardOp<ConvForm, BinaryInput>;
using DensePacked = PackedForwardOp<DenseForm, FloatInput>;
using DenseInputPacked = PackedForwardOp<DenseForm, BinaryInput>;

REGISTER_KERNEL_BUILDER(Name("BinaryConv2D").Device(DEVICE_CPU), Conv2D);
REGISTER_KERNEL_BUILDER(Name("BinaryConvInput2D").Device(DEVICE_CPU), ConvInput2D);
REGISTER_KERNEL_BUILDER(Name("BinaryDense").Device(DEVICE_CPU), Dense);
REGISTER_KERNEL_BUILDER(Name("BinaryDenseInput").Device(DEVICE_CPU), DenseInput);
REGISTER_KERNEL_BUILDER(Name("BinaryConv2DPacked").Device(DEVICE_CPU), Conv2DPacked);
REGISTER_KERNEL_BUILDER(Name("BinaryConvInput2DPacked").Device(DEVICE_CPU), ConvInput2DPacked);
REGISTER_KERNEL_BUILDER(Name("BinaryDensePacked").Device(DEVICE_CPU), DensePacked);
REGISTER_KERNEL_BUILDER(Name("BinaryDenseInputPacked").Device(DEVICE_CPU), DenseInputPacked);
REGISTER_KERNEL_BUILDER(Name("BinaryPackKernel").Device(DEVICE_CPU), PackKernelOp);

}  // namespace
}  // namespace bnn::ops
