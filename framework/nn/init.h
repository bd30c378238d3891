// Initial weights. fan_in and fan_out are the products of a weight's input and output sizes: for a
// linear weight [out, in] they are in and out, for a convolution [out, kh, kw, in] kh*kw*in and
// kh*kw*out. Page: docs/nn.md
#pragma once

#include "base/random.h"
#include "tensor/tensor.h"

namespace kindling {

struct Fans {
  int64_t in, out;
};
// Of a weight [out, ..., in]; throws for fewer than two dimensions.
Fans fans_of(const Shape& weight);

// U(-b, b) with b = sqrt(6 / (fan_in + fan_out)); Glorot & Bengio 2010, equation 16.
Tensor xavier_uniform(const Shape& weight, Random& random);
// N(0, 2 / (fan_in + fan_out)).
Tensor xavier_normal(const Shape& weight, Random& random);
// U(-b, b) with b = gain sqrt(3 / fan_in); gain sqrt(2) suits ReLU; He et al. 2015
// (1502.01852), 2.2.
Tensor kaiming_uniform(const Shape& weight, Random& random, double gain = 1.4142135623730951);
// N(0, gain^2 / fan_in).
Tensor kaiming_normal(const Shape& weight, Random& random, double gain = 1.4142135623730951);
// N(mean, deviation^2), drawn again while outside [low, high] (absolute bounds, as PyTorch's).
Tensor truncated_normal(const Shape& shape, Random& random, double deviation = 0.02,
                        double mean = 0, double low = -2, double high = 2);
// What PyTorch's Linear and Conv start with: U(-b, b), b = 1 / sqrt(fan_in), for weight and bias.
Tensor torch_default(const Shape& shape, int64_t fan_in, Random& random);

}  // namespace kindling
