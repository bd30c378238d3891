// The pictures of this lesson: what a model makes of the plane, its weights, images with captions,
// and which classes it confuses.
// Page: docs/02-perceptron.md
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

#include "02-perceptron/pixels.h"
#include "kindling.h"

namespace lesson02 {

using lesson01::Drawing, lesson01::kInk, lesson01::text_width;

// A piece of the (x, y) plane; one unit is equally long in both directions.
struct Plane {
  double x_low = -1, x_high = 1, y_low = -1, y_high = 1;
  int width = 280;  // pixels

  int height() const {
    ENSURE(x_low < x_high && y_low < y_high && width > 0,
           "plane: [{}, {}] x [{}, {}] at {} pixels is empty", x_low, x_high, y_low, y_high, width);
    return std::max(1, int(std::lround((y_high - y_low) * unit())));
  }
  double unit() const { return width / (x_high - x_low); }  // pixels
  double column(double x) const { return (x - x_low) * unit() - 0.5; }
  double row(double y) const { return (y_high - y) * unit() - 0.5; }
};
struct Dot {
  double x, y;
  int label;  // 0 or 1
};

// The x and y of every pixel's centre [height * width, 2]: the inputs to score, in this order.
inline std::vector<real> pixel_centres(const Plane& plane) {
  std::vector<real> centres;
  const int n = plane.height() * plane.width;
  for (int i = 0; i < n; ++i) {  // row by row; the first has the largest y
    centres.push_back(real(plane.x_low + (i % plane.width + 0.5) / plane.unit()));
    centres.push_back(real(plane.y_high - (i / plane.width + 0.5) / plane.unit()));
  }
  return centres;
}

// What a two-class model makes of the plane. A score below 0 is class 0 (blue), above is class 1
// (orange), its size up to 1 says how sure; give 2 p - 1 or tanh(w x + b) rather than the sign
// alone, whose boundary looks jagged. Dots are samples; a dark ring marks one on the wrong side.
inline Image decision_picture(const Plane& plane, std::span<const real> scores,
                              const std::vector<Dot>& dots) {
  using lesson01::kCategories;
  const int height = plane.height(), width = plane.width;
  Image image(height, width);
  ENSURE(scores.size() == image.pixels.size(), "decision_picture: {} scores for {} x {} pixels",
         scores.size(), height, width);
  const auto score = [&](int y, int x) {
    y = std::clamp(y, 0, height - 1), x = std::clamp(x, 0, width - 1);
    return double(scores[size_t(y) * size_t(width) + size_t(x)]);
  };

  // Ink that covers a pixel only in part is mixed in by that part: no jagged edges.
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const double s = score(y, x), size = std::min(std::abs(s), 1.0);
      // Twelve steps read as contours and make a small file.
      Rgb colour = mix(kWhite, kCategories[s > 0], 0.12 + 0.33 * std::round(12 * size) / 12);
      const double axis = std::min(std::abs(x - plane.column(0)), std::abs(y - plane.row(0)));
      colour = mix(colour, kInk, 0.3 * (1 - axis));
      // |s| / |gradient of s| is the distance to the boundary s = 0, in pixels.
      const double across = score(y, x + 1) - score(y, x - 1);
      const double slope = std::hypot(across, score(y + 1, x) - score(y - 1, x)) / 2;
      image.at(y, x) = mix(colour, kInk, slope > 0 ? 1.4 - std::abs(s) / slope : 0);
    }
  }

  const double radius = std::max(2.5, width / 70.0);
  const int reach = int(radius + 3);
  for (const Dot& dot : dots) {
    ENSURE(dot.label == 0 || dot.label == 1, "decision_picture: label {} is not 0 or 1", dot.label);
    const double x = plane.column(dot.x), y = plane.row(dot.y);
    if (!(x > -1 && x < width && y > -1 && y < height)) continue;  // not on this piece of the plane
    const bool right = (score(int(std::lround(y)), int(std::lround(x))) > 0) == (dot.label == 1);
    const int top = std::max(0, int(y) - reach), left = std::max(0, int(x) - reach);
    for (int row = top; row < std::min(height, int(y) + reach); ++row) {
      for (int column = left; column < std::min(width, int(x) + reach); ++column) {
        const double distance = std::hypot(column - x, row - y);
        Rgb& pixel = image.at(row, column);
        pixel = mix(pixel, right ? kWhite : kInk, radius + 2 - distance);
        pixel = mix(pixel, kCategories[dot.label], radius + 0.5 - distance);
      }
    }
  }
  return image;
}

// -1 .. 0 .. 1: blue, white, red.
inline Rgb diverging_colour(double t) {
  return mix(kWhite, t < 0 ? Rgb{0, 94, 199} : Rgb{179, 35, 34}, std::abs(t));
}

// Weights [n, height, width] as images: blue below zero, white at zero, red above; one scale,
// the largest |w|, for all n, so that the images can be compared.
inline std::vector<Image> weight_images(std::span<const real> weights, int height, int width) {
  double largest = 1e-30;  // so that nothing but zeros is white
  for (real w : weights) largest = std::max(largest, std::abs(double(w)));
  return to_images(weights, height, width, 1, 0, largest, diverging_colour);
}

inline std::string base64(const std::string& bytes) {
  constexpr char kLetters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t bit = 0; bit < 8 * bytes.size(); bit += 6) {  // bytes[bytes.size()] is 0
    const int pair = uint8_t(bytes[bit / 8]) << 8 | uint8_t(bytes[bit / 8 + 1]);
    out += kLetters[pair >> (10 - bit % 8) & 63];
  }
  return out.append((4 - out.size() % 4) % 4, '=');
}

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// An SVG file: images of one size, row by row, each with a caption below of up to two lines.
inline std::string image_table(const std::string& title, const std::vector<Image>& images,
                               const std::vector<std::string>& captions, int columns,
                               int scale = 2) {
  ENSURE(!images.empty() && images.size() == captions.size() && columns >= 1,
         "image_table: {} images, {} captions, {} columns", images.size(), captions.size(),
         columns);
  const int wide = images[0].width * scale, high = images[0].height * scale;
  double cell = wide;
  for (const std::string& caption : captions) {
    for (const auto& line : lines_of(caption)) cell = std::max(cell, text_width(line));
  }
  Drawing table;
  for (size_t i = 0; i < images.size(); ++i) {
    const int row = int(i) / columns, column = int(i) % columns;
    const double middle = column * (cell + 12), top = row * (high + 48);
    const std::string png = encode_png(grid({images[i]}, {.scale = scale, .padding = 0}));
    table.elements += fmt::format(
        "<image x='{}' y='{}' width='{}' height='{}' href='data:image/png;base64,{}'/>\n",
        middle - wide / 2.0, top, wide, high, base64(png));
    table.reach(middle - cell / 2, top), table.reach(middle + cell / 2, top + high);
    double baseline = top + high;
    for (const std::string& line : lines_of(captions[i])) {
      table.text(middle, baseline += 15, table.middle, line);
    }
  }
  return table.file(title);
}

// 0 .. 1: almost white, green-blue, dark blue.
inline Rgb sequential_colour(double t) {
  return mix(mix({248, 248, 248}, {42, 161, 172}, 2 * t), {14, 48, 103}, 2 * t - 1);
}

// An SVG file: counts [true class, predicted class], shaded by their share of the row.
inline std::string confusion_matrix(const std::string& title,
                                    const std::vector<std::string>& class_names,
                                    std::span<const int64_t> counts) {
  const size_t n = class_names.size();
  ENSURE(n > 0 && counts.size() == n * n, "confusion_matrix: {} counts for {} classes",
         counts.size(), n);
  const double size = 15 + text_width(fmt::to_string(std::ranges::max(counts)));  // of a cell
  const double widest = text_width(std::ranges::max(class_names, {}, &std::string::size));
  const bool turned = widest > size - 4;  // names too wide for a column stand at 45 degrees
  Drawing table;
  int64_t right = 0, all = 0;
  for (size_t truth = 0; truth < n; ++truth) {
    const double y = size * double(truth), middle = y + size / 2;
    table.text(-8, middle + 4, table.end, class_names[truth]);
    table.text(middle, -6, turned ? table.start : table.middle, class_names[truth], kInk,
               fmt::format("transform='rotate({} {:.1f} -6)'", turned ? -45 : 0, middle));
    const auto row = counts.subspan(truth * n, n);
    const int64_t in_row = std::accumulate(row.begin(), row.end(), int64_t{0});
    right += row[truth], all += in_row;
    for (size_t guess = 0; guess < n; ++guess) {
      const double x = size * double(guess), count = double(row[guess]);
      // The root keeps the few wrong ones visible beside the many right ones.
      const double share = count > 0 ? std::sqrt(count / double(in_row)) : 0;
      table.rectangle(x, y, size - 1, size - 1, sequential_colour(0.9 * share));
      table.text(x + size / 2, middle + 4, table.middle,
                 count > 0 ? fmt::to_string(row[guess]) : "", share > 0.6 ? kWhite : kInk);
    }
  }
  if (turned) table.reach(0, -6 - 0.71 * widest);
  return table.file(
      title, fmt::format("rows: true class, columns: predicted; {} of {} right", right, all));
}

}  // namespace lesson02
