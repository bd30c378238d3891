// Images of pixels: from numbers, side by side, as PNG. Page: docs/02-perceptron.md
#pragma once

#include <stb/stb_image_write.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "01-graph/chart.h"
#include "kindling.h"

namespace lesson02 {

using kindling::real;
using lesson01::kNotANumber, lesson01::kWhite, lesson01::mix, lesson01::Rgb;

inline Rgb grey_colour(double t) { return mix({}, kWhite, t); }  // 0 .. 1: black, white

struct Image {
  int height, width;
  std::vector<Rgb> pixels;  // [height, width]

  explicit Image(int h = 0, int w = 0, Rgb fill = kWhite)
      : height(h), width(w), pixels(size_t(h) * size_t(w), fill) {}
  auto& at(int y, int x) { return pixels[size_t(y) * size_t(width) + size_t(x)]; }
  auto& at(int y, int x) const { return pixels[size_t(y) * size_t(width) + size_t(x)]; }
};

// The images of a batch [n, height, width, channels]; n follows from the number of values. low ..
// high becomes 0 .. 1 of a colour map; with 3 channels of its red, green and blue each.
inline std::vector<Image> to_images(std::span<const real> values, int height, int width,
                                    int channels, double low = 0, double high = 1,
                                    Rgb (*colour)(double) = grey_colour) {
  ENSURE(channels == 1 || channels == 3, "to_images: {} channels; an image has 1 or 3", channels);
  const size_t area = size_t(height) * size_t(width), depth = size_t(channels);
  ENSURE(area > 0 && values.size() % (area * depth) == 0,
         "to_images: {} values do not fill images of {} values", values.size(), area * depth);
  std::vector<Image> images(values.size() / (area * depth), Image(height, width));
  for (size_t i = 0; i < images.size() * area; ++i) {
    const auto v = values.subspan(i * depth, depth);
    const auto of = [&](real one) { return colour((one - low) / (high - low)); };
    const bool bad = std::ranges::any_of(v, [](real one) { return std::isnan(one); });
    images[i / area].pixels[i % area] =
        bad ? kNotANumber : Rgb{of(v[0]).r, of(v[depth / 2]).g, of(v[depth - 1]).b};
  }
  return images;
}

struct GridStyle {
  int columns = 0;  // 0: about as many columns as rows
  int scale = 1;    // every pixel becomes scale x scale pixels
  int padding = 2;  // pixels between images and around them
};
// Images of one size, row by row, in one image; with `columns` equal to their number, a strip.
inline Image grid(const std::vector<Image>& images, const GridStyle& style = {}) {
  ENSURE(!images.empty(), "grid: no images");
  const int n = int(images.size()), scale = style.scale, gap = style.padding;
  const int columns = style.columns > 0 ? std::min(n, style.columns) : int(std::ceil(std::sqrt(n)));
  const int height = images[0].height, width = images[0].width;
  const int down = gap + height * scale, across = gap + width * scale;
  Image out((n + columns - 1) / columns * down + gap, columns * across + gap);
  for (int i = 0; i < n; ++i) {
    const Image& one = images[size_t(i)];
    ENSURE(one.height == height && one.width == width, "grid: image {} is {} x {}, image 0 {} x {}",
           i, one.height, one.width, height, width);
    const int top = i / columns * down, left = i % columns * across;
    for (int y = gap; y < down; ++y) {
      for (int x = gap; x < across; ++x) {
        out.at(top + y, left + x) = one.at((y - gap) / scale, (x - gap) / scale);
      }
    }
  }
  return out;
}

// The bytes of a PNG file.
inline std::string encode_png(const Image& image) {
  static_assert(sizeof(Rgb) == 3, "stb expects three bytes a pixel");
  std::string bytes;
  const auto append = [](void* out, void* data, int size) {
    static_cast<std::string*>(out)->append(static_cast<const char*>(data), size_t(size));
  };
  ENSURE(!image.pixels.empty() && stbi_write_png_to_func(append, &bytes, image.width, image.height,
                                                         3, image.pixels.data(), 3 * image.width),
         "encode_png: an image of {} x {} pixels cannot be encoded", image.height, image.width);
  return bytes;
}

}  // namespace lesson02
