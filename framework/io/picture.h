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
inline Rgb mix(Rgb a, Rgb b, double share) {
  if (std::isnan(share)) return kNotANumber;
  const auto blend = [t = std::clamp(share, 0.0, 1.0)](uint8_t from, uint8_t to) {
    return uint8_t(std::lround((1 - t) * from + t * to));
  };
  return {blend(a.r, b.r), blend(a.g, b.g), blend(a.b, b.b)};
}
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

// A drawing with text, as the elements of an SVG file. One unit is a pixel, y grows downwards, and
// the origin is wherever it is convenient: the file is made as large as what was drawn.
struct Drawing {
  enum Anchor { start, middle, end };  // what of a text stands at its x

  void reach(double x, double y);  // makes the file large enough to show this point
  void rectangle(double x, double y, double width, double height, Rgb fill);
  void text(double x, double y, Anchor anchor, const std::string& words, Rgb fill = kInk,
            const std::string& attributes = "");
  // The file: a bold title, a grey note, and below them what was drawn.
  std::string file(const std::string& title, const std::string& note = "") const;

  std::string elements;  // for what the functions above do not draw
  double left = 0, top = 0, right = 0, bottom = 0;
};
// Nobody knows how wide the reader's font is: 7 of its 12 units a letter is a wide one.
inline double text_width(const std::string& words) { return 7.0 * double(words.size()); }

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

std::string line_chart(const Chart& chart, const std::vector<Series>& series);  // an SVG file

}  // namespace kindling
