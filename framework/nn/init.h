// Initial weights: the variance that keeps signals the same size from layer to layer. fan_in and
// fan_out are the products of a weight's input and output sizes: for a linear weight [out, in] they
// are in and out, for a convolution [out, kh, kw, in] kh*kw*in and kh*kw*out. Page: docs/nn.md
#pragma once

#include "tensor/tensor.h"

namespace kindling {

struct Fans {
  double in, out;
};
// Of a weight [out, ..., in]; throws for fewer than two dimensions.
inline Fans fans_of(const Shape& weight) {
  ENSURE(weight.rank() >= 2, "init: fans need a weight [out, ..., in], not {}", weight);
  double window = 1;  // positions that one output looks at: kh kw of a convolution
  for (int i = 1; i < weight.rank() - 1; ++i) window *= double(weight[i]);
  return {window * double(weight.dim(-1)), window * double(weight[0])};
}

// U(-b, b) with b = sqrt(6 / (fan_in + fan_out)); Glorot & Bengio 2010, equation 16.
inline Tensor xavier_uniform(const Shape& weight, Random& random) {
  const auto [in, out] = fans_of(weight);
  const double bound = std::sqrt(6 / (in + out));
  return uniform(weight, random, -bound, bound);
}

// N(0, 2 / (fan_in + fan_out)).
inline Tensor xavier_normal(const Shape& weight, Random& random) {
  const auto [in, out] = fans_of(weight);
  return normal(weight, random, 0, std::sqrt(2 / (in + out)));
}

// U(-b, b) with b = gain sqrt(3 / fan_in); gain sqrt(2) suits ReLU; He et al. 2015
// (1502.01852), 2.2.
inline Tensor kaiming_uniform(const Shape& weight, Random& random, double gain = std::sqrt(2.0)) {
  const double bound = gain * std::sqrt(3 / fans_of(weight).in);
  return uniform(weight, random, -bound, bound);
}

// N(0, gain^2 / fan_in).
inline Tensor kaiming_normal(const Shape& weight, Random& random, double gain = std::sqrt(2.0)) {
  return normal(weight, random, 0, gain / std::sqrt(fans_of(weight).in));
}

// N(mean, deviation^2), drawn again while outside [low, high] (absolute bounds, as PyTorch's).
inline Tensor truncated_normal(const Shape& shape, Random& random, double deviation = 0.02,
                               double mean = 0, double low = -2, double high = 2) {
  // The share of the distribution below x.
  const auto below = [&](double x) { return std::erfc((mean - x) / deviation / std::sqrt(2)) / 2; };
  ENSURE(deviation > 0 && below(high) - below(low) > 0.01,
         "truncated_normal: hardly any of N({}, {}^2) is in [{}, {}]", mean, deviation, low, high);
  Tensor t(shape);
  std::generate_n(t.mutable_data(), t.size(), [&] {
    double x = NAN;
    while (!(low <= x && x <= high)) x = mean + deviation * random.normal();
    return real(x);
  });
  return t;
}

// What PyTorch's Linear and Conv start with: U(-b, b), b = 1 / sqrt(fan_in), for weight and bias.
inline Tensor torch_default(const Shape& shape, int64_t fan_in, Random& random) {
  ENSURE(fan_in > 0, "torch_default: fan_in is {} and must be positive", fan_in);
  const double bound = 1 / std::sqrt(double(fan_in));
  return uniform(shape, random, -bound, bound);
}

}  // namespace kindling
