// Pictures: pixels for PNG files, charts as SVG, the same bytes for the same arguments. Each is
// written with write_file (base/file.h). Page: docs/02-perceptron.md
#pragma once

#include "base/standard.h"

namespace kindling {

struct Rgb {
  uint8_t r = 0, g = 0, b = 0;
  bool operator==(const Rgb&) const = default;
};

inline constexpr Rgb kWhite{255, 255, 255}, kInk{40, 40, 40};
inline constexpr Rgb kNotANumber{255, 0, 255};  // magenta: how a NaN shows in any picture

// Classes and series in colours that colour-blind readers can tell apart. Source: Okabe and Ito,
// "Color universal design", 2008; without the yellow, too pale on white.
inline constexpr Rgb kCategories[] = {{0, 114, 178}, {213, 94, 0},   {0, 158, 115}, {204, 121, 167},
                                      {230, 159, 0}, {86, 180, 233}, {80, 80, 80}};

// From a to b as the share goes from 0 to 1; beyond it is clamped, and a NaN gives kNotANumber.
Rgb mix(Rgb a, Rgb b, double share);
inline Rgb grey_colour(double t) { return mix({}, kWhite, t); }  // 0 .. 1: black, white
Rgb sequential_colour(double t);  // 0 .. 1: almost white, green-blue, dark blue

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
std::vector<Image> to_images(std::span<const real> values, int height, int width, int channels,
                             double low = 0, double high = 1, Rgb (*colour)(double) = grey_colour);

struct GridStyle {
  int columns = 0;  // 0: about as many columns as rows
  int scale = 1;    // every pixel becomes scale x scale pixels
  int padding = 2;  // pixels between images and around them
};
// Images of one size, row by row, in one image; with `columns` equal to their number, a strip.
Image grid(const std::vector<Image>& images, const GridStyle& style = {});

std::string encode_png(const Image& image);  // the bytes of a PNG file

// --- Charts. Every function returns the text of one SVG file.

struct Chart {
  std::string title, x_label, y_label;
  bool log_x = false, log_y = false;
};

// Points (x[i], y[i]), joined by a line or dots alone (a scatter chart). What cannot be shown (NaN,
// infinity, zero on a log axis) leaves a gap.
struct Series {
  std::string name;  // in the legend when there are several series
  std::vector<double> x, y;
  bool joined = true;
};

std::string line_chart(const Chart& chart, const std::vector<Series>& series);

// counts [true class, predicted class].
std::string confusion_matrix(const std::string& title, const std::vector<std::string>& class_names,
                             std::span<const int64_t> counts);

}  // namespace kindling
