// Part 1 and 2: the threshold becomes a bias; all sixteen gates of two inputs. Page:
// docs/02-perceptron.md
#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "02-perceptron/perceptron.h"
#include "kindling.h"

namespace lesson02 {

// Gate g answers bit i of g for the i-th of the inputs 00 01 10 11, so 0 is FALSE, 6 XOR, 15 TRUE.
inline std::vector<Sample> gate(int g) {
  std::vector<Sample> table;
  for (int i = 0; i < 4; ++i) {
    table.push_back({{double(i >> 1), double(i & 1)}, (g >> i) & 1});
  }
  return table;
}

inline constexpr std::array<const char*, 16> kGateNames{
    "FALSE", "NOR",  "!x1 & x2", "NOT x1",   "x1 & !x2", "NOT x2",   "XOR", "NAND",
    "AND",   "XNOR", "x2",       "!x1 | x2", "x1",       "x1 | !x2", "OR",  "TRUE"};

// Moving T to the left changes the notation, not the unit: both learn step by step the same.
inline bool threshold_is_minus_bias() {
  bool same = true;
  for (int g = 0; g < 16; ++g) {
    Perceptron p;
    ThresholdUnit u;
    for (int pass = 0; pass < 20; ++pass) {
      for (const Sample& s : gate(g)) {
        p.learn(s);
        u.learn(s);
        same = same && p.w == u.w && p.b == -u.T;
      }
    }
  }
  return same;
}

inline void gates(kindling::Report& report) {
  fmt::print("\n1. A threshold T moved to the other side is a bias, b = -T\n\n");
  report.claim("a learned threshold T and a learned bias b stay equal, b = -T, at every step",
               threshold_is_minus_bias());
  constexpr int kPasses = 1000;
  int learned_with = 0, learned_without = 0;
  bool bounded = true;
  fmt::print("\n2. Sixteen gates: mistakes until learned, at most (R / gamma)^2\n\n");
  fmt::print("   {:<9}  with bias: mistakes (bound)   without: mistakes (bound)\n", "gate");
  for (int g = 0; g < 16; ++g) {
    const auto table = gate(g);
    Perceptron with, without;
    without.with_bias = false;
    const auto ignore = [](int) {};
    const Training a = train(with, table, kPasses, ignore);
    const Training b = train(without, table, kPasses, ignore);
    const double bound_a = mistake_bound(table, true), bound_b = mistake_bound(table, false);
    learned_with += a.converged;
    learned_without += b.converged;
    if (a.converged) bounded = bounded && a.mistakes <= bound_a + 1e-6;
    if (b.converged) bounded = bounded && b.mistakes <= bound_b + 1e-6;
    const auto cell = [](const Training& t, double bound) {
      return t.converged ? fmt::format("{:>2} ({:.1f})", t.mistakes, bound) : std::string("never");
    };
    fmt::print("   {:<9}  {:>27}   {:>25}\n", kGateNames[size_t(g)], cell(a, bound_a),
               cell(b, bound_b));
  }
  fmt::print("\n");
  report.claim(fmt::format("{} of 16 gates are learned with a bias (14)", learned_with),
               learned_with == 14);
  report.claim(fmt::format("{} of 16 gates are learned without (6)", learned_without),
               learned_without == 6);
  report.claim("no learned gate took more mistakes than (R / gamma)^2", bounded);
}

}  // namespace lesson02
