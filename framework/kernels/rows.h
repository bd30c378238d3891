// Kernels over rows: reductions, softmax and its relatives, layer norm, rows picked by index.
// Threads take whole rows, or whole columns where a sum runs over rows, so that every sum has one
// order. Page: docs/kernels.md
#pragma once

#include "kernels/vecmath.h"
#include "kernels/walk.h"

namespace kindling::kernel {

// The largest element. NaN is passed over: what is made of it shows it, and a row of nothing else
// gives -infinity.
static real largest(int64_t n, const real* x) {
  const auto larger = [](Vec a, Vec b) { return a > b ? a : b; };
  Vec m = all(-std::numeric_limits<real>::infinity());
  for_vectors(0, n,
              [&](int64_t i, auto part) { m = larger(part.or_else(part.load(x + i), m), m); });
  return across(m, larger);
}

// What f(sum, i, part) adds for i from begin to end, in double, so that the error does not grow
// with their number.
template <class F> static double sum_of(int64_t begin, int64_t end, const F& f) {
  Sum sum{};
  for_vectors(begin, end, [&](int64_t i, auto part) { f(sum, i, part); });
  return sum.total();
}

// For sum_of and total: the numbers of x.
static auto numbers(const real* x) {
  return [=](Sum& sum, int64_t i, auto part) { sum.add(load_on(part, x + i)); };
}

// The sum of f(begin, end) over pieces of 0 .. n-1, on all threads: they are cut by n alone and
// added in order.
template <class F> static double sum_pieces(int64_t n, const F& f) {
  if (n <= kGrain) return f(0, n);
  const int64_t piece = std::max(kGrain, ceil_div(n, 64));
  double sums[64];
  parallel_for(n, piece, [&](int64_t begin, int64_t end) { sums[begin / piece] = f(begin, end); });
  return std::accumulate(sums, sums + ceil_div(n, piece), 0.0);
}
template <class F> static double total(int64_t n, const F& f) {
  return sum_pieces(n, [&](int64_t begin, int64_t end) { return sum_of(begin, end, f); });
}

// Calls f(i, part), with f = rule(array, sum), for the elements of each array, and returns the
// total of the sums. Arrays are cut into pieces as if they lay end to end: so many small ones cost
// one fork and join, and a large one is shared.
template <class Array, class Rule>
static double for_arrays(std::span<const Array> arrays, int64_t flops, int64_t reals,
                         const Rule& rule) {
  int64_t n = 0;
  for (const Array& array : arrays) n += int64_t(array.size());
  count_cost(flops * n, bytes_of(reals * n));
  return sum_pieces(n, [&](int64_t begin, int64_t end) {
    Sum sum{};
    for (const Array& array : arrays) {
      const int64_t size = int64_t(array.size()), from = std::max<int64_t>(begin, 0);
      if (from < std::min(end, size)) for_vectors(from, std::min(end, size), rule(array, sum));
      begin -= size, end -= size;
    }
    return sum.total();
  });
}

// Calls strip(x, y, cols) for strips of columns of x [outer, n, inner] and y [outer, inner]: where
// the strip begins in x and in y, and its width.
inline constexpr int64_t kStrip = 1024;
template <class Strip>
static void for_strips(int64_t outer, int64_t n, int64_t inner, int64_t flops, const Strip& strip) {
  const int64_t strips = ceil_div(inner, kStrip);
  count_cost(flops * outer * n * inner, bytes_of(outer * (n + 1) * inner));
  parallel_each(outer * strips, row_grain(n * std::min(inner, kStrip)), [&](int64_t i) {
    const int64_t o = i / strips, column = i % strips * kStrip;
    strip(o * n * inner + column, o * inner + column, std::min(kStrip, inner - column));
  });
}

// Sums down the columns of x [outer, n, inner], `count` of them for each: for each row r of a strip
// first row(r), then add(sums, at, r, to, part), which adds what x has from x[at] on; in the end
// done(to, part, sums) gets the results, for y [outer, inner] from y[to] on. Long columns are cut
// into pieces, as in total().
template <size_t count, class Add, class Done, class Row = decltype([](int64_t) {})>
static void sum_columns(int64_t outer, int64_t n, int64_t inner, int64_t flops, const Add& add,
                        const Done& done, const Row& row = {}) {
  for_strips(outer, n, inner, flops, [&](int64_t from, int64_t to, int64_t cols) {
    constexpr int64_t kPieces = 8;
    // Rows between two looks at a sum in memory: few long ones, since prefetching follows
    // neighbours.
    const int64_t together = std::max<int64_t>(1, 128 / cols);
    using Sums = std::array<Sum, count>;
    Sums sums[kPieces][kStrip / kWidth];
    const int64_t piece = std::max(row_grain(cols), ceil_div(n, kPieces));
    const auto sum_piece = [&](int64_t begin, int64_t end) {
      Sums* const here = sums[begin / piece];
      for_vectors(0, cols, [=](int64_t i, auto) { here[i / kWidth] = Sums{}; });
      for (int64_t r = begin; r < end; r += together) {
        const int64_t last = std::min(r + together, end);
        for (int64_t q = r; q < last; ++q) row(q);
        for_vectors(0, cols, [=](int64_t i, auto part) {
          Sums sum = here[i / kWidth];
          for (int64_t q = r; q < last; ++q) add(sum.data(), from + q * inner + i, q, to + i, part);
          here[i / kWidth] = sum;
        });
      }
    };
    if (n == 0) sum_piece(0, 0);
    parallel_for(n, piece, sum_piece);
    for_vectors(0, cols, [&](int64_t i, auto part) {
      for (int64_t p = 1; p * piece < n; ++p) {
        for (size_t s = 0; s < count; ++s) sums[0][i / kWidth][s].add(sums[p][i / kWidth][s]);
      }
      done(to + i, part, sums[0][i / kWidth].data());
    });
  });
}

// Few columns make short loops. So several rows, a number that divides theirs, are taken as one, of
// this many numbers.
static int64_t wide_row(int64_t rows, int64_t n) {
  int64_t k = 1;
  while (k * n < 64 && rows % (2 * k) == 0) k *= 2;
  return k * n;
}

// For each column of x [rows, n] what add(sums, at, r, i, part) adds: x[at] is number i of a wide
// row.
template <size_t count, class Add>
static auto channel_sums(int64_t rows, int64_t n, int64_t flops, const Add& add) {
  const int64_t wide = wide_row(rows, n);
  std::vector<std::array<double, count>> sums(size_t(n), std::array<double, count>{});
  const auto done = [&](int64_t i, auto part, const Sum* sum) {
    // A row made of several is a single strip, so no two threads meet at a sum.
    for (int64_t j = 0; j < part.n; ++j) {
      for (size_t s = 0; s < count; ++s) sums[size_t((i + j) % n)][s] += sum[s][j];
    }
  };
  sum_columns<count>(1, rows * n / wide, wide, flops, add, done);
  return sums;
}

static void reduce_sum(int64_t outer, int64_t n, int64_t inner, const real* x, real* y) {
  if (inner == 1) {
    return for_rows(outer, n, 1, 1, [=](int64_t r) { y[r] = real(total(n, numbers(x + r * n))); });
  }
  const auto add = [=](Sum* sum, int64_t at, int64_t, int64_t, auto part) {
    sum->add(part.load(x + at));
  };
  if (outer == 1 && n * inner > 0) {
    for (const auto& [sum] : channel_sums<1>(n, inner, 1, add)) *y++ = real(sum);
    return;
  }
  sum_columns<1>(outer, n, inner, 1, add,
                 [=](int64_t to, auto part, const Sum* sum) { part.store(y + to, sum->values()); });
}

// A NaN takes the place of any number, and a number that of a smaller one.
static void reduce_max(int64_t outer, int64_t n, int64_t inner, const real* x, real* y,
                       int32_t* where) {
  if (inner == 1) {
    return for_rows(outer, n, 1, 1, [=](int64_t r) {
      const real *row = x + r * n, *at = std::find_if(row, row + n, [](real v) { return v != v; });
      if (at == row + n) at = std::find(row, row + n, largest(n, row));
      y[r] = *at, where[r] = int32_t(at - row);
    });
  }
  for_strips(outer, n, inner, 1, [=](int64_t from, int64_t to, int64_t cols) {
    for_vectors(0, cols, [=](int64_t j, auto part) {
      Vec best = part.load(x + from + j);
      Bits index{};
      for (int64_t k = 1; k < n; ++k) {
        const Vec v = part.load(x + from + k * inner + j);
        const Mask larger = (v > best) | ((v != v) & (best == best));
        best = larger ? v : best;
        index = larger ? Bits{} + int(k) : index;
      }
      part.store(y + to + j, best);
      for (int64_t i = 0; i < part.n; ++i) where[to + j + i] = int32_t(index[i]);
    });
  });
}

// In double also the squares: that of a large gradient may not fit a float.
static double sum_of_squares(std::span<const std::span<const real>> arrays) {
  return for_arrays(arrays, 2, 1, [](std::span<const real> array, Sum& sum) {
    return [&sum, x = array.data()](int64_t i, auto part) {
      sum.add([](Wide v) { return v * v; }, part.load(x + i));
    };
  });
}

// ---- Softmax and its relatives ------------------------------------------------------------------
// The largest element is subtracted first, because exp overflows above 88 in float. A NaN or an
// infinite maximum makes the whole row NaN, as in PyTorch.

// y = e^(x - max x) and the sum of that; y may be null.
template <bool kKeep> static double exponentials(int64_t n, const real* x, real m, real* y) {
  return sum_of(0, n, [=](Sum& sum, int64_t i, auto part) {
    const Vec e = exp_falling(load_on(part, x + i, n) - m);  // the next row
    if (kKeep) part.store(y + i, e);
    sum.add(part.or_else(e, Vec{}));
  });
}

static void softmax(int64_t rows, int64_t n, const real* x, real* y) {
  for_rows(rows, n, 4, 2, [=](int64_t r) {
    const real* from = x + r * n;
    real* to = y + r * n;
    const real factor = real(1 / exponentials<true>(n, from, largest(n, from), to));
    for_vectors(0, n,
                [=](int64_t i, auto part) { part.store(to + i, part.load(to + i) * factor); });
  });
}

// gx = y (gy - sum_j gy_j y_j)
static void softmax_gradient(int64_t rows, int64_t n, const real* gy, const real* y, real* gx) {
  for_rows(rows, n, 4, 3, [=](int64_t r) {
    const real *g = gy + r * n, *p = y + r * n;
    const real dot = real(sum_of(0, n, [=](Sum& sum, int64_t i, auto part) {
      sum.add(part.load(g + i) * part.load(p + i));
    }));
    for_vectors(0, n, [=, to = gx + r * n](int64_t i, auto part) {
      part.store(to + i, part.load(p + i) * (part.load(g + i) - dot));
    });
  });
}

// With L = log sum exp(x - m): -log softmax(x)_j = L - (x_j - m), weighed by q.
static void cross_entropy(int64_t rows, int64_t n, const real* x, const int32_t* label,
                          int32_t ignore, real smoothing, real* loss) {
  for_rows(rows, n, 4, 1, [=](int64_t r) {
    loss[r] = 0;
    if (label[r] == ignore) return;
    const real *from = x + r * n, m = largest(n, from);
    const double exps = exponentials<false>(n, from, m, nullptr), s = double(smoothing);
    double sum = std::log(exps) - (1 - s) * double(from[label[r]] - m);
    if (s != 0) {
      sum -= s / double(n) * sum_of(0, n, [=](Sum& all_x, int64_t i, auto part) {
               all_x.add(part.or_else(part.load(from + i) - m, Vec{}));
             });
    }
    loss[r] = real(sum);
  });
}

static void cross_entropy_gradient(int64_t rows, int64_t n, const real* g, const real* x,
                                   const int32_t* label, int32_t ignore, real smoothing, real* gx) {
  for_rows(rows, n, 6, 2, [=](int64_t r) {
    const real* from = x + r * n;
    real* to = gx + r * n;
    if (label[r] == ignore) return std::fill_n(to, n, real(0)), void();
    const double sum = exponentials<true>(n, from, largest(n, from), to);
    const real factor = real(double(g[r]) / sum), spread = g[r] * smoothing / real(n);
    for_vectors(0, n, [=](int64_t i, auto part) {
      part.store(to + i, factor * part.load(to + i) - spread);
    });
    to[label[r]] -= g[r] * (1 - smoothing);
  });
}

// ---- Layer norm (1607.06450, equation 4) --------------------------------------------------------

static void layer_norm(int64_t rows, int64_t n, const real* x, const real* weight, const real* bias,
                       real epsilon, real* y, real* mean, real* inverse_deviation) {
  for_rows(rows, n, 8, 2, [=](int64_t r) {
    const real* from = x + r * n;
    const real m = real(sum_of(0, n, numbers(from)) / double(n));
    const double squares = sum_of(0, n, [=](Sum& sum, int64_t i, auto part) {
      const Vec d = part.or_else(part.load(from + i) - m, Vec{});
      sum.add(d * d);
    });
    const real scale = real(1 / std::sqrt(squares / double(n) + double(epsilon)));
    mean[r] = m, inverse_deviation[r] = scale;
    for_vectors(0, n, [=, to = y + r * n](int64_t i, auto part) {
      const Vec h = (part.load(from + i) - m) * scale;
      part.store(to + i, h * (weight ? part.load(weight + i) : all(1)) +
                             (bias ? part.load(bias + i) : Vec{}));
    });
  });
}

// With h = (x - mean) / deviation and g = gy weight:
// gx = (g - mean(g) - h mean(g h)) / deviation; gweight = sum gy h; gbias = sum gy.
[[gnu::noinline]] static void layer_norm_gradient_row(int64_t n, const real* gy, const real* x,
                                                      const real* weight, real mean, real scale,
                                                      real* gx) {
  const auto g = [=](int64_t i, auto part) {
    return weight ? load_on(part, gy + i) * part.load(weight + i) : load_on(part, gy + i);
  };
  Sum sum_g{}, sum_gh{};
  for_vectors(0, n, [&](int64_t i, auto part) {
    const Vec gi = g(i, part);
    sum_g.add(gi), sum_gh.add(gi * (load_on(part, x + i) - mean));
  });
  const real a = real(sum_g.total() / double(n));
  const real b = real(sum_gh.total() / double(n)) * scale * scale;
  for_vectors(0, n, [=](int64_t i, auto part) {
    part.store(gx + i, (g(i, part) - a - (part.load(x + i) - mean) * b) * scale);
  });
}

static void layer_norm_gradient(int64_t rows, int64_t n, const real* gy, const real* x,
                                const real* weight, const real* mean, const real* inverse_deviation,
                                real* gx, real* gweight, real* gbias) {
  const auto row = [=](int64_t r) {
    const int64_t at = r * n;
    layer_norm_gradient_row(n, gy + at, x + at, weight, mean[r], inverse_deviation[r], gx + at);
  };
  // A row that one strip covers is summed while it is in the cache.
  const bool sums = gweight || gbias, together = gx && sums && n <= kStrip;
  for_rows(gx && !together ? rows : 0, n, 8, 3, row);
  if (!sums) return;
  if (together) count_cost(8 * rows * n, bytes_of(2 * rows * n));
  sum_columns<2>(
      1, rows, n, 4,
      [=](Sum* sum, int64_t at, int64_t r, int64_t, auto part) {
        const Vec g = part.load(gy + at);
        sum[0].add(g * (part.load(x + at) - mean[r]) * inverse_deviation[r]);
        sum[1].add(g);
      },
      [=](int64_t to, auto part, const Sum* sum) {
        const auto add = [=](real* g, const Sum& more) {
          if (g) part.store(g + to, part.load(g + to) + more.values());
        };
        add(gweight, sum[0]), add(gbias, sum[1]);
      },
      [=](int64_t r) {
        if (together) row(r);
      });
}

// ---- Rows by index ------------------------------------------------------------------------------

static void gather_rows(int64_t rows, int64_t n, const real* x, const int32_t* index, real* y) {
  for_rows(rows, n, 0, 2, [=](int64_t r) { std::copy_n(x + index[r] * n, n, y + r * n); });
}

// Threads share the columns, so that each adds its rows in order.
static void scatter_rows(int64_t rows, int64_t n, const real* gy, const int32_t* index, real* gx) {
  count_cost(rows * n, bytes_of(3 * rows * n));
  const int64_t threads = rows * n <= kGrain ? 1 : threads_here();
  const int64_t columns = ceil_div(ceil_div(n, threads), kWidth) * kWidth;
  parallel_for(n, columns, [=](int64_t begin, int64_t end) {
    for (int64_t r = 0; r < rows; ++r) {
      for_vectors(begin, end, [from = gy + r * n, to = gx + index[r] * n](int64_t i, auto part) {
        part.store(to + i, part.load(to + i) + part.load(from + i));
      });
    }
  });
}

}  // namespace kindling::kernel
