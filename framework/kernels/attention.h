// Attention, a block of queries against a block of keys at a time, so that no matrix of queries by
// keys is ever stored: Dao et al., "FlashAttention" (2205.14135, algorithms 1 and 4). Page:
// docs/kernels.md
//
// The softmax of a row runs along: when a block has a larger score than those before, what was
// summed so far shrinks by e^(old - new). Of each row the logarithm of its sum of exponentials
// stays, from which backward has the probabilities again, p = e^(score - log_sum).
//
// Letters: b a sample, h a head, i the first query and j the first key of a block.
#pragma once

#include "base/random.h"
#include "kernels/gemm.h"
#include "kernels/rows.h"

namespace kindling::kernel {

inline constexpr int64_t kQueries = 128, kKeys = 128;  // in a block, at most
inline constexpr real kNever = -std::numeric_limits<real>::infinity();

// In how large blocks n is cut, as equal as multiples of `unit` can be; none is of size 0.
static int64_t block_size(int64_t n, int64_t most, int64_t unit) {
  n = std::max<int64_t>(n, 1);
  return ceil_div(ceil_div(n, ceil_div(n, most)), unit) * unit;
}

namespace {

// A block of the scores of one head, the n-th of all samples.
struct Scores {
  const Attention& a;
  int64_t n, b = n / a.heads, h = n % a.heads, i = 0, rows = 0, j = 0, cols = 0;

  int64_t row(int64_t r) const { return n * a.queries + i + r; }
  // Where its part of an array begins, whose rows lie `ld` apart; its queries and its keys.
  int64_t bias() const { return b * a.bias_batch + h * a.bias_head + i * a.keys + j; }
  int64_t query(int64_t ld) const { return (b * a.queries + i) * ld + h * a.width; }
  int64_t key() const { return (b * a.keys + j) * a.stride + h * a.width; }
  Matrix queries(const real* x, int64_t ld) const { return {x + query(ld), rows, a.width, ld, 1}; }
  Matrix keys(const real* x) const { return {x + key(), cols, a.width, a.stride, 1}; }
};

// What becomes of the products q k in row r of a block.
struct Row {
  int64_t n;  // keys that it attends to
  real scale;
  const real *bias, *allowed;  // null where there is none
  bool drop;
  real keep[kKeys];  // what dropout multiplies the probabilities by

  Row(const Scores& s, int64_t r)
      : n(s.a.causal ? std::clamp<int64_t>(s.i + r + 1 - s.j, 0, s.cols) : s.cols),
        scale(real(1 / std::sqrt(double(s.a.width)))),
        bias(s.a.bias ? s.a.bias + s.bias() + r * s.a.keys : nullptr),
        allowed(s.a.allowed ? s.a.allowed + s.b * s.a.keys + s.j : nullptr),
        drop(s.a.dropout > 0) {
    const int64_t first = s.row(r) * ceil_div(s.a.keys, 4) + s.j / 4;
    for (int64_t c = 0; drop && c < n; c += 4) {
      const auto words = philox(uint64_t(first + c / 4), s.a.stream, s.a.seed);
      for (size_t w = 0; w < 4; ++w) {
        keep[size_t(c) + w] = words[w] < double(s.a.dropout) * 0x1p32 ? 0 : 1 / (1 - s.a.dropout);
      }
    }
  }
  [[gnu::always_inline]] Vec score(const real* x, int64_t c, auto part) const {
    Vec y = part.load(x + c) * scale;
    if (bias) y += part.load(bias + c);
    return !allowed ? y : part.load(allowed + c) != 0 ? y : all(kNever);
  }
  [[gnu::always_inline]] Vec kept(Vec p, int64_t c, auto part) const {
    return drop ? p * part.load(keep + c) : p;
  }
};

}  // namespace

static void scale_row(int64_t n, real factor, real* x) {
  for_vectors(0, n, [=](int64_t c, auto part) { part.store(x + c, part.load(x + c) * factor); });
}

// C (+)= A B
static void multiply(const Matrix& a, const Matrix& b, real* c, int64_t ldc, bool accumulate) {
  if (b.cols > 0) piece(a, b, c, ldc, {.accumulate = accumulate});
}

// x, a row of q k, becomes e^(score - largest), with `largest` and `sum` over all blocks of the row
// so far. Returns by what the sums before this block shrink.
static real exponentials(const Row& row, int64_t cols, real* x, real* largest, real* sum) {
  const auto larger = [](Vec a, Vec b) { return a > b ? a : b; };
  Vec best = all(*largest), total{};
  for_vectors(0, row.n, [&](int64_t c, auto part) {
    best = larger(part.or_else(row.score(x, c, part), best), best);
  });
  const real m = across(best, larger), base = m == kNever ? 0 : m;  // -inf less -inf would be NaN
  for_vectors(0, row.n, [&](int64_t c, auto part) {
    const Vec e = exp_falling(row.score(x, c, part) - base);
    total += part.or_else(e, Vec{});
    part.store(x + c, row.kept(e, c, part));
  });
  std::fill(x + row.n, x + cols, real(0));
  const real shrink = *largest == kNever ? 1 : exp_falling(all(*largest - base))[0];
  *largest = m, *sum = *sum * shrink + across(total, std::plus());
  return shrink;
}

// From x, a row of q k, and g, the gradient of its probabilities: x becomes these, as dropout left
// them, and g the gradient of q k. `dot` is the sum of the probabilities times their gradients.
static void score_gradient(const Row& row, int64_t cols, real log_sum, real dot, real* x, real* g,
                           real* gbias) {
  for_vectors(0, row.n, [=, &row](int64_t c, auto part) {
    const Vec p = exp_falling(row.score(x, c, part) - log_sum);
    const Vec gs = p * (row.kept(part.load(g + c), c, part) - dot);
    if (gbias) part.store(gbias + c, part.load(gbias + c) + gs);
    part.store(x + c, row.kept(p, c, part));
    part.store(g + c, gs * row.scale);
  });
  for (real* rest : {x, g}) std::fill(rest + row.n, rest + cols, real(0));
}

static void attention(const Attention& a, const real* q, const real* k, const real* v, real* y,
                      real* log_sum) {
  const int64_t D = a.heads * a.width, rows = block_size(a.queries, kQueries, 1);
  const int64_t blocks = ceil_div(a.queries, rows), step = block_size(a.keys, kKeys, 16);
  count_cost(4 * a.batch * a.queries * a.keys * D,
             bytes_of(2 * a.batch * (a.queries + a.keys) * D));
  const auto block = [=](Scores s) {
    s.rows = std::min(rows, a.queries - s.i);
    const Scratch scratch(s.rows * step);
    real *const x = scratch.data, *const to = y + s.query(D);
    real largest[kQueries], sum[kQueries] = {};
    std::fill_n(largest, s.rows, kNever);
    const int64_t end = a.causal ? std::min(a.keys, s.i + s.rows) : a.keys;
    for (; s.j == 0 || s.j < end; s.j += step) {  // once without keys, too
      s.cols = std::min(step, end - s.j);
      const Matrix queries = s.queries(q, a.stride), keys = s.keys(k), values = s.keys(v);
      multiply(queries, keys.t(), x, step, false);
      for (int64_t r = 0; r < s.rows; ++r) {
        const real shrink = exponentials(Row(s, r), s.cols, x + r * step, largest + r, sum + r);
        if (shrink != 1) scale_row(a.width, shrink, to + r * D);
      }
      multiply({x, s.rows, s.cols, step, 1}, values, to, D, s.j > 0);
    }
    for (int64_t r = 0; r < s.rows; ++r) {
      scale_row(a.width, sum[r] == 0 ? 0 : 1 / sum[r], to + r * D);
      log_sum[s.row(r)] = sum[r] == 0 ? 0 : largest[r] + std::log(sum[r]);
    }
  };
  parallel_each(a.batch * a.heads * blocks, row_grain(rows * a.keys),
                [&](int64_t at) { block({.a = a, .n = at / blocks, .i = at % blocks * rows}); });
}

static void attention_gradient(const Attention& a, const real* q, const real* k, const real* v,
                               const real* y, const real* log_sum, const real* gy, real* gq,
                               real* gk, real* gv, real* gbias) {
  const int64_t D = a.heads * a.width, rows = block_size(a.queries, kQueries, 1);
  const int64_t step = block_size(a.keys, kKeys, 16), blocks = ceil_div(a.keys, step);
  // Heads that share a bias add to one gradient, so one thread takes them, in order.
  const int64_t heads = a.batch * a.heads;
  const int64_t biases = a.bias_head == 0 ? 1 : a.bias_batch == 0 ? a.heads : heads;
  const int64_t groups = gbias ? biases : heads;
  // Where groups are few, the keys are divided, and each part has a sum of gq of its own.
  const int64_t parts = std::max<int64_t>(1, std::min(16 / (groups + 1), blocks));
  const int64_t stride = parts > 1 ? parts * D : a.stride;
  const Scratch sums(parts > 1 ? a.batch * a.queries * stride : 0);
  const int64_t products = 2 + (gq ? 1 : 0) + (gk ? 1 : 0) + (gv ? 1 : 0);
  count_cost(2 * products * a.batch * a.queries * a.keys * D,
             bytes_of(4 * a.batch * (a.queries + a.keys) * D));
  const auto head = [=, sum_q = parts > 1 ? sums.data : gq](Scores s, int64_t part) {
    const Scratch scratch(2 * rows * step);
    real *const x = scratch.data, *const g = x + rows * step;
    const int64_t from = blocks * part / parts * step;
    const int64_t end = std::min(a.keys, blocks * (part + 1) / parts * step);
    // Each query and each key is in some block, if need be in an empty one: that writes zeros.
    for (s.j = from; s.j == from || s.j < end; s.j += step) {
      s.cols = std::min(step, end - s.j);
      const Matrix keys = s.keys(k), values = s.keys(v);
      const int64_t seen = a.causal && s.j > from ? std::min(s.j, a.queries - 1) : 0;
      const int64_t first = seen / rows * rows;
      for (s.i = first; s.i == first || s.i < a.queries; s.i += rows) {
        s.rows = std::min(rows, a.queries - s.i);
        const Matrix queries = s.queries(q, a.stride), ys = s.queries(y, D), gys = s.queries(gy, D);
        multiply(queries, keys.t(), x, step, false);
        multiply(gys, values.t(), g, step, false);
        for (int64_t r = 0; r < s.rows; ++r) {
          const double dot = sum_of(0, a.width, [=](Sum& sum, int64_t c, auto some) {
            sum.add(some.load(ys.data + r * D + c) * some.load(gys.data + r * D + c));
          });
          score_gradient(Row(s, r), s.cols, log_sum[s.row(r)], real(dot), x + r * step,
                         g + r * step, gbias ? gbias + s.bias() + r * a.keys : nullptr);
        }
        const Matrix p{x, s.rows, s.cols, step, 1}, gs{g, s.rows, s.cols, step, 1};
        if (gv) multiply(p.t(), gys, gv + s.key(), a.stride, s.i > first);
        if (gk) multiply(gs.t(), queries, gk + s.key(), a.stride, s.i > first);
        if (gq) multiply(gs, keys, sum_q + part * D + s.query(stride), stride, s.j > from);
      }
    }
  };
  parallel_each(groups * parts, 1, [&](int64_t at) {
    for (int64_t n = at / parts; n < heads; n += groups) head({.a = a, .n = n}, at % parts);
  });
  if (parts == 1 || !gq) return;
  for_rows(a.batch * a.queries, stride, 1, 1, [=, from = sums.data](int64_t r) {
    sum_parts(parts, D, from + r * stride, gq + r * a.stride);
  });
}

}  // namespace kindling::kernel
