// Where a convolution's taps fall: validation, output size and padding. Everything that needs one of the three asks here, the
// shape functions and the Python layers included.
//
//   out = ceil(in / stride)                                   SAME, padded as evenly as can be, the odd one at the end
//   out = ceil((in - (k-1)*dilation) / stride)                VALID
//   out = floor((in + before + after - (k-1)*dilation - 1) / stride) + 1     EXPLICIT
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace bnn {

// Empty where all is well, else a sentence: what came, what was expected, what to do.
using Message = std::string;

inline constexpr int64_t kUnknown = -1;

// What is asked for. Sizes may be kUnknown while a graph is built.
struct ConvRequest {
  std::string op = "BinaryConv2D";  // names the op in messages
  std::array<int64_t, 4> input;     // [batch, height, width, channels]
  std::array<int64_t, 4> kernel;    // [height, width, channels / groups, filters]
  std::array<int64_t, 2> strides = {1, 1};
  std::array<int64_t, 2> dilations = {1, 1};
  int64_t groups = 1;
  std::string padding = "same";                            // same | valid | explicit, in any case of letters
  std::array<int64_t, 4> explicit_padding = {0, 0, 0, 0};  // top, bottom, left, right
};

// One axis, resolved.
struct Axis {
  int64_t in = 0, out = 0, kernel = 0, stride = 1, dilation = 1;
  int64_t before = 0, after = 0;  // padding on both sides; kUnknown while it can't be told

  // Input position of tap `i` for output `p`; outside [0, in) it lies in the padding.
  int64_t At(int64_t p, int64_t i) const { return p * stride + i * dilation - before; }

  struct Range {
    int64_t first, last;
    int64_t size() const { return last - first; }
    bool operator==(const Range& other) const { return first == other.first && last == other.last; }
  };

  // The taps [first, last) of output `p` that lie inside the image.
  Range Inside(int64_t p) const;

  // The outputs [first, last) for which tap `i` lies inside the image.
  Range Outputs(int64_t i) const;

  // Whether some window sees input position `at`: strides longer than the kernel leave gaps.
  bool Seen(int64_t at) const;
};

// Trusted by everything behind it: every number is valid and every product below fits in int64.
struct ConvGeometry {
  int64_t batch = 0, channels = 0, filters = 0, groups = 1;
  Axis h, w;

  int64_t group_channels() const { return channels / groups; }
  int64_t group_filters() const { return filters / groups; }
  int64_t taps() const { return h.kernel * w.kernel; }
  int64_t run() const { return taps() * group_channels(); }  // signs in one dot product
  int64_t pixels() const { return batch * h.out * w.out; }
  int64_t input_size() const { return batch * h.in * w.in * channels; }
  int64_t kernel_size() const { return run() * filters; }
  int64_t output_size() const { return pixels() * filters; }
  bool empty() const { return output_size() == 0; }
};

// Where sizes are unknown, so are those that follow from them; what is known is checked all the same.
Message MakeConv(const ConvRequest& request, ConvGeometry* geometry);

// A dense layer [batch, channels] x [channels, filters]: a 1x1 convolution whose image is one row of `batch` pixels.
Message MakeDense(const std::string& op, int64_t batch, int64_t input_channels, int64_t kernel_channels, int64_t filters,
                  ConvGeometry* geometry);

}  // namespace bnn
