#include "core/arguments.h"

#include <algorithm>

#include "core/packed_kernel.h"

namespace bnn {
namespace {

constexpr char kImageLayout[] = "[batch, height, width, channels]";
constexpr char kConvKernelLayout[] = "[height, width, channels / groups, filters]";
constexpr char kRowsLayout[] = "[batch, channels]";
constexpr char kDenseKernelLayout[] = "[channels, units]";

std::string Text(const Sizes& sizes) {
  std::string text;
  for (int64_t size : sizes) text += (text.empty() ? "" : ", ") + (size == kUnknown ? "?" : std::to_string(size));
  return "[" + text + "]";
}

Message CheckRank(const std::string& op, const char* argument, const Sizes& shape, size_t rank, const char* layout) {
  if (shape.size() == rank) return {};
  return op + ": `" + argument + "` must have rank " + std::to_string(rank) + ". Got shape " + Text(shape) + " of rank " +
         std::to_string(shape.size()) + ". Reshape it to " + layout + ".";
}

}  // namespace

Message ConvOfShapes(ConvRequest request, const Sizes& x, const Sizes& kernel, ConvGeometry* geometry) {
  if (Message error = CheckRank(request.op, "x", x, 4, kImageLayout); !error.empty()) return error;
  if (Message error = CheckRank(request.op, "kernel", kernel, 4, kConvKernelLayout); !error.empty()) return error;
  std::copy_n(x.begin(), 4, request.input.begin());
  std::copy_n(kernel.begin(), 4, request.kernel.begin());
  return MakeConv(request, geometry);
}

Message DenseOfShapes(const std::string& op, const Sizes& x, const Sizes& kernel, ConvGeometry* geometry) {
  if (Message error = CheckRank(op, "x", x, 2, kRowsLayout); !error.empty()) return error;
  if (Message error = CheckRank(op, "kernel", kernel, 2, kDenseKernelLayout); !error.empty()) return error;
  return MakeDense(op, x[0], x[1], kernel[0], kernel[1], geometry);
}

Message KernelOfShape(const std::string& op, const Sizes& kernel, int64_t groups, ConvGeometry* geometry) {
  if (kernel.size() != 2) {
    ConvRequest request;
    request.op = op;
    request.groups = groups;
    return ConvOfShapes(request, Sizes(4, kUnknown), kernel, geometry);
  }
  if (groups != 1) {
    return op + ": a dense kernel has no groups. Got groups=" + std::to_string(groups) + " and a kernel of shape " +
           Text(kernel) + ". Use groups=1, or a kernel " + kConvKernelLayout + ".";
  }
  return DenseOfShapes(op, Sizes(2, kUnknown), kernel, geometry);
}

Sizes ConvOutputShape(const ConvGeometry& g) { return {g.batch, g.h.out, g.w.out, g.filters}; }

// A dense layer is an image of one row of pixels.
Sizes DenseOutputShape(const ConvGeometry& g) { return {g.w.out, g.filters}; }

Sizes BitsShape(const ConvGeometry& g) {
  const KernelLayout layout(g);
  return {layout.groups, layout.blocks, layout.words, kLanes};
}

Sizes AlphaShape(const ConvGeometry& g) { return {g.filters}; }

Message CheckPacked(const std::string& op, const ConvGeometry& g, const Sizes& bits, const Sizes& alpha) {
  constexpr char kAdvice[] = "Pass what packing a kernel of the given shape and groups returned.";
  if (Message error = CheckShape(op, "bits", bits, BitsShape(g), kAdvice); !error.empty()) return error;
  return CheckShape(op, "alpha", alpha, AlphaShape(g), kAdvice);
}

Message CheckShape(const std::string& op, const char* argument, const Sizes& shape, const Sizes& expected, const char* advice) {
  if (shape == expected) return {};
  return op + ": `" + argument + "` must have shape " + Text(expected) + ". Got " + Text(shape) + ". " + advice;
}

Message CheckLength(const std::string& op, const char* argument, const Sizes& list, size_t length, const char* layout) {
  if (list.size() == length) return {};
  return op + ": `" + argument + "` must have " + std::to_string(length) + " values. Got " + Text(list) +
         ". Give one for each of " + layout + ".";
}

Message CheckKernelShape(const std::string& op, const Sizes& kernel_shape, size_t rank) {
  const char* layout = rank == 4 ? kConvKernelLayout : kDenseKernelLayout;
  if (Message error = CheckLength(op, "kernel_shape", kernel_shape, rank, layout); !error.empty()) return error;
  if (std::all_of(kernel_shape.begin(), kernel_shape.end(), [](int64_t size) { return size >= 1; })) return {};
  return op + ": every size of `kernel_shape` must be at least 1. Got " + Text(kernel_shape) +
         ". Pass the shape of the kernel that was packed.";
}

}  // namespace bnn
