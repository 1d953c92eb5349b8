#include "core/arguments.h"

#include <gtest/gtest.h>

namespace bnn {
namespace {

TEST(Arguments, ConvFromShapes) {
  ConvRequest request;
  request.groups = 2;
  request.strides = {2, 1};
  ConvGeometry g;
  ASSERT_EQ(ConvOfShapes(request, {2, 9, 8, 10}, {3, 3, 5, 34}, &g), "");
  EXPECT_EQ(ConvOutputShape(g), (Sizes{2, 5, 8, 34}));
  EXPECT_EQ(BitsShape(g), (Sizes{2, 2, 2, 16}));  // 17 filters and 45 signs a group
  EXPECT_EQ(AlphaShape(g), (Sizes{34}));
  ASSERT_EQ(ConvOfShapes(request, {kUnknown, kUnknown, 8, 10}, {3, 3, 5, 34}, &g), "");
  EXPECT_EQ(ConvOutputShape(g), (Sizes{kUnknown, kUnknown, 8, 34}));
}

TEST(Arguments, DenseFromShapes) {
  ConvGeometry g;
  ASSERT_EQ(DenseOfShapes("BinaryDense", {7, 33}, {33, 5}, &g), "");
  EXPECT_EQ(DenseOutputShape(g), (Sizes{7, 5}));
  ASSERT_EQ(DenseOfShapes("BinaryDense", {kUnknown, kUnknown}, {33, 5}, &g), "");
  EXPECT_EQ(DenseOutputShape(g), (Sizes{kUnknown, 5}));
}

TEST(Arguments, KernelAlone) {
  ConvGeometry g;
  ASSERT_EQ(KernelOfShape("BinaryPackKernel", {3, 3, 5, 34}, 2, &g), "");
  EXPECT_EQ(BitsShape(g), (Sizes{2, 2, 2, 16}));
  ASSERT_EQ(KernelOfShape("BinaryPackKernel", {33, 17}, 1, &g), "");
  EXPECT_EQ(BitsShape(g), (Sizes{1, 2, 2, 16}));
  EXPECT_EQ(
      KernelOfShape("BinaryPackKernel", {33, 17}, 2, &g),
      "BinaryPackKernel: a dense kernel has no groups. Got groups=2 and a kernel of shape [33, 17]. Use groups=1, or a kernel "
      "[height, width, channels / groups, filters].");
}

TEST(Arguments, WrongRanks) {
  ConvRequest request;
  ConvGeometry g;
  EXPECT_EQ(
      ConvOfShapes(request, {9, kUnknown, 10}, {3, 3, 10, 34}, &g),
      "BinaryConv2D: `x` must have rank 4. Got shape [9, ?, 10] of rank 3. Reshape it to [batch, height, width, channels].");
  EXPECT_EQ(ConvOfShapes(request, {1, 9, 8, 10}, {10, 34}, &g),
            "BinaryConv2D: `kernel` must have rank 4. Got shape [10, 34] of rank 2. "
            "Reshape it to [height, width, channels / groups, filters].");
  EXPECT_EQ(DenseOfShapes("BinaryDense", {3, kUnknown, 5}, {5, 2}, &g),
            "BinaryDense: `x` must have rank 2. Got shape [3, ?, 5] of rank 3. Reshape it to [batch, channels].");
  EXPECT_EQ(DenseOfShapes("BinaryDense", {3, 5}, {5}, &g),
            "BinaryDense: `kernel` must have rank 2. Got shape [5] of rank 1. Reshape it to [channels, units].");
}

TEST(Arguments, PackedArraysMustFit) {
  ConvGeometry g;
  ASSERT_EQ(DenseOfShapes("BinaryDense", {7, 33}, {33, 17}, &g), "");
  EXPECT_EQ(CheckPacked("BinaryDense", g, {1, 2, 2, 16}, {17}), "");
  EXPECT_EQ(CheckPacked("BinaryDense", g, {1, 2, 2}, {17}),
            "BinaryDense: `bits` must have shape [1, 2, 2, 16]. Got [1, 2, 2]. "
            "Pass what packing a kernel of the given shape and groups returned.");
  EXPECT_EQ(
      CheckPacked("BinaryDense", g, {1, 2, 2, 16}, {16}),
      "BinaryDense: `alpha` must have shape [17]. Got [16]. Pass what packing a kernel of the given shape and groups returned.");
}

TEST(Arguments, Lists) {
  EXPECT_EQ(CheckLength("BinaryConv2D", "strides", {1, 1}, 2, "(height, width)"), "");
  EXPECT_EQ(CheckLength("BinaryConv2D", "strides", {1, 2, 3}, 2, "(height, width)"),
            "BinaryConv2D: `strides` must have 2 values. Got [1, 2, 3]. Give one for each of (height, width).");
  EXPECT_EQ(CheckKernelShape("BinaryDense", {33, 17}, 2), "");
  EXPECT_EQ(
      CheckKernelShape("BinaryDense", {33, 0}, 2),
      "BinaryDense: every size of `kernel_shape` must be at least 1. Got [33, 0]. Pass the shape of the kernel that was packed.");
  EXPECT_EQ(
      CheckKernelShape("BinaryConv2D", {33, 17}, 4),
      "BinaryConv2D: `kernel_shape` must have 4 values. Got [33, 17]. Give one for each of [height, width, channels / groups, "
      "filters].");
}

}  // namespace
}  // namespace bnn
