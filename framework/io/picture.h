// Pictures: pixels as PNG, charts with text as SVG, the same bytes for the same arguments.
// Page: docs/02-perceptron.md
#pragma once

#include "base/real.h"

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
Rgb grey_colour(double t);        // 0 .. 1: black, white
Rgb sequential_colour(double t);  // 0 .. 1: almost white, green-blue, dark blue
Rgb diverging_colour(double t);   // -1 .. 0 .. 1: blue, white, red

struct Image {
  int height, width;
  std::vector<Rgb> pixels;  // [height, width]

  explicit Image(int h = 0, int w = 0, Rgb fill = kWhite)
      : height(h), width(w), pixels(size_t(h) * size_t(w), fill) {}
  Rgb& at(int y, int x) { return pixels[size_t(y) * size_t(width) + size_t(x)]; }
  const Rgb& at(int y, int x) const { return pixels[size_t(y) * size_t(width) + size_t(x)]; }
};

// The images of a batch [n, height, width, channels]; n follows from the number of values. low ..
// high becomes 0 .. 1 of a colour map; with 3 channels of its red, green and blue each.
std::vector<Image> to_images(std::span<const real> values, int height, int width, int channels,
                             double low = 0, double high = 1, Rgb (*colour)(double) = grey_colour);

// Weights [n, height, width] as images: blue below zero, white at zero, red above; one scale,
// the largest |w|, for all n, so that the images can be compared.
std::vector<Image> weight_images(std::span<const real> weights, int height, int width);

struct GridStyle {
  int columns = 0;  // 0: about as many columns as rows
  int scale = 1;    // every pixel becomes scale x scale pixels
  int padding = 2;  // pixels between images and around them
};
// Images of one size, row by row, in one image; with `columns` equal to their number, a strip.
Image grid(const std::vector<Image>& images, const GridStyle& style = {});

// A piece of the (x, y) plane; one unit is equally long in both directions.
struct Plane {
  double x_low = -1, x_high = 1, y_low = -1, y_high = 1;
  int width = 280;  // pixels
  int height() const;
  double unit() const { return width / (x_high - x_low); }  // pixels
  double column(double x) const { return (x - x_low) * unit() - 0.5; }
  double row(double y) const { return (y_high - y) * unit() - 0.5; }
};
struct Dot {
  double x, y;
  int label;  // 0 or 1
};
// The x and y of every pixel's centre [height * width, 2]: the inputs to score, in this order.
std::vector<real> pixel_centres(const Plane& plane);
// What a two-class model makes of the plane. A score below 0 is class 0 (blue), above is class 1
// (orange), its size up to 1 says how sure; give 2 p - 1 or tanh(w x + b) rather than the sign
// alone, whose boundary looks jagged. Dots are samples; a dark ring marks one on the wrong side.
Image decision_picture(const Plane& plane, std::span<const real> scores,
                       const std::vector<Dot>& dots);

// --- Charts. Every function returns the text of one SVG file.

enum class Scale { linear, log };

struct Chart {
  std::string title, x_label, y_label;
  Scale x_scale = Scale::linear, y_scale = Scale::linear;
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

// Images of one size with a caption below each ('\n' starts a new line of it).
std::string image_table(const std::string& title, const std::vector<Image>& images,
                        const std::vector<std::string>& captions, int columns, int scale = 2);

// --- Files.

std::string encode_png(const Image& image);  // the bytes of a PNG file

// Writes `bytes` to path + ".part" and renames it, so that nobody sees half a file. Throws Error
// that names the path when that fails; the folder must exist.
void write_picture(const std::string& path, const std::string& bytes);
inline void write_picture(const std::string& path, const Image& image) {
  write_picture(path, encode_png(image));
}

}  // namespace kindling
