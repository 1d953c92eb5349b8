#include "core/geometry.h"

#include <algorithm>
#include <cctype>
#include <initializer_list>
#include <limits>
#include <numeric>
#include <sstream>
#include <tuple>

#include "core/bits.h"

namespace bnn {
namespace {

// A dot product of n signs lies in [-n, n]; int32 counts and 2*popcount stay exact below this.
constexpr int64_t kMaxRun = int64_t{1} << 30;

// Keeps every byte count, with room for padding and scratch, inside int64.
constexpr int64_t kMaxElements = int64_t{1} << 56;

template <typename... Parts>
Message Say(const std::string& op, const Parts&... parts) {
  std::ostringstream out;
  out << op << ": ";
  (out << ... << parts);
  return out.str();
}

template <size_t n>
std::string Shape(const std::array<int64_t, n>& sizes) {
  std::ostringstream out;
  out << "[";
  for (size_t i = 0; i < n; ++i) {
    if (i) out << ", ";
    if (sizes[i] == kUnknown) {
      out << "?";
    } else {
      out << sizes[i];
    }
  }
  out << "]";
  return out.str();
}

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

bool Known(int64_t size) { return size != kUnknown; }

// The product of the sizes that are neither 0 nor unknown, or a value above `limit` where it would be larger. Not simply 0 for a
// size of 0: others multiply the sizes in their own order.
int64_t ProductUpTo(int64_t limit, std::initializer_list<int64_t> sizes) {
  int64_t product = 1;
  for (int64_t size : sizes) {
    if (!Known(size) || size == 0) continue;
    if (__builtin_mul_overflow(product, size, &product) || product > limit) return limit + 1;
  }
  return product;
}

int64_t PaddedSize(const Axis& axis) {
  return Known(axis.in) && Known(axis.before) ? axis.in + axis.before + axis.after : kUnknown;
}

Message CheckSizes(const std::string& op, const ConvGeometry& g) {
  if (ProductUpTo(kMaxRun, {g.h.kernel, g.w.kernel, Known(g.channels) ? g.group_channels() : kUnknown}) > kMaxRun) {
    return Say(op, "a filter may have at most 2^30 weights. Got a kernel of ", g.h.kernel, "x", g.w.kernel, " over ",
               g.group_channels(), " channels. Use a smaller kernel, or more groups.");
  }
  for (const auto& [what, a, b, c, d] :
       {std::tuple{"the input", g.batch, g.h.in, g.w.in, g.channels},
        // Signs are packed with the padding, and a strip of the image is read with it.
        std::tuple{"the padded input", g.batch, PaddedSize(g.h), PaddedSize(g.w), g.channels},
        std::tuple{"the kernel", g.h.kernel, g.w.kernel, Known(g.channels) ? g.group_channels() : kUnknown, g.filters},
        std::tuple{"the output", g.batch, g.h.out, g.w.out, g.filters}}) {
    if (ProductUpTo(kMaxElements, {a, b, c, d}) > kMaxElements) {
      return Say(op, what, " would have more than 2^56 elements", a && b && c && d ? "" : " but for its sizes of 0", ". Got ",
                 Shape(std::array<int64_t, 4>{a, b, c, d}), ". Split the batch, or check the shapes.");
    }
  }
  return {};
}

// Sizes of arguments are bounded too, so that no expression below overflows.
constexpr int64_t kMaxArgument = int64_t{1} << 30;

Message MakeAxis(const ConvRequest& request, int axis, const std::string& padding, Axis* out) {
  const std::string& op = request.op;
  const char* name = axis == 0 ? "height" : "width";
  const int64_t in = request.input[1 + axis], k = request.kernel[axis];
  const int64_t stride = request.strides[axis], dilation = request.dilations[axis];
  *out = Axis{in, kUnknown, k, stride, dilation, kUnknown, kUnknown};
  if (!Known(k)) return {};

  const int64_t extent = (k - 1) * dilation + 1;
  int64_t before = 0, after = 0;
  if (padding == "explicit") {
    before = request.explicit_padding[2 * axis];
    after = request.explicit_padding[2 * axis + 1];
  } else if (padding == "same" && Known(in)) {
    const int64_t needed = (std::max<int64_t>(CeilDiv(in, stride), 1) - 1) * stride + extent - in;
    const int64_t total = std::max<int64_t>(needed, 0);
    before = total / 2;
    after = total - before;
  }
  if (padding == "same" && !Known(in)) return {};
  out->before = before;
  out->after = after;
  if (!Known(in)) return {};

  if (padding == "same") {
    out->out = CeilDiv(in, stride);
    return {};
  }
  const int64_t room = in + before + after - extent;
  if (room < 0 && in > 0) {
    return Say(op, "the kernel is larger than the image. Got a ", name, " of ", in, " with ", before + after,
               " of padding, and a kernel that spans ", extent, " (size ", k, ", dilation ", dilation,
               "). Use padding=\"same\", a larger image or a smaller kernel.");
  }
  out->out = room < 0 ? 0 : room / stride + 1;
  return {};
}

}  // namespace

Axis::Range Axis::Inside(int64_t p) const {
  const int64_t start = At(p, 0);
  const int64_t first = std::min(kernel, start >= 0 ? 0 : CeilDiv(-start, dilation));
  const int64_t last = std::min(kernel, in > start ? CeilDiv(in - start, dilation) : 0);
  return {first, std::max(first, last)};
}

Axis::Range Axis::Outputs(int64_t i) const {
  const int64_t start = At(0, i);
  const int64_t first = std::min(out, start >= 0 ? 0 : CeilDiv(-start, stride));
  const int64_t last = std::min(out, in > start ? CeilDiv(in - start, stride) : 0);
  return {first, std::max(first, last)};
}

bool Axis::Seen(int64_t at) const {
  for (int64_t i = 0; i < kernel; ++i) {
    const int64_t steps = at + before - i * dilation;
    if (steps >= 0 && steps % stride == 0 && steps / stride < out) return true;
  }
  return false;
}

Message MakeConv(const ConvRequest& request, ConvGeometry* geometry) {
  const std::string& op = request.op;
  const auto& input = request.input;
  const auto& kernel = request.kernel;

  for (int64_t size : input) {
    if (size < kUnknown) {
      return Say(op, "sizes can't be negative. Got an input of shape ", Shape(input),
                 "; expected [batch, height, width, channels].");
    }
  }
  for (int64_t size : kernel) {
    if (size < kUnknown || size == 0) {
      return Say(op, "the kernel is empty. Got a kernel of shape ", Shape(kernel),
                 "; expected [height, width, channels / groups, filters] with every size at least 1.");
    }
  }
  for (int axis = 0; axis < 2; ++axis) {
    const char* name = axis == 0 ? "height" : "width";
    if (request.strides[axis] < 1 || request.strides[axis] > kMaxArgument) {
      return Say(op, "`strides` must lie in 1..2^30. Got ", request.strides[axis], " along the ", name,
                 ". Use 1 to visit every pixel.");
    }
    if (request.dilations[axis] < 1 || request.dilations[axis] > kMaxArgument) {
      return Say(op, "`dilations` must lie in 1..2^30. Got ", request.dilations[axis], " along the ", name,
                 ". Use 1 for a kernel without holes.");
    }
    if (kernel[axis] > kMaxArgument || input[1 + axis] > kMaxArgument) {
      return Say(op, "the ", name, " of image and kernel may be at most 2^30. Got an input of shape ", Shape(input),
                 " and a kernel of shape ", Shape(kernel), ". Check the shapes.");
    }
  }
  const std::string padding = Lower(request.padding);
  if (padding != "same" && padding != "valid" && padding != "explicit") {
    return Say(op, "unknown padding \"", request.padding,
               "\". Expected \"same\", \"valid\" or explicit pairs ((top, bottom), (left, right)).");
  }
  if (padding == "explicit") {
    const auto& p = request.explicit_padding;
    for (int64_t amount : p) {
      if (amount < 0 || amount > kMaxArgument) {
        return Say(op, "explicit padding must lie in 0..2^30. Got [", p[0], ", ", p[1], ", ", p[2], ", ", p[3],
                   "] (top, bottom, left, right). Use 0 where nothing is to be added.");
      }
    }
  }

  const int64_t groups = request.groups;
  if (groups < 1) {
    return Say(op, "`groups` must be at least 1. Got groups=", groups, ". Use 1 for an ordinary convolution.");
  }
  int64_t channels = input[3];
  if (Known(channels) && channels % groups != 0) {
    return Say(op, "`groups` must divide the input channels. Got groups=", groups, " and ", channels, " channels (input shape ",
               Shape(input), "). Try groups=", std::gcd(groups, channels), ".");
  }
  if (Known(kernel[3]) && kernel[3] % groups != 0) {
    return Say(op, "`groups` must divide the filters. Got groups=", groups, " and ", kernel[3], " filters (kernel shape ",
               Shape(kernel), "). Try groups=", std::gcd(groups, kernel[3]), ".");
  }
  if (Known(kernel[2])) {
    if (kernel[2] > kMaxRun / groups) {
      return Say(op, "a kernel may see at most 2^30 channels. Got a kernel of shape ", Shape(kernel), " and groups=", groups,
                 ". Check the shapes.");
    }
    if (Known(channels) && channels != kernel[2] * groups) {
      return Say(op, "the kernel sees ", kernel[2], " channels a group and the input has ", channels, " in ", groups, " group",
                 groups == 1 ? "" : "s", ". Got an input of shape ", Shape(input), " and a kernel of shape ", Shape(kernel),
                 "; expected a kernel of shape [height, width, ", channels / groups, ", filters].");
    }
    channels = kernel[2] * groups;
  }

  ConvGeometry g;
  g.batch = input[0];
  g.channels = channels;
  g.filters = kernel[3];
  g.groups = groups;
  for (int axis = 0; axis < 2; ++axis) {
    if (Message error = MakeAxis(request, axis, padding, axis == 0 ? &g.h : &g.w); !error.empty()) return error;
  }
  if (Message error = CheckSizes(op, g); !error.empty()) return error;
  *geometry = g;
  return {};
}

Message MakeDense(const std::string& op, int64_t batch, int64_t input_channels, int64_t kernel_channels, int64_t filters,
                  ConvGeometry* geometry) {
  if (kernel_channels == 0 || filters == 0) {
    return Say(op, "the kernel is empty. Got a kernel of shape ", Shape(std::array<int64_t, 2>{kernel_channels, filters}),
               "; expected [channels, units] with both at least 1.");
  }
  if (Known(input_channels) && Known(kernel_channels) && input_channels != kernel_channels) {
    return Say(op, "the kernel takes ", kernel_channels, " channels and the input has ", input_channels,
               ". Expected a kernel of shape [", input_channels, ", units].");
  }
  ConvGeometry g;
  g.batch = 1;
  g.channels = Known(kernel_channels) ? kernel_channels : input_channels;
  g.filters = filters;
  g.h = Axis{1, 1, 1, 1, 1, 0};
  g.w = Axis{batch, batch, 1, 1, 1, 0};
  if (Message error = CheckSizes(op, g); !error.empty()) return error;
  *geometry = g;
  return {};
}

}  // namespace bnn
