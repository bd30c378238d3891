// Part 4: two ways to get a wrong gradient out of a right graph. Page: docs/01-graph.md
#pragma once

#include <cmath>
#include <string>

#include "01-graph/common.h"
#include "01-graph/scalar.h"
#include "kindling.h"

namespace lesson01 {

inline void mistakes(const std::string& bug, kindling::Report& report) {
  using namespace kindling;
  fmt::print("\n4. Where a graph goes wrong\n\n");
  const Scalar x = 3, u = x * x;
  backward(u + sin(u), bug == "no-topological-order" ? Order::as_found : Order::youngest_first);
  const double by_hand = (1 + std::cos(9.0)) * 6;
  fmt::print("   u = x x, z = u + sin u, x = 3: dz/dx = {:.4f}, by hand {:.4f}\n", x.gradient(),
             by_hand);
  report.claim("a value used twice gets the gradient of both uses",
               near(x.gradient(), by_hand, 1e-15));

  Scalar w = 2;
  const Scalar v = 5, z = w * v;
  Tensor tw = leaf(2);
  const Tensor tv = leaf(5), tz = tw * tv;
  if (bug == "overwritten-input") {  // as if an optimizer took its step before backward
    w.set(100);
    tw.mutable_data()[0] = 100;
  }
  backward(z);
  bool right = v.gradient() == 2;
  fmt::print("   w = 2, z = w v: dz/dv = {} by scalars", v.gradient());
  try {
    tz.backward();
    right &= tv.grad().item() == 2;
    fmt::print(", {} by tensors\n", tv.grad().item());
  } catch (const Error& error) {
    right = false;
    fmt::print("; tensors refuse:\n   \"{}\"\n", error.what());
  }
  report.claim("backward finds the inputs as forward saw them", right);
}

}  // namespace lesson01
