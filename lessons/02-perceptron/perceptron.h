// The perceptron of 1958 and its learning rule, with a threshold, with a bias, and with neither.
// Page: docs/02-perceptron.md
#pragma once

#include <array>
#include <cmath>
#include <vector>

namespace lesson02 {

// One sample in the plane and what the perceptron should answer.
struct Sample {
  std::array<double, 2> x;
  int target;  // 0 or 1
};

// Fires when w . x > T. T moves to the left as b = -T: w . x + b > 0. Same unit, and now T is
// learned by the rule that learns w, as the weight of an input that is always 1.
struct Perceptron {
  std::array<double, 2> w{};
  double b = 0;
  bool with_bias = true;

  double score(const std::array<double, 2>& x) const { return w[0] * x[0] + w[1] * x[1] + b; }
  int fires(const std::array<double, 2>& x) const { return score(x) > 0; }

  // Rosenblatt's rule: error e = target - answer; w += e x, b += e. True if it was a mistake.
  bool learn(const Sample& s) {
    const int e = s.target - fires(s.x);
    w[0] += e * s.x[0];
    w[1] += e * s.x[1];
    if (with_bias) b += e;
    return e != 0;
  }
};

// The same unit with its threshold on the right-hand side: firing gets easier as T falls.
struct ThresholdUnit {
  std::array<double, 2> w{};
  double T = 0;

  int fires(const std::array<double, 2>& x) const { return w[0] * x[0] + w[1] * x[1] > T; }
  bool learn(const Sample& s) {
    const int e = s.target - fires(s.x);
    w[0] += e * s.x[0];
    w[1] += e * s.x[1];
    T -= e;
    return e != 0;
  }
};

struct Training {
  int passes = 0, mistakes = 0;
  bool converged = false;  // a whole pass without a mistake
};

// Passes over the samples in order until one is free of mistakes; `watch` sees every mistake.
template <class Unit, class Watch>
Training train(Unit& unit, const std::vector<Sample>& samples, int most_passes, Watch&& watch) {
  Training t;
  while (!t.converged && t.passes < most_passes) {
    int mistakes = 0;
    for (const Sample& s : samples) {
      if (unit.learn(s)) watch(t.mistakes + ++mistakes);
    }
    ++t.passes;
    t.mistakes += mistakes;
    t.converged = mistakes == 0;
  }
  return t;
}

template <class Unit> int right_answers(const Unit& unit, const std::vector<Sample>& samples) {
  int right = 0;
  for (const Sample& s : samples) right += unit.fires(s.x) == s.target;
  return right;
}

// Novikoff's bound on the number of mistakes, (R / gamma)^2: R is the length of the longest input,
// gamma the margin of a unit vector that separates the samples (Novikoff 1962). With a bias every
// input carries a 1. 0 when no vector separates them.
// The widest margin is the distance of the origin to the convex hull of the inputs with the sign of
// their class. The point of the hull nearest to the origin is the separating vector; each turn of
// the search moves weight from the point that reaches farthest along v to the one that reaches
// least (Mitchell, Demyanov, Malozemov 1974).
inline double mistake_bound(const std::vector<Sample>& samples, bool with_bias) {
  using Vector = std::array<double, 3>;
  const auto dot = [](const Vector& a, const Vector& b) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  };
  std::vector<Vector> points;
  double longest = 0;  // R^2
  for (const Sample& s : samples) {
    const double sign = s.target ? 1 : -1;
    const Vector p{sign * s.x[0], sign * s.x[1], with_bias ? sign : 0};
    if (dot(p, p) == 0 && !s.target) continue;  // never a mistake: 0 > 0 is false
    points.push_back(p);
    longest = std::max(longest, dot(p, p));
  }
  std::vector<double> weight(points.size());  // v = sum of weight[i] points[i]; they add up to 1
  weight.at(0) = 1;
  Vector v = points[0];
  for (int turn = 0; turn < 20000; ++turn) {
    size_t least = 0, most = points.size();
    for (size_t i = 0; i < points.size(); ++i) {
      if (dot(points[i], v) < dot(points[least], v)) least = i;
      const bool in_v = weight[i] > 0;
      if (in_v && (most == points.size() || dot(points[i], v) > dot(points[most], v))) most = i;
    }
    const Vector &to = points[least], &from = points[most];
    const Vector d{to[0] - from[0], to[1] - from[1], to[2] - from[2]};
    if (dot(d, v) > -1e-15) break;  // all that v is made of reaches equally far
    const double step = std::min(weight[most], -dot(d, v) / dot(d, d));
    weight[least] += step, weight[most] -= step;
    for (size_t k = 0; k < 3; ++k) v[k] += step * d[k];
  }
  double margin = INFINITY;  // times |v|
  for (const Vector& p : points) margin = std::min(margin, dot(p, v));
  if (margin <= 1e-6) return 0;
  return longest * dot(v, v) / (margin * margin);
}

}  // namespace lesson02
