// Part 5, what recording costs: a chain of multiplications, timed per link. Page: docs/01-graph.md
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "01-graph/scalar.h"
#include "kindling.h"

namespace lesson01 {

// y w^n, one multiplication after the other: a plain loop for float, for Scalar and Tensor a graph
// of n nodes.
template <class T> T chain(T y, const T& w, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y = y * w;
  return y;
}

// Nanoseconds for each of `links` links: the median over `repeats` of the time run() takes.
template <class Run> double nanoseconds(int64_t links, int repeats, const Run& run) {
  std::vector<double> times;
  for (int i = 0; i < repeats; ++i) {
    if (kindling::interrupted()) throw kindling::Interrupted("interrupted");
    const double start = kindling::clock_seconds();
    run();
    times.push_back((kindling::clock_seconds() - start) * 1e9 / double(links));
  }
  std::nth_element(times.begin(), times.begin() + repeats / 2, times.end());
  return times[size_t(repeats / 2)];
}

// The same chain on one number in four ways. With a graph: record it, walk back, release it.
struct ChainCost {
  double plain_loop, tensor_without_graph, tensor_with_graph, scalar_with_graph;
  double gradient;  // of the chain of tensors by w, at w = 1: the number of links
};

inline ChainCost chain_cost(int64_t links, int repeats) {
  ChainCost cost{};
  volatile float one = 1, result = 0;  // volatile: the compiler may not foresee the product
  cost.plain_loop = nanoseconds(links, repeats, [&] {
    const float factor = one;
    result = chain(factor, factor, links);
  });

  kindling::Tensor w = kindling::scalar(1);
  cost.tensor_without_graph =
      nanoseconds(links, repeats, [&] { chain(kindling::scalar(1), w, links); });
  w.set_requires_grad();
  cost.tensor_with_graph = nanoseconds(links, repeats, [&] {
    w.zero_grad();
    chain(kindling::scalar(1), w, links).backward();
  });
  cost.gradient = w.grad().item();

  // A chain of Scalars is released by recursion, and 200,000 links would overflow the stack.
  const Scalar sw = 1;
  cost.scalar_with_graph =
      links > 10000 ? 0
                    : nanoseconds(links, repeats, [&] { backward(chain(Scalar(1), sw, links)); });
  return cost;
}

inline void cost(bool quick, kindling::Report& report) {
  fmt::print("\n5. What a graph costs: y = y w on one number, nanoseconds per multiplication\n\n");
  fmt::print("   {:>9}{:>12}{:>18}{:>20}{:>20}\n", "chain of", "plain loop", "tensor, no graph",
             "tensor, with graph", "scalar, with graph");
  double gradient = 0;
  for (const int64_t links : {int64_t{1000}, int64_t{200000}}) {
    const auto cost = chain_cost(links, int((quick ? 500000 : 5000000) / links) + 2);
    fmt::print("   {:>9}{:>12.1f}{:>18.1f}{:>20.1f}{:>20}\n", links, cost.plain_loop,
               cost.tensor_without_graph, cost.tensor_with_graph,
               cost.scalar_with_graph > 0 ? fmt::format("{:.1f}", cost.scalar_with_graph) : "-");
    report.note(fmt::format("ns_per_node_{}", links), cost.tensor_with_graph);
    gradient = cost.gradient;
  }
  report.claim("200,000 nodes are walked back and released: d w^200000 / dw = 200000 at w = 1",
               gradient == 200000);
}

}  // namespace lesson01
