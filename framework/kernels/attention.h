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

inline constexpr int64_t kQueries = 96, kKeys = 128;  // in a block, at most
inline constexpr real kNever = -std::numeric_limits<real>::infinity();

// In how large blocks n is cut, so that they are equally large: at most `most`, whole vectors.
static int64_t block_size(int64_t n, int64_t most, int64_t unit) {
  const int64_t blocks = std::max<int64_t>(1, ceil_div(n, most));
  return std::max(unit, ceil_div(ceil_div(n, blocks), unit) * unit);
}

namespace {

// A block of the scores of one head.
struct Scores {
  const Attention& a;
  int64_t b, h, i, rows, j, cols;

  int64_t row(int64_t r) const { return (b * a.heads + h) * a.queries + i + r; }
  // Where the block's queries, or keys, begin in arrays whose rows lie `stride` apart.
  int64_t query(int64_t stride) const { return (b * a.queries + i) * stride + h * a.width; }
  int64_t key() const { return (b * a.keys + j) * a.stride + h * a.width; }
  int64_t bias(int64_t r) const {
    return b * a.bias_batch + h * a.bias_head + (i + r) * a.keys + j;
  }
};

// What becomes of the products q k in a row of a block.
struct Row {
  int64_t n, cols;  // keys that it attends to, of those there are
  real scale;
  const real *bias, *allowed, *keep;  // null where there is none

  // `kept` is room for what dropout multiplies the probabilities by.
  Row(const Scores& s, int64_t r, real* kept)
      : n(s.a.causal ? std::clamp<int64_t>(s.i + r + 1 - s.j, 0, s.cols) : s.cols),
        cols(s.cols),
        scale(real(1 / std::sqrt(double(s.a.width)))),
        bias(s.a.bias ? s.a.bias + s.bias(r) : nullptr),
        allowed(s.a.allowed ? s.a.allowed + s.b * s.a.keys + s.j : nullptr),
        keep(s.a.dropout > 0 ? kept : nullptr) {
    const double limit = double(s.a.dropout) * 0x1p32;
    const uint64_t first = uint64_t(s.row(r) * ceil_div(s.a.keys, 4) + s.j / 4);
    for (int64_t c = 0; keep && c < n; ++c) {
      const auto words = philox(first + uint64_t(c / 4), s.a.stream, s.a.seed);
      for (int64_t w = 0; w < 4; ++w, ++c)
        kept[c] = double(words[size_t(w)]) < limit ? 0 : 1 / (1 - s.a.dropout);
      --c;
    }
  }
  template <class Part>
  [[gnu::always_inline]] Vec score(const real* s, int64_t c, Part part) const {
    Vec x = part.load(s + c) * scale;
    if (bias) x += part.load(bias + c);
    if (allowed) x = part.load(allowed + c) != 0 ? x : all(kNever);
    return x;
  }
  template <class Part> [[gnu::always_inline]] Vec kept(Vec x, int64_t c, Part part) const {
    return keep ? x * part.load(keep + c) : x;
  }
};

}  // namespace

// s becomes e^(score - largest), with `largest` and `sum` those of all blocks of the row so far.
// Returns by what the sums of the blocks before shrink.
[[gnu::noinline]] static real exponentials(const Row& of, real* s, real* largest, real* sum) {
  const Row row = of;
  const auto larger = [](Vec a, Vec b) { return a > b ? a : b; };
  Vec best = all(*largest), total{};
  for_vectors(0, row.n, [&](int64_t c, auto part) {
    best = larger(part.or_else(row.score(s, c, part), best), best);
  });
  const real m = across(best, larger), base = m == kNever ? 0 : m;  // -inf less -inf would be NaN
  for_vectors(0, row.n, [&](int64_t c, auto part) {
    const Vec e = exp_falling(row.score(s, c, part) - base);
    total += part.or_else(e, Vec{});
    part.store(s + c, row.kept(e, c, part));
  });
  std::fill(s + row.n, s + row.cols, real(0));
  const bool first = *largest == kNever, same = *largest == m;
  const real shrink = first || same ? 1 : exp_falling(all(*largest - base))[0];
  *largest = m;
  *sum = *sum * shrink + across(total, [](Vec a, Vec b) { return a + b; });
  return shrink;
}

static void scale_row(int64_t n, real factor, real* x) {
  for_vectors(0, n, [=](int64_t c, auto part) { part.store(x + c, part.load(x + c) * factor); });
}

static void clear(int64_t rows, int64_t n, real* x, int64_t stride) {
  for (int64_t r = 0; x && r < rows; ++r) std::fill_n(x + r * stride, n, real(0));
}

// C (+)= A B
static void multiply(const Matrix& a, const Matrix& b, real* c, int64_t ldc, bool accumulate) {
  piece(a, b, c, ldc, {.accumulate = accumulate}, false);
}

static void attend(Scores s, const real* q, const real* k, const real* v, real* y, real* log_sum) {
  const Attention& a = s.a;
  const int64_t step = block_size(a.keys, kKeys, 16), D = a.heads * a.width;
  const Scratch products(s.rows * step);
  real largest[kQueries], sum[kQueries] = {}, kept[kKeys];
  std::fill_n(largest, s.rows, kNever);
  const Matrix queries{q + s.query(a.stride), s.rows, a.width, a.stride, 1};
  real* const to = y + s.query(D);
  clear(s.rows, a.width, to, D);
  const int64_t end = a.causal ? std::min(a.keys, s.i + s.rows) : a.keys;
  for (; s.j < end; s.j += step) {
    s.cols = std::min(step, end - s.j);
    multiply(queries, Matrix{k + s.key(), s.cols, a.width, a.stride, 1}.t(), products.data, step,
             false);
    for (int64_t r = 0; r < s.rows; ++r) {
      const real shrink =
          exponentials(Row(s, r, kept), products.data + r * step, largest + r, sum + r);
      if (shrink != 1) scale_row(a.width, shrink, to + r * D);
    }
    multiply({products.data, s.rows, s.cols, step, 1}, {v + s.key(), s.cols, a.width, a.stride, 1},
             to, D, true);
  }
  for (int64_t r = 0; r < s.rows; ++r) {
    scale_row(a.width, sum[r] == 0 ? 0 : 1 / sum[r], to + r * D);
    log_sum[s.row(r)] = sum[r] == 0 ? 0 : largest[r] + std::log(sum[r]);
  }
}

static void attention(const Attention& a, const real* q, const real* k, const real* v, real* y,
                      real* log_sum) {
  const int64_t D = a.heads * a.width, rows = block_size(a.queries, kQueries, 1);
  const int64_t blocks = ceil_div(a.queries, rows);
  count_cost(4 * a.batch * a.queries * a.keys * D,
             bytes_of(2 * a.batch * (a.queries + a.keys) * D));
  parallel_for(a.batch * a.heads * blocks, row_grain(rows * a.keys), [=](int64_t at, int64_t end) {
    for (; at < end; ++at) {
      const int64_t head = at / blocks, i = at % blocks * rows;
      attend({a, head / a.heads, head % a.heads, i, std::min(rows, a.queries - i), 0, 0}, q, k, v,
             y, log_sum);
    }
  });
}

// From the products s = q k and the gradient g of the probabilities, as dropout left them: those
// probabilities, and the gradient of the products.
[[gnu::noinline]] static void product_gradient(const Row& of, real log_sum, real dot, real* s,
                                               real* g, real* gbias) {
  const Row row = of;
  for_vectors(0, row.n, [=](int64_t c, auto part) {
    const Vec p = exp_falling(row.score(s, c, part) - log_sum);
    const Vec gs = p * (row.kept(part.load(g + c), c, part) - dot);
    if (gbias) part.store(gbias + c, part.load(gbias + c) + gs);
    part.store(s + c, row.kept(p, c, part));
    part.store(g + c, gs * row.scale);
  });
  for (real* x : {s, g}) std::fill(x + row.n, x + row.cols, real(0));
}

static void attention_gradient(const Attention& a, const real* q, const real* k, const real* v,
                               const real* y, const real* log_sum, const real* gy, real* gq,
                               real* gk, real* gv, real* gbias) {
  const int64_t D = a.heads * a.width, rows = block_size(a.queries, kQueries, 1);
  const int64_t step = block_size(a.keys, kKeys, 16), blocks = ceil_div(a.keys, step);
  // Samples and heads that share a bias add to one gradient, so one thread takes them in order.
  const int64_t samples = gbias && a.bias_batch == 0 ? 1 : a.batch;
  const int64_t heads = gbias && a.bias_head == 0 ? 1 : a.heads;
  // Where these are few, the keys are divided, and each part has a sum of gq of its own.
  const int64_t few = 8 / std::max<int64_t>(1, samples * heads);
  const int64_t parts = std::clamp<int64_t>(few, 1, std::max<int64_t>(1, blocks));
  const Scratch sums(gq && parts > 1 ? parts * a.batch * a.queries * D : 0);
  const int64_t stride = parts > 1 ? parts * D : a.stride;
  real* const sum_q = parts > 1 && gq ? sums.data : gq;
  const int64_t products = 2 + (gq ? 1 : 0) + (gk ? 1 : 0) + (gv ? 1 : 0);
  count_cost(2 * products * a.batch * a.queries * a.keys * D,
             bytes_of(4 * a.batch * (a.queries + a.keys) * D));
  parallel_for(samples * heads * parts, 1, [=](int64_t at, int64_t end) {
    const Scratch s(rows * step), g(rows * step), dots(a.queries);
    real kept[kKeys];
    for (; at < end; ++at) {
      const int64_t part = at % parts, head = at / parts;
      const int64_t from = blocks * part / parts * step,
                    to = std::min(a.keys, blocks * (part + 1) / parts * step);
      for (int64_t b = head / heads; b < a.batch; b += samples) {
        for (int64_t h = head % heads; h < a.heads; h += heads) {
          Scores of{a, b, h, 0, a.queries, 0, 0};
          if (gq) clear(a.queries, a.width, sum_q + part * D + of.query(stride), stride);
          for (int64_t i = 0; i < a.queries; ++i) {
            const real *x = y + of.query(D) + i * D, *gx = gy + of.query(D) + i * D;
            dots.data[i] = real(sum_of(0, a.width, [=](Sum& sum, int64_t c, auto some) {
              sum.add(some.load(x + c) * some.load(gx + c));
            }));
          }
          for (of.j = from; of.j < to; of.j += step) {
            of.cols = std::min(step, to - of.j);
            const Matrix keys{k + of.key(), of.cols, a.width, a.stride, 1};
            const Matrix values{v + of.key(), of.cols, a.width, a.stride, 1};
            if (gk) clear(of.cols, a.width, gk + of.key(), a.stride);
            if (gv) clear(of.cols, a.width, gv + of.key(), a.stride);
            for (of.i = a.causal ? of.j / rows * rows : 0; of.i < a.queries; of.i += rows) {
              of.rows = std::min(rows, a.queries - of.i);
              const Matrix queries{q + of.query(a.stride), of.rows, a.width, a.stride, 1};
              const Matrix gradients{gy + of.query(D), of.rows, a.width, D, 1};
              multiply(queries, keys.t(), s.data, step, false);
              multiply(gradients, values.t(), g.data, step, false);
              for (int64_t r = 0; r < of.rows; ++r) {
                product_gradient(Row(of, r, kept), log_sum[of.row(r)], dots.data[of.i + r],
                                 s.data + r * step, g.data + r * step,
                                 gbias ? gbias + of.bias(r) : nullptr);
              }
              const Matrix p{s.data, of.rows, of.cols, step, 1},
                  gs{g.data, of.rows, of.cols, step, 1};
              if (gv) multiply(p.t(), gradients, gv + of.key(), a.stride, true);
              if (gq) multiply(gs, keys, sum_q + part * D + of.query(stride), stride, true);
              if (gk) multiply(gs.t(), queries, gk + of.key(), a.stride, true);
            }
          }
        }
      }
    }
  });
  if (parts == 1 || !gq) return;
  for_rows(a.batch * a.queries, parts * D, 1, 1,
           [=](int64_t r) { sum_parts(parts, D, sum_q + r * parts * D, gq + r * a.stride); });
}

}  // namespace kindling::kernel
