#include "core/geometry.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace bnn {
namespace {

ConvRequest Request(std::array<int64_t, 4> input, std::array<int64_t, 4> kernel) {
  ConvRequest request;
  request.input = input;
  request.kernel = kernel;
  return request;
}

// Counts the windows that fit between the first and the last position, one by one.
int64_t CountWindows(int64_t length, int64_t kernel, int64_t stride, int64_t dilation) {
  int64_t windows = 0;
  for (int64_t start = 0; start + (kernel - 1) * dilation < length; start += stride) ++windows;
  return windows;
}

struct Expected {
  int64_t out, before, after;
};

// SAME: an output for every stride-th pixel, and the least padding that makes the last window fit.
Expected ExpectSame(int64_t in, int64_t kernel, int64_t stride, int64_t dilation) {
  int64_t out = 0, padding = 0;
  for (int64_t pixel = 0; pixel < in; pixel += stride) ++out;
  while (CountWindows(in + padding, kernel, stride, dilation) < std::max<int64_t>(out, 1)) ++padding;
  return {out, padding / 2, padding - padding / 2};
}

void ExpectAxis(const Axis& axis, const Expected& expected) {
  EXPECT_EQ(axis.out, expected.out);
  EXPECT_EQ(axis.before, expected.before);
  EXPECT_EQ(axis.after, expected.after);
  // Inside and Outputs against the definition of a tap's position.
  const auto inside = [&](int64_t p, int64_t i) {
    const int64_t at = p * axis.stride + i * axis.dilation - axis.before;
    EXPECT_EQ(axis.At(p, i), at);
    return at >= 0 && at < axis.in;
  };
  for (int64_t p = 0; p < axis.out; ++p) {
    const Axis::Range range = axis.Inside(p);
    ASSERT_TRUE(0 <= range.first && range.first <= range.last && range.last <= axis.kernel);
    for (int64_t i = 0; i < axis.kernel; ++i)
      ASSERT_EQ(inside(p, i), range.first <= i && i < range.last) << "p " << p << ", i " << i;
  }
  for (int64_t i = 0; i < axis.kernel; ++i) {
    const Axis::Range range = axis.Outputs(i);
    ASSERT_TRUE(0 <= range.first && range.first <= range.last && range.last <= axis.out);
    for (int64_t p = 0; p < axis.out; ++p)
      ASSERT_EQ(inside(p, i), range.first <= p && p < range.last) << "p " << p << ", i " << i;
  }
  for (int64_t at = 0; at < axis.in; ++at) {
    bool seen = false;
    for (int64_t p = 0; p < axis.out; ++p)
      for (int64_t i = 0; i < axis.kernel; ++i) seen |= axis.At(p, i) == at;
    ASSERT_EQ(axis.Seen(at), seen) << "at " << at;
  }
}

TEST(Geometry, EveryAxisAgreesWithCounting) {
  for (int64_t in = 0; in <= 12; ++in) {
    for (int64_t kernel : {1, 2, 3, 5, 7}) {
      for (int64_t stride : {1, 2, 3, 5}) {
        for (int64_t dilation : {1, 2, 3}) {
          SCOPED_TRACE(::testing::Message() << "in " << in << ", kernel " << kernel << ", stride " << stride << ", dilation "
                                            << dilation);
          // The other axis is another one, so that a swap of the two is seen.
          ConvRequest request = Request({2, in, 20, 3}, {kernel, 2, 3, 5});
          request.strides = {stride, 4};
          request.dilations = {dilation, 6};
          ConvGeometry g;
          request.padding = "SAME";
          ASSERT_EQ(MakeConv(request, &g), "");
          ExpectAxis(g.h, ExpectSame(in, kernel, stride, dilation));
          ExpectAxis(g.w, ExpectSame(20, 2, 4, 6));

          std::swap(request.input[1], request.input[2]);
          std::swap(request.kernel[0], request.kernel[1]);
          std::swap(request.strides[0], request.strides[1]);
          std::swap(request.dilations[0], request.dilations[1]);
          for (const auto& [padding, before, after] :
               {std::tuple{"valid", 0, 0}, std::tuple{"explicit", 0, 1}, std::tuple{"Explicit", 7, 2}}) {
            SCOPED_TRACE(::testing::Message() << padding << " " << before << ", " << after);
            request.padding = padding;
            request.explicit_padding = {0, 0, before, after};
            const int64_t out = CountWindows(in + before + after, kernel, stride, dilation);
            const Message error = MakeConv(request, &g);
            if (in > 0 && out == 0) {
              EXPECT_NE(error.find("the kernel is larger than the image"), std::string::npos) << error;
            } else {
              ASSERT_EQ(error, "");
              ExpectAxis(g.w, {out, before, after});
            }
          }
        }
      }
    }
  }
}

TEST(Geometry, CountsOfAGroupedConvolution) {
  ConvRequest request = Request({2, 9, 8, 12}, {3, 5, 4, 6});
  request.groups = 3;
  request.strides = {2, 1};
  ConvGeometry g;
  ASSERT_EQ(MakeConv(request, &g), "");
  EXPECT_EQ(g.group_channels(), 4);
  EXPECT_EQ(g.group_filters(), 2);
  EXPECT_EQ(g.taps(), 15);
  EXPECT_EQ(g.run(), 60);
  EXPECT_EQ(g.pixels(), 2 * 5 * 8);
  EXPECT_EQ(g.input_size(), 2 * 9 * 8 * 12);
  EXPECT_EQ(g.kernel_size(), 3 * 5 * 4 * 6);
  EXPECT_EQ(g.output_size(), 2 * 5 * 8 * 6);
  EXPECT_FALSE(g.empty());
}

TEST(Geometry, AnEmptyBatchOrImageIsEmpty) {
  ConvGeometry g;
  for (const std::array<int64_t, 4>& input : {std::array<int64_t, 4>{0, 4, 4, 3}, {1, 0, 4, 3}, {1, 4, 0, 3}}) {
    for (const char* padding : {"same", "valid"}) {
      ConvRequest request = Request(input, {3, 3, 3, 5});
      request.padding = padding;
      ASSERT_EQ(MakeConv(request, &g), "");
      EXPECT_TRUE(g.empty());
      EXPECT_EQ(g.output_size(), 0);
    }
  }
}

TEST(Geometry, Dense) {
  ConvGeometry g;
  ASSERT_EQ(MakeDense("BinaryDense", 7, 30, 30, 4, &g), "");
  EXPECT_EQ(g.pixels(), 7);
  EXPECT_EQ(g.run(), 30);
  EXPECT_EQ(g.input_size(), 7 * 30);
  EXPECT_EQ(g.kernel_size(), 30 * 4);
  EXPECT_EQ(g.output_size(), 7 * 4);
  ASSERT_EQ(MakeDense("BinaryDense", 0, 30, 30, 4, &g), "");
  EXPECT_TRUE(g.empty());
}

TEST(Geometry, UnknownSizesStayUnknown) {
  ConvGeometry g;
  ConvRequest request = Request({kUnknown, kUnknown, 8, kUnknown}, {3, 3, 4, kUnknown});
  request.groups = 2;
  request.strides = {2, 2};
  ASSERT_EQ(MakeConv(request, &g), "");
  EXPECT_EQ(g.batch, kUnknown);
  EXPECT_EQ(g.channels, 8);  // the kernel tells
  EXPECT_EQ(g.filters, kUnknown);
  EXPECT_EQ(g.h.out, kUnknown);
  EXPECT_EQ(g.h.before, kUnknown);  // SAME with a stride depends on the height
  EXPECT_EQ(g.h.after, kUnknown);
  EXPECT_EQ(g.w.out, 4);
  EXPECT_EQ(g.w.before, 0);
  EXPECT_EQ(g.w.after, 1);

  request.padding = "valid";
  ASSERT_EQ(MakeConv(request, &g), "");
  EXPECT_EQ(g.h.out, kUnknown);
  EXPECT_EQ(g.h.before, 0);
  EXPECT_EQ(g.h.after, 0);
  EXPECT_EQ(g.w.out, 3);

  request.padding = "explicit";
  request.explicit_padding = {1, 2, 3, 4};
  ASSERT_EQ(MakeConv(request, &g), "");
  EXPECT_EQ(g.h.out, kUnknown);
  EXPECT_EQ(g.h.before, 1);
  EXPECT_EQ(g.h.after, 2);
  EXPECT_EQ(g.w.out, 7);

  request = Request({2, 8, 8, 4}, {kUnknown, kUnknown, kUnknown, 6});
  request.padding = "valid";
  ASSERT_EQ(MakeConv(request, &g), "");
  EXPECT_EQ(g.channels, 4);
  EXPECT_EQ(g.filters, 6);
  EXPECT_EQ(g.h.out, kUnknown);
  EXPECT_EQ(g.w.out, kUnknown);

  request = Request({kUnknown, kUnknown, kUnknown, kUnknown}, {kUnknown, kUnknown, kUnknown, kUnknown});
  ASSERT_EQ(MakeConv(request, &g), "");
  EXPECT_EQ(g.channels, kUnknown);
  EXPECT_EQ(g.filters, kUnknown);

  ASSERT_EQ(MakeDense("BinaryDense", kUnknown, kUnknown, 5, kUnknown, &g), "");
  EXPECT_EQ(g.w.out, kUnknown);
  EXPECT_EQ(g.channels, 5);
  EXPECT_EQ(g.filters, kUnknown);
}

TEST(Geometry, KnownSizesAreCheckedBesideUnknownOnes) {
  ConvGeometry g;
  ConvRequest request = Request({kUnknown, kUnknown, kUnknown, 6}, {kUnknown, kUnknown, kUnknown, 8});
  request.groups = 4;
  EXPECT_NE(MakeConv(request, &g).find("`groups` must divide the input channels"), std::string::npos);
  request = Request({kUnknown, kUnknown, 2, kUnknown}, {kUnknown, 3, kUnknown, kUnknown});
  request.padding = "valid";
  EXPECT_NE(MakeConv(request, &g).find("the kernel is larger than the image"), std::string::npos);
}

// A wrong request: what is changed in a right one, and the sentence it earns.
struct Wrong {
  void (*change)(ConvRequest* request);
  const char* sentence;
};

TEST(Geometry, ErrorsSayWhatCameWhatWasExpectedAndWhatToDo) {
  const Wrong wrongs[] = {
      {[](ConvRequest* r) { r->input[1] = -2; },
       "BinaryConv2D: sizes can't be negative. Got an input of shape [2, -2, 8, 6]; expected [batch, height, width, channels]."},
      {[](ConvRequest* r) { r->kernel[3] = 0; },
       "BinaryConv2D: the kernel is empty. Got a kernel of shape [3, 3, 6, 0]; "
       "expected [height, width, channels / groups, filters] with every size at least 1."},
      {[](ConvRequest* r) { r->kernel[0] = 0; },
       "BinaryConv2D: the kernel is empty. Got a kernel of shape [0, 3, 6, 4]; "
       "expected [height, width, channels / groups, filters] with every size at least 1."},
      {[](ConvRequest* r) { r->strides[0] = 0; },
       "BinaryConv2D: `strides` must lie in 1..2^30. Got 0 along the height. Use 1 to visit every pixel."},
      {[](ConvRequest* r) { r->strides[1] = -3; },
       "BinaryConv2D: `strides` must lie in 1..2^30. Got -3 along the width. Use 1 to visit every pixel."},
      {[](ConvRequest* r) { r->dilations[1] = 0; },
       "BinaryConv2D: `dilations` must lie in 1..2^30. Got 0 along the width. Use 1 for a kernel without holes."},
      {[](ConvRequest* r) { r->padding = "full"; },
       "BinaryConv2D: unknown padding \"full\". Expected \"same\", \"valid\" or explicit pairs ((top, bottom), (left, right))."},
      {[](ConvRequest* r) {
         r->padding = "explicit";
         r->explicit_padding = {0, 1, -1, 0};
       },
       "BinaryConv2D: explicit padding must lie in 0..2^30. Got [0, 1, -1, 0] (top, bottom, left, right). "
       "Use 0 where nothing is to be added."},
      {[](ConvRequest* r) { r->groups = 0; },
       "BinaryConv2D: `groups` must be at least 1. Got groups=0. Use 1 for an ordinary convolution."},
      {[](ConvRequest* r) { r->groups = 4; },
       "BinaryConv2D: `groups` must divide the input channels. Got groups=4 and 6 channels (input shape [2, 8, 8, 6]). Try "
       "groups=2."},
      {[](ConvRequest* r) { r->groups = 3; },
       "BinaryConv2D: `groups` must divide the filters. Got groups=3 and 4 filters (kernel shape [3, 3, 6, 4]). Try groups=1."},
      {[](ConvRequest* r) { r->kernel[2] = 5; },
       "BinaryConv2D: the kernel sees 5 channels a group and the input has 6 in 1 group. Got an input of shape [2, 8, 8, 6] and "
       "a kernel "
       "of shape [3, 3, 5, 4]; expected a kernel of shape [height, width, 6, filters]."},
      {[](ConvRequest* r) { r->groups = 2; },
       "BinaryConv2D: the kernel sees 6 channels a group and the input has 6 in 2 groups. Got an input of shape [2, 8, 8, 6] and "
       "a kernel "
       "of shape [3, 3, 6, 4]; expected a kernel of shape [height, width, 3, filters]."},
      {[](ConvRequest* r) {
         r->padding = "valid";
         r->dilations[0] = 4;
       },
       "BinaryConv2D: the kernel is larger than the image. Got a height of 8 with 0 of padding, and a kernel that spans 9 (size "
       "3, "
       "dilation 4). Use padding=\"same\", a larger image or a smaller kernel."},
  };
  for (const Wrong& wrong : wrongs) {
    ConvRequest request = Request({2, 8, 8, 6}, {3, 3, 6, 4});
    wrong.change(&request);
    ConvGeometry g;
    EXPECT_EQ(MakeConv(request, &g), wrong.sentence);
  }
}

TEST(Geometry, SizesWhoseProductOverflowsAreRefused) {
  constexpr int64_t kBig = int64_t{1} << 30;
  const Wrong wrongs[] = {
      {[](ConvRequest* r) { r->strides[0] = kBig + 1; },
       "BinaryConv2D: `strides` must lie in 1..2^30. Got 1073741825 along the height. Use 1 to visit every pixel."},
      {[](ConvRequest* r) { r->dilations[0] = int64_t{1} << 62; },
       "BinaryConv2D: `dilations` must lie in 1..2^30. Got 4611686018427387904 along the height. Use 1 for a kernel without "
       "holes."},
      {[](ConvRequest* r) { r->input[2] = kBig + 1; },
       "BinaryConv2D: the width of image and kernel may be at most 2^30. Got an input of shape [2, 8, 1073741825, 6] and a "
       "kernel of "
       "shape [3, 3, 6, 4]. Check the shapes."},
      {[](ConvRequest* r) {
         r->kernel[2] = int64_t{1} << 40;
         r->input[3] = int64_t{1} << 40;
       },
       "BinaryConv2D: a kernel may see at most 2^30 channels. Got a kernel of shape [3, 3, 1099511627776, 4] and groups=1. "
       "Check the shapes."},
      {[](ConvRequest* r) { r->kernel = {kBig, 2, 6, 4}; },
       "BinaryConv2D: a filter may have at most 2^30 weights. Got a kernel of 1073741824x2 over 6 channels. Use a smaller "
       "kernel, or "
       "more groups."},
      {[](ConvRequest* r) { r->input[0] = int64_t{1} << 60; },
       "BinaryConv2D: the input would have more than 2^56 elements. Got [1152921504606846976, 8, 8, 6]. Split the batch, or "
       "check the "
       "shapes."},
      {[](ConvRequest* r) { r->kernel[3] = int64_t{1} << 60; },
       "BinaryConv2D: the kernel would have more than 2^56 elements. Got [3, 3, 6, 1152921504606846976]. Split the batch, or "
       "check the "
       "shapes."},
      {[](ConvRequest* r) {
         r->input = {int64_t{1} << 30, 8, 8, 6};
         r->kernel[3] = int64_t{1} << 30;
       },
       "BinaryConv2D: the output would have more than 2^56 elements. Got [1073741824, 8, 8, 1073741824]. Split the batch, or "
       "check the "
       "shapes."},
      {[](ConvRequest* r) {
         r->input = {int64_t{1} << 62, 0, 0, 6};  // a shape that TensorFlow takes, of an output that it ends the process for
         r->padding = "explicit";
         r->explicit_padding = {8, 0, 0, 0};
       },
       "BinaryConv2D: the input would have more than 2^56 elements but for its sizes of 0. Got [4611686018427387904, 0, 0, 6]. "
       "Split the batch, or check the shapes."},
  };
  for (const Wrong& wrong : wrongs) {
    ConvRequest request = Request({2, 8, 8, 6}, {3, 3, 6, 4});
    wrong.change(&request);
    ConvGeometry g;
    EXPECT_EQ(MakeConv(request, &g), wrong.sentence);
  }
}

// The signs of an image are packed with its padding, so the padding counts too.
TEST(Geometry, PaddingThatWouldOverflowScratchMemoryIsRefused) {
  const Wrong wrongs[] = {
      {[](ConvRequest* r) { r->dilations = {int64_t{1} << 30, int64_t{1} << 30}; },
       "BinaryConv2D: the padded input would have more than 2^56 elements. Got [2, 2147483656, 2147483656, 6]. Split the batch, "
       "or check "
       "the shapes."},
      {[](ConvRequest* r) {
         r->input[0] = int64_t{1} << 24;
         r->padding = "explicit";
         r->explicit_padding = {0, 0, int64_t{1} << 29, int64_t{1} << 29};
       },
       "BinaryConv2D: the padded input would have more than 2^56 elements. Got [16777216, 8, 1073741832, 6]. Split the batch, or "
       "check "
       "the shapes."},
  };
  for (const Wrong& wrong : wrongs) {
    ConvRequest request = Request({2, 8, 8, 6}, {3, 3, 6, 4});
    wrong.change(&request);
    ConvGeometry g;
    EXPECT_EQ(MakeConv(request, &g), wrong.sentence);
  }
}

TEST(Geometry, DenseErrors) {
  ConvGeometry g;
  EXPECT_EQ(MakeDense("BinaryDense", 2, 5, 6, 4, &g),
            "BinaryDense: the kernel takes 6 channels and the input has 5. Expected a kernel of shape [5, units].");
  EXPECT_EQ(MakeDense("BinaryDense", 2, 5, 5, 0, &g),
            "BinaryDense: the kernel is empty. Got a kernel of shape [5, 0]; expected [channels, units] with both at least 1.");
  EXPECT_EQ(MakeDense("BinaryDense", 2, 0, 0, 4, &g),
            "BinaryDense: the kernel is empty. Got a kernel of shape [0, 4]; expected [channels, units] with both at least 1.");
  EXPECT_EQ(MakeDense("BinaryDense", int64_t{1} << 40, 1 << 20, 1 << 20, 4, &g),
            "BinaryDense: the input would have more than 2^56 elements. Got [1, 1, 1099511627776, 1048576]. Split the batch, or "
            "check the "
            "shapes.");
}

TEST(Geometry, AFailedRequestLeavesTheGeometryAlone) {
  ConvGeometry g;
  g.batch = 42;
  ConvRequest request = Request({2, 8, 8, 6}, {3, 3, 5, 4});
  EXPECT_NE(MakeConv(request, &g), "");
  EXPECT_EQ(g.batch, 42);
}

}  // namespace
}  // namespace bnn
