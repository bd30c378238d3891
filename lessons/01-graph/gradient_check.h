// Is a gradient right? Compare it with what the value does when its input is moved a little.
// Page: docs/01-graph.md
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "01-graph/scalar.h"

namespace lesson01 {

// f'(x) from two values, wrong by f''' h^2 / 6 (truncation) and by about epsilon |f| / h
// (rounding).
template <class Number, class Function>
Number central_difference(const Function& f, Number x, Number h) {
  return (f(x + h) - f(x - h)) / (2 * h);
}

// The same from one side: wrong by f'' h / 2, and by rounding.
template <class Number, class Function>
Number one_sided_difference(const Function& f, Number x, Number h) {
  return (f(x + h) - f(x)) / h;
}

// |a - b| relative to the larger of the two. Both zero proves nothing and counts as wrong: a
// gradient that is zero everywhere would otherwise pass wherever the function happens to be flat.
inline double relative_error(double a, double b) {
  const double scale = std::max(std::abs(a), std::abs(b));
  return scale > 0 ? std::abs(a - b) / scale : std::numeric_limits<double>::infinity();
}

struct Checked {
  const char* name;
  std::function<Scalar(const Scalar&)> f;
};

// The largest relative error over the points of f's gradient against central differences of step h.
inline double check_gradient(const Checked& checked, const std::vector<double>& points, double h) {
  double worst = 0;
  for (const double point : points) {
    const Scalar x = point;
    backward(checked.f(x));
    const auto value = [&](double moved) { return checked.f(moved).value(); };
    const double measured = central_difference(value, point, h);
    worst = std::max(worst, relative_error(x.gradient(), measured));
  }
  return worst;
}

// Root mean square, over the points, of the relative error of difference(f, x, h), for each step h.
// f takes any kind of number, so that the same errors can be had in float and in double.
template <class Number, class Difference, class Function, class Derivative>
std::vector<double> error_by_step(const Difference& difference, const Function& f,
                                  const Derivative& exact, const std::vector<double>& points,
                                  const std::vector<double>& steps) {
  std::vector<double> errors;
  for (const double h : steps) {
    double sum = 0;
    for (const double x : points) {
      const Number measured = difference(f, Number(x), Number(h));
      sum += std::pow(relative_error(double(measured), exact(x)), 2);
    }
    errors.push_back(std::sqrt(sum / double(points.size())));
  }
  return errors;
}

}  // namespace lesson01
