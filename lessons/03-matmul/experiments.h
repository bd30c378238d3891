// Part 3, what each rung is worth once the others are there, and the experiments: tiles, blocks,
// and how far apart rows lie. Page: docs/03-matmul.md
#pragma once

#include "01-graph/chart.h"
#include "03-matmul/checks.h"
#include "03-matmul/measure.h"

namespace lesson03 {

inline double gflops(const Rung& rung, Matrices& m, const Blocks& blocks = {}, bool packs = true) {
  const Product p = m.product();
  return p.flops() / 1e9 / median_seconds(3, 0.1, [&] { climb(rung, p, blocks, packs); });
}

// What a run will take: most of it is the first rung, of which a few rows are timed here.
inline double seconds_of_the_slow_rungs(int64_t n, size_t rounds) {
  const OneThread one;
  Matrices few(std::max<int64_t>(1, n / 64), n, n);
  const double share = double(n) / double(few.M);
  return 8 + 1.25 * share * double(rounds) *
                 median_seconds(1, 0, [&] { climb(ladder("scalar")[0], few.product()); });
}

inline void without(const Rung& widest, int64_t n, kindling::Report& report) {
  const OneThread one;
  fmt::print("\n3. {} with one thing taken away, GFLOP/s at {} cubed\n\n", widest.name, n);
  Matrices m(n, n, n);
  const auto row = [&](const char* what, double rate) {
    fmt::print("   {:44}{:8.1f}\n", what, rate);
    std::fflush(stdout);
    return rate;
  };
  const Blocks whole{n, n};
  const double all = row("nothing", gflops(widest, m));
  row("packing: B is read where it lies", gflops(widest, m, {}, false));
  row("cache tiles: the whole of B is one block", gflops(widest, m, whole));
  const double neither = row("both", gflops(widest, m, whole, false));
  Rung one_sum = widest;
  one_sum.tile = tiles(kindling::kernels().name)[0];
  const double single = row("the tile: one sum in a register, not many", gflops(one_sum, m));
  report.note("without_both", neither), report.note("one_sum", single);
  report.claim("without its tile the widest rung is less than half as fast", single < 0.5 * all);
}

inline void sweep_tiles(int64_t n, kindling::Report& report) {
  const OneThread one;
  const std::string isa = kindling::kernels().name;
  const std::vector<Tile> all = tiles(isa);
  fmt::print("\nTiles of {}, {} numbers in a register, GFLOP/s at {} cubed\n\n", isa, all[0].lanes,
             n);
  fmt::print("   {:>6}{:>12}{:>12}{:>12}{:>12}\n", "rows", "1 vector", "2 vectors", "3 vectors",
             "4 vectors");
  Matrices m(n, n, n);
  double best = 0;
  std::string name;
  std::vector<lesson01::Series> series(4);
  for (size_t i = 0; i < all.size(); ++i) {
    const double rate = gflops({"", Rung::micro_kernel, all[i]}, m);
    fmt::print("{}{:>12.1f}{}", i % 4 ? "" : fmt::format("   {:>6}", all[i].rows), rate,
               i % 4 == 3 ? "\n" : "");
    std::fflush(stdout);
    if (rate > best) best = rate, name = fmt::format("{} x {}", all[i].rows, all[i].vectors);
    series[i % 4].x.push_back(all[i].rows), series[i % 4].y.push_back(rate);
  }
  for (size_t v = 0; v < 4; ++v) series[v].name = fmt::format("{} vector{}", v + 1, v ? "s" : "");
  kindling::write_file(report.path("tiles.svg"),
                       line_chart({fmt::format("Tiles of {}", isa), "rows", "GFLOP/s"}, series));
  fmt::print("   {}: best with {}\n", report.path("tiles.svg"), name);
  report.claim("one chain of additions waits for itself: many are more than twice as fast",
               best > 2 * series[0].y[0]);
}

inline void sweep_blocks(const Rung& widest, int64_t n, kindling::Report& report) {
  const OneThread one;
  const std::vector<int64_t> depths = {16, 64, 256, 1024}, widths = {64, 256, 1024};
  fmt::print("\nBlocks of B for {}, depth by width, GFLOP/s at {} cubed\n\n   {:>6}", widest.name,
             n, "depth");
  for (const int64_t width : widths) fmt::print("{:>12}", fmt::format("{} wide", width));
  fmt::print("\n");
  Matrices m(n, n, n);
  double shallow = 0, deep = 0;
  for (const int64_t depth : depths) {
    fmt::print("   {:>6}", depth);
    for (const int64_t width : widths) {
      const double rate = gflops(widest, m, {depth, width});
      fmt::print("{:>12.1f}", rate);
      std::fflush(stdout);
      if (depth == 16) shallow = std::max(shallow, rate);
      if (depth == 256) deep = std::max(deep, rate);
    }
    fmt::print("\n");
  }
  report.claim("blocks of 256 rows of B are faster than blocks of 16", deep > shallow);
}

inline void sweep_rows(const std::vector<Rung>& rungs, int64_t n, kindling::Report& report) {
  const OneThread one;
  fmt::print("\nRows further apart than they are long, GFLOP/s at {} cubed\n\n", n);
  fmt::print("   {:16}{:>10}{:>10}{:>10}\n", "numbers apart", n, n + 1, n + 16);
  std::map<std::string, std::vector<double>> rates;
  for (const Rung& rung : rungs) {
    if (rung.threads) continue;
    fmt::print("   {:16}", rung.name);
    for (const int64_t gap : {0, 1, 16}) {
      Matrices m(n, n, n, gap);
      const Product p = m.product();
      // Half a second is enough for what takes seconds: some rows of it, then.
      Product part = p;
      if (rung.kind == Rung::naive) part.M = std::max<int64_t>(1, n / 8);
      const double rate = part.flops() / 1e9 / median_seconds(1, 0.2, [&] { climb(rung, part); });
      rates[rung.name].push_back(rate);
      fmt::print("{:>10.2f}", rate);
      std::fflush(stdout);
    }
    fmt::print("\n");
  }
  report.claim("the textbook's loops are faster where rows are not a power of two apart",
               rates["naive"][1] > rates["naive"][0]);
}

}  // namespace lesson03
