// Kernels over rows: reductions, softmax and its relatives, layer norm, rows picked by index.
// Threads take whole rows, or whole columns where a sum runs over rows, so that every sum has one
// order. Page: docs/kernels.md
#pragma once

#include "kernels/walk.h"

namespace kindling::kernel {

// The sum of f(i) for i from begin to end, in double, so that the error does not grow with their
// number; in lanes, because one addition waits for the one before.
template <class F> static double sum_of(int64_t begin, int64_t end, const F& f) {
  double lanes[8] = {}, sum = 0;
  for (; begin + 8 <= end; begin += 8) {
#pragma GCC unroll 8
    for (int64_t j = 0; j < 8; ++j) lanes[j] += double(f(begin + j));
  }
  for (; begin < end; ++begin) sum += double(f(begin));
  for (const double lane : lanes) sum += lane;
  return sum;
}

// The same for i < n, on all threads: the pieces are cut by n alone and added in order.
template <class F> static double total(int64_t n, const F& f) {
  if (n <= kGrain) return sum_of(0, n, f);
  const int64_t piece = std::max(kGrain, ceil_div(n, 64));
  double sums[64];
  parallel_for(n, piece,
               [&](int64_t begin, int64_t end) { sums[begin / piece] = sum_of(begin, end, f); });
  return std::accumulate(sums, sums + ceil_div(n, piece), 0.0);
}

// Calls strip(x, y, cols) for strips of columns of x [outer, n, inner] and y [outer, inner]: where
// the strip begins in x and in y, and its width.
inline constexpr int64_t kStrip = 64;
template <class Strip>
static void for_strips(int64_t outer, int64_t n, int64_t inner, int64_t flops, const Strip& strip) {
  const int64_t strips = ceil_div(inner, kStrip);
  count_cost(flops * outer * n * inner, bytes_of(outer * (n + 1) * inner));
  parallel_for(outer * strips, row_grain(n * std::min(inner, kStrip)), [&](int64_t i, int64_t end) {
    for (; i < end; ++i) {
      const int64_t o = i / strips, column = i % strips * kStrip;
      strip(o * n * inner + column, o * inner + column, std::min(kStrip, inner - column));
    }
  });
}

static void reduce_sum(int64_t outer, int64_t n, int64_t inner, const real* x, real* y) {
  if (inner == 1) {
    return for_rows(outer, n, 1, 1, [=](int64_t r) {
      y[r] = real(total(n, [row = x + r * n](int64_t i) { return row[i]; }));
    });
  }
  for_strips(outer, n, inner, 1, [=](int64_t from, int64_t to, int64_t cols) {
    double sums[kStrip] = {};
    for (int64_t k = 0; k < n; ++k) {
      for (int64_t j = 0; j < cols; ++j) sums[j] += double(x[from + k * inner + j]);
    }
    for (int64_t j = 0; j < cols; ++j) y[to + j] = real(sums[j]);
  });
}

static void reduce_max(int64_t outer, int64_t n, int64_t inner, const real* x, real* y,
                       int32_t* where) {
  for_strips(outer, n, inner, 1, [=](int64_t from, int64_t to, int64_t cols) {
    real* best = y + to;
    int32_t* index = where + to;
    for (int64_t j = 0; j < cols; ++j) best[j] = x[from + j], index[j] = 0;
    for (int64_t k = 1; k < n; ++k) {
      for (int64_t j = 0; j < cols; ++j) {
        const real v = x[from + k * inner + j];
        const bool larger = v > best[j] || (v != v && best[j] == best[j]);
        best[j] = larger ? v : best[j];
        index[j] = larger ? int32_t(k) : index[j];
      }
    }
  });
}

// In double also the squares: that of a large gradient may not fit a float.
static double sum_of_squares(int64_t n, const real* x) {
  count_cost(2 * n, bytes_of(n));
  return total(n, [x](int64_t i) { return double(x[i]) * double(x[i]); });
}

// ---- Softmax and its relatives ------------------------------------------------------------------
// The largest element is subtracted first, because exp overflows above 88 in float. A NaN or an
// infinite maximum makes the whole row NaN, as in PyTorch.

// The largest element; a NaN may be passed over, it shows in the exponentials.
static real largest(int64_t n, const real* x) {
  real m = -std::numeric_limits<real>::infinity();
  for (int64_t i = 0; i < n; ++i) m = x[i] > m ? x[i] : m;
  return m;
}

// y = e^(x - max x) and the sum of that.
static double exponentials(int64_t n, const real* x, real* y) {
  const real m = largest(n, x);
  return sum_of(0, n, [=](int64_t i) { return y[i] = std::exp(x[i] - m); });
}

static void softmax(int64_t rows, int64_t n, const real* x, real* y) {
  for_rows(rows, n, 4, 2, [=](int64_t r) {
    real* to = y + r * n;
    const real factor = real(1 / exponentials(n, x + r * n, to));
    for (int64_t i = 0; i < n; ++i) to[i] *= factor;
  });
}

// gx = y (gy - sum_j gy_j y_j)
static void softmax_gradient(int64_t rows, int64_t n, const real* gy, const real* y, real* gx) {
  for_rows(rows, n, 4, 3, [=](int64_t r) {
    const real *g = gy + r * n, *p = y + r * n;
    const real dot = real(sum_of(0, n, [=](int64_t i) { return g[i] * p[i]; }));
    for (int64_t i = 0; i < n; ++i) gx[r * n + i] = p[i] * (g[i] - dot);
  });
}

// With L = log sum exp(x - m): -log softmax(x)_j = L - (x_j - m), weighed by q.
static void cross_entropy(int64_t rows, int64_t n, const real* x, const int32_t* label,
                          int32_t ignore, real smoothing, real* loss) {
  for_rows(rows, n, 4, 1, [=](int64_t r) {
    loss[r] = 0;
    if (label[r] == ignore) return;
    const real *from = x + r * n, m = largest(n, from);
    const double exps = sum_of(0, n, [=](int64_t i) { return std::exp(from[i] - m); });
    const double s = double(smoothing);
    double sum = std::log(exps) - (1 - s) * double(from[label[r]] - m);
    if (s != 0) sum -= s / double(n) * sum_of(0, n, [=](int64_t i) { return from[i] - m; });
    loss[r] = real(sum);
  });
}

static void cross_entropy_gradient(int64_t rows, int64_t n, const real* g, const real* x,
                                   const int32_t* label, int32_t ignore, real smoothing, real* gx) {
  for_rows(rows, n, 6, 2, [=](int64_t r) {
    real* to = gx + r * n;
    if (label[r] == ignore) return std::fill_n(to, n, real(0)), void();
    const double sum = exponentials(n, x + r * n, to);
    const real factor = real(double(g[r]) / sum), spread = g[r] * smoothing / real(n);
    for (int64_t i = 0; i < n; ++i) to[i] = factor * to[i] - spread;
    to[label[r]] -= g[r] * (1 - smoothing);
  });
}

// ---- Layer norm (1607.06450, equation 4) --------------------------------------------------------

static void layer_norm(int64_t rows, int64_t n, const real* x, const real* weight, const real* bias,
                       real epsilon, real* y, real* mean, real* inverse_deviation) {
  for_rows(rows, n, 8, 2, [=](int64_t r) {
    const real* from = x + r * n;
    const real m = real(sum_of(0, n, [=](int64_t i) { return from[i]; }) / double(n));
    const double squares = sum_of(0, n, [=](int64_t i) { return (from[i] - m) * (from[i] - m); });
    const real scale = real(1 / std::sqrt(squares / double(n) + double(epsilon)));
    mean[r] = m, inverse_deviation[r] = scale;
    for (int64_t i = 0; i < n; ++i) {
      y[r * n + i] = (from[i] - m) * scale * (weight ? weight[i] : 1) + (bias ? bias[i] : 0);
    }
  });
}

// With h = (x - mean) / deviation and g = gy weight:
// gx = (g - mean(g) - h mean(g h)) / deviation; gweight = sum gy h; gbias = sum gy.
static void layer_norm_gradient(int64_t rows, int64_t n, const real* gy, const real* x,
                                const real* weight, const real* mean, const real* inverse_deviation,
                                real* gx, real* gweight, real* gbias) {
  for_rows(gx ? rows : 0, n, 8, 3, [=](int64_t r) {
    const real *from = x + r * n, m = mean[r], scale = inverse_deviation[r];
    real* to = gx + r * n;
    for (int64_t i = 0; i < n; ++i) to[i] = gy[r * n + i] * (weight ? weight[i] : 1);
    const double g = sum_of(0, n, [=](int64_t i) { return to[i]; });
    const double gh = sum_of(0, n, [=](int64_t i) { return to[i] * (from[i] - m); });
    const real a = real(g / double(n)), b = real(gh / double(n)) * scale * scale;
    for (int64_t i = 0; i < n; ++i) to[i] = (to[i] - a - (from[i] - m) * b) * scale;
  });
  if (!gweight && !gbias) return;
  for_strips(1, rows, n, 4, [=](int64_t at, int64_t column, int64_t cols) {
    double w[kStrip] = {}, b[kStrip] = {};
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t j = 0; j < cols; ++j) {
        const real g = gy[at + r * n + j];
        w[j] += double(g * (x[at + r * n + j] - mean[r]) * inverse_deviation[r]);
        b[j] += double(g);
      }
    }
    for (int64_t j = 0; gweight && j < cols; ++j) gweight[column + j] += real(w[j]);
    for (int64_t j = 0; gbias && j < cols; ++j) gbias[column + j] += real(b[j]);
  });
}

// ---- Rows by index ------------------------------------------------------------------------------

static void gather_rows(int64_t rows, int64_t n, const real* x, const int32_t* index, real* y) {
  for_rows(rows, n, 0, 2, [=](int64_t r) {
    const real* from = x + index[r] * n;
    for (int64_t i = 0; i < n; ++i) y[r * n + i] = from[i];
  });
}

// Threads share the columns, so that each adds its rows in order.
static void scatter_rows(int64_t rows, int64_t n, const real* gy, const int32_t* index, real* gx) {
  count_cost(rows * n, bytes_of(3 * rows * n));
  parallel_for(n, std::max<int64_t>(16, row_grain(rows)), [=](int64_t begin, int64_t end) {
    for (int64_t r = 0; r < rows; ++r) {
      real* to = gx + index[r] * n;
      for (int64_t i = begin; i < end; ++i) to[i] += gy[r * n + i];
    }
  });
}

}  // namespace kindling::kernel
