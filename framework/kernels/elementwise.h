// Elementwise functions, each with its slope beside it. Page: docs/kernels.md
#pragma once

#include "base/random.h"
#include "kernels/vecmath.h"
#include "kernels/walk.h"

namespace kindling::kernel {

// ---- Functions of one number --------------------------------------------------------------------

// x s, but 0 where s is 0: the limit at infinity of an x times a faster decaying s.
[[gnu::always_inline]] static inline Vec fading(Vec x, Vec s) { return s == 0 ? 0 : x * s; }

// The tanh approximation of x Phi(x) (1606.08415, section 2), where (1 + tanh(u)) / 2 is the
// logistic function of 2 u, with u = k (x + c x^3).
template <bool value> [[gnu::always_inline]] static inline Vec gelu_tanh(Vec x) {
  constexpr real k = std::numbers::sqrt2_v<real> * std::numbers::inv_sqrtpi_v<real>;
  constexpr real c = real(0.044715);
  const auto [s, rest] = logistic(2 * k * (x + c * x * x * x));
  return value ? fading(x, s) : s + fading(x * (2 * k * (1 + 3 * c * x * x)), s * rest);
}

// y = f(x; p, q) if a value is asked for, otherwise dy/dx. The slope reads x or y but never both:
// an operation keeps only one of them. The value of a NaN is NaN.
template <Unary f, bool value>
[[gnu::always_inline]] static inline Vec function(Vec x, [[maybe_unused]] Vec y,
                                                  [[maybe_unused]] real p,
                                                  [[maybe_unused]] real q) {
  switch (f) {
    case Unary::affine: return value ? p * x + q : all(p);
    case Unary::exp: return value ? exp(x) : y;
    case Unary::log: return value ? log(x) : 1 / x;
    case Unary::sqrt: return value ? sqrt(x) : real(0.5) / y;
    case Unary::square: return value ? x * x : 2 * x;
    case Unary::abs: return value ? abs(x) : one_if(x > 0) - one_if(x < 0);
    case Unary::reciprocal: return value ? 1 / x : -y * y;
    case Unary::power:
      if (value) return each(x, [p](real v) { return std::pow(v, p); });
      return each(x, [p](real v) { return p == 0 ? 0 : p * std::pow(v, p - 1); });
    case Unary::sin: return each(x, [](real v) { return value ? std::sin(v) : std::cos(v); });
    case Unary::cos: return each(x, [](real v) { return value ? std::cos(v) : -std::sin(v); });
    case Unary::tanh: return value ? tanh(x) : 1 - y * y;
    case Unary::sigmoid: return value ? sigmoid(x) : y * (1 - y);
    case Unary::softplus: return value ? softplus(x) : sigmoid(x);
    case Unary::relu: return value ? (x < 0 ? 0 : x) : 1 - one_if(y <= 0);
    case Unary::leaky_relu: return value ? (x < 0 ? p * x : x) : (x > 0 ? 1 : all(p));
    case Unary::clamp:
      return value ? (x < p ? all(p) : x > q ? all(q) : x) : 1 - one_if((x < p) | (x > q));
    case Unary::erf: return value ? erf(x) : 2 * std::numbers::inv_sqrtpi_v<real> * exp(-x * x);
    case Unary::gelu: {  // x Phi(x), Phi the normal distribution
      const auto [tail, bell] = normal(x);
      const Vec Phi = x < 0 ? tail : 1 - tail;
      constexpr real peak = std::numbers::inv_sqrtpi_v<real> / std::numbers::sqrt2_v<real>;
      return value ? fading(x, Phi) : Phi + fading(x, peak * bell);
    }
    case Unary::gelu_tanh: return gelu_tanh<value>(x);
    case Unary::silu: {
      const auto [s, rest] = logistic(x);
      return value ? fading(x, s) : s + fading(x, s * rest);
    }
    case Unary::count_: break;
  }
  return x;
}

// Loops of few instructions wait for memory, which then does best what it foresees. (Other
// functions of few are rare in networks.)
template <Unary f> constexpr bool kLong = !(f == Unary::affine || f == Unary::relu);

template <Unary f> static void unary(int64_t n, const real* x, real* y, real p, real q) {
  for_elements(n, 1, 2, [=](int64_t i, auto part) {
    part.store(y + i, function<f, true>(load_on<kLong<f>>(part, x + i), Vec{}, p, q));
  });
}

template <Unary f>
static void unary_gradient(int64_t n, const real* gy, const real* x, const real* y, real* gx,
                           real p, real q) {
  for_elements(n, 2, 3, [=](int64_t i, auto part) {
    const Vec slope = function<f, false>(load_on<kLong<f>>(part, x + i), part.load(y + i), p, q);
    part.store(gx + i, load_on<kLong<f>>(part, gy + i) * slope);
  });
}

// ---- Functions of two numbers -------------------------------------------------------------------

enum class Want { value, da, db };

static real power(real a, real b, Want want) {
  if (want == Want::value) return std::pow(a, b);
  if (want == Want::da) return b == 0 ? 0 : b * std::pow(a, b - 1);
  // 0^b stays 0 when b > 0 moves, although log 0 is infinite.
  return a == 0 && b >= 0 ? 0 : std::pow(a, b) * std::log(a);
}

// The slope of the larger or smaller of two numbers: where they are equal each gets half.
[[gnu::always_inline]] static inline Vec chosen(Mask other, Mask tie) {
  return other ? 0 : tie ? all(real(0.5)) : all(1);
}

template <Binary f, Want want> [[gnu::always_inline]] static inline Vec function(Vec a, Vec b) {
  constexpr bool value = want == Want::value, da = want == Want::da;
  switch (f) {
    case Binary::add: return a + b;
    case Binary::sub: return a - b;
    case Binary::mul: return a * b;
    case Binary::greater: return one_if(a > b);
    case Binary::less: return one_if(a < b);
    case Binary::equal: return one_if(a == b);
    case Binary::div: return value ? a / b : da ? 1 / b : -(a / b) / b;
    case Binary::power:
      for (int64_t i = 0; i < kWidth; ++i) a[i] = power(a[i], b[i], want);
      return a;
    case Binary::maximum:
      if (value) return ((a < b) | (b != b)) ? b : a;
      return chosen(da ? a < b : b < a, a == b);
    case Binary::minimum:
      if (value) return ((a > b) | (b != b)) ? b : a;
      return chosen(da ? a > b : b > a, a == b);
    // -b log p - (1 - b) log(1 - p) with p = sigmoid(a), without a logarithm of zero.
    case Binary::bce_with_logits:
      if (value) return (a > 0 ? a : 0) - a * b + log1p_of_exp(-abs(a));
      return da ? sigmoid(a) - b : -a;
    case Binary::count_: break;
  }
  return a;
}

template <Binary f>
static void binary(const Broadcast& walk, const real* a, const real* b, real* y) {
  walk_pairs(walk, 1, 3, a, b, [=](int64_t i, auto part, Vec ai, Vec bi) {
    part.store(y + i, function<f, Want::value>(ai, bi));
  });
}

template <Binary f, Want slope>
static void binary_gradient(const Broadcast& walk, const real* gy, const real* a, const real* b,
                            real* g) {
  walk_pairs(walk, 2, 4, a, b, [=](int64_t i, auto part, Vec ai, Vec bi) {
    part.store(g + i, part.load(gy + i) * function<f, slope>(ai, bi));
  });
}

// ---- Other loops over elements ------------------------------------------------------------------

static void where(int64_t n, const real* mask, const real* a, const real* b, real* y) {
  for_elements(n, 1, 4, [=](int64_t i, auto part) {
    part.store(y + i, part.load(mask + i) != 0 ? part.load(a + i) : part.load(b + i));
  });
}

static void lerp(int64_t n, real* w, const real* target, real t) {
  for_elements(n, 3, 3, [=](int64_t i, auto part) {
    const Vec from = part.load(w + i);
    part.store(w + i, from + t * (part.load(target + i) - from));
  });
}

static void dropout_mask(int64_t n, real p, uint64_t seed, uint64_t stream, real* mask) {
  const double limit = double(p) * 0x1p32;  // of 2^32 words, this many are dropped
  const real kept = 1 / (1 - p);
  for_rows(ceil_div(n, 4), 4, 1, 1, [=](int64_t block) {
    const auto words = philox(uint64_t(block), stream, seed);
    const int64_t first = 4 * block, count = std::min<int64_t>(4, n - first);
#pragma GCC unroll 4
    for (int64_t j = 0; j < count; ++j) {
      mask[first + j] = double(words[size_t(j)]) < limit ? 0 : kept;
    }
  });
}

static void strided_copy(const Broadcast& walk, const real* x, real* y) {
  const int64_t step = walk.a_strides[size_t(walk.rank - 1)];
  walk_rows(walk, 0, 2, [=](int64_t at, int64_t from, int64_t, int64_t n) {
    if (step == 1) {
      return for_vectors(
          0, n, [=](int64_t i, auto part) { part.store(y + at + i, part.load(x + from + i)); });
    }
    for (int64_t i = 0; i < n; ++i) y[at + i] = x[from + i * step];
  });
}

static void strided_add(const Broadcast& walk, const real* y, real* x) {
  const int64_t step = walk.a_strides[size_t(walk.rank - 1)];
  walk_rows(walk, 1, 3, [=](int64_t at, int64_t to, int64_t, int64_t n) {
    if (step == 1) {
      return for_vectors(0, n, [=](int64_t i, auto part) {
        part.store(x + to + i, part.load(x + to + i) + part.load(y + at + i));
      });
    }
    for (int64_t i = 0; i < n; ++i) x[to + i * step] += y[at + i];
  });
}

}  // namespace kindling::kernel
