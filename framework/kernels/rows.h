// Kernels over rows: reductions, softmax and its relatives, layer norm, rows picked by index.
// Each row is independent, so threads take whole rows; where a sum runs over rows it is cut by the
// sizes alone and the parts are added in order. Page: docs/kernels.md
#pragma once

#include "kernels/walk.h"

namespace kindling::kernel {

inline constexpr real kInfinity = std::numeric_limits<real>::infinity();
inline constexpr int64_t kStrip = 256;  // columns that are reduced together

// Calls row(r) for each of `rows` rows of n elements.
template <class Isa, class Row> void for_rows(int64_t rows, int64_t n, const Row& row) {
  parallel_for(rows, row_grain(n), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) row(r);
  });
}

// sums[j] = the sum over n rows, `step` apart, of x[j]. In real over 256 rows, then in double.
template <class Isa>
void add_rows(int64_t n, int64_t step, int64_t cols, const real* x, double* sums) {
  constexpr int64_t kRows = 256;
  for (int64_t j = 0; j < cols; ++j) sums[j] = 0;
  real lanes[kStrip];
  for (int64_t begin = 0; begin < n; begin += kRows) {
    for (int64_t j = 0; j < cols; ++j) lanes[j] = 0;
    for (int64_t r = begin; r < std::min(n, begin + kRows); ++r) {
      const real* row = x + r * step;
      for (int64_t j = 0; j < cols; ++j) lanes[j] += row[j];
    }
    for (int64_t j = 0; j < cols; ++j) sums[j] += double(lanes[j]);
  }
}

template <class Isa>
void reduce_sum(int64_t outer, int64_t n, int64_t inner, const real* x, real* y) {
  count_cost(outer * n * inner, bytes_of(outer * (n + 1) * inner));
  if (outer * inner == 0) return;
  if (outer * n * inner <= 256) {  // not worth the preparations below
    for (int64_t i = 0; i < outer * inner; ++i) {
      double sum = 0;
      for (int64_t k = 0; k < n; ++k) sum += double(x[(i / inner * n + k) * inner + i % inner]);
      y[i] = real(sum);
    }
    return;
  }
  // A unit is a strip of columns of one outer index. Only where there are few of them are their
  // rows cut into parts.
  const int64_t strips = ceil_div(inner, kStrip), units = outer * strips;
  const int64_t width = std::min(inner, kStrip);
  const int64_t part = units >= 16 ? n : std::min(n, std::max<int64_t>(1, kGrain / width));
  const int64_t parts = n == 0 ? 1 : ceil_div(n, part);
  Scratch<Isa, double> partial(parts > 1 ? units * parts * width : 0);

  parallel_for(units * parts, row_grain(part * width), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t unit = i / parts, first = i % parts * part, rows = std::min(part, n - first);
      const int64_t o = unit / strips, column = unit % strips * kStrip;
      const int64_t cols = std::min(kStrip, inner - column);
      const real* from = x + (o * n + first) * inner + column;
      double local[kStrip];
      double* sums = parts > 1 ? partial.data() + i * width : local;
      if (inner == 1) {
        sums[0] = sum_over<Isa>(
            rows, [](auto v) { return v; }, from);
      } else {
        add_rows<Isa>(rows, inner, cols, from, sums);
      }
      if (parts > 1) continue;
      for (int64_t j = 0; j < cols; ++j) y[o * inner + column + j] = real(sums[j]);
    }
  });
  if (parts == 1) return;
  for (int64_t i = 0; i < outer * inner; ++i) {
    const int64_t unit = i / inner * strips + i % inner / kStrip, column = i % inner % kStrip;
    double sum = 0;
    for (int64_t k = 0; k < parts; ++k) sum += partial.data()[(unit * parts + k) * width + column];
    y[i] = real(sum);
  }
}

// The first maximum and its index; NaN counts as the largest. x [outer, n, inner] with n >= 1.
template <class Isa>
void reduce_max(int64_t outer, int64_t n, int64_t inner, const real* x, real* y, int32_t* where) {
  count_cost(outer * n * inner, bytes_of(outer * (n + 2) * inner));
  const int64_t strips = ceil_div(inner, kStrip);
  for_rows<Isa>(outer * strips, n * std::min(inner, kStrip), [=](int64_t unit) {
    const int64_t o = unit / strips, column = unit % strips * kStrip;
    const int64_t cols = std::min(kStrip, inner - column);
    const real* from = x + o * n * inner + column;
    real* best = y + o * inner + column;
    int32_t* index = where + o * inner + column;
    for (int64_t j = 0; j < cols; ++j) best[j] = from[j], index[j] = 0;
    for (int64_t k = 1; k < n; ++k) {
      for (int64_t j = 0; j < cols; ++j) {
        const real v = from[k * inner + j];
        const bool larger = v > best[j] || (v != v && best[j] == best[j]);
        best[j] = larger ? v : best[j];
        index[j] = larger ? int32_t(k) : index[j];
      }
    }
  });
}

template <class Isa> void repeat(int64_t outer, int64_t n, int64_t inner, const real* y, real* x) {
  count_cost(0, bytes_of(outer * (n + 1) * inner));
  for_rows<Isa>(outer * n, inner, [=](int64_t r) {
    const real* from = y + r / n * inner;
    for (int64_t j = 0; j < inner; ++j) x[r * inner + j] = from[j];
  });
}

template <class Isa> double sum_of_squares(int64_t n, const real* x) {
  count_cost(2 * n, bytes_of(n));
  Scratch<Isa, double> partial(ceil_div(n, kGrain));
  parallel_for(n, kGrain, [&](int64_t begin, int64_t end) {
    constexpr int64_t kLanes = 8;  // in double: a square of a large gradient may not fit a float
    double lanes[kLanes] = {};
    int64_t i = begin;
    for (; i + kLanes <= end; i += kLanes) {
      for (int64_t j = 0; j < kLanes; ++j) lanes[j] += double(x[i + j]) * double(x[i + j]);
    }
    for (; i < end; ++i) lanes[0] += double(x[i]) * double(x[i]);
    double sum = 0;
    for (const double lane : lanes) sum += lane;
    partial.data()[begin / kGrain] = sum;
  });
  double total = 0;
  for (int64_t i = 0; i < ceil_div(n, kGrain); ++i) total += partial.data()[i];
  return total;
}

// ---- Softmax and its relatives
// ------------------------------------------------------------------- The largest element is
// subtracted first, because exp overflows above 88 in float. A NaN or an infinite maximum makes the
// whole row NaN, as in PyTorch; in logsumexp an infinite maximum wins.

// The largest element; a NaN may be passed over, it shows in the exponentials.
template <class Isa> real largest(int64_t n, const real* x) {
  real m = -kInfinity;
  for (int64_t i = 0; i < n; ++i) m = x[i] > m ? x[i] : m;
  return m;
}

template <class Isa> double sum_of_exp(int64_t n, const real* x, real shift) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += double(std::exp(x[i] - shift));
  return sum;
}

template <class Isa> void logsumexp(int64_t rows, int64_t n, const real* x, real* y) {
  count_cost(3 * rows * n, bytes_of(rows * (n + 1)));
  for_rows<Isa>(rows, n, [=](int64_t r) {
    const real m = largest<Isa>(n, x + r * n), shift = std::isinf(m) ? 0 : m;
    y[r] = shift + real(std::log(sum_of_exp<Isa>(n, x + r * n, shift)));
  });
}

template <class Isa> void softmax(int64_t rows, int64_t n, const real* x, real* y) {
  count_cost(4 * rows * n, bytes_of(2 * rows * n));
  for_rows<Isa>(rows, n, [=](int64_t r) {
    const real *from = x + r * n, m = largest<Isa>(n, from);
    real* to = y + r * n;
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += double(to[i] = std::exp(from[i] - m));
    const real factor = real(1 / sum);
    for (int64_t i = 0; i < n; ++i) to[i] *= factor;
  });
}

// gx = y (gy - sum_j gy_j y_j)
template <class Isa>
void softmax_gradient(int64_t rows, int64_t n, const real* gy, const real* y, real* gx) {
  count_cost(4 * rows * n, bytes_of(3 * rows * n));
  for_rows<Isa>(rows, n, [=](int64_t r) {
    const real *g = gy + r * n, *p = y + r * n;
    const real dot = real(sum_over<Isa>(
        n, [](auto a, auto b) { return a * b; }, g, p));
    for (int64_t i = 0; i < n; ++i) gx[r * n + i] = p[i] * (g[i] - dot);
  });
}

template <class Isa> void log_softmax(int64_t rows, int64_t n, const real* x, real* y) {
  count_cost(4 * rows * n, bytes_of(2 * rows * n));
  for_rows<Isa>(rows, n, [=](int64_t r) {
    const real *from = x + r * n, m = largest<Isa>(n, from);
    const real log_sum = real(std::log(sum_of_exp<Isa>(n, from, m)));
    for (int64_t i = 0; i < n; ++i) y[r * n + i] = (from[i] - m) - log_sum;
  });
}

// gx = gy - e^y sum_j gy_j
template <class Isa>
void log_softmax_gradient(int64_t rows, int64_t n, const real* gy, const real* y, real* gx) {
  count_cost(4 * rows * n, bytes_of(3 * rows * n));
  for_rows<Isa>(rows, n, [=](int64_t r) {
    const real *g = gy + r * n, *from = y + r * n;
    const real sum = real(sum_over<Isa>(
        n, [](auto v) { return v; }, g));
    for (int64_t i = 0; i < n; ++i) gx[r * n + i] = g[i] - std::exp(from[i]) * sum;
  });
}

// With L = log sum exp(x - m): -log softmax(x)_j = L - (x_j - m), weighed by q.
template <class Isa>
void cross_entropy(int64_t rows, int64_t n, const real* x, const int32_t* label, int32_t ignore,
                   real smoothing, real* loss) {
  count_cost(4 * rows * n, bytes_of(rows * (n + 2)));
  for_rows<Isa>(rows, n, [=](int64_t r) {
    loss[r] = 0;
    if (label[r] == ignore) return;
    const real *from = x + r * n, m = largest<Isa>(n, from);
    const double log_sum = std::log(sum_of_exp<Isa>(n, from, m));
    double sum = (1 - double(smoothing)) * (log_sum - double(from[label[r]] - m));
    if (smoothing != 0) {
      const double all = sum_over<Isa>(
          n, [m](auto v) { return v - m; }, from);
      sum += double(smoothing) * (log_sum - all / double(n));
    }
    loss[r] = real(sum);
  });
}

template <class Isa>
void cross_entropy_gradient(int64_t rows, int64_t n, const real* g, const real* x,
                            const int32_t* label, int32_t ignore, real smoothing, real* gx) {
  count_cost(6 * rows * n, bytes_of(2 * rows * n));
  for_rows<Isa>(rows, n, [=](int64_t r) {
    const real* from = x + r * n;
    real* to = gx + r * n;
    if (label[r] == ignore) return std::fill_n(to, n, real(0)), void();
    const real m = largest<Isa>(n, from);
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += double(to[i] = std::exp(from[i] - m));
    const real factor = real(double(g[r]) / sum), spread = g[r] * smoothing / real(n);
    for (int64_t i = 0; i < n; ++i) to[i] = factor * to[i] - spread;
    to[label[r]] -= g[r] * (1 - smoothing);
  });
}

// ---- Layer norm (1607.06450, equation 4)
// ---------------------------------------------------------

template <class Isa>
void layer_norm(int64_t rows, int64_t n, const real* x, const real* weight, const real* bias,
                real epsilon, real* y, real* mean, real* inverse_deviation) {
  count_cost(8 * rows * n, bytes_of(2 * rows * n));
  for_rows<Isa>(rows, n, [=](int64_t r) {
    const real* from = x + r * n;
    real* to = y + r * n;
    const real m = real(sum_over<Isa>(
                            n, [](auto v) { return v; }, from) /
                        double(n));
    const double squares = sum_over<Isa>(
        n, [m](auto v) { return (v - m) * (v - m); }, from);
    const real scale = real(1 / std::sqrt(squares / double(n) + double(epsilon)));
    mean[r] = m, inverse_deviation[r] = scale;
    for (int64_t i = 0; i < n; ++i) to[i] = (from[i] - m) * scale;
    if (weight) {
      for (int64_t i = 0; i < n; ++i) to[i] *= weight[i];
    }
    if (bias) {
      for (int64_t i = 0; i < n; ++i) to[i] += bias[i];
    }
  });
}

// With h = (x - mean) / deviation and g = gy weight:
// gx = (g - mean(g) - h mean(g h)) / deviation; gweight = sum gy h; gbias = sum gy.
template <class Isa>
void layer_norm_gradient(int64_t rows, int64_t n, const real* gy, const real* x, const real* weight,
                         const real* mean, const real* inverse_deviation, real* gx, real* gweight,
                         real* gbias) {
  count_cost(12 * rows * n, bytes_of(3 * rows * n));
  // Blocks of rows sum their part of gweight and gbias into lines of their own.
  const bool sums = gweight || gbias;
  const int64_t block = std::max<int64_t>(16, row_grain(n)), blocks = ceil_div(rows, block);
  Scratch<Isa, real> partial(sums ? 2 * n * (blocks + 1) : 0);
  parallel_for(blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      real *sum_w = partial.data() + 2 * n * k, *sum_b = sum_w + n;
      if (sums) std::fill_n(sum_w, 2 * n, real(0));
      for (int64_t r = k * block; r < std::min(rows, (k + 1) * block); ++r) {
        const real *g = gy + r * n, *from = x + r * n, m = mean[r], scale = inverse_deviation[r];
        for (int64_t i = 0; sums && i < n; ++i) {
          sum_w[i] += g[i] * (from[i] - m) * scale;
          sum_b[i] += g[i];
        }
        if (gx == nullptr) continue;
        real* to = gx + r * n;
        for (int64_t i = 0; i < n; ++i) to[i] = weight ? g[i] * weight[i] : g[i];
        const double mean_g = sum_over<Isa>(
                                  n, [](auto v) { return v; }, to) /
                              double(n);
        const auto times_h = [m](auto a, auto b) { return a * (b - m); };
        const double mean_gh = sum_over<Isa>(n, times_h, to, from) * double(scale) / double(n);
        const real a = real(mean_g), b = real(mean_gh) * scale;
        for (int64_t i = 0; i < n; ++i) to[i] = (to[i] - a - (from[i] - m) * b) * scale;
      }
    }
  });
  if (!sums) return;
  real* total = partial.data() + 2 * n * blocks;
  reduce_sum<Isa>(1, blocks, 2 * n, partial.data(), total);
  for (int64_t i = 0; gweight && i < n; ++i) gweight[i] += total[i];
  for (int64_t i = 0; gbias && i < n; ++i) gbias[i] += total[n + i];
}

// ---- Rows by index
// -------------------------------------------------------------------------------

template <class Isa>
void gather_rows(int64_t rows, int64_t n, const real* x, const int32_t* index, real* y) {
  count_cost(0, bytes_of(2 * rows * n));
  for_rows<Isa>(rows, n, [=](int64_t r) {
    const real* from = x + index[r] * n;
    for (int64_t i = 0; i < n; ++i) y[r * n + i] = from[i];
  });
}

// Threads share the columns, so that each adds its rows in order.
template <class Isa>
void scatter_rows(int64_t rows, int64_t n, const real* gy, const int32_t* index, real* gx) {
  count_cost(rows * n, bytes_of(3 * rows * n));
  parallel_for(n, std::max<int64_t>(16, row_grain(rows)), [=](int64_t begin, int64_t end) {
    for (int64_t r = 0; r < rows; ++r) {
      real* to = gx + index[r] * n;
      for (int64_t i = begin; i < end; ++i) to[i] += gy[r * n + i];
    }
  });
}

}  // namespace kindling::kernel
