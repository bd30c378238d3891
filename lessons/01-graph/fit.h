// Part 6, a small problem for gradient descent: a x + b x^3 is to become sin(pi x). Page:
// docs/01-graph.md
#pragma once

#include <cmath>
#include <numbers>
#include <set>
#include <vector>

#include "01-graph/chart.h"
#include "01-graph/common.h"
#include "01-graph/scalar.h"
#include "kindling.h"

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

// One loss as a graph of numbers and of tensors, then the descent with tensors.
inline void descend(const std::string& bug, const kindling::SharedOptions& options,
                    kindling::Report& report) {
  using namespace kindling;
  const int n = 64;
  fmt::print("\n6. Gradient descent: a x + b x^3 learns sin(pi x) from {} points\n\n", n);
  const auto points = sine_points(n);
  const Tensor x({n}, points.x), y({n}, points.y);
  Tensor a = leaf(0), b = leaf(0);  // scalars: they are stretched over the 64 points

  const Scalar sa = 0, sb = 0, numbers = mean_squared_error(sa, sb, points);
  backward(numbers);
  const uint64_t first_id = graph_state.next_id;
  const Tensor tensors = mse(cubic(a, b, x), y);
  fmt::print("   one loss: {} nodes of numbers, {} nodes of tensors\n",
             numbers.node()->id - sa.node()->id + 1, graph_state.next_id - first_id);
  if (options.graph) {
    fmt::print("   {}\n", draw_graph(tensors, report.path("loss"), {{a, "a"}, {b, "b"}}));
  }
  tensors.backward();
  report.claim(
      "64 points in one tensor give the gradient of the 64 points one by one",
      near(a.grad().item(), sa.gradient(), 1e-6) && near(b.grad().item(), sb.gradient(), 1e-6));

  std::vector<Series> curves = {{"sin(pi x)", points.x, points.y}};
  const std::set<int64_t> shown = {0, 1, 2, 5, 10, 20, 50, 100, 200};
  a.zero_grad(), b.zero_grad();
  fmt::print("\n   {:>5}{:>12}{:>9}{:>9}\n", "step", "loss", "a", "b");
  for (int64_t step = 0; step <= options.epochs; ++step) {
    if (interrupted()) throw Interrupted("interrupted");
    const Tensor output = cubic(a, b, x), loss = mse(output, y);
    report.metrics({{"step", double(step)}, {"loss", loss.item()}});
    ENSURE(std::isfinite(loss.item()), "the loss is not finite at step {}. Try a smaller --lr",
           step);
    const bool last = step == options.epochs;
    if (last || shown.contains(step)) {
      fmt::print("   {:>5} {:>11.6f} {:>8.4f} {:>8.4f}\n", step, loss.item(), a.item(), b.item());
    }
    if (last || step == 1 || step == 10) {
      const auto values = output.values();
      curves.push_back({fmt::format("step {}", step), points.x, {values.begin(), values.end()}});
    }
    if (last) break;
    loss.backward();
    for (Tensor* parameter : {&a, &b}) {
      parameter->mutable_data()[0] -= real(options.lr) * parameter->grad().item();
      if (bug != "no-zero-grad") parameter->zero_grad();  // or the next gradient is added to it
    }
  }
  const auto best = least_squares(points);
  fmt::print("   {:>5}{:>12}{:>9.4f}{:>9.4f}   the least squares, solved for\n", "", "", best.a,
             best.b);
  const Chart chart{"a x + b x^3 learns sin(pi x)", "x", "y"};
  write_file(report.path("fit.svg"), line_chart(chart, curves));
  fmt::print("   {}\n", report.path("fit.svg"));
  report.claim("gradient descent arrives at the least squares",
               near(a.item(), best.a, 1e-3) && near(b.item(), best.b, 1e-3));
}

}  // namespace lesson01
