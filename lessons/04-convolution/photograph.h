// The picture that the filters work on: a photograph, or where there is none a drawing.
// Page: docs/04-convolution.md
#pragma once

#include <stb/stb_image.h>

#include <cstdlib>
#include <filesystem>
#include <optional>

#include "kindling.h"

namespace lesson04 {

using namespace kindling;

// A file of PNG, JPEG or another format that stb knows, as one grey image [1, H, W, 1] of 0 .. 1.
inline Tensor read_photograph(const std::string& path) {
  if (!std::filesystem::is_regular_file(path)) {
    throw UsageError(path + ": there is no such file. Give --photo a PNG or JPEG, or leave it out");
  }
  int w = 0, h = 0, channels = 0;
  const std::unique_ptr<uint8_t, void (*)(void*)> bytes(
      stbi_load(path.c_str(), &w, &h, &channels, 1), stbi_image_free);
  ENSURE(
      bytes,
      "{}: not an image that can be read. It is damaged, or neither PNG nor JPEG. Fetch it again "
      "(make data-photograph), or give --photo another",
      path);
  Tensor image({1, h, w, 1});
  std::transform(bytes.get(), bytes.get() + image.size(), image.mutable_data(),
                 [](uint8_t byte) { return real(byte) / 255; });
  return image;
}

// What a camera sees, drawn: a lit ball before a wall of stripes that get finer to the right, with
// a slanted bar and a line one pixel wide. Smooth surfaces, edges of all directions, and a texture.
inline Tensor drawn_picture(int64_t h = 200, int64_t w = 300) {
  Tensor image({1, h, w, 1});
  real* pixel = image.mutable_data();
  for (int64_t y = 0; y < h; ++y) {
    for (int64_t x = 0; x < w; ++x) {
      const double u = double(x) / double(h), v = double(y) / double(h);
      double grey = 0.55 + 0.2 * std::sin(12 * std::exp(1.3 * u)) * (v < 0.7 ? 1 : 0);
      if (v >= 0.7) grey = 0.75 - 0.4 * (v - 0.7) / 0.3;    // the floor
      if (std::abs(v - 0.3 * u - 0.1) < 0.02) grey = 0.95;  // the bar
      if (x == w * 9 / 10) grey = 0.05;                     // the line
      const double a = (u - 0.55) / 0.33, b = (v - 0.52) / 0.33, r = a * a + b * b;
      if (r < 1) {  // the ball: as bright as its surface faces a light at the upper left
        grey = 0.08 + 0.85 * std::max(0.0, 0.65 * std::sqrt(1 - r) - 0.45 * a - 0.6 * b);
      }
      *pixel++ = real(std::clamp(grey, 0.0, 1.0));
    }
  }
  return image;
}

// Half as wide and as high until at most `widest` pixels wide, each pixel the mean of 2 x 2.
inline Tensor reduced(Tensor image, int64_t widest) {
  while (image.dim(2) > widest && image.dim(1) >= 10) image = average_pool2d(image, {2});
  return image;
}

// `path`, or if it is empty the photograph that `make data-photograph` fetches; if that is not
// there, nothing.
inline std::optional<Tensor> load_photograph(const std::string& path) {
  if (!path.empty()) {
    const Tensor image = read_photograph(path);
    ENSURE(image.dim(1) >= 5 && image.dim(2) >= 5,
           "{}: {} x {} pixels. The filters need at least 5 x 5", path, image.dim(2), image.dim(1));
    return image;
  }
  const char* data = std::getenv("KINDLING_DATA");
  const std::string installed = "/usr/lib/python3/dist-packages/skimage/data";
  for (const std::string& folder : {std::string(data ? data : "datasets") + "/photograph",
                                    std::string("datasets/photograph"), installed}) {
    const std::string file = folder + "/chelsea.png";
    if (std::filesystem::exists(file)) return read_photograph(file);
  }
  return std::nullopt;
}

}  // namespace lesson04
