// A small problem for gradient descent: a x + b x^3 is to become sin(pi x). Page: docs/01-graph.md
#pragma once

#include <cmath>
#include <numbers>
#include <vector>

#include "01-graph/scalar.h"

namespace lesson01 {

// For one number, or for a tensor of them.
template <class T> T cubic(const T& a, const T& b, const T& x) { return a * x + b * (x * x * x); }

struct Points {
  std::vector<double> x, y;
};

// n points of sin(pi x), evenly over -1 .. 1.
inline Points sine_points(int n) {
  Points points;
  for (int i = 0; i < n; ++i) points.x.push_back(-1 + (2 * i + 1.0) / n);
  for (const double x : points.x) points.y.push_back(std::sin(std::numbers::pi * x));
  return points;
}

// The mean squared error of the cubic as a graph of numbers, ten nodes and more for every point.
inline Scalar mean_squared_error(const Scalar& a, const Scalar& b, const Points& points) {
  Scalar sum = 0;
  for (size_t i = 0; i < points.x.size(); ++i) {
    const Scalar error = cubic<Scalar>(a, b, points.x[i]) - points.y[i];
    sum = sum + error * error;
  }
  return sum / double(points.x.size());
}

// The a and b of the smallest error, where its gradient is zero:
//   a sum x^2 + b sum x^4 = sum x y,   a sum x^4 + b sum x^6 = sum x^3 y.
struct Solution {
  double a, b;
};
inline Solution least_squares(const Points& points) {
  double x2 = 0, x4 = 0, x6 = 0, xy = 0, x3y = 0;
  for (size_t i = 0; i < points.x.size(); ++i) {
    const double x = points.x[i], y = points.y[i];
    x2 += x * x, x4 += std::pow(x, 4), x6 += std::pow(x, 6);
    xy += x * y, x3y += x * x * x * y;
  }
  const double determinant = x2 * x6 - x4 * x4;
  return {(xy * x6 - x3y * x4) / determinant, (x2 * x3y - x4 * xy) / determinant};
}

}  // namespace lesson01
