// Layers: each is its parameters and one call of an operation. Page: docs/nn.md
#pragma once

#include "nn/init.h"
#include "nn/module.h"

namespace kindling {

// A module with one input and one output; what a Sequential is made of.
struct Layer : Module {
  virtual Tensor forward(const Tensor& x) = 0;
  Tensor operator()(const Tensor& x) { return forward(x); }
};

// y = x weight^T + bias: [..., in] -> [..., out]. weight [out, in] and bias [out] start as
// PyTorch's: U(-1/sqrt(in), 1/sqrt(in)).
struct Linear : Layer {
  Tensor weight, bias;   // without bias that one is undefined
  int64_t channels = 1;  // of the flattened images it reads; see NamedTensor

  Linear(int64_t in, int64_t out, Random& random, bool with_bias = true) {
    ENSURE(in > 0 && out > 0, "Linear: sizes must be positive: in {}, out {}", in, out);
    weight = make_parameter(torch_default({out, in}, in, random));
    if (with_bias) bias = make_parameter(torch_default({out}, in, random));
  }
  // Of flattened images [H, W, C]: Linear({7, 7, 64}, 10, random).
  Linear(const Shape& image, int64_t out, Random& random, bool with_bias = true)
      : Linear(image.elements(), out, random, with_bias) {
    channels = image.dim(-1);
  }
  Tensor forward(const Tensor& x) override { return linear(x, weight, bias); }
  void visit(Visitor& v) override {
    v.parameter("weight", weight, Kind::linear, channels);
    if (bias.defined()) v.parameter("bias", bias, Kind::bias);
  }
};

// A convolution with a square kernel: [N, H, W, in] -> [N, H', W', out]. weight [out, kernel,
// kernel, in / groups] and bias [out] start as PyTorch's: U(-b, b) with b = 1 / sqrt(the numbers
// that an output sees). Conv2d(3, 16, 3, {.padding = 1}, random)
struct Conv2d : Layer {
  Tensor weight, bias;  // without bias that one is undefined
  ConvOptions options;
  Kind kind;  // of the weight: depthwise if each channel is filtered alone

  Conv2d(int64_t in, int64_t out, int64_t kernel, const ConvOptions& how, Random& random,
         bool with_bias = true)
      : options(how), kind(in > 1 && how.groups == in ? Kind::depthwise : Kind::conv) {
    ENSURE(in > 0 && out > 0 && kernel > 0 && how.groups > 0 && in % how.groups == 0 &&
               out % how.groups == 0,
           "Conv2d: sizes must be positive, and groups divide them: in {}, out {}, kernel {}, "
           "groups {}",
           in, out, kernel, how.groups);
    const int64_t of_group = in / how.groups, fan_in = kernel * kernel * of_group;
    weight = make_parameter(torch_default({out, kernel, kernel, of_group}, fan_in, random));
    if (with_bias) bias = make_parameter(torch_default({out}, fan_in, random));
  }
  Tensor forward(const Tensor& x) override { return conv2d(x, weight, bias, options); }
  void visit(Visitor& v) override {
    v.parameter("weight", weight, kind);
    if (bias.defined()) v.parameter("bias", bias, Kind::bias);
  }
};

// MaxPool2d({2}): the largest of each 2 x 2, or the mean.
template <Tensor (*pool)(const Tensor&, const PoolOptions&)> struct Pool2d : Layer {
  PoolOptions options;

  explicit Pool2d(const PoolOptions& how) : options(how) {}
  Tensor forward(const Tensor& x) override { return pool(x, options); }
};
using MaxPool2d = Pool2d<max_pool2d>;
using AveragePool2d = Pool2d<average_pool2d>;

// [N, ...] -> [N, elements of the rest]: images [N, H, W, C] pixel by pixel.
struct Flatten : Layer {
  Tensor forward(const Tensor& x) override {
    ENSURE(x.rank() >= 1, "Flatten: a single number has no rows");
    return reshape(x, {x.dim(0), value::product(x.shape(), 1, x.rank())});
  }
};

// While training, zeroes elements with probability p and scales the rest by 1 / (1 - p); otherwise
// returns x (1207.0580).
struct Dropout : Layer {
  double p;       // 0 <= p < 1
  Random random;  // a stream of its own

  Dropout(double share, Random& source) : p(share), random(source.fork(source.bits())) {}
  Tensor forward(const Tensor& x) override { return training() ? dropout(x, p, random) : x; }
  void visit(Visitor& v) override { v.random("random", random); }
};

// Normalises the last axis (1607.06450); weight [n] starts at 1, bias [n] at 0.
struct LayerNorm : Layer {
  Tensor weight, bias;
  double epsilon;

  explicit LayerNorm(int64_t n, double eps = 1e-5)
      : weight(make_parameter(ones({n}))), bias(make_parameter(zeros({n}))), epsilon(eps) {}
  Tensor forward(const Tensor& x) override { return layer_norm(x, weight, bias, epsilon); }
  void visit(Visitor& v) override {
    v.parameter("weight", weight, Kind::norm);
    v.parameter("bias", bias, Kind::norm);
  }
};

// Normalises each channel, the last axis (1502.03167): while training by the mean and variance of
// the batch, otherwise by running ones. weight [channels] starts at 1, bias at 0.
// BatchNorm(16, {.activation = FusedActivation::relu})
struct BatchNorm : Layer {
  Tensor weight, bias, running_mean, running_var;  // named as PyTorch's, as the next
  Tensor num_batches_tracked = scalar(0);
  BatchNormOptions options;

  explicit BatchNorm(int64_t channels, const BatchNormOptions& how = {}) : options(how) {
    weight = make_parameter(ones({channels})), bias = make_parameter(zeros({channels}));
    running_mean = zeros({channels}), running_var = ones({channels});
  }
  Tensor forward(const Tensor& x) override {
    options.training = training();
    Tensor y = batch_norm(x, weight, bias, running_mean, running_var, options);
    if (training()) *num_batches_tracked.mutable_data() += 1;
    return y;
  }
  void visit(Visitor& v) override {
    v.parameter("weight", weight, Kind::norm);
    v.parameter("bias", bias, Kind::norm);
    v.buffer("running_mean", running_mean);
    v.buffer("running_var", running_var);
    v.buffer("num_batches_tracked", num_batches_tracked);
  }
};

// A function without parameters as a layer: Activation(relu).
struct Activation : Layer {
  Tensor (*function)(const Tensor&);

  explicit Activation(Tensor (*f)(const Tensor&)) : function(f) {}
  Tensor forward(const Tensor& x) override { return function(x); }
};

// Layers one after another; children are named "0", "1", ...
struct Sequential : Layer {
  std::vector<std::unique_ptr<Layer>> layers;

  // Sequential{Linear(2, 2, random), Activation(tanh), Linear(2, 1, random)}
  // Braces fix the order in which the layers draw their weights; with ( ) the compiler chooses it.
  template <std::derived_from<Layer>... Layers> explicit Sequential(Layers... each) {
    (add(std::move(each)), ...);
  }
  template <std::derived_from<Layer> L> Sequential& add(L layer) {
    layers.push_back(std::make_unique<L>(std::move(layer)));
    return *this;
  }
  Layer& operator[](size_t i) { return *layers.at(i); }
  Tensor forward(const Tensor& x) override {
    Tensor y = x;
    for (const auto& layer : layers) y = layer->forward(y);
    return y;
  }
  void visit(Visitor& v) override {
    for (size_t i = 0; i < layers.size(); ++i) v.child(std::to_string(i), *layers[i]);
  }
};

}  // namespace kindling
