// Tests of framework/nn/init: the first weights have the variance and the bounds that are promised.
// Bits cannot be compared with PyTorch's, since the generators differ; moments can. With n numbers
// the mean is off by about s / sqrt(n) and the variance by sqrt(2/n); 5 such errors are allowed.
#include <algorithm>
#include <cmath>

#include "nn/init.h"
#include "ops/ops.h"
#include "support/catch.h"

using namespace kindling;

namespace {

struct Moments {
  double mean, variance, lowest, highest;
};

Moments moments(const Tensor& x) {
  double sum = 0, squares = 0;
  for (real v : x.values()) sum += v, squares += double(v) * v;
  const double n = double(x.size()), mean = sum / n;
  const auto [low, high] = std::minmax_element(x.values().begin(), x.values().end());
  return {mean, squares / n - mean * mean, *low, *high};
}

void check_moments(const Tensor& x, double mean, double variance) {
  const Moments m = moments(x);
  const double n = double(x.size());
  CHECK(std::abs(m.mean - mean) < 5 * std::sqrt(variance / n));
  CHECK(std::abs(m.variance / variance - 1) < 5 * std::sqrt(2 / n));
}

void check_uniform(const Tensor& x, double bound) {
  check_moments(x, 0, bound * bound / 3);
  const Moments m = moments(x);
  // All inside; and with 40,000 numbers the outermost come this near to the bounds.
  CHECK((m.lowest >= -bound && m.highest <= bound * (1 + 1e-6)));
  CHECK((m.lowest < -0.998 * bound && m.highest > 0.998 * bound));
}

const Shape kWeight{100, 400}, kFilter{64, 3, 3, 32};

}  // namespace

TEST_CASE("fans of linear and convolution weights", "[nn][init]") {
  CHECK(fans_of(kWeight).in == 400);
  CHECK(fans_of(kWeight).out == 100);
  CHECK(fans_of(kFilter).in == 3 * 3 * 32);
  CHECK(fans_of(kFilter).out == 3 * 3 * 64);
  CHECK_THROWS_WITH(fans_of({7}), Equals("init: fans need a weight [out, ..., in], not [7]"));
}

TEST_CASE("xavier", "[nn][init]") {
  Random random(1);
  check_uniform(xavier_uniform(kWeight, random), std::sqrt(6.0 / 500));
  check_moments(xavier_normal(kWeight, random), 0, 2.0 / 500);
  check_moments(xavier_normal(kFilter, random), 0, 2.0 / (9 * 96));
}

TEST_CASE("kaiming", "[nn][init]") {
  Random random(2);
  check_uniform(kaiming_uniform(kWeight, random), std::sqrt(6.0 / 400));
  check_uniform(kaiming_uniform(kWeight, random, 1), std::sqrt(3.0 / 400));
  check_moments(kaiming_normal(kFilter, random), 0, 2.0 / (9 * 32));
  check_moments(kaiming_normal(kWeight, random, 1), 0, 1.0 / 400);
}

TEST_CASE("what PyTorch's linear layer starts with", "[nn][init]") {
  Random random(3);
  check_uniform(torch_default(kWeight, 400, random), 1.0 / 20);
  CHECK_THROWS_WITH(torch_default({3}, 0, random), ContainsSubstring("fan_in is 0"));
}

TEST_CASE("truncated normal stays inside its bounds", "[nn][init]") {
  Random random(4);
  check_moments(truncated_normal(kWeight, random), 0, 0.02 * 0.02);
  // Cut at one deviation a normal distribution keeps 0.2911 of its variance:
  // 1 - 2 phi(1) / (2 Phi(1) - 1).
  const Tensor cut = truncated_normal(kWeight, random, 2, 5, 3, 7);
  check_moments(cut, 5, 4 * 0.29112);
  const Moments m = moments(cut);
  CHECK((m.lowest >= 3 && m.lowest < 3.01 && m.highest <= 7 && m.highest > 6.99));
  CHECK_THROWS_WITH(truncated_normal({3}, random, 1, 0, 8, 9),
                    Equals("truncated_normal: hardly any of N(0, 1^2) is in [8, 9]"));
}

TEST_CASE("the same seed gives the same weights", "[nn][init]") {
  Random one(9), two(9), other(10);
  const Tensor a = kaiming_normal({4, 4}, one), b = kaiming_normal({4, 4}, two);
  CHECK(std::equal(a.values().begin(), a.values().end(), b.values().begin()));
  const Tensor c = kaiming_normal({4, 4}, other);
  CHECK_FALSE(std::equal(a.values().begin(), a.values().end(), c.values().begin()));
}

TEST_CASE("kaiming keeps a signal's size through thirty ReLU layers", "[nn][init]") {
  NoGrad no_grad;
  const auto size_after = [](double gain) {  // the root of the mean square
    Random random(5);
    Tensor x = normal({32, 256}, random);
    for (int layer = 0; layer < 30; ++layer) {
      x = relu(matmul(x, kaiming_normal({256, 256}, random, gain), Transpose::b));
    }
    return std::sqrt(double(mean(square(x)).item()));
  };
  const double kept = size_after(std::sqrt(2.0)), faded = size_after(1);
  CAPTURE(kept, faded);
  // The size wanders: each of 30 layers multiplies it by about 1 +- 0.06.
  CHECK((kept > 0.3 && kept < 3));
  CHECK(faded / kept == Approx(std::pow(0.5, 15)).epsilon(1e-3));  // every ReLU halves the square
}
