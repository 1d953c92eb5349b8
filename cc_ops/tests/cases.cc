#include "tests/cases.h"

#include <cstdlib>
#include <iostream>
#include <sstream>
#include <tuple>
#include <utility>

namespace bnn::testing {

Shape::Shape(int64_t batch, int64_t height, int64_t width, int64_t channels) {
  request_.input = {batch, height, width, channels};
  Kernel(3, 3, 4);
}

Shape& Shape::Kernel(int64_t height, int64_t width, int64_t filters) {
  request_.kernel = {height, width, 0, filters};
  return *this;
}

Shape& Shape::Strides(int64_t height, int64_t width) {
  request_.strides = {height, width};
  return *this;
}

Shape& Shape::Dilations(int64_t height, int64_t width) {
  request_.dilations = {height, width};
  return *this;
}

Shape& Shape::Groups(int64_t groups) {
  request_.groups = groups;
  return *this;
}

Shape& Shape::Padding(const std::string& padding) {
  request_.padding = padding;
  return *this;
}

Shape& Shape::Explicit(int64_t top, int64_t bottom, int64_t left, int64_t right) {
  request_.explicit_padding = {top, bottom, left, right};
  return Padding("explicit");
}

ConvGeometry Shape::Make() const {
  ConvRequest request = request_;
  request.kernel[2] = request.input[3] / request.groups;
  ConvGeometry g;
  if (const Message error = MakeConv(request, &g); !error.empty()) {
    std::cerr << "a test asks for an impossible shape: " << error << std::endl;
    std::abort();
  }
  return g;
}

std::vector<ConvGeometry> ListedShapes() {
  std::vector<ConvGeometry> shapes;
  const auto add = [&](const Shape& shape) { shapes.push_back(shape.Make()); };

  for (int64_t size : kSizes) {
    add(Shape(1, 4, 5, size).Kernel(3, 3, 5));
    add(Shape(2, 3, 3, size).Kernel(1, 1, 17));
    add(Shape(1, 3, 4, 3).Kernel(3, 3, size));
    add(Shape(1, 2, size, 3).Kernel(3, 3, 4));
    add(Shape(1, size, 2, 5).Kernel(3, 3, 4).Strides(2, 1));
  }

  // Kernel rows of one to nine bytes, whose windows end anywhere in a word.
  for (int kw = 1; kw <= 9; ++kw) {
    for (int kh : {1, 2, 3, 4}) add(Shape(1, 4, 12, 8).Kernel(kh, kw, 5));
  }
  for (int channels : {16, 24, 48, 56}) add(Shape(1, 5, 6, channels).Kernel(3, 1, 17).Strides(1, 2));

  // Pixels between the windows, in whole words and not.
  for (int64_t channels : {32, 40, 64}) {
    for (int stride : {2, 3}) {
      add(Shape(2, 7, 8, channels).Kernel(1, 1, 17).Strides(stride, stride));
      add(Shape(1, 9, 8, channels).Kernel(2, 1, 5).Strides(4, stride).Explicit(1, 0, 0, 2));
    }
  }

  for (int64_t batch : {0, 1, 2, 3, 7}) add(Shape(batch, 4, 4, 9));
  add(Shape(1, 0, 5, 3));
  add(Shape(1, 5, 0, 3));
  add(Shape(2, 0, 3, 3).Explicit(2, 2, 0, 0));  // an output of padding only
  add(Shape(2, 3, 0, 3).Explicit(0, 0, 2, 3));

  int turn = 0;
  for (const auto& [kh, kw] :
       std::vector<std::pair<int, int>>{{1, 1}, {2, 2}, {4, 2}, {5, 5}, {1, 7}, {7, 1}, {3, 10}, {11, 9}}) {
    for (const auto& [sh, sw] : std::vector<std::pair<int, int>>{{1, 1}, {2, 1}, {3, 2}, {2, 3}}) {
      // Channels that share words, fill half of one, and are a table's quads without filling words.
      const Shape shape = Shape(1, 12, 13, std::vector<int>{3, 16, 40}[turn++ % 3]).Kernel(kh, kw, 4).Strides(sh, sw);
      add(Shape(shape).Padding("same"));
      add(Shape(shape).Padding("valid"));
      add(Shape(shape).Explicit(0, 1, 2, 3));
    }
  }
  for (const auto& [dh, dw] : std::vector<std::pair<int, int>>{{1, 2}, {2, 1}, {3, 2}}) {
    for (int channels : {3, 32}) {
      add(Shape(2, 9, 10, channels).Dilations(dh, dw));
      add(Shape(2, 9, 10, channels).Dilations(dh, dw).Padding("valid").Strides(2, 3));
      add(Shape(1, 9, 11, channels).Kernel(2, 5, 3).Dilations(dh, dw).Explicit(4, 0, 0, 4));
    }
  }
  // Kernels larger than the image, windows that lie wholly in the padding.
  add(Shape(1, 1, 1, 3));
  add(Shape(2, 1, 2, 33).Kernel(5, 5, 17));
  add(Shape(1, 3, 3, 3).Kernel(1, 7, 2));
  add(Shape(1, 2, 2, 4).Kernel(1, 1, 3).Explicit(1, 2, 3, 4).Strides(2, 3));
  add(Shape(1, 2, 3, 5).Kernel(2, 2, 3).Explicit(4, 3, 2, 5));
  add(Shape(1, 4, 4, 8).Kernel(2, 2, 3).Strides(3, 3).Padding("valid"));

  for (const auto& [channels, filters, groups] : std::vector<std::tuple<int, int, int>>{
           {4, 4, 2}, {6, 9, 3}, {33, 33, 33}, {64, 32, 2}, {32, 64, 32}, {96, 48, 3}, {66, 34, 2}, {130, 26, 13}, {5, 15, 5}}) {
    add(Shape(2, 5, 4, channels).Kernel(3, 3, filters).Groups(groups));
    add(Shape(1, 4, 5, channels).Kernel(1, 1, filters).Groups(groups).Strides(2, 1));
    add(Shape(1, 7, 7, channels).Kernel(2, 3, filters).Groups(groups).Dilations(2, 2).Padding("valid"));
  }

  add(Shape(1, 2, 2, 4099).Kernel(3, 3, 3));   // deep
  add(Shape(1, 2, 2, 8).Kernel(1, 1, 1031));   // wide
  add(Shape(1, 14, 14, 64).Kernel(3, 3, 70));  // several tasks, panels and tiles
  add(Shape(3, 16, 17, 3).Kernel(5, 5, 33).Strides(2, 2));

  for (const auto& [batch, channels, units] :
       std::vector<std::tuple<int, int, int>>{{0, 3, 4}, {1, 1, 1}, {1, 130, 65}, {2, 784, 10}, {7, 33, 129}, {129, 65, 31}}) {
    ConvGeometry dense;
    if (!MakeDense("BinaryDense", batch, channels, channels, units, &dense).empty()) std::abort();
    shapes.push_back(dense);
  }
  return shapes;
}

std::vector<ConvGeometry> RandomShapes(int64_t count, int64_t max_products, Random* random) {
  std::vector<ConvGeometry> shapes;
  while (static_cast<int64_t>(shapes.size()) < count) {
    const int64_t groups = random->Of<int64_t>({1, 1, 1, 2, 3});
    const int64_t channels = random->Of(kSizes), filters = random->Of(kSizes);
    Shape shape(random->Int(1, 3), random->Int(1, 12), random->Int(1, 12), channels * groups);
    shape.Kernel(random->Int(1, 5), random->Int(1, 5), filters * groups)
        .Strides(random->Int(1, 3), random->Int(1, 3))
        .Dilations(random->Int(1, 3), random->Int(1, 3))
        .Groups(groups);
    switch (random->Int(0, 2)) {
      case 0:
        break;
      case 1:  // enough for any of these kernels to fit
        shape.Explicit(random->Int(6, 8), random->Int(6, 8), random->Int(6, 8), random->Int(6, 8));
        break;
      case 2:
        shape.Kernel(1, 1, filters * groups).Padding("valid");
        break;
    }
    const ConvGeometry g = shape.Make();
    if (g.output_size() * g.run() <= max_products) shapes.push_back(g);
  }
  return shapes;
}

std::string Describe(const ConvGeometry& g) {
  std::ostringstream text;
  text << "input " << g.batch << "x" << g.h.in << "x" << g.w.in << "x" << g.channels << ", kernel " << g.h.kernel << "x"
       << g.w.kernel << "x" << g.group_channels() << "x" << g.filters << ", strides " << g.h.stride << "x" << g.w.stride
       << ", dilations " << g.h.dilation << "x" << g.w.dilation << ", groups " << g.groups << ", padding " << g.h.before << ","
       << g.h.after << "," << g.w.before << "," << g.w.after << ", output " << g.h.out << "x" << g.w.out;
  return text.str();
}

}  // namespace bnn::testing
