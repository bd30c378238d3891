// Tests of framework/optim/optimizer: ten steps of every rule against PyTorch (or, where PyTorch
// has none, against the formula in double), ownership, groups, state, clipping, averaging.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "base/memory.h"
#include "io/weights.h"
#include "nn/layers.h"
#include "optim/optimizer.h"
#include "support/catch.h"
#include "support/golden.h"
#include "train/clip.h"
#include "train/ema.h"
#include "train/lars.h"

using namespace kindling;

namespace {

void set_grad(Tensor x, const Tensor& gradient) {
  x.zero_grad();
  x.backward(gradient);  // of a leaf: takes the gradient as its own
}

const Golden& golden() {
  static const Golden file("tests/golden/optim.txt");
  return file;
}

// A module of one weight (or, by kind, one bias) with elements that are given.
struct OneWeight : Module {
  explicit OneWeight(const Tensor& start, Kind of = Kind::linear)
      : weight(make_parameter(start.clone())), kind(of) {}
  void visit(Visitor& v) override { v.parameter("weight", weight, kind); }
  Tensor weight;
  Kind kind;
};

// Ten steps on the recorded gradients, from the recorded start.
template <class Rule, class Options>
void check_rule(const std::string& name, const Options& options) {
  OneWeight model(golden().tensor("start"));
  Rule optimizer(model, options);
  for (int step = 0; step < 10; ++step) {
    set_grad(model.weight, golden().tensor("gradient/" + std::to_string(step)));
    optimizer.step();
    INFO(name << " after step " << step + 1);
    CHECK(relative_error(model.weight.detach(),
                         golden().tensor(name + "/" + std::to_string(step))) < 1e-5);
  }
}

bool same_elements(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::equal(a.values().begin(), a.values().end(), b.data());
}

}  // namespace

TEST_CASE("SGD steps as PyTorch's", "[optim][golden]") {
  SgdOptions options;
  options.rate = 0.1;
  check_rule<Sgd>("sgd", options);
  options.decay = 0.05;
  check_rule<Sgd>("sgd_decay", options);
  options.momentum = 0.9;
  options.nesterov = true;
  check_rule<Sgd>("sgd_nesterov", options);
  options.decay = 0;
  options.nesterov = false;
  check_rule<Sgd>("sgd_momentum", options);
}

TEST_CASE("Adam steps as PyTorch's", "[optim][golden]") {
  AdamOptions options;
  options.rate = 0.01;
  options.decoupled = false;
  check_rule<Adam>("adam", options);
  options.beta1 = 0.8, options.beta2 = 0.95, options.epsilon = 1e-3, options.decay = 0.1;
  check_rule<Adam>("adam_decay", options);
}

TEST_CASE("AdamW steps as PyTorch's", "[optim][golden]") {
  AdamOptions options;
  options.rate = 0.01, options.decay = 0.1;
  check_rule<Adam>("adamw", options);
}

TEST_CASE("Adam without bias correction follows its formula", "[optim][golden]") {
  AdamOptions options;
  options.rate = 0.01, options.decay = 0.1, options.epsilon = 1e-6;
  options.bias_correction = false;
  check_rule<Adam>("adam_uncorrected", options);
}

TEST_CASE("RMSProp steps as PyTorch's", "[optim][golden]") {
  RmsPropOptions options;
  check_rule<RmsProp>("rmsprop", options);
  options.alpha = 0.9, options.decay = 0.1;
  check_rule<RmsProp>("rmsprop_decay", options);
  options.alpha = 0.99, options.decay = 0, options.momentum = 0.9, options.epsilon = 1e-3;
  check_rule<RmsProp>("rmsprop_momentum", options);
}

TEST_CASE("RMSProp with epsilon inside the root follows its formula", "[optim][golden]") {
  RmsPropOptions options;
  options.alpha = 0.9, options.epsilon = 0.01, options.momentum = 0.9, options.decay = 0.1;
  options.epsilon_inside_root = true;
  check_rule<RmsProp>("rmsprop_inside", options);
}

TEST_CASE("LARS follows its formula", "[optim][golden]") {
  LarsOptions options;
  options.rate = 0.5, options.decay = 0.05, options.trust = 0.02;
  check_rule<Lars>("lars", options);
}

TEST_CASE("LARS moves biases as SGD with momentum does", "[optim]") {
  const Tensor start = golden().tensor("start");
  OneWeight bias(start, Kind::bias), plain(start);
  LarsOptions options;
  options.decay = 0.5;
  Lars lars(bias, options);
  SgdOptions sgd_options;
  sgd_options.rate = options.rate, sgd_options.momentum = options.momentum;
  Sgd sgd(plain, sgd_options);
  for (int step = 0; step < 3; ++step) {
    set_grad(bias.weight, golden().tensor("gradient/0"));
    set_grad(plain.weight, golden().tensor("gradient/0"));
    lars.step(), sgd.step();
  }
  CHECK(same_elements(bias.weight, plain.weight));
}

TEST_CASE("LARS does not divide by a norm of zero", "[optim]") {
  OneWeight zero_weight(zeros({2, 2})), zero_gradient(ones({2, 2}));
  LarsOptions options;
  options.rate = 1;
  Lars first(zero_weight, options), second(zero_gradient, options);
  set_grad(zero_weight.weight, ones({2, 2}));
  set_grad(zero_gradient.weight, zeros({2, 2}));
  first.step(), second.step();
  CHECK(same_elements(zero_weight.weight, full({2, 2}, -1)));
  CHECK(same_elements(zero_gradient.weight, ones({2, 2})));
}

TEST_CASE("momentum gets along a ravine faster than the gradient alone", "[optim]") {
  // f(x, y) = (x^2 + 50 y^2) / 2 from (1, 1): steep in y, which bounds the rate at 2 / 50.
  const auto distance_after_100 = [](double momentum) {
    OneWeight point(ones({2}));
    SgdOptions options;
    options.rate = 0.03, options.momentum = momentum;
    Sgd optimizer(point, options);
    for (int step = 0; step < 100; ++step) {
      sum(square(point.weight) * tensor({2}, {0.5, 25})).backward();
      optimizer.step();
      optimizer.zero_grad();
    }
    return std::sqrt(double(sum(square(point.weight.detach())).item()));
  };
  const double plain = distance_after_100(0), heavy = distance_after_100(0.8);
  CAPTURE(plain, heavy);
  CHECK(plain == Approx(std::pow(1 - 0.03, 100)).epsilon(1e-4));  // y is long 0: x alone is left
  CHECK(heavy < plain / 1000);
}

TEST_CASE("Adam's steps do not depend on the scale of the loss", "[optim]") {
  OneWeight first(golden().tensor("start")), second(golden().tensor("start"));
  AdamOptions options;
  options.epsilon = 0;
  Adam one(first, options), two(second, options);
  for (int step = 0; step < 10; ++step) {
    const Tensor gradient = golden().tensor("gradient/" + std::to_string(step));
    set_grad(first.weight, gradient);
    set_grad(second.weight, gradient * 1024.0);  // a power of two, which changes no digit
    one.step(), two.step();
  }
  CHECK(relative_error(second.weight.detach(), first.weight.detach()) < 1e-6);
}

TEST_CASE("AdamW leaves bias and norm parameters of a module undecayed", "[optim]") {
  Random random(1);
  Sequential model{Linear(2, 3, random), LayerNorm(3), Linear(3, 1, random)};
  const ParameterGroups groups = decay_groups(model);
  REQUIRE(groups.size() == 2);
  CHECK_FALSE(groups[0].decay.has_value());  // the optimizer's
  REQUIRE(groups[0].parameters.size() == 2);
  CHECK(groups[0].parameters[1].name == "2.weight");
  CHECK(groups[1].decay == 0);
  CHECK(groups[1].parameters.size() == 4);

  // With a gradient of zero AdamW moves a weight by its decay alone.
  AdamOptions options;
  options.rate = 0.5, options.decay = 0.1;
  std::vector<NamedTensor> all = parameters(model);
  std::vector<Tensor> before;
  for (NamedTensor& p : all) {
    set_grad(p.tensor, zeros(p.tensor.shape()));
    before.push_back(p.tensor.clone());
  }
  Adam optimizer(model, options);
  optimizer.step();
  for (size_t i = 0; i < all.size(); ++i) {
    INFO(all[i].name);
    const double factor = all[i].kind == Kind::linear ? 1 - 0.5 * 0.1 : 1;
    CHECK(relative_error(all[i].tensor.detach(), before[i] * factor) < 1e-6);
  }
}

TEST_CASE("a group has its own decay and rate", "[optim]") {
  OneWeight first(ones({1})), second(ones({1}));
  SgdOptions options;
  options.rate = 0.1, options.decay = 1;
  Sgd optimizer({ParameterGroup{parameters(first), 0.0, 0.5}, ParameterGroup{parameters(second)}},
                options);
  set_grad(first.weight, ones({1}));
  set_grad(second.weight, ones({1}));
  optimizer.step();
  CHECK(first.weight.item() == Approx(1 - 0.05));
  CHECK(second.weight.item() == Approx(1 - 0.1 * (1 + 1)));
  optimizer.rate = 1;
  optimizer.step();
  CHECK(first.weight.item() == Approx(1 - 0.05 - 0.5));
}

TEST_CASE("a parameter without a gradient is left alone", "[optim]") {
  OneWeight model(ones({2}));
  SgdOptions options;
  options.decay = 1;
  Sgd optimizer(model, options);
  optimizer.step();
  CHECK(same_elements(model.weight, ones({2})));
  set_grad(model.weight, ones({2}));
  optimizer.zero_grad();
  CHECK_FALSE(model.weight.grad().defined());
  CHECK(optimizer.steps == 1);
}

TEST_CASE("frozen parameters are left out", "[optim]") {
  Random random(1);
  Sequential model{Linear(2, 2, random), Linear(2, 1, random)};
  set_requires_grad(model[0], false);
  Sgd optimizer(model, SgdOptions{});
  const Tensor before = parameters(model)[0].tensor.clone();
  sum(model(ones({1, 2}))).backward();
  optimizer.step();
  CHECK(same_elements(parameters(model)[0].tensor, before));
  set_requires_grad(model, false);
  CHECK_THROWS_WITH(Sgd(model, SgdOptions{}), Equals("optimizer: there is no parameter to train"));
}

TEST_CASE("the first step names a parameter that no optimizer has", "[optim]") {
  Random random(1);
  Sequential model{Linear(2, 3, random), Linear(3, 1, random)};
  parameters(model);  // names them
  Sgd optimizer({ParameterGroup{parameters(model[0])}}, SgdOptions{});
  const Tensor before = parameters(model)[0].tensor.clone();
  sum(model(ones({1, 2}))).backward();
  CHECK_THROWS_WITH(optimizer.step(),
                    ContainsSubstring("got a gradient but belongs to no optimizer. Give it to one, "
                                      "or freeze it with set_requires_grad(module, false)") &&
                        ContainsSubstring("optimizer: parameter 1.") &&
                        ContainsSubstring("(and 1 more)"));
  CHECK(same_elements(parameters(model)[0].tensor, before));
}

TEST_CASE("the first step names a parameter no visit has reached by its shape", "[optim]") {
  Random random(1);
  Linear known(2, 3, random), forgotten(3, 1, random, false);
  Sgd optimizer(known, SgdOptions{});
  sum(forgotten(known(ones({1, 2})))).backward();
  CHECK_THROWS_WITH(optimizer.step(),
                    ContainsSubstring("optimizer: parameter (unnamed) [1, 3] got a gradient"));
}

TEST_CASE("two optimizers may share a model, and gradients from before are forgiven", "[optim]") {
  Random random(1);
  Linear first(2, 3, random), second(3, 1, random), by_hand(2, 2, random);
  sum(by_hand(ones({1, 2}))).backward();  // trained without an optimizer, and still alive
  Sgd one(first, SgdOptions{}), two(second, SgdOptions{});
  sum(second(first(ones({1, 2})))).backward();
  const auto can_step = [](Optimizer& optimizer) {
    try {
      optimizer.step();
    } catch (const Error&) {
      return false;
    }
    return true;
  };
  CHECK(can_step(one));
  CHECK(can_step(two));
}

TEST_CASE("a parameter has one optimizer at a time", "[optim]") {
  Random random(1);
  Linear model(2, 2, random);
  {
    Sgd optimizer(model, SgdOptions{});
    CHECK_THROWS_WITH(Adam(model, AdamOptions{}),
                      Equals("optimizer: parameter weight [2, 2] already belongs to an optimizer"));
  }
  CHECK_NOTHROW(Sgd(model, SgdOptions{}));
  const ParameterGroup group{parameters(model)};
  CHECK_THROWS_WITH(Sgd({group, group}, SgdOptions{}), ContainsSubstring("already belongs"));
  CHECK_NOTHROW(Sgd(model, SgdOptions{}));  // the failed one let go of what it had taken
}

TEST_CASE("an optimizer follows its module when that is moved", "[optim]") {
  OneWeight model(ones({1}));
  Sgd optimizer(model, SgdOptions{});
  OneWeight moved = std::move(model);
  set_grad(moved.weight, ones({1}));
  optimizer.step();
  CHECK(moved.weight.item() == Approx(0.99));
}

TEST_CASE("a step between forward and backward is noticed", "[optim]") {
  OneWeight model(ones({1, 1}));
  Sgd optimizer(model, SgdOptions{});
  const Tensor y = square(model.weight);
  set_grad(model.weight, ones({1, 1}));
  optimizer.step();
  CHECK_THROWS_WITH(y.backward(ones({1, 1})), ContainsSubstring("changed after it was recorded"));
}

TEST_CASE("state and steps carry an optimizer on, bit for bit", "[optim]") {
  AdamOptions options;
  const auto run = [](OneWeight& model, Adam& optimizer, int from, int to) {
    for (int step = from; step < to; ++step) {
      set_grad(model.weight, golden().tensor("gradient/" + std::to_string(step)));
      optimizer.step();
    }
  };
  OneWeight whole(golden().tensor("start"));
  Adam through(whole, options);
  const std::vector<NamedTensor> state = through.state();
  REQUIRE(state.size() == 2);
  CHECK(state[0].name == "first_moment.weight");
  CHECK(state[1].name == "second_moment.weight");
  CHECK(same_elements(state[1].tensor, zeros({3, 7})));
  run(whole, through, 0, 5);

  OneWeight resumed(whole.weight);
  Adam optimizer(resumed, options);
  std::vector<NamedTensor> target = optimizer.state();
  for (size_t i = 0; i < state.size(); ++i) copy_into(target[i].tensor, state[i].tensor);
  optimizer.steps = through.steps;
  run(whole, through, 5, 10);
  run(resumed, optimizer, 5, 10);
  CHECK(same_elements(whole.weight, resumed.weight));
}

TEST_CASE("optimizers keep only the state they need", "[optim]") {
  OneWeight model(ones({2}));
  CHECK(Sgd(model, SgdOptions{}).state().empty());
  SgdOptions momentum;
  momentum.momentum = 0.5;
  CHECK(Sgd(model, momentum).state().at(0).name == "momentum.weight");
  CHECK(RmsProp(model, RmsPropOptions{}).state().size() == 1);
  SgdOptions nesterov;
  nesterov.nesterov = true;
  CHECK_THROWS_WITH(Sgd(model, nesterov), Equals("sgd: nesterov needs momentum above 0, not 0"));
}

TEST_CASE("a step takes no memory but a kernel's few partial sums", "[optim]") {
  Random random(1);
  const auto taken_by = [&](const auto& make) {
    Sequential model{Linear(200, 300, random), Linear(300, 10, random)};  // 240 kB the largest
    const auto optimizer = make(model);
    for (NamedTensor& p : parameters(model)) set_grad(p.tensor, ones(p.tensor.shape()));
    memory::reset_peak();
    const int64_t before = memory::stats().peak_bytes;
    optimizer->step();
    return memory::stats().peak_bytes - before;
  };
  CHECK(taken_by([](Module& m) { return std::make_unique<Sgd>(m, SgdOptions{}); }) < 256);
  CHECK(taken_by([](Module& m) { return std::make_unique<Adam>(m, AdamOptions{}); }) < 256);
  CHECK(taken_by([](Module& m) { return std::make_unique<RmsProp>(m, RmsPropOptions{}); }) < 256);
}

TEST_CASE("clipping scales as PyTorch's", "[optim][golden]") {
  OneWeight first(zeros({3, 7})), second(zeros({3, 7}));
  set_grad(first.weight, golden().tensor("gradient/0"));
  set_grad(second.weight, golden().tensor("gradient/1"));
  std::vector<NamedTensor> both = parameters(first);
  both.push_back(parameters(second)[0]);
  const double norm = clip_gradients(both, 1.5);
  CHECK(norm == Approx(golden().tensor("clip/norm").item()).epsilon(1e-6));
  CHECK(relative_error(first.weight.grad(), golden().tensor("clip/0")) < 1e-6);
  CHECK(relative_error(second.weight.grad(), golden().tensor("clip/1")) < 1e-6);

  const Tensor clipped = first.weight.grad().clone();
  CHECK(clip_gradients(both, 2) == Approx(1.5));  // below the bound nothing changes
  CHECK(same_elements(first.weight.grad(), clipped));
  CHECK_THROWS_WITH(clip_gradients(both, 0), ContainsSubstring("max_norm must be above 0, not 0"));
}

TEST_CASE("clipping names a gradient that is not finite and changes none", "[optim]") {
  Random random(1);
  Linear model(2, 2, random);
  set_grad(model.weight, full({2, 2}, 100));
  for (double bad : {std::numeric_limits<double>::infinity(), std::nan("")}) {
    set_grad(model.bias, full({2}, bad));
    CHECK_THROWS_WITH(clip_gradients(parameters(model), 1),
                      Equals("clip_gradients: the gradient of bias [2] is not finite"));
    CHECK(same_elements(model.weight.grad(), full({2, 2}, 100)));
  }
}

TEST_CASE("the average follows its formula and is exchanged", "[optim]") {
  struct WithBuffer : OneWeight {
    WithBuffer() : OneWeight(tensor({2}, {1, -1})), statistics(full({1}, 10)) {}
    void visit(Visitor& v) override {
      OneWeight::visit(v);
      v.buffer("statistics", statistics);
    }
    Tensor statistics;
  } model;
  Ema ema(model, 0.9);
  CHECK(ema.shadow()[0].tensor.data() != model.weight.data());
  double w = 1, average = 1;
  for (int step = 0; step < 5; ++step) {
    w *= 1.5;
    model.weight.mutable_data()[0] = real(w);
    model.statistics.mutable_data()[0] = 20;
    ema.update();
    average = 0.9 * average + 0.1 * w;
  }
  REQUIRE(ema.shadow().size() == 2);
  CHECK(ema.shadow()[0].tensor.data()[0] == Approx(average).epsilon(1e-6));
  CHECK(ema.shadow()[0].tensor.data()[1] == -1);
  CHECK(ema.shadow()[1].tensor.item() == Approx(20 - 10 * std::pow(0.9, 5)));

  ema.swap();
  CHECK(model.weight.data()[0] == Approx(average).epsilon(1e-6));
  CHECK(model.statistics.item() == Approx(20 - 10 * std::pow(0.9, 5)));
  CHECK(ema.shadow()[0].tensor.data()[0] == real(w));
  ema.swap();
  CHECK(model.weight.data()[0] == real(w));
  CHECK_THROWS_WITH(Ema(model, 1), Equals("ema: decay 1 must be at least 0 and below 1"));
}

TEST_CASE("averaging moves a clone of the module that is trained", "[optim]") {
  Random random(1);
  Linear model(2, 2, random);
  Ema ema(model, 0.5);
  Linear copy = clone(model, [&] { return Linear(2, 2, random); });
  model.weight.mutable_data()[0] += 1;
  ema.update();
  ema.swap();
  CHECK(model.weight.data()[0] == Approx(copy.weight.data()[0] + 0.5));
}
