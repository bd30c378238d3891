// Operations on rows and dropout: against PyTorch, at their limits, and their errors. Gradients are
// checked to 1e-6 in tests/f64/op_table.cpp.
#include <cmath>
#include <cstring>
#include <limits>

#include "base/memory.h"
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

namespace {

const FusedActivation kActivations[] = {FusedActivation::none, FusedActivation::relu,
                                        FusedActivation::silu};

Tensor of_batch(const Tensor& x, const Tensor& weight = {}, const Tensor& bias = {},
                const BatchNormOptions& options = {}) {
  return batch_norm(x, weight, bias, {}, {}, options);
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.data(), b.data(), a.values().size_bytes()) == 0;
}

}  // namespace

TEST_CASE("batch_norm agrees with PyTorch", "[norm]") {
  const auto with = [](FusedActivation activation, bool training) {
    return [=](const Tensors& x) {
      const Tensor mean = tensor({3}, {0.25, -0.5, 0.125}), variance = tensor({3}, {0.5, 2, 1.25});
      return batch_norm(x[0], x[1], x[2], mean, variance,
                        {.training = training, .activation = activation});
    };
  };
  check_parity(
      {{"batch_norm/none_training", with(FusedActivation::none, true)},
       {"batch_norm/none_evaluation", with(FusedActivation::none, false)},
       {"batch_norm/relu_training", with(FusedActivation::relu, true)},
       {"batch_norm/relu_evaluation", with(FusedActivation::relu, false)},
       {"batch_norm/silu_training", with(FusedActivation::silu, true)},
       {"batch_norm/silu_evaluation", with(FusedActivation::silu, false)},
       {"batch_norm/rows", [](const Tensors& x) { return of_batch(x[0], x[1], x[2]); }},
       {"batch_norm/weight", [](const Tensors& x) { return of_batch(x[0], x[1]); }},
       {"batch_norm/bias", [](const Tensors& x) { return of_batch(x[0], {}, x[1]); }},
       {"batch_norm/epsilon",
        [](const Tensors& x) { return of_batch(x[0], {}, {}, {.epsilon = 0.1}); }},
       {"batch_norm/far_from_zero", [](const Tensors& x) { return of_batch(x[0], x[1], x[2]); }}});
}

TEST_CASE("batch_norm moves the running statistics while it trains", "[norm]") {
  Tensor mean = tensor({2}, {0, 4}), variance = tensor({2}, {1, 1});
  const Tensor x = tensor({3, 2}, {0, 0, 3, 3, 6, 6});  // mean 3, unbiased variance 9
  const BatchNormOptions slow{.momentum = 0.25};
  batch_norm(x, {}, {}, mean, variance, slow);
  CHECK(same_bits(mean, tensor({2}, {0.75, 3.75})));
  CHECK(same_bits(variance, tensor({2}, {3, 3})));
  const Tensor y = batch_norm(x, {}, {}, mean, variance, {.training = false, .epsilon = 0});
  CHECK(same_bits(mean, tensor({2}, {0.75, 3.75})));
  CHECK(y.at({2, 1}) == Approx((6 - 3.75) / std::sqrt(3)));
  CHECK(batch_norm(zeros({0, 2}), {}, {}, mean, variance, {.training = false}).shape() ==
        Shape{0, 2});
}

TEST_CASE("batch_norm's result is computed again for who reads it", "[norm][recompute]") {
  Random random(3);
  const Tensor image = normal({8, 16, 16, 3}, random);
  const int64_t bytes = 8 * 16 * 16 * 16 * int64_t(sizeof(real));  // of what lies between
  for (const FusedActivation activation : kActivations) {
    std::vector<Tensor> weights = {normal({16, 3, 3, 3}, random), normal({16}, random),
                                   normal({16}, random), normal({4, 3, 3, 16}, random),
                                   normal({5, 4}, random)};
    for (Tensor& w : weights) w.set_requires_grad();
    int64_t held[2], peak[2];
    Tensors gradients[2];
    for (const bool again : {false, true}) {
      for (Tensor& w : weights) w.zero_grad();
      const int64_t before = memory::stats().live_bytes;
      memory::reset_peak();
      Tensor x = conv2d(image, weights[0], {}, {.padding = 1});
      x = of_batch(x, weights[1], weights[2], {.activation = activation});
      if (!again) x = reshape(x, {8, 16, 16, 16});  // which computes nothing again
      x = conv2d(x, weights[3], {}, {.padding = 1});
      x = linear(of_batch(x, {}, {}, {.activation = activation}), weights[4]);
      x = sum(square(x));
      held[again] = memory::stats().live_bytes - before;
      x.backward();
      peak[again] = memory::stats().peak_bytes - before;
      for (const Tensor& w : weights) gradients[again].push_back(w.grad());
    }
    CHECK(held[0] - held[1] >= bytes);
    CHECK(held[0] - held[1] < bytes + 1024);
    CHECK(peak[1] < peak[0]);
    for (size_t i = 0; i < weights.size(); ++i) CHECK(same_bits(gradients[0][i], gradients[1][i]));
  }
}

TEST_CASE("a result that is computed again serves several readers", "[norm][recompute]") {
  Random random(4);
  const Tensor image = normal({2, 4, 4, 3}, random);
  Tensor x = image.clone(), first = normal({2, 1, 1, 3}, random), second = normal({2, 3}, random);
  for (Tensor* t : {&x, &first, &second}) t->set_requires_grad();
  Tensors gradients[2];
  for (const bool again : {false, true}) {
    for (Tensor* t : {&x, &first, &second}) t->zero_grad();
    Tensor y = of_batch(x, {}, {}, {.activation = FusedActivation::silu});
    if (!again) y = reshape(y, {2, 4, 4, 3});
    sum(conv2d(y, first) * linear(y, second)).backward();
    for (const Tensor* t : {&x, &first, &second}) gradients[again].push_back(t->grad());
  }
  for (size_t i = 0; i < 3; ++i) CHECK(same_bits(gradients[0][i], gradients[1][i]));
}

TEST_CASE("what a result is computed again from must not change", "[norm][recompute]") {
  Random random(5);
  const Tensor image = normal({2, 4, 4, 3}, random);
  Tensor x = image.clone(), weight = ones({3}), w = normal({2, 1, 1, 3}, random);
  for (Tensor* t : {&x, &weight, &w}) t->set_requires_grad();
  const Tensor loss = sum(conv2d(of_batch(x, weight), w));
  weight.mutable_data()[0] = 2;
  struct : Observer {
    bool begun = false;
    void begin(const char* op, bool) override { begun |= op == std::string("batch_norm"); }
  } watch;
  CHECK_THROWS_WITH(loss.backward(), "batch_norm: input 1 was changed after it was recorded");
  CHECK_FALSE(watch.begun);  // nothing is computed of what was changed

  Tensor mean = zeros({3}), variance = ones({3});
  const Tensor evaluated =
      sum(conv2d(batch_norm(x, {}, {}, mean, variance, {.training = false}), w));
  batch_norm(x.detach(), {}, {}, mean, variance);
  CHECK_THROWS_WITH(evaluated.backward(), "batch_norm: input 3 was changed after it was recorded");

  const Tensor y = of_batch(x), one = sum(conv2d(y, w)), two = sum(conv2d(y, w));
  one.backward();
  CHECK_THROWS_WITH(two.backward(), ContainsSubstring("behind batch_norm was used by an earlier"));
}

TEST_CASE("a result that was written to is kept as it is", "[norm][recompute]") {
  Tensor x = tensor({2, 1, 1, 1}, {-1, 1}), w = ones({1, 1, 1, 1});
  x.set_requires_grad(), w.set_requires_grad();
  const Tensor y = of_batch(x, {}, {}, {.epsilon = 0});  // -1, 1
  y.detach().mutable_data()[1] = 5;
  sum(conv2d(y, w)).backward();
  CHECK(w.grad().item() == 4);
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
                    "layer_norm: weight, bias or statistics [2] for rows of 3");
  CHECK_THROWS_WITH(layer_norm(ones({2, 3}), {}, ones({3, 1})),
                    "layer_norm: weight, bias or statistics [3, 1] for rows of 3");
  CHECK_THROWS_WITH(layer_norm(ones({2, 0}), {}, {}), "layer_norm: nothing to normalise in [2, 0]");
  CHECK_THROWS_WITH(of_batch(scalar(1)), "batch_norm: nothing to normalise in []");
  CHECK_THROWS_WITH(of_batch(ones({2, 0})), "batch_norm: nothing to normalise in [2, 0]");
  CHECK_THROWS_WITH(of_batch(ones({2, 3}), ones({2})),
                    "batch_norm: weight, bias or statistics [2] for rows of 3");
  CHECK_THROWS_WITH(batch_norm(ones({2, 3}), {}, {}, zeros({3}), ones({3, 1})),
                    "batch_norm: weight, bias or statistics [3, 1] for rows of 3");
  CHECK_THROWS_WITH(batch_norm(ones({2, 3}), {}, {}, zeros({3}), {}, {.training = false}),
                    "batch_norm: evaluation needs the running statistics");
  CHECK_THROWS_WITH(of_batch(ones({1, 3})),
                    "batch_norm: input [1, 3] has 1 values of a channel and training needs two. "
                    "Use a larger batch, or evaluate");
  CHECK_THROWS_WITH(dropout(ones({2}), 1, random), "dropout: p is 1, not in [0, 1)");
  CHECK_THROWS_WITH(dropout(ones({2}), -0.5, random), "dropout: p is -0.5, not in [0, 1)");
}

TEST_CASE("softmax and log_softmax of no rows have no rows", "[norm]") {
  CHECK(softmax(zeros({0, 10})).shape() == Shape{0, 10});
  CHECK(log_softmax(zeros({0, 10})).shape() == Shape{0, 10});
}
