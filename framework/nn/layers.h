// The layers of a perceptron. Page: docs/nn.md
#pragma once

#include <concepts>

#include "nn/module.h"

namespace kindling {

// A module with one input and one output; what a Sequential is made of.
class Layer : public Module {
 public:
  virtual Tensor forward(const Tensor& x) = 0;
  Tensor operator()(const Tensor& x) { return forward(x); }
};

// y = x weight^T + bias: [..., in] -> [..., out]. weight [out, in] and bias [out] start as
// PyTorch's: U(-1/sqrt(in), 1/sqrt(in)).
class Linear : public Layer {
 public:
  Linear(int64_t in, int64_t out, Random& random, bool with_bias = true);
  Tensor forward(const Tensor& x) override;
  void visit(Visitor& v) override;

  Tensor weight;
  Tensor bias;  // undefined without bias
};

// While training, zeroes elements with probability p and scales the rest by 1 / (1 - p); otherwise
// returns x (1207.0580).
class Dropout : public Layer {
 public:
  Dropout(double p, Random& random);  // 0 <= p < 1; takes a stream of its own from `random`
  Tensor forward(const Tensor& x) override;
  void visit(Visitor& v) override;

 private:
  double p_;
  Random random_;
};

// Normalises the last axis (1607.06450); weight [n] starts at 1, bias [n] at 0.
class LayerNorm : public Layer {
 public:
  explicit LayerNorm(int64_t n, double epsilon = 1e-5);
  Tensor forward(const Tensor& x) override;
  void visit(Visitor& v) override;

  Tensor weight;
  Tensor bias;

 private:
  double epsilon_;
};

// A function without parameters as a layer: Activation(relu).
class Activation : public Layer {
 public:
  using Function = Tensor (*)(const Tensor&);
  explicit Activation(Function f) : f_(f) {}
  Tensor forward(const Tensor& x) override { return f_(x); }

 private:
  Function f_;
};

// Layers one after another; children are named "0", "1", ...
class Sequential : public Layer {
 public:
  // Sequential{Linear(2, 2, random), Activation(tanh), Linear(2, 1, random)}
  // Braces fix the order in which the layers draw their weights; with ( ) the compiler chooses it.
  template <std::derived_from<Layer>... Layers>
  requires(sizeof...(Layers) > 0) explicit Sequential(Layers... layers) {
    (add(std::move(layers)), ...);
  }
  Sequential() = default;

  template <std::derived_from<Layer> L> Sequential& add(L layer) {
    layers_.push_back(std::make_unique<L>(std::move(layer)));
    return *this;
  }
  Layer& operator[](size_t i) { return *layers_.at(i); }
  size_t size() const { return layers_.size(); }
  Tensor forward(const Tensor& x) override;
  void visit(Visitor& v) override;

 private:
  std::vector<std::unique_ptr<Layer>> layers_;
};

}  // namespace kindling
