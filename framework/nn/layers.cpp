// The layers of a perceptron: each is its parameters and one call of an operation. Page: docs/nn.md
#include "nn/layers.h"

#include "nn/init.h"

namespace kindling {

Linear::Linear(int64_t in, int64_t out, Random& random, bool with_bias) {
  ENSURE(in > 0 && out > 0, "Linear: sizes must be positive: in {}, out {}", in, out);
  weight = make_parameter(torch_default({out, in}, in, random));
  if (with_bias) bias = make_parameter(torch_default({out}, in, random));
}

Tensor Linear::forward(const Tensor& x) { return linear(x, weight, bias); }

void Linear::visit(Visitor& v) {
  v.parameter("weight", weight, Kind::linear);
  if (bias.defined()) v.parameter("bias", bias, Kind::bias);
}

Dropout::Dropout(double p, Random& random) : p_(p), random_(random.fork(random.bits())) {
  ENSURE(p >= 0 && p < 1, "Dropout: the probability {} must be at least 0 and below 1", p);
}

Tensor Dropout::forward(const Tensor& x) { return training() ? dropout(x, p_, random_) : x; }

void Dropout::visit(Visitor& v) { v.random("random", random_); }

LayerNorm::LayerNorm(int64_t n, double epsilon)
    : weight(make_parameter(ones({n}))), bias(make_parameter(zeros({n}))), epsilon_(epsilon) {}

Tensor LayerNorm::forward(const Tensor& x) { return layer_norm(x, weight, bias, epsilon_); }

void LayerNorm::visit(Visitor& v) {
  v.parameter("weight", weight, Kind::norm);
  v.parameter("bias", bias, Kind::norm);
}

Tensor Sequential::forward(const Tensor& x) {
  Tensor y = x;
  for (const auto& layer : layers_) y = layer->forward(y);
  return y;
}

void Sequential::visit(Visitor& v) {
  for (size_t i = 0; i < layers_.size(); ++i) v.child(std::to_string(i), *layers_[i]);
}

}  // namespace kindling
