// Lesson 01, the dynamic graph: one expression differentiated by hand, by a graph of numbers and by
// a graph of tensors; then how such gradients are checked, broken, paid for and used.
// Page: docs/01-graph.md
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "01-graph/chart.h"
#include "01-graph/common.h"
#include "01-graph/cost.h"
#include "01-graph/exercise.h"
#include "01-graph/fit.h"
#include "01-graph/gradient_check.h"
#include "01-graph/mistakes.h"
#include "01-graph/scalar.h"
#include "kindling.h"

using namespace kindling;
using namespace lesson01;

namespace {

// ---- 1 and 2: a graph, and the way back through it --------------------------------------------

// One text for double, Scalar and Tensor: the type decides whether a graph is recorded. The sum has
// a name because C++ may otherwise compute the sine first, and the ids would come out differently.
template <class T> T expression(const T& x, const T& y) {
  using std::sin;
  const T sum = x + y;
  return sum * sin(x);
}
double expression_by_x(double x, double y) { return std::sin(x) + (x + y) * std::cos(x); }
double expression_by_y(double x, double) { return std::sin(x); }

// The operations that tensors walk back through while it lives, in this order.
struct WalkBack final : Observer {
  std::vector<std::string> ops;
  void begin(const char* op, bool backward) override {
    if (backward) ops.push_back(op);
  }
};

void forward_and_back(Report& report) {
  fmt::print("\n1. The graph of z = (x + y) sin x at x = 2, y = 1\n\n");
  const Scalar x = 2, y = 1, z = expression(x, y);
  const Tensor tx = leaf(2), ty = leaf(1), tz = expression(tx, ty);
  const TensorNames names = {
      {tx, "x = 2"}, {ty, "y = 1"}, {tz, fmt::format("z = {:.4f}", tz.item())}};
  fmt::print("   {}\n", draw_graph(tz, report.path("graph"), names));

  fmt::print("\n2. Backward: gradient of a node x slope of an edge = what the edge passes on\n\n");
  fmt::print("   {:10}{:>10}{:>10}{:>11}   to\n", "from", "gradient", "slope", "passes on");
  std::vector<std::string> scalar_order;
  backward(z, Order::youngest_first, [&](auto& from, double gradient, auto& edge, double slope) {
    const auto& to = *edge.input.node();
    fmt::print("   {} {:8}{:>10.4f}{:>10.4f}{:>11.4f}   {} {}\n", from.id, from.op, gradient, slope,
               gradient * slope, to.id, to.op);
    if (scalar_order.empty() || scalar_order.back() != from.op) scalar_order.push_back(from.op);
  });
  WalkBack walk;
  tz.backward();

  fmt::print("\n   {:8}{:>12}{:>12}{:>12}\n", "", "by hand", "scalars", "tensors");
  bool scalars_agree = true, tensors_agree = true;
  const auto compare = [&](const char* name, double hand, double scalars, double tensors) {
    fmt::print("   {:8}{:>12.7f}{:>12.7f}{:>12.7f}\n", name, hand, scalars, tensors);
    scalars_agree &= near(scalars, hand, 1e-15);
    tensors_agree &= near(tensors, hand, 1e-6);
  };
  compare("z", expression(2.0, 1.0), z.value(), tz.item());
  compare("dz/dx", expression_by_x(2, 1), x.gradient(), tx.grad().item());
  compare("dz/dy", expression_by_y(2, 1), y.gradient(), ty.grad().item());
  report.claim("scalars give the numbers worked out by hand", scalars_agree);
  report.claim("tensors give the same, to the seven digits of a float", tensors_agree);
  report.claim(fmt::format("both walk back through {}", joined(walk.ops)),
               scalar_order == walk.ops && walk.ops.size() == 3);
}

// ---- 3: is a gradient right? ------------------------------------------------------------------

const std::vector<Checked> kChecked = {
    {"x + x", [](const Scalar& x) { return x + x; }},
    {"3 - x", [](const Scalar& x) { return 3 - x; }},
    {"x x", [](const Scalar& x) { return x * x; }},
    {"(3 - x) / x", [](const Scalar& x) { return (3 - x) / x; }},
    {"sin x", [](const Scalar& x) { return sin(x); }},
    {"exp x", [](const Scalar& x) { return exp(x); }},
    {"softplus x", lesson01::softplus},
    {"(x + 1) sin x", [](const Scalar& x) { return expression(x, Scalar(1)); }},
};

// How the error of a difference depends on its step: the picture, and two facts about it.
void draw_errors(const std::vector<double>& points, Report& report) {
  std::vector<double> steps;
  for (int i = 4; i <= 56; ++i) steps.push_back(std::pow(10.0, -i / 4.0));
  const std::vector<double> large_steps(steps.begin(), steps.begin() + 25);  // float ends earlier
  const auto f = [](auto x) { return expression(x, decltype(x)(1)); };
  const auto exact = [](double x) { return expression_by_x(x, 1); };
  const auto central = [](auto g, auto x, auto h) { return central_difference(g, x, h); };
  const auto one_sided = [](auto g, auto x, auto h) { return one_sided_difference(g, x, h); };
  const auto errors = error_by_step<double>(central, f, exact, points, steps);
  const std::vector<Series> series = {
      {"central, double", steps, errors},
      {"one-sided, double", steps, error_by_step<double>(one_sided, f, exact, points, steps)},
      {"central, float", large_steps,
       error_by_step<float>(central, f, exact, points, large_steps)}};
  Chart chart{"Error of a difference quotient of (x + 1) sin x", "step h", "relative error"};
  chart.log_x = chart.log_y = true;
  write_file(report.path("gradient-check.svg"), line_chart(chart, series));

  const size_t best = size_t(std::min_element(errors.begin(), errors.end()) - errors.begin());
  fmt::print("\n   {}: smallest at h = {:.0e}\n", report.path("gradient-check.svg"), steps[best]);
  report.claim("h = 0.001 instead of 0.01 makes the error 100 times smaller: it goes with h^2",
               near(errors[4] / errors[8], 100, 0.01));
  report.claim("h far below 1e-5 makes it larger again: rounding, divided by h",
               steps[best] > 1e-6 && steps[best] < 1e-4 && errors.back() > 1e4 * errors[best]);
}

void gradient_checks(const std::string& bug, uint64_t seed, Report& report) {
  fmt::print("\n3. Gradients against central differences (f(x + h) - f(x - h)) / 2h, h = 1e-5\n\n");
  Random random(seed);
  std::vector<double> points;
  for (int i = 0; i < 100; ++i) points.push_back(random.uniform(0.2, 1.2));

  std::vector<Checked> all = kChecked;
  if (bug == "wrong-gradient") all.push_back({"swish x", swish_to_repair});
  double worst = 0;
  for (const auto& checked : all) {
    const double error = check_gradient(checked, points, 1e-5);
    worst = std::max(worst, error);
    fmt::print("   {:14} largest relative error {:.1e}{}\n", checked.name, error,
               error < 1e-8 ? "" : "   <- wrong");
  }
  report.claim(fmt::format("all {} gradients agree to 1e-8", all.size()), worst < 1e-8);
  report.note("gradient_check", worst);
  draw_errors(points, report);
}

}  // namespace

int main(int argc, char** argv) {
  Cli cli("01-graph", "the dynamic graph: from one expression to tensors, and what can go wrong");
  cli.without("--resume");
  cli.shared.epochs = 400;
  cli.shared.lr = 1;
  std::string bug = "none";
  cli.choice(
      "--bug", bug,
      {"none", "wrong-gradient", "no-topological-order", "overwritten-input", "no-zero-grad"},
      "make one of the classic mistakes and see its symptom");
  return lesson_main(argc, argv, cli, [&] {
    fmt::print("Six small experiments, a few seconds in all.\n");
    Report report(cli, "");
    forward_and_back(report);
    gradient_checks(bug, cli.shared.seed, report);
    mistakes(bug, report);
    cost(cli.shared.quick, report);
    descend(bug, cli.shared, report);
    return report.verdict("make lesson-02");
  });
}
