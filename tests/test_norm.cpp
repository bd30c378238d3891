// Operations on rows and dropout: against PyTorch, at their limits, and their errors. Gradients are
// checked to 1e-6 in tests/f64/op_table.cpp.
#include <cmath>
#include <limits>

#include "base/parallel.h"
#include "support/catch.h"
#include "support/golden.h"
#include "support/parity.h"

using namespace kindling;

TEST_CASE("softmax and log_softmax agree with PyTorch", "[norm]") {
  const auto soft = [](int axis) {
    return [axis](const Tensors& x) { return softmax(x[0], axis); };
  };
  const auto log_soft = [](int axis) {
    return [axis](const Tensors& x) { return log_softmax(x[0], axis); };
  };
  check_parity({{"softmax/last", soft(-1)},
                {"softmax/first", soft(0)},
                {"softmax/middle", soft(1)},
                {"softmax/large", soft(-1)},
                {"log_softmax/last", log_soft(-1)},
                {"log_softmax/first", log_soft(0)},
                {"log_softmax/middle", log_soft(1)},
                {"log_softmax/large", log_soft(-1)}});
}

TEST_CASE("layer_norm agrees with PyTorch", "[norm]") {
  check_parity(
      {{"layer_norm/full", [](const Tensors& x) { return layer_norm(x[0], x[1], x[2]); }},
       {"layer_norm/three", [](const Tensors& x) { return layer_norm(x[0], x[1], x[2]); }},
       {"layer_norm/plain", [](const Tensors& x) { return layer_norm(x[0], {}, {}); }},
       {"layer_norm/weight", [](const Tensors& x) { return layer_norm(x[0], x[1], {}); }},
       {"layer_norm/bias", [](const Tensors& x) { return layer_norm(x[0], {}, x[1]); }},
       {"layer_norm/epsilon", [](const Tensors& x) { return layer_norm(x[0], {}, {}, 0.1); }}});
}

TEST_CASE("softmax where exp would overflow, and where an element is masked out", "[norm]") {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const Tensor y = softmax(tensor({2, 2}, {3e38, 3e38, 5, -kInfinity}));
  CHECK(relative_error(y, tensor({2, 2}, {0.5, 0.5, 1, 0})) == 0);
  const Tensor masked = log_softmax(tensor({2}, {3, -kInfinity}));
  CHECK(masked.at({0}) == 0);
  CHECK(masked.at({1}) == -real(kInfinity));
  CHECK(std::isnan(log_softmax(tensor({2}, {1, std::nan("")})).at({0})));
  CHECK(std::isnan(log_softmax(tensor({2}, {1, kInfinity})).at({0})));
}

TEST_CASE("layer_norm gives rows of mean 0 and variance 1", "[norm]") {
  Random random(1);
  const Tensor y = layer_norm(normal({3, 100}, random, 50, 7), {}, {});
  for (int64_t r = 0; r < 3; ++r) {
    const Tensor row = slice(y, 0, r, r + 1);
    // Numbers near 50 carry 4e-6 of rounding, 6e-7 of their deviation of 7.
    CHECK(std::abs(mean(row).item()) < 1e-5);
    CHECK(var(row, {}, false, 0).item() == Approx(1).epsilon(1e-4));
  }
}

TEST_CASE("dropout keeps the mean, draws anew, and is the same on any threads", "[norm][threads]") {
  const Tensor x = ones({300, 400});
  Random random(4);
  const Tensor y = dropout(x, 0.25, random), again = dropout(x, 0.25, random);
  int64_t zero = 0, kept = 0, same = 0;
  for (int64_t i = 0; i < x.size(); ++i) {
    zero += y.data()[i] == 0;
    kept += y.data()[i] == Approx(1 / 0.75);
    same += (y.data()[i] == 0) == (again.data()[i] == 0);
  }
  const double n = double(x.size());
  CHECK(zero + kept == x.size());
  // Five standard deviations of a share p of n: 5 sqrt(p (1 - p) / n) = 0.0063.
  CHECK(double(zero) / n == Approx(0.25).margin(0.0063));
  CHECK(double(same) / n == Approx(0.25 * 0.25 + 0.75 * 0.75).margin(0.0072));

  const int before = threads();
  for (int count : {1, 4}) {
    set_threads(count);
    Random restarted(4);
    CHECK(relative_error(dropout(x, 0.25, restarted), y) == 0);
  }
  set_threads(before);
}

TEST_CASE("dropout's gradient passes where its value passed", "[norm]") {
  Tensor x = ones({50});
  x.set_requires_grad();
  Random random(2);
  const Tensor y = dropout(x, 0.5, random);
  sum(y).backward();
  CHECK(relative_error(x.grad(), y.detach()) == 0);  // x is 1, so both are the mask
}

TEST_CASE("dropout with probability 0 is x itself", "[norm]") {
  const Tensor x = ones({3});
  Random random(2);
  CHECK(dropout(x, 0, random).data() == x.data());
  CHECK(random.state().used == 0);
}

TEST_CASE("operations on rows say what is wrong", "[norm]") {
  Random random(1);
  CHECK_THROWS_WITH(softmax(scalar(1)), "softmax: a single number has no axis");
  CHECK_THROWS_WITH(log_softmax(ones({2}), 1), "shape: [2] has no dimension 1");
  CHECK_THROWS_WITH(layer_norm(ones({2, 3}), ones({2}), {}),
                    "layer_norm: weight or bias [2] for rows of 3");
  CHECK_THROWS_WITH(layer_norm(ones({2, 3}), {}, ones({3, 1})),
                    "layer_norm: weight or bias [3, 1] for rows of 3");
  CHECK_THROWS_WITH(layer_norm(ones({2, 0}), {}, {}), "layer_norm: nothing to normalise in [2, 0]");
  CHECK_THROWS_WITH(dropout(ones({2}), 1, random), "dropout: p is 1, not in [0, 1)");
  CHECK_THROWS_WITH(dropout(ones({2}), -0.5, random), "dropout: p is -0.5, not in [0, 1)");
}

TEST_CASE("softmax and log_softmax of no rows have no rows", "[norm]") {
  CHECK(softmax(zeros({0, 10})).shape() == Shape{0, 10});
  CHECK(log_softmax(zeros({0, 10})).shape() == Shape{0, 10});
}
