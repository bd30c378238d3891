// Losses: against PyTorch, at their limits, and their errors. Gradients are checked to 1e-6 in
// tests/f64/op_table.cpp.
#include <cmath>

#include "support/catch.h"
#include "support/golden.h"
#include "support/parity.h"

using namespace kindling;

TEST_CASE("cross_entropy agrees with PyTorch", "[loss]") {
  const auto loss = [](const char* name, double smoothing, int32_t ignore) {
    return ParityCase{name, [labels = golden_indices(name), smoothing, ignore](const Tensors& x) {
                        return cross_entropy(x[0], labels, smoothing, ignore);
                      }};
  };
  check_parity({loss("cross_entropy/plain", 0, kIgnoreLabel),
                loss("cross_entropy/smoothed", 0.1, kIgnoreLabel),
                loss("cross_entropy/ignoring", 0, kIgnoreLabel),
                loss("cross_entropy/class_ignored", 0.2, 2),
                loss("cross_entropy/large", 0, kIgnoreLabel)});
}

TEST_CASE("binary_cross_entropy and mse agree with PyTorch", "[loss]") {
  const auto bce = [](const Tensors& x) { return binary_cross_entropy(x[0], x[1]); };
  check_parity({{"binary_cross_entropy/line", bce},
                {"binary_cross_entropy/labels", bce},
                {"mse/plain", [](const Tensors& x) { return mse(x[0], x[1]); }}});
}

TEST_CASE("cross_entropy of equal logits is the log of the number of classes", "[loss]") {
  CHECK(cross_entropy(zeros({3, 10}), {1, 2, 9}).item() == Approx(std::log(10.0)));
  CHECK(cross_entropy(zeros({3, 10}), {1, 2, 9}, 0.3).item() == Approx(std::log(10.0)));
}

TEST_CASE("an ignored row has no part in the loss, its count or the gradient", "[loss]") {
  Tensor x = tensor({2, 2}, {0, 3, 100, -100});
  x.set_requires_grad();
  const Tensor loss = cross_entropy(x, {0, kIgnoreLabel});
  CHECK(loss.item() == Approx(std::log1p(std::exp(3.0))));
  loss.backward();
  CHECK(x.grad().at({1, 0}) == 0);
  CHECK(x.grad().at({1, 1}) == 0);
  const double p = 1 / (1 + std::exp(-3.0));
  CHECK(x.grad().at({0, 1}) == Approx(p));
}

TEST_CASE("losses hold where a naive formula overflows", "[loss]") {
  CHECK(cross_entropy(tensor({1, 2}, {1e4, 0}), {1}).item() == 10000);
  CHECK(binary_cross_entropy(tensor({2}, {1e4, -1e4}), tensor({2}, {0, 1})).item() == 10000);
  CHECK(binary_cross_entropy(tensor({2}, {1e4, -1e4}), tensor({2}, {1, 0})).item() == 0);
}

TEST_CASE("losses say what is wrong", "[loss]") {
  const Tensor x = zeros({2, 3});
  CHECK_THROWS_WITH(cross_entropy(x, {0}),
                    "cross_entropy: logits [2, 3] need two dimensions and one label per row, got "
                    "labels [1]");
  CHECK_THROWS_WITH(cross_entropy(x, {0, 3}), "cross_entropy: label 3 of row 1 is not in 0..2");
  CHECK_THROWS_WITH(cross_entropy(x, {-1, 0}), "cross_entropy: label -1 of row 0 is not in 0..2");
  CHECK_THROWS_WITH(cross_entropy(x, {kIgnoreLabel, kIgnoreLabel}),
                    "cross_entropy: every one of 2 labels is the ignored -100");
  CHECK_THROWS_WITH(cross_entropy(x, {0, 1}, 1.5), "cross_entropy: smoothing 1.5 is not in [0, 1]");
  CHECK_THROWS_WITH(binary_cross_entropy(x, zeros({3})),
                    "binary_cross_entropy: logits [2, 3] and targets [3] must have one shape, and "
                    "elements");
  CHECK_THROWS_WITH(mse(x, zeros({3})), "mse: [2, 3] and [3] must have one shape, and elements");
}

TEST_CASE("binary_cross_entropy keeps small losses of confident right answers", "[loss]") {
  // log(1 + e^-a), which a float holds to seven digits.
  for (double a : {5.0, 10.0, 15.0, 20.0}) {
    const double exact = std::log1p(std::exp(-a));
    CHECK(binary_cross_entropy(full({1}, a), ones({1})).item() == Approx(exact).epsilon(1e-5));
    CHECK(binary_cross_entropy(full({1}, -a), zeros({1})).item() == Approx(exact).epsilon(1e-5));
  }
}
