// Part 3: how far a unit of a deep layer sees, and what pooling passes on. Page:
// docs/04-convolution.md
#pragma once

#include "04-convolution/filters.h"
#include "kindling.h"

namespace lesson04 {

// A layer with a square window, as far as it decides what is seen.
struct Seen {
  enum Kind { conv, pool } kind;
  int64_t kernel, stride = 1, dilation = 1;
};

// The side of the square of input pixels that one unit behind these layers depends on. A layer
// reaches dilation (kernel - 1) steps further, and a step is as many pixels of the input as all
// strides before it multiply to.
inline int64_t receptive_field(std::span<const Seen> layers) {
  int64_t field = 1, step = 1;
  for (const Seen& layer : layers) {
    field += layer.dilation * (layer.kernel - 1) * step;
    step *= layer.stride;
  }
  return field;
}

// The gradient [side, side] of the unit in the middle behind the layers with respect to an image
// around it. Weights are positive, so that no two paths cancel, and pooling takes means, since a
// maximum hands its gradient to one pixel alone.
inline Tensor seen_by_the_middle(std::span<const Seen> layers, int64_t side, Random& random) {
  Tensor x = uniform({1, side, side, 1}, random);
  x.set_requires_grad();
  Tensor y = x;
  for (const Seen& layer : layers) {
    const Tensor weight = uniform({1, layer.kernel, layer.kernel, 1}, random, 0.5, 1.5);
    y = layer.kind == Seen::pool
            ? average_pool2d(y, {layer.kernel, layer.stride})
            : conv2d(y, weight, {}, {.stride = layer.stride, .dilation = layer.dilation});
  }
  const int64_t middle = y.dim(1) / 2;
  sum(slice(slice(y, 1, middle, middle + 1), 2, middle, middle + 1)).backward();
  return reshape(x.grad(), {side, side});
}

// The sides of the smallest rectangle that holds all numbers other than 0.
inline std::array<int64_t, 2> box_of(const Tensor& image) {
  int64_t top = image.dim(0), bottom = -1, left = image.dim(1), right = -1;
  for (int64_t i = 0; i < image.size(); ++i) {
    if (image.values()[size_t(i)] == 0) continue;
    const int64_t y = i / image.dim(1), x = i % image.dim(1);
    top = std::min(top, y), bottom = std::max(bottom, y);
    left = std::min(left, x), right = std::max(right, x);
  }
  return {bottom - top + 1, right - left + 1};
}

inline void receptive_fields(Report& report, uint64_t seed) {
  constexpr auto conv = Seen::conv, pool = Seen::pool;
  const std::vector<Seen> lenet = {{conv, 5}, {pool, 2, 2}, {conv, 5}, {pool, 2, 2}};
  const std::vector<std::pair<const char*, std::vector<Seen>>> stacks = {
      {"LeNet, first convolution", {lenet[0]}},
      {"  and pooling", {lenet[0], lenet[1]}},
      {"  and second convolution", {lenet[0], lenet[1], lenet[2]}},
      {"  and pooling", lenet},
      {"three of 3 x 3", {{conv, 3}, {conv, 3}, {conv, 3}}},
      {"one of 7 x 7", {{conv, 7}}},
      {"three of 3 x 3, strides of 2", {{conv, 3, 2}, {conv, 3, 2}, {conv, 3, 2}}},
      {"3 x 3 with dilation 1, 2, 4", {{conv, 3}, {conv, 3, 1, 2}, {conv, 3, 1, 4}}},
      {"ten of 3 x 3", std::vector<Seen>(10, {conv, 3})}};
  fmt::print("\n3. How far a unit sees\n\n   {:<34}{:>10}{:>14}\n", "", "formula", "by gradient");
  Random random(seed, 6);
  constexpr int64_t kSide = 48;
  bool equal = true;
  std::vector<Image> pictures;
  double inner = 0;
  for (const auto& stack : stacks) {
    const int64_t formula = receptive_field(stack.second);
    const Tensor gradient = seen_by_the_middle(stack.second, kSide, random);
    const auto box = box_of(gradient);
    fmt::print("   {:<34}{:>10}{:>14}\n", stack.first, formula,
               fmt::format("{} x {}", box[0], box[1]));
    equal = equal && box[0] == formula && box[1] == formula;
    const double largest = double(max(gradient).item()), all = double(sum(gradient).item());
    pictures.push_back(lesson02::to_images(gradient.values(), kSide, kSide, 1, 0, largest,
                                           lesson02::sequential_colour)
                           .at(0));
    if (&stack != &stacks.back()) continue;
    const int64_t low = kSide / 2 - 5;  // the middle 11 x 11 of 21 x 21
    inner = double(sum(slice(slice(gradient, 0, low, low + 11), 1, low, low + 11)).item()) / all;
  }
  fmt::print("\n");
  report.claim("formula and gradient agree for all nine", equal);
  report.claim(fmt::format("of ten 3 x 3 the middle quarter of what is seen has {:.0f} % of the "
                           "gradient",
                           100 * inner),
               inner > 0.75 && inner < 1);
  const Image fields = lesson02::grid(pictures, {.columns = 5, .scale = 3, .padding = 6});
  write_file(report.path("receptive.png"), encode_png(fields));
  fmt::print("   {}: these gradients, in the order of the table\n", report.path("receptive.png"));
}

// Max and average pooling of 4 x 4 pixels, and where the gradient goes.
inline void pooling(Report& report) {
  Tensor x = tensor({1, 4, 4, 1}, {1, 3, 2, 0,  //
                                   5, 2, 0, 0,  //
                                   0, 0, 4, 4,  //
                                   1, 2, 4, 8});
  x.set_requires_grad();
  const auto show = [&](const char* name, const Tensor& y) {
    fmt::print("   {} [1, 2, 2, 1], and the gradient of its sum\n", name);
    print_image(y);
    x.zero_grad();
    sum(y).backward();
    print_image(x.grad());
    return x.grad();
  };
  fmt::print("\n4. Pooling 2 x 2\n\n   x [1, 4, 4, 1]\n");
  print_image(x);
  const Tensor most = show("largest", max_pool2d(x, {2}));
  const Tensor mean = show("mean", average_pool2d(x, {2}));
  fmt::print("\n");
  report.claim("the largest of each window gets all of its gradient, in a mean each a quarter",
               double(sum(mul(most, x)).item()) == 5 + 2 + 2 + 8 &&
                   largest_difference(mean, full({1, 4, 4, 1}, 0.25)) == 0);
}

}  // namespace lesson04
