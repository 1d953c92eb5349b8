// Classifies an image with a packed model: classify net.bnn image.ppm
//
// The image is a binary PPM or PGM of the size that the model takes, as `convert photo.jpg -resize 224x224! image.ppm` writes
// one.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "runtime/model.h"

namespace {

struct Image {
  int64_t height = 0, width = 0, channels = 0;
  std::vector<uint8_t> pixels;
};

// P5 is grey, P6 is colour; a comment line may not stand in it.
bool ReadImage(const std::string& path, Image* image) {
  std::ifstream file(path, std::ios::binary);
  std::string kind;
  int largest = 0;
  if (!(file >> kind >> image->width >> image->height >> largest) || (kind != "P5" && kind != "P6") || largest != 255)
    return false;
  if (image->width < 1 || image->height < 1 || image->width > 16384 || image->height > 16384) return false;
  file.get();  // the one space behind the head
  image->channels = kind == "P6" ? 3 : 1;
  image->pixels.resize(image->height * image->width * image->channels);
  return static_cast<bool>(file.read(reinterpret_cast<char*>(image->pixels.data()), image->pixels.size()));
}

int Fail(const std::string& message) {
  std::cerr << message << "\n";
  return 2;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) return Fail("usage: classify net.bnn image.ppm");
  std::unique_ptr<bnn::PackedModel> model;
  if (bnn::Message error = bnn::PackedModel::Load(arguments[1], {}, &model); !error.empty()) return Fail(error);
  Image image;
  if (!ReadImage(arguments[2], &image)) return Fail(std::string(arguments[2]) + ": is no binary PPM or PGM of 8 bits.");

  bnn::Session session;
  if (bnn::Message error = model->Open({1, image.height, image.width, image.channels}, true, &session); !error.empty()) {
    return Fail(error);
  }
  std::vector<float> scores(session.output_size());
  session.Run(image.pixels.data(), scores.data());

  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  const size_t best = std::min<size_t>(5, order.size());
  std::partial_sort(order.begin(), order.begin() + best, order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  const std::vector<std::string>& classes = model->graph().classes;
  for (size_t i = 0; i < best; ++i) {
    const std::string name = order[i] < classes.size() ? classes[order[i]] : "class " + std::to_string(order[i]);
    std::printf("%10.4f  %s\n", scores[order[i]], name.c_str());
  }
  return 0;
}
