// Gradients against central differences; see gradcheck.h.
#include "f64/gradcheck.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

using namespace kindling;

namespace {

constexpr double kTolerance = 1e-6;
// A central difference is off by h^2 f'''/6 and by the rounding of L, 1e-16 L / h: both near 1e-10.
constexpr double kStep = 1e-5;
constexpr int64_t kEach = 64;  // inputs up to this size are checked element by element
constexpr int kDirections = 3;

double dot(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (int64_t i = 0; i < a.size(); ++i) sum += double(a.data()[i]) * double(b.data()[i]);
  return sum;
}

// L at x[input] + step * direction.
double value_at(const Function& f, Tensors x, size_t input, double step, const Tensor& direction,
                const Tensor& r) {
  const NoGrad no_grad;
  Tensor moved = x[input].clone();
  for (int64_t i = 0; i < moved.size(); ++i) {
    moved.mutable_data()[i] += real(step) * direction.data()[i];
  }
  x[input] = moved;
  return dot(f(x), r);
}

// The gradients of L for those inputs that `wanted` names.
Tensors gradients(const Function& f, const Tensors& inputs, const Tensor& r,
                  const std::vector<bool>& wanted) {
  Tensors leaves;
  for (size_t i = 0; i < inputs.size(); ++i) {
    leaves.push_back(inputs[i].clone());
    leaves[i].set_requires_grad(wanted[i]);
  }
  f(leaves).backward(r);
  Tensors g;
  for (size_t i = 0; i < inputs.size(); ++i) g.push_back(wanted[i] ? leaves[i].grad() : Tensor());
  return g;
}

// What is wrong with the slopes `a` of backward against the differences `b`; empty if nothing.
std::string compare(const std::vector<double>& a, const std::vector<double>& b) {
  double error = 0, scale = 0, largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) error = HUGE_VAL;
    error = std::max(error, std::abs(a[i] - b[i]));
    scale = std::max(scale, std::abs(b[i])), largest = std::max(largest, std::abs(a[i]));
  }
  std::string what;
  if (scale == 0 && largest == 0) what = "both sides are zero";
  if (error > kTolerance * scale) what = fmt::format("relative error {:.1e}", error / scale);
  return what.empty() ? what : fmt::format("{}\n  backward    {}\n  differences {}", what, a, b);
}

bool same_elements(const Tensor& a, const Tensor& b) {
  return std::equal(a.values().begin(), a.values().end(), b.values().begin(), b.values().end());
}

}  // namespace

std::string gradient_problems(const Function& f, const Tensors& inputs, Random& random) {
  const Tensor r = [&] {
    const NoGrad no_grad;
    return normal(f(inputs).shape(), random);
  }();
  const Tensors g = gradients(f, inputs, r, std::vector<bool>(inputs.size(), true));

  std::string problems;
  const auto report = [&](size_t input, const char* where, const std::string& what) {
    if (!what.empty()) problems += fmt::format("input {}, {}: {}\n", input, where, what);
  };
  for (size_t input = 0; input < inputs.size(); ++input) {
    const Shape& shape = inputs[input].shape();
    if (!g[input].defined() || g[input].shape() != shape) {
      report(input, "gradient", g[input].defined() ? g[input].shape().str() : "missing");
      continue;
    }
    const auto check_along = [&](const char* where, const Tensors& directions) {
      std::vector<double> backward, difference;
      for (const Tensor& v : directions) {
        backward.push_back(dot(g[input], v));
        difference.push_back(
            (value_at(f, inputs, input, kStep, v, r) - value_at(f, inputs, input, -kStep, v, r)) /
            (2 * kStep));
      }
      report(input, where, compare(backward, difference));
    };
    Tensors directions;
    for (int i = 0; i < kDirections; ++i) directions.push_back(normal(shape, random));
    check_along("random directions", directions);
    if (shape.elements() <= kEach) {
      Tensors units;
      for (int64_t i = 0; i < shape.elements(); ++i) {
        units.push_back(zeros(shape));
        units.back().mutable_data()[i] = 1;
      }
      check_along("each element", units);
    }
    // Whether others are wanted too must make no difference.
    std::vector<bool> alone(inputs.size(), false);
    alone[input] = true;
    if (!same_elements(gradients(f, inputs, r, alone)[input], g[input])) {
      report(input, "alone", "the gradient differs from that with all inputs wanted");
    }
  }
  return problems;
}
