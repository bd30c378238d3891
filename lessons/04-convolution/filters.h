// Part 1: what one filter does to a picture, with weights written by hand. Page:
// docs/04-convolution.md
#pragma once

#include "02-perceptron/pictures.h"
#include "04-convolution/photograph.h"
#include "kindling.h"

namespace lesson04 {

using lesson02::Image;

// A filter is the weight of a convolution of one channel to one: [1, k, k, 1].
inline Tensor filter(std::initializer_list<double> weights, double divided_by = 1) {
  const auto k = int64_t(std::lround(std::sqrt(double(weights.size()))));
  Tensor w({1, k, k, 1});
  std::transform(weights.begin(), weights.end(), w.mutable_data(),
                 [=](double value) { return real(value / divided_by); });
  return w;
}

// Each pixel a mean of its neighbourhood, the nearer ones with more weight.
inline Tensor blur() {
  return filter({1, 4,  6,  4,  1,  //
                 4, 16, 24, 16, 4,  //
                 6, 24, 36, 24, 6,  //
                 4, 16, 24, 16, 4,  //
                 1, 4,  6,  4,  1},
                256);
}
// The pixel, and what it has more than its neighbours once again.
inline Tensor sharpen() {
  return filter({0, -1, 0,   //
                 -1, 5, -1,  //
                 0, -1, 0});
}
// How much brighter it gets to the right, and downwards (Sobel and Feldman 1968).
inline Tensor sobel_right() {
  return filter({-1, 0, 1,  //
                 -2, 0, 2,  //
                 -1, 0, 1});
}
inline Tensor sobel_down() {
  return filter({-1, -2, -1,  //
                 0, 0, 0,     //
                 1, 2, 1});
}

// The picture as large as before: outside it is as dark as 0.
inline Tensor filtered(const Tensor& image, const Tensor& weight) {
  return conv2d(image, weight, {}, {.padding = weight.dim(1) / 2});
}
inline Tensor edges(const Tensor& image) {  // the length of the slope
  return sqrt(square(filtered(image, sobel_right())) + square(filtered(image, sobel_down())));
}

inline double largest_difference(const Tensor& a, const Tensor& b) {
  return double(max(abs(a - b)).item());
}

inline void print_image(const Tensor& image) {  // [1, H, W, 1]
  for (int64_t y = 0; y < image.dim(1); ++y) {
    fmt::print("   ");
    for (int64_t x = 0; x < image.dim(2); ++x) {
      fmt::print("{:5g}", image.values()[size_t(y * image.dim(2) + x)]);
    }
    fmt::print("\n");
  }
}

// By hand, on 5 x 5 pixels: dark on the left, bright on the right.
inline void by_hand(Report& report) {
  Tensor x({1, 5, 5, 1});
  for (int64_t i = 0; i < 25; ++i) x.mutable_data()[i] = real(i % 5 < 2 ? 1 : 7);
  const Tensor w = sobel_right(), y = conv2d(x, w);
  fmt::print("   x [1, 5, 5, 1]\n");
  print_image(x);
  fmt::print("   w [1, 3, 3, 1]\n");
  print_image(w);
  fmt::print("   y [1, 3, 3, 1]\n");
  print_image(y);
  double sum = 0;
  std::string terms;
  for (size_t i = 0; i < 9; ++i) {  // the window at row 0, column 1 of the output
    const double pixel = double(x.values()[i / 3 * 5 + i % 3 + 1]), weight = double(w.values()[i]);
    sum += weight * pixel;
    terms += fmt::format("{}{:g}·{:g}", i == 0 ? "" : " + ", weight, pixel);
  }
  fmt::print("   y[0, 0, 1, 0] = {} = {:g}\n\n", terms, sum);
  report.claim("the sum written out is what conv2d gives", sum == double(y.values()[1]));
}

inline void filters(Report& report, const std::optional<Tensor>& photograph) {
  fmt::print("\n1. What a filter does\n\n");
  by_hand(report);

  const NoGrad no_grad;
  if (!photograph) {
    fmt::print("   No photograph here (make data-photograph, or --photo FILE): a drawn picture.\n");
  }
  const Tensor photo = reduced(photograph ? *photograph : drawn_picture(), 320);
  const int h = int(photo.dim(1)), w = int(photo.dim(2));
  const Tensor even = full({1, 9, 9, 1}, 0.5);
  const bool kept = largest_difference(conv2d(even, blur()), full({1, 5, 5, 1}, 0.5)) < 1e-6 &&
                    largest_difference(conv2d(even, sharpen()), full({1, 7, 7, 1}, 0.5)) < 1e-6;
  const bool none = largest_difference(conv2d(even, sobel_right()), zeros({1, 7, 7, 1})) == 0;
  report.claim("weights that add up to 1 leave an even surface as it is, to 0 make it 0",
               kept && none);
  // [1 2 1; 2 4 2; 1 2 1] / 16 twice is [1 4 6 4 1; ...] / 256: kernels convolve like images.
  const Tensor small = filter({1, 2, 1, 2, 4, 2, 1, 2, 1}, 16);
  const Tensor twice = conv2d(conv2d(photo, small), small), once = conv2d(photo, blur());
  report.claim("two blurs of 3 x 3, one after the other, are one of 5 x 5",
               largest_difference(twice, once) < 1e-5);

  std::vector<Image> panels;
  const auto show = [&](const Tensor& t, double low, double high, lesson02::Rgb (*colour)(double),
                        real shades = 12) {  // few shades make a small file
    std::vector<real> steps;
    for (real v : t.values()) steps.push_back(std::round(shades * v) / shades);
    panels.push_back(lesson02::to_images(steps, h, w, 1, low, high, colour).at(0));
  };
  Tensor soft = photo;
  for (int i = 0; i < 3; ++i) soft = filtered(soft, blur());
  show(photo, 0, 1, lesson02::grey_colour);
  show(soft, 0, 1, lesson02::grey_colour, 64);  // where all is soft, 12 would be seen as steps
  show(filtered(photo, sharpen()), 0, 1, lesson02::grey_colour);
  show(filtered(photo, sobel_right()), 0, 1, lesson02::diverging_colour);
  show(filtered(photo, sobel_down()), 0, 1, lesson02::diverging_colour);
  show(edges(photo), 1, 0, lesson02::grey_colour);
  write_file(report.path("filters.png"), encode_png(lesson02::grid(panels, {.columns = 3})));
  fmt::print(
      "   {}: the picture, blurred three times, sharpened; its slopes to the right\n"
      "   and down (red: brighter, blue: darker), and its edges (the darker, the stronger)\n",
      report.path("filters.png"));
}

}  // namespace lesson04
