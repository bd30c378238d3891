// Part 1, whether the rungs are right: each against the engine's twin, and the same bits from any
// number of threads. Page: docs/03-matmul.md
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "03-matmul/ladder.h"
#include "kindling.h"

namespace lesson03 {

// Matrices for a product; their rows are `gap` numbers further apart than they are long.
struct Matrices {
  int64_t M, N, K, gap;
  std::vector<float> a, b, c;

  Matrices(int64_t m, int64_t n, int64_t k, int64_t gap_ = 0)
      : M(m),
        N(n),
        K(k),
        gap(gap_),
        a(noise(M * (K + gap), 1)),
        b(noise(K * (N + gap), 2)),
        c(size_t(M * (N + gap)), NAN) {}
  Product product() { return {M, N, K, a.data(), K + gap, b.data(), N + gap, c.data(), N + gap}; }
  static std::vector<float> noise(int64_t n, uint64_t stream) {  // in -1 .. 1
    kindling::Random random(3, stream);
    std::vector<float> values(size_t(n), 0);
    for (float& v : values) v = float(random.uniform(-1, 1));
    return values;
  }
};

// The largest error of a rung as a share of what rounding may do; infinite where it left a number
// out or wrote between the rows. The twin sums in double and rounds once. A sum of K products in
// float is rounded K times, in whatever order, each time by at most half an epsilon, 2^-24, of the
// sum of |a b|: so the two differ by at most (K + 1) 2^-24 of that (Higham 2002, section 3.1).
inline double worst_error(const Rung& rung, Matrices& m, const Blocks& blocks = {},
                          bool packs = true) {
  std::fill(m.c.begin(), m.c.end(), NAN);
  const Product p = m.product();
  climb(rung, p, blocks, packs);
  std::vector<float> want(size_t(p.M * p.N));
  kindling::reference::gemm({p.a, p.M, p.K, p.lda, 1}, {p.b, p.K, p.N, p.ldb, 1}, want.data(), p.N,
                            {});
  double worst = 0;
  for (int64_t i = 0; i < p.M; ++i) {
    for (int64_t j = 0; j < p.ldc; ++j) {
      const double got = double(p.c[i * p.ldc + j]);
      if (j >= p.N) {
        if (!std::isnan(got)) return INFINITY;  // between the rows
        continue;
      }
      double size = 0;
      for (int64_t k = 0; k < p.K; ++k) {
        size += std::abs(double(p.a[i * p.lda + k]) * double(p.b[k * p.ldb + j]));
      }
      const double allowed = double(p.K + 1) * 0x1p-24 * size;
      const double error = std::abs(got - double(want[size_t(i * p.N + j)]));
      if (std::isnan(error)) return INFINITY;
      if (error > 0) worst = std::max(worst, error / allowed);  // an empty sum is 0, exactly
    }
  }
  return worst;
}

struct Size {
  int64_t M, N, K;
};
// Odd sizes, below and above a tile, a panel and a block; none and one step of k.
inline const std::vector<Size> kOddSizes = {{1, 1, 1},    {7, 9, 0},     {5, 3, 2},     {6, 64, 31},
                                            {13, 65, 33}, {37, 300, 70}, {49, 131, 517}};

inline void check(const std::vector<Rung>& rungs, kindling::Report& report) {
  fmt::print("\n1. Every rung against the twin that sums in double, at {} odd sizes\n\n",
             kOddSizes.size());
  double worst = 0;
  for (const Rung& rung : rungs) {
    double of_rung = 0;
    for (const auto& [M, N, K] : kOddSizes) {
      for (const int64_t gap : {0, 3}) {
        Matrices m(M, N, K, gap);
        of_rung = std::max(of_rung, worst_error(rung, m));
      }
    }
    fmt::print("   {:16} largest error {:.3f} of what rounding may do{}\n", rung.name, of_rung,
               of_rung <= 1 ? "" : "   <- wrong");
    worst = std::max(worst, of_rung);
  }
  report.claim(fmt::format("all {} rungs compute the product", rungs.size()), worst <= 1);
}

// The rows of C are cut by their number, so it does not matter who computes them.
inline void same_bits(const std::vector<Rung>& rungs, kindling::Report& report) {
  Matrices m(301, 333, 600);
  bool same = true;
  const int before = kindling::threads();
  for (const Rung& rung : rungs) {
    if (!rung.threads) continue;
    std::vector<float> first;
    for (const int n : {1, 2, 3}) {
      kindling::set_threads(n);
      climb(rung, m.product());
      if (n == 1) first = m.c;
      same &= std::memcmp(first.data(), m.c.data(), 4 * first.size()) == 0;
    }
  }
  kindling::set_threads(before);
  report.claim("one, two and three threads give the same bits", same);
}

}  // namespace lesson03
