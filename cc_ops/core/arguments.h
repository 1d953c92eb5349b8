// From the shapes of arrays to a geometry and back: what the TensorFlow ops and the Python module both ask before they compute.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/geometry.h"

namespace bnn {

using Sizes = std::vector<int64_t>;  // of an array; kUnknown where a size is not known yet

// The input and kernel sizes of `request` are taken from the shapes.
Message ConvOfShapes(ConvRequest request, const Sizes& x, const Sizes& kernel, ConvGeometry* geometry);
Message DenseOfShapes(const std::string& op, const Sizes& x, const Sizes& kernel, ConvGeometry* geometry);

// What a kernel alone says, of rank 4 (convolution) or 2 (dense). The sizes of input and output stay unknown.
Message KernelOfShape(const std::string& op, const Sizes& kernel, int64_t groups, ConvGeometry* geometry);

Sizes ConvOutputShape(const ConvGeometry& g);
Sizes DenseOutputShape(const ConvGeometry& g);

// The two arrays of a packed kernel.
Sizes BitsShape(const ConvGeometry& g);
Sizes AlphaShape(const ConvGeometry& g);
Message CheckPacked(const std::string& op, const ConvGeometry& g, const Sizes& bits, const Sizes& alpha);

// `advice` is a sentence that says what to pass.
Message CheckShape(const std::string& op, const char* argument, const Sizes& shape, const Sizes& expected, const char* advice);

// A list argument with one entry for each name in `layout`.
Message CheckLength(const std::string& op, const char* argument, const Sizes& list, size_t length, const char* layout);

// The shape of the kernel that was packed: `rank` sizes, all known.
Message CheckKernelShape(const std::string& op, const Sizes& kernel_shape, size_t rank);

}  // namespace bnn
