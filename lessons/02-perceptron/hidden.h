// Part 4 and 5: XOR needs a hidden layer; where a bias matters most and where it does nothing.
// Page: docs/02-perceptron.md
#pragma once

#include <fmt/core.h>

#include <cmath>
#include <vector>

#include "02-perceptron/gates.h"
#include "02-perceptron/pictures.h"
#include "kindling.h"

namespace lesson02 {

// 2-2-1: two hidden units draw a line each, the output unit combines them.
inline kindling::Sequential xor_network(kindling::Random& random) {
  using namespace kindling;
  return Sequential{Linear(2, 2, random), Activation(tanh), Linear(2, 1, random)};
}

inline double train_xor(kindling::Sequential& network, int steps) {
  using namespace kindling;
  const Tensor x = tensor({4, 2}, {0, 0, 0, 1, 1, 0, 1, 1});
  const Tensor target = tensor({4, 1}, {0, 1, 1, 0});
  Sgd optimizer(network, {.rate = 0.5, .momentum = 0.9});
  double last = INFINITY;
  for (int step = 0; step < steps; ++step) {
    const Tensor loss = binary_cross_entropy(network(x), target);
    loss.backward();
    optimizer.step();
    optimizer.zero_grad();
    last = double(loss.item());
  }
  return last;
}

inline void xor_gate(kindling::Report& report, uint64_t seed) {
  using namespace kindling;
  fmt::print("\n4. XOR needs a hidden layer\n\n");
  // Two hidden units leave no room for bad luck: some starts end in a plateau and are tried anew.
  double loss = INFINITY;
  Sequential network;
  int start = 0;
  for (; start < 20 && loss > 0.05; ++start) {
    Random random = Random(seed, 4).fork(uint64_t(start));
    network = xor_network(random);
    loss = train_xor(network, 2000);
  }
  report.claim(
      fmt::format("a hidden layer of two units learns XOR: loss {:.4f} at attempt {}", loss, start),
      loss <= 0.05);

  const Plane plane{.x_low = -0.5, .x_high = 1.5, .y_low = -0.5, .y_high = 1.5};
  const auto centres = pixel_centres(plane);
  const NoGrad no_grad;
  Tensor points({int64_t(centres.size()) / 2, 2});
  std::copy(centres.begin(), centres.end(), points.mutable_data());
  const Tensor scores = affine(sigmoid(network(points)), 2, -1);
  const std::vector<Dot> truth = {{0, 0, 0}, {0, 1, 1}, {1, 0, 1}, {1, 1, 0}};
  const std::string picture = report.path("xor.png");
  write_file(picture, encode_png(decision_picture(plane, scores.values(), truth)));
  fmt::print("   {}: what the network answers between the four points\n", picture);
}

// The first loss of a classifier that knows nothing but its bias, on 900 positive of 1,000 samples.
inline void log_prior(kindling::Report& report) {
  using namespace kindling;
  Tensor targets = ones({1000, 1});
  std::fill_n(targets.mutable_data(), 100, real(0));
  const auto first_loss = [&](double bias) {
    return double(binary_cross_entropy(full({1000, 1}, bias), targets).item());
  };
  const double zero = first_loss(0), prior = first_loss(std::log(0.9 / 0.1));
  fmt::print("\n5. Where a bias matters most, and where it does nothing\n\n");
  fmt::print("   first loss on 90/10 data: {:.4f} with output bias 0, {:.4f} with the log prior\n",
             zero, prior);
  report.claim("bias 0 starts at ln 2 = 0.693, the log prior at the entropy of 90/10 = 0.325",
               std::abs(zero - std::log(2.0)) < 1e-4 && std::abs(prior - 0.3250830) < 1e-4);
}

// A bias that is added to all scores of a softmax alike changes nothing, so its gradient is zero.
inline void idle_bias(kindling::Report& report, uint64_t seed) {
  using namespace kindling;
  Random random(seed, 5);
  Tensor scores = normal({8, 5}, random), bias = zeros({8, 1});
  bias.set_requires_grad();
  sum(mul(softmax(scores + bias), normal({8, 5}, random))).backward();
  double largest = 0;
  for (real g : bias.grad().values()) largest = std::max(largest, std::abs(double(g)));
  report.claim(
      fmt::format("a bias common to all scores of a softmax gets gradient {:.0e}, zero but "
                  "for rounding",
                  largest),
      largest < 1e-6);
}

}  // namespace lesson02
