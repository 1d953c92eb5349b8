// The ops as TensorFlow sees them: inputs, attributes, shapes, documentation. Their kernels are in *_kernels.cc; their gradients
// are ops too and registered in Python.
#include "tensorflow/core/framework/op.h"
#include "tf/shape_functions.h"

namespace bnn::ops {
namespace {

#define CONV_ATTRIBUTES                          \
  Attr("strides: list(int) = [1, 1]")            \
      .Attr("padding: string = 'SAME'")          \
      .Attr("explicit_paddings: list(int) = []") \
      .Attr("dilations: list(int) = [1, 1]")     \
      .Attr("groups: int = 1")

#define WEIGHT_ATTRIBUTES Attr("scaling: string = 'channel'").Attr("ste: string = 'identity'")

// Documentation of the arguments that several ops share.

#define CONV_DOC                                                        \
  "strides: Of the height and of the width.\n"                          \
  "padding: SAME or VALID as of tf.nn.conv2d, or EXPLICIT.\n"           \
  "explicit_paddings: Of EXPLICIT padding: top, bottom, left, right.\n" \
  "dilations: Of the height and of the width.\n"                        \
  "groups: Divides the input channels and the filters; a filter sees the channels of its group.\n"

#define WEIGHT_DOC                                                                                             \
  "scaling: What alpha is: `channel`, the mean of |kernel| over each filter; `tensor`, over all; `none`, 1.\n" \
  "ste: Of the gradient, d sign(kernel)/d kernel: `identity` (1), `clip` (1 where |kernel| <= 1, else 0) or `custom`.\n"

#define INPUT_STE_DOC "input_ste: The same for d sign(x)/dx.\n"

#define K_DOC(window) "input_scaling: Whether to multiply by K, the mean of |x| over " window ".\n"

#define PAD_VALUE_DOC "pad_value: What sign(x) is outside the image: -1, 0 or +1.\n"

#define IMAGE_DOC "x: [batch, height, width, channels].\n"
#define HWIO_DOC "kernel: Latent weights, [height, width, channels / groups, filters]; their signs are used, and sign(0) is +1.\n"
#define IMAGE_OUT_DOC "y: [batch, out_height, out_width, filters].\n"
#define ROWS_DOC "x: [batch, channels].\n"
#define DENSE_KERNEL_DOC "kernel: Latent weights, [channels, units]; their signs are used, and sign(0) is +1.\n"
#define ROWS_OUT_DOC "y: [batch, units].\n"

#define PACKED_DOC                                     \
  "bits: The kernel's signs, of BinaryPackKernel.\n"   \
  "alpha: The kernel's scales, of BinaryPackKernel.\n" \
  "kernel_shape: Shape of the kernel that was packed.\n"

#define GRAD_DOC                                                                                        \
  "dy: Gradient of y.\n"                                                                                \
  "kernel_pseudo: With ste `custom`, d sign(kernel)/d kernel in the kernel's shape; else empty.\n"      \
  "scale_gradient: Whether alpha depends on the kernel. If not, alpha is a constant to the gradient.\n" \
  "dx: Gradient of x.\n"                                                                                \
  "dkernel: Gradient of the kernel.\n"

#define X_PSEUDO_DOC "x_pseudo: With input_ste `custom`, d sign(x)/dx in the shape of x; else empty.\n"

REGISTER_OP("BinaryConv2D")
    .Input("x: float")
    .Input("kernel: float")
    .CONV_ATTRIBUTES.WEIGHT_ATTRIBUTES.Output("y: float")
    .SetShapeFn(ConvShape("BinaryConv2D"))
    .Doc(
        "Convolution of a float input with binary weights.\n\n"
        "y = alpha * conv(x, sign(kernel)), with x = 0 outside the image.\n\n" IMAGE_DOC HWIO_DOC CONV_DOC WEIGHT_DOC
            IMAGE_OUT_DOC);

REGISTER_OP("BinaryConvInput2D")
    .Input("x: float")
    .Input("kernel: float")
    .CONV_ATTRIBUTES.WEIGHT_ATTRIBUTES.Attr("input_scaling: bool = true")
    .Attr("pad_value: int = 0")
    .Attr("input_ste: string = 'clip'")
    .Output("y: float")
    .SetShapeFn(ConvShape("BinaryConvInput2D"))
    .Doc(
        "Convolution of a binary input with binary weights.\n\n"
        "y = K * alpha * conv(sign(x), sign(kernel)). The convolution is an exact integer.\n\n" IMAGE_DOC HWIO_DOC CONV_DOC
            WEIGHT_DOC K_DOC("the channels and the window") PAD_VALUE_DOC INPUT_STE_DOC IMAGE_OUT_DOC);

REGISTER_OP("BinaryDense")
    .Input("x: float")
    .Input("kernel: float")
    .WEIGHT_ATTRIBUTES.Output("y: float")
    .SetShapeFn(DenseShape("BinaryDense"))
    .Doc(
        "Product of a float input with binary weights.\n\n"
        "y = alpha * x sign(kernel).\n\n" ROWS_DOC DENSE_KERNEL_DOC WEIGHT_DOC ROWS_OUT_DOC);

REGISTER_OP("BinaryDenseInput")
    .Input("x: float")
    .Input("kernel: float")
    .WEIGHT_ATTRIBUTES.Attr("input_scaling: bool = true")
    .Attr("input_ste: string = 'clip'")
    .Output("y: float")
    .SetShapeFn(DenseShape("BinaryDenseInput"))
    .Doc(
        "Product of a binary input with binary weights.\n\n"
        "y = K * alpha * sign(x) sign(kernel). The product is an exact integer.\n\n" ROWS_DOC DENSE_KERNEL_DOC WEIGHT_DOC
            K_DOC("the row") INPUT_STE_DOC ROWS_OUT_DOC);

REGISTER_OP("BinaryPackKernel")
    .Input("kernel: float")
    .Attr("groups: int = 1")
    .Attr("scaling: string = 'channel'")
    .Output("bits: int32")
    .Output("alpha: float")
    .SetShapeFn(PackKernelShape("BinaryPackKernel"))
    .Doc(R"doc(
Packs the signs of a kernel, one bit a weight, for the ops that end in Packed.

A bit is 1 where the weight is negative or NaN. A filter's weights in the order (row, column, channel) are one run of bits, padded
to words of 32 with zeros; 16 filters lie side by side, and those that are missing are zero.

kernel: Latent weights: [height, width, channels / groups, filters] of a convolution, or [channels, units].
groups: Groups of the convolution; 1 for a dense kernel.
scaling: What alpha is: `channel`, the mean of |kernel| over each filter; `tensor`, over all; `none`, 1.
bits: [groups, blocks of 16 filters, words of a run, 16].
alpha: [filters].
)doc");

REGISTER_OP("BinaryConv2DPacked")
    .Input("x: float")
    .Input("bits: int32")
    .Input("alpha: float")
    .Attr("kernel_shape: list(int)")
    .CONV_ATTRIBUTES.Output("y: float")
    .SetShapeFn(ConvPackedShape("BinaryConv2DPacked"))
    .Doc("BinaryConv2D with a packed kernel. For inference: it has no gradient.\n\n" IMAGE_DOC PACKED_DOC CONV_DOC IMAGE_OUT_DOC);

REGISTER_OP("BinaryConvInput2DPacked")
    .Input("x: float")
    .Input("bits: int32")
    .Input("alpha: float")
    .Attr("kernel_shape: list(int)")
    .CONV_ATTRIBUTES.Attr("input_scaling: bool = true")
    .Attr("pad_value: int = 0")
    .Output("y: float")
    .SetShapeFn(ConvPackedShape("BinaryConvInput2DPacked"))
    .Doc("BinaryConvInput2D with a packed kernel. For inference: it has no gradient.\n\n" IMAGE_DOC PACKED_DOC CONV_DOC
             K_DOC("the channels and the window") PAD_VALUE_DOC IMAGE_OUT_DOC);

REGISTER_OP("BinaryDensePacked")
    .Input("x: float")
    .Input("bits: int32")
    .Input("alpha: float")
    .Attr("kernel_shape: list(int)")
    .Output("y: float")
    .SetShapeFn(DensePackedShape("BinaryDensePacked"))
    .Doc("BinaryDense with a packed kernel. For inference: it has no gradient.\n\n" ROWS_DOC PACKED_DOC ROWS_OUT_DOC);

REGISTER_OP("BinaryDenseInputPacked")
    .Input("x: float")
    .Input("bits: int32")
    .Input("alpha: float")
    .Attr("kernel_shape: list(int)")
    .Attr("input_scaling: bool = true")
    .Output("y: float")
    .SetShapeFn(DensePackedShape("BinaryDenseInputPacked"))
    .Doc("BinaryDenseInput with a packed kernel. For inference: it has no gradient.\n\n" ROWS_DOC PACKED_DOC K_DOC("the row")
             ROWS_OUT_DOC);

REGISTER_OP("BinaryConv2DGrad")
    .Input("x: float")
    .Input("kernel: float")
    .Input("dy: float")
    .Input("kernel_pseudo: float")
    .CONV_ATTRIBUTES.WEIGHT_ATTRIBUTES.Attr("scale_gradient: bool = true")
    .Output("dx: float")
    .Output("dkernel: float")
    .SetShapeFn(ConvGradShape("BinaryConv2DGrad"))
    .Doc("Gradient of BinaryConv2D.\n\n" IMAGE_DOC HWIO_DOC CONV_DOC WEIGHT_DOC GRAD_DOC);

REGISTER_OP("BinaryConvInput2DGrad")
    .Input("x: float")
    .Input("kernel: float")
    .Input("dy: float")
    .Input("x_pseudo: float")
    .Input("kernel_pseudo: float")
    .CONV_ATTRIBUTES.WEIGHT_ATTRIBUTES.Attr("input_scaling: bool = true")
    .Attr("pad_value: int = 0")
    .Attr("input_ste: string = 'clip'")
    .Attr("scale_gradient: bool = true")
    .Output("dx: float")
    .Output("dkernel: float")
    .SetShapeFn(ConvGradShape("BinaryConvInput2DGrad"))
    .Doc("Gradient of BinaryConvInput2D.\n\n" IMAGE_DOC HWIO_DOC CONV_DOC WEIGHT_DOC K_DOC("the channels and the window")
             PAD_VALUE_DOC INPUT_STE_DOC X_PSEUDO_DOC GRAD_DOC);

REGISTER_OP("BinaryDenseGrad")
    .Input("x: float")
    .Input("kernel: float")
    .Input("dy: float")
    .Input("kernel_pseudo: float")
    .WEIGHT_ATTRIBUTES.Attr("scale_gradient: bool = true")
    .Output("dx: float")
    .Output("dkernel: float")
    .SetShapeFn(DenseGradShape("BinaryDenseGrad"))
    .Doc("Gradient of BinaryDense.\n\n" ROWS_DOC DENSE_KERNEL_DOC WEIGHT_DOC GRAD_DOC);

REGISTER_OP("BinaryDenseInputGrad")
    .Input("x: float")
    .Input("kernel: float")
    .Input("dy: float")
    .Input("x_pseudo: float")
    .Input("kernel_pseudo: float")
    .WEIGHT_ATTRIBUTES.Attr("input_scaling: bool = true")
    .Attr("input_ste: string = 'clip'")
    .Attr("scale_gradient: bool = true")
    .Output("dx: float")
    .Output("dkernel: float")
    .SetShapeFn(DenseGradShape("BinaryDenseInputGrad"))
    .Doc("Gradient of BinaryDenseInput.\n\n" ROWS_DOC DENSE_KERNEL_DOC WEIGHT_DOC K_DOC("the row")
             INPUT_STE_DOC X_PSEUDO_DOC GRAD_DOC);

}  // namespace
}  // namespace bnn::ops
