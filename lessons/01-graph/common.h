// Two small things that the parts of this lesson share. Page: docs/01-graph.md
#pragma once

#include <algorithm>
#include <cmath>

#include "kindling.h"

namespace lesson01 {

inline bool near(double a, double b, double tolerance) {
  return std::abs(a - b) <= tolerance * std::max(1.0, std::abs(b));
}

inline kindling::Tensor leaf(double value) {
  kindling::Tensor x = kindling::scalar(value);
  return x.set_requires_grad();
}

}  // namespace lesson01
