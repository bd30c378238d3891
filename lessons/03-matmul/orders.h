// The picture of the loop orders: what a stretch of the multiply-adds touches.
// Page: docs/03-matmul.md
#pragma once

#include <functional>
#include <map>

#include "01-graph/chart.h"

namespace lesson03 {

using Visit = std::function<void(int i, int j, int k)>;

struct Order {
  std::string name;
  std::function<void(const Visit&)> walk;  // all of i, j, k, in this order
};
inline constexpr int kSide = 16;  // of the matrices in the picture

inline std::vector<Order> orders() {
  const auto all = [](int from, int to, const auto& f) {
    for (int n = from; n < to; ++n) f(n);
  };
  return {
      {"naive: i j k",
       [all](const Visit& visit) {
         all(0, kSide, [&](int i) {
           all(0, kSide, [&](int j) { all(0, kSide, [&](int k) { visit(i, j, k); }); });
         });
       }},
      {"loop order: i k j",
       [all](const Visit& visit) {
         all(0, kSide, [&](int i) {
           all(0, kSide, [&](int k) { all(0, kSide, [&](int j) { visit(i, j, k); }); });
         });
       }},
      {"cache tiles: blocks of 8 x 8",
       [all](const Visit& visit) {
         for (int block = 0; block < 4; ++block) {
           const int k0 = block / 2 * 8, j0 = block % 2 * 8;
           all(0, kSide, [&](int i) {
             all(k0, k0 + 8, [&](int k) { all(j0, j0 + 8, [&](int j) { visit(i, j, k); }); });
           });
         }
       }},
      {"micro-kernel: tiles of 4 x 8",
       [all](const Visit& visit) {
         for (int tile = 0; tile < 8; ++tile) {
           const int i0 = tile / 2 * 4, j0 = tile % 2 * 8;
           all(0, kSide, [&](int k) {
             all(i0, i0 + 4, [&](int i) { all(j0, j0 + 8, [&](int j) { visit(i, j, k); }); });
           });
         }
       }},
  };
}

// Element (row, column) of A, B or C -> when, in 0 .. 1, it was last touched by the first `steps`.
using Touched = std::map<std::pair<int, int>, double>;
inline std::array<Touched, 3> touched(const Order& order, int steps) {
  std::array<Touched, 3> when;
  int step = 0;
  order.walk([&](int i, int j, int k) {
    if (step >= steps) return;
    const double time = double(step++) / steps;
    when[0][{i, k}] = when[1][{k, j}] = when[2][{i, j}] = time;
  });
  return when;
}

// For each order A, B and C: pale what was touched first, dark what was touched last.
inline std::string draw_orders(int steps) {
  using namespace lesson01;
  constexpr double kCell = 7, kGap = 24;
  Drawing d;
  double top = 0;
  for (const Order& order : orders()) {
    const auto when = touched(order, steps);
    d.text(0, top, d.start, order.name);
    size_t elements = 0;
    for (size_t m = 0; m < 3; ++m) {
      const double left = 210 + double(m) * (kSide * kCell + kGap);
      d.rectangle(left, top - 12, kSide * kCell, kSide * kCell, Rgb{240, 240, 240});
      d.text(left - 12, top, d.middle, std::string(1, "ABC"[m]), kGrey);
      for (const auto& [place, time] : when[m]) {
        d.rectangle(left + place.second * kCell, top - 12 + place.first * kCell, kCell - 1,
                    kCell - 1, mix({158, 202, 225}, {8, 48, 107}, time));
      }
      elements += when[m].size();
    }
    d.text(0, top + 18, d.start, fmt::format("{} numbers", elements), kGrey);
    top += kSide * kCell + 16;
  }
  return d.file(
      fmt::format("What {} multiply-adds touch, of {} x {} matrices", steps, kSide, kSide),
      "pale: early, dark: late");
}

}  // namespace lesson03
