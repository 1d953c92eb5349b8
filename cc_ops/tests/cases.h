// The shapes that every convolution is tested on: deliberate lists, each varying one thing, and a random sweep.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/geometry.h"
#include "tests/random.h"

namespace bnn::testing {

// Around the sizes of words, registers and blocks; a prime.
inline const std::vector<int64_t> kSizes = {1, 2, 3, 7, 8, 9, 31, 32, 33, 37, 63, 64, 65, 127, 128, 129, 130};

// A ConvRequest, said in words.
class Shape {
 public:
  Shape(int64_t batch, int64_t height, int64_t width, int64_t channels);
  Shape& Kernel(int64_t height, int64_t width, int64_t filters);
  Shape& Strides(int64_t height, int64_t width);
  Shape& Dilations(int64_t height, int64_t width);
  Shape& Groups(int64_t groups);
  Shape& Padding(const std::string& padding);
  Shape& Explicit(int64_t top, int64_t bottom, int64_t left, int64_t right);
  ConvGeometry Make() const;

 private:
  ConvRequest request_;
};

std::vector<ConvGeometry> ListedShapes();
std::vector<ConvGeometry> RandomShapes(int64_t count, int64_t max_products, Random* random);

// All a reader needs to make the shape again.
std::string Describe(const ConvGeometry& g);

inline std::vector<int64_t> InputShape(const ConvGeometry& g) { return {g.batch, g.h.in, g.w.in, g.channels}; }
inline std::vector<int64_t> KernelShape(const ConvGeometry& g) { return {g.h.kernel, g.w.kernel, g.group_channels(), g.filters}; }
inline std::vector<int64_t> OutputShape(const ConvGeometry& g) { return {g.batch, g.h.out, g.w.out, g.filters}; }

}  // namespace bnn::testing
