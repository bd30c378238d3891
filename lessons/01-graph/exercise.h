// The exercise of lesson 01: one of these two gradients is wrong. Page: docs/01-graph.md
#pragma once

#include "01-graph/scalar.h"

namespace lesson01 {

inline double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// softplus(x) = log(1 + e^x). Its slope is sigmoid(x).
inline Scalar softplus(const Scalar& x) {
  return {"softplus", std::log1p(std::exp(x.value())), {{x, [x] { return sigmoid(x.value()); }}}};
}

// swish(x) = x sigmoid(x). `--bug wrong-gradient` puts this function into the gradient check, which
// fails. Repair the slope and run it again: sigmoid'(x) is sigmoid(x) (1 - sigmoid(x)).
inline Scalar swish_to_repair(const Scalar& x) {
  const auto slope = [x] { return sigmoid(x.value()); };
  return {"swish", x.value() * sigmoid(x.value()), {{x, slope}}};
}

}  // namespace lesson01
