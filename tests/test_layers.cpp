// Tests of framework/nn/layers, and ten training steps of a small MLP against PyTorch's.
#include <algorithm>
#include <cmath>

#include "nn/init.h"
#include "nn/layers.h"
#include "optim/optimizer.h"
#include "support/catch.h"
#include "support/golden.h"

using namespace kindling;

namespace {

bool same_elements(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::equal(a.values().begin(), a.values().end(), b.data());
}

int64_t zeros_in(const Tensor& x) { return std::count(x.values().begin(), x.values().end(), 0); }

}  // namespace

TEST_CASE("Linear is x weight^T + bias", "[nn][layers]") {
  Random random(1);
  Linear layer(3, 2, random);
  layer.weight = make_parameter(tensor({2, 3}, {1, 2, 3, 4, 5, 6}));
  layer.bias = make_parameter(tensor({2}, {10, 20}));
  CHECK(same_elements(layer(tensor({2, 3}, {1, 0, 0, 1, 1, 1})), tensor({2, 2}, {11, 24, 16, 35})));
  CHECK(layer(ones({5, 4, 3})).shape() == Shape{5, 4, 2});

  Linear plain(3, 2, random, false);
  CHECK_FALSE(plain.bias.defined());
  CHECK(parameters(plain).size() == 1);
  CHECK(same_elements(plain(zeros({1, 3})), zeros({1, 2})));
}

TEST_CASE("Linear starts as PyTorch's does", "[nn][layers]") {
  Random random(1);
  Linear layer(100, 2000, random);
  for (const Tensor& t : {layer.weight, layer.bias}) {
    const auto [low, high] = std::minmax_element(t.values().begin(), t.values().end());
    CHECK((*low >= -0.1f && *low < -0.099f));
    CHECK((*high <= 0.1f && *high > 0.099f));
  }
  CHECK_THROWS_WITH(Linear(3, 0, random), Equals("Linear: sizes must be positive: in 3, out 0"));
}

TEST_CASE("Dropout drops in training and only then", "[nn][layers]") {
  Random random(1);
  Dropout drop(0.25, random), other(0.25, random);
  const Tensor x = ones({100, 100}), y = drop(x);
  // 10,000 draws: the share is off by 0.0043 on average; six times that is allowed.
  CHECK(std::abs(double(zeros_in(y)) / 1e4 - 0.25) < 0.026);
  CHECK(std::all_of(y.values().begin(), y.values().end(),
                    [](real v) { return v == 0 || v == real(1 / 0.75); }));
  CHECK_FALSE(same_elements(drop(x), y));   // a new mask each time
  CHECK_FALSE(same_elements(other(x), y));  // and for each layer
  drop.train(false);
  CHECK(drop(x).data() == x.data());
  CHECK_THROWS_WITH(Dropout(1, random)(x), Equals("dropout: p is 1, not in [0, 1)"));
}

TEST_CASE("Dropout goes on where its generator was", "[nn][layers]") {
  Random random(1);
  Dropout drop(0.5, random);
  const Tensor x = ones({8, 8});
  Random& generator = *Visitor(drop).randoms[0].second;
  const Random::State before = generator.state();
  const Tensor y = drop(x);
  generator.restore(before);
  CHECK(same_elements(drop(x), y));
}

TEST_CASE("LayerNorm gives rows of mean 0 and variance 1, then scales", "[nn][layers]") {
  Random random(1);
  LayerNorm norm(64);
  const Tensor x = normal({3, 64}, random, 5, 2), y = norm(x);
  for (int64_t row = 0; row < 3; ++row) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < 64; ++i) {
      const double v = y.at({row, i});
      sum += v, squares += v * v;
    }
    CHECK(std::abs(sum / 64) < 1e-6);
    CHECK(squares / 64 == Approx(1).epsilon(1e-4));  // epsilon 1e-5 against a variance of 4
  }
  norm.weight.mutable_data()[0] = 3;
  norm.bias.mutable_data()[0] = 1;
  CHECK(norm(x).at({0, 0}) == Approx(3 * y.at({0, 0}) + 1));
  CHECK(norm(x).at({0, 1}) == y.at({0, 1}));
  for (const NamedTensor& p : parameters(norm)) CHECK(p.kind == Kind::norm);
}

TEST_CASE("BatchNorm keeps what PyTorch's keeps", "[nn][layers][golden]") {
  const Golden golden("tests/golden/ops.txt");
  BatchNorm norm(3, {.momentum = 0.3});
  for (const char* x : {"batch_norm_layer/x0", "batch_norm_layer/x1"}) norm(golden.tensor(x));
  norm.train(false);
  const Tensor y = norm(golden.tensor("batch_norm_layer/x1"));
  CHECK(relative_error(y, golden.tensor("batch_norm_layer/y")) < 1e-6);
  std::vector<std::string> names;
  for (const NamedTensor& t : named_tensors(norm)) {
    names.push_back(t.name);
    if (t.kind != Kind::buffer) {
      CHECK(t.kind == Kind::norm);
    } else {
      CHECK(relative_error(t.tensor, golden.tensor("batch_norm_layer/" + t.name)) < 1e-6);
    }
  }
  CHECK(names == std::vector<std::string>{"weight", "bias", "running_mean", "running_var",
                                          "num_batches_tracked"});
}

TEST_CASE("BatchNorm's activation is that of a layer behind it", "[nn][layers]") {
  Random random(1);
  const Tensor x = normal({4, 5}, random);
  BatchNorm plain(5), fused(5, {.activation = FusedActivation::relu});
  CHECK(same_elements(fused(x), relu(plain(x))));
  CHECK(zeros_in(fused(x)) > 0);
}

TEST_CASE("Sequential runs its layers in order", "[nn][layers]") {
  Random random(7), again(7);
  Sequential model{Linear(3, 4, random), Activation(relu), Linear(4, 2, random)};
  Linear first(3, 4, again), last(4, 2, again);
  const Tensor x = tensor({2, 3}, {1, -2, 3, -1, 2, -3});
  CHECK(same_elements(model(x), last(relu(first(x)))));
  CHECK(model.layers.size() == 3);
  CHECK(same_elements(model[0].forward(x), first(x)));
  model.add(Activation(relu)).add(Linear(2, 1, random, false));
  CHECK(model(x).shape() == Shape{2, 1});
  CHECK(parameters(model).back().name == "4.weight");
  CHECK_THROWS(model[5]);
  CHECK(same_elements(Sequential()(x), x));
}

TEST_CASE("Conv2d is conv2d with its own weight and bias", "[nn][layers]") {
  Random random(1);
  Conv2d layer(4, 6, 3, {.stride = 2, .padding = 1, .groups = 2}, random);
  CHECK(layer.weight.shape() == Shape{6, 3, 3, 2});
  const Tensor x = normal({2, 5, 7, 4}, random), y = layer(x);
  CHECK(y.shape() == Shape{2, 3, 4, 6});
  CHECK(same_elements(y, conv2d(x, layer.weight, layer.bias, layer.options)));
  CHECK(parameters(layer)[0].name == "weight");
  CHECK(parameters(layer)[0].kind == Kind::conv);
  CHECK(parameters(layer)[1].kind == Kind::bias);

  Conv2d depthwise(4, 8, 5, {.groups = 4}, random, false);
  CHECK_FALSE(depthwise.bias.defined());
  REQUIRE(parameters(depthwise).size() == 1);
  CHECK(parameters(depthwise)[0].kind == Kind::depthwise);
  CHECK(parameters(depthwise)[0].tensor.shape() == Shape{8, 5, 5, 1});
  Conv2d grey(1, 8, 5, {}, random);  // one channel in one group is a plain convolution
  CHECK(parameters(grey)[0].kind == Kind::conv);
  CHECK_THROWS_WITH(Conv2d(4, 6, 3, {.groups = 4}, random),
                    Equals("Conv2d: sizes must be positive, and groups divide them: in 4, out 6, "
                           "kernel 3, groups 4"));
  CHECK_THROWS_WITH(Conv2d(4, 6, 0, {}, random), ContainsSubstring("kernel 0"));
}

TEST_CASE("Conv2d starts as PyTorch's does", "[nn][layers]") {
  Random random(1);
  Conv2d layer(8, 2000, 5, {.groups = 2}, random);
  for (const Tensor& t : {layer.weight, layer.bias}) {
    const auto [low, high] = std::minmax_element(t.values().begin(), t.values().end());
    CHECK((*low >= -0.1f && *low < -0.099f));  // an output sees 4 5 5 = 100 numbers
    CHECK((*high <= 0.1f && *high > 0.099f));
  }
}

TEST_CASE("layers of a small network for images", "[nn][layers]") {
  Random random(2);
  Sequential model{Conv2d(3, 8, 3, {.padding = 1}, random),
                   Activation(relu),
                   MaxPool2d({2}),
                   AveragePool2d({.kernel = 3, .stride = 2, .padding = 1}),
                   Flatten(),
                   Linear({2, 3, 8}, 10, random)};
  const Tensor x = normal({4, 8, 10, 3}, random);
  Tensor y = max_pool2d(relu(model[0].forward(x)), {2});
  y = average_pool2d(y, {3, 2, 1});
  REQUIRE(y.shape() == Shape{4, 2, 3, 8});
  CHECK(same_elements(model(x), model[5].forward(reshape(y, {4, 48}))));
  CHECK(model(zeros({0, 8, 10, 3})).shape() == Shape{0, 10});
  const NamedTensor weight = parameters(model)[2];
  CHECK(weight.name == "5.weight");
  CHECK(weight.tensor.shape() == Shape{10, 48});
  CHECK(weight.channels == 8);
  CHECK(parameters(model)[0].channels == 1);
  CHECK_THROWS_WITH(Flatten()(scalar(1)), Equals("Flatten: a single number has no rows"));
}

// Inputs and first weights as tests/golden/optim.py computes them: whole multiples of 2^-24.
Tensor noise(uint32_t seed, const Shape& shape) {
  Tensor t(shape);
  uint32_t i = seed << 20;
  std::generate_n(t.mutable_data(), t.size(), [&] {
    uint32_t x = i++;
    x = (x ^ (x >> 16)) * 0x7FEB352D;
    x = (x ^ (x >> 15)) * 0x846CA68B;
    x ^= x >> 16;
    return real(double(x >> 8) / double(1 << 24) - 0.5);
  });
  return t;
}

TEST_CASE("ten steps of an MLP give PyTorch's weights", "[nn][optim][golden]") {
  const Golden golden("tests/golden/optim.txt");
  Random random(1);
  Sequential model{Linear(784, 32, random), Activation(relu), Linear(32, 16, random),
                   Activation(relu), Linear(16, 10, random)};
  const double scales[] = {0.125, 0.125, 0.5, 0.5, 0.5, 0.5};
  std::vector<NamedTensor> weights = parameters(model);
  for (uint32_t i = 0; i < weights.size(); ++i) {
    copy_into(weights[i].tensor, noise(i, weights[i].tensor.shape()) * scales[i]);
  }
  const Tensor images = noise(10, {160, 784}), draws = noise(11, {160}), probe = noise(12, {784});

  SgdOptions options;
  options.rate = 0.1, options.momentum = 0.9;
  Sgd optimizer(model, options);
  for (int step = 1; step <= 10; ++step) {
    const int64_t begin = 16 * (step - 1);
    Indices labels(Shape{16});
    for (int64_t i = 0; i < 16; ++i) {
      labels.mutable_data()[i] = int32_t((double(draws.at({begin + i})) + 0.5) * 10);
    }
    const Tensor loss = cross_entropy(model(slice(images, 0, begin, begin + 16)), labels);
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();

    const std::string at = "/" + std::to_string(step);
    CHECK(relative_error(loss, golden.tensor("mlp/loss" + at)) < 1e-6);
    if (step != 1 && step != 5 && step != 10) continue;
    for (const NamedTensor& w : weights) {
      INFO(w.name << " after step " << step);
      if (w.name != "0.weight") {
        CHECK(relative_error(w.tensor, golden.tensor("mlp/" + w.name + at)) < 1e-5);
        continue;
      }
      // Too large for the file: every 56th column, and all columns through a product in double.
      NoGrad no_grad;
      CHECK(relative_error(slice(w.tensor, 1, 0, 784, 56),
                           golden.tensor("mlp/0.weight_columns" + at)) < 1e-5);
      Tensor product = zeros({32});
      for (int64_t row = 0; row < 32; ++row) {
        double sum = 0;
        for (int64_t i = 0; i < 784; ++i) sum += double(w.tensor.at({row, i})) * probe.at({i});
        product.mutable_data()[row] = real(sum);
      }
      CHECK(relative_error(product, golden.tensor("mlp/0.weight_probe" + at)) < 1e-5);
    }
  }
}
