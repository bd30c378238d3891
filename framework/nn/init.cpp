// Initial weights: the variance that keeps signals the same size from layer to layer.
// Page: docs/nn.md
#include "nn/init.h"

namespace kindling {

Fans fans_of(const Shape& weight) {
  ENSURE(weight.rank() >= 2, "init: fans need a weight [out, ..., in], not {}", weight);
  int64_t window = 1;  // positions that one output looks at: kh kw of a convolution
  for (int i = 1; i < weight.rank() - 1; ++i) window *= weight[i];
  return {window * weight.dim(-1), window * weight[0]};
}

Tensor xavier_uniform(const Shape& weight, Random& random) {
  const Fans fans = fans_of(weight);
  const double bound = std::sqrt(6.0 / double(fans.in + fans.out));
  return uniform(weight, random, -bound, bound);
}

Tensor xavier_normal(const Shape& weight, Random& random) {
  const Fans fans = fans_of(weight);
  return normal(weight, random, 0, std::sqrt(2.0 / double(fans.in + fans.out)));
}

Tensor kaiming_uniform(const Shape& weight, Random& random, double gain) {
  const double bound = gain * std::sqrt(3.0 / double(fans_of(weight).in));
  return uniform(weight, random, -bound, bound);
}

Tensor kaiming_normal(const Shape& weight, Random& random, double gain) {
  return normal(weight, random, 0, gain / std::sqrt(double(fans_of(weight).in)));
}

Tensor truncated_normal(const Shape& shape, Random& random, double deviation, double mean,
                        double low, double high) {
  const auto below = [&](double x) {  // the normal distribution function
    return 0.5 * std::erfc((mean - x) / (deviation * std::sqrt(2.0)));
  };
  ENSURE(deviation > 0 && below(high) - below(low) > 0.01,
         "truncated_normal: N({}, {}^2) has almost nothing inside [{}, {}]", mean, deviation, low,
         high);
  Tensor t(shape);
  std::generate_n(t.mutable_data(), t.size(), [&] {
    double x;
    do {
      x = mean + deviation * random.normal();
    } while (x < low || x > high);
    return real(x);
  });
  return t;
}

Tensor torch_default(const Shape& shape, int64_t fan_in, Random& random) {
  ENSURE(fan_in > 0, "torch_default: fan_in is {} and must be positive", fan_in);
  const double bound = 1 / std::sqrt(double(fan_in));
  return uniform(shape, random, -bound, bound);
}

}  // namespace kindling
