// Elementwise functions, each with its slope beside it. Page: docs/kernels.md
#pragma once

#include "base/random.h"
#include "kernels/walk.h"

namespace kindling::kernel {

// ---- Functions of one number --------------------------------------------------------------------

static real sigmoid(real x) { return 1 / (1 + std::exp(-x)); }

// log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), where nothing overflows.
static real softplus(real x) { return (x > 0 ? x : 0) + std::log1p(std::exp(-std::abs(x))); }

// x s, but 0 where s is 0: the limit at infinity of an x times a faster decaying s.
static real fading(real x, real s) { return s == 0 ? 0 : x * s; }

// The normal distribution and its density.
static real Phi(real x) { return real(0.5) * (1 + std::erf(x / std::numbers::sqrt2_v<real>)); }
static real phi(real x) {
  return std::exp(real(-0.5) * x * x) * std::numbers::inv_sqrtpi_v<real> /
         std::numbers::sqrt2_v<real>;
}

// The tanh approximation of x Phi(x): value x (1 + t(x)) / 2 with t(x) = tanh(k (x + c x^3)).
template <bool value> static real gelu_tanh(real x) {
  constexpr real k = std::numbers::sqrt2_v<real> * std::numbers::inv_sqrtpi_v<real>;
  constexpr real c = real(0.044715);
  const real t = std::tanh(k * (x + c * x * x * x)), inside = k * (1 + 3 * c * x * x);
  return real(0.5) * (value ? fading(x, 1 + t) : 1 + t + fading(x * inside, 1 - t * t));
}

// y = f(x; p, q) if a value is asked for, otherwise dy/dx. The slope reads x or y but never both:
// an operation keeps only one of them. The value of a NaN is NaN.
template <Unary f, bool value>
static real function(real x, [[maybe_unused]] real y, [[maybe_unused]] real p,
                     [[maybe_unused]] real q) {
  switch (f) {
    case Unary::affine: return value ? p * x + q : p;
    case Unary::exp: return value ? std::exp(x) : y;
    case Unary::log: return value ? std::log(x) : 1 / x;
    case Unary::sqrt: return value ? std::sqrt(x) : real(0.5) / y;
    case Unary::square: return value ? x * x : 2 * x;
    case Unary::abs: return value ? std::abs(x) : real(x > 0) - real(x < 0);
    case Unary::reciprocal: return value ? 1 / x : -y * y;
    case Unary::power: return value ? std::pow(x, p) : p == 0 ? 0 : p * std::pow(x, p - 1);
    case Unary::sin: return value ? std::sin(x) : std::cos(x);
    case Unary::cos: return value ? std::cos(x) : -std::sin(x);
    case Unary::tanh: return value ? std::tanh(x) : 1 - y * y;
    case Unary::sigmoid: return value ? sigmoid(x) : y * (1 - y);
    case Unary::softplus: return value ? softplus(x) : sigmoid(x);
    case Unary::relu: return value ? (x < 0 ? 0 : x) : real(!(y <= 0));
    case Unary::leaky_relu: return value ? (x < 0 ? p * x : x) : (x > 0 ? 1 : p);
    case Unary::clamp: return value ? (x < p ? p : x > q ? q : x) : real(!(x < p || x > q));
    case Unary::erf:
      return value ? std::erf(x) : 2 * std::numbers::inv_sqrtpi_v<real> * std::exp(-x * x);
    // x Phi(x) and its tanh approximation (1606.08415, section 2)
    case Unary::gelu: return value ? fading(x, Phi(x)) : Phi(x) + fading(x, phi(x));
    case Unary::gelu_tanh: return gelu_tanh<value>(x);
    case Unary::silu: {
      const real s = sigmoid(x);
      return value ? fading(x, s) : s + fading(x, s * (1 - s));
    }
    case Unary::count_: break;
  }
  return 0;
}

template <Unary f> static void unary(int64_t n, const real* x, real* y, real p, real q) {
  for_elements(n, 1, 2, [=](int64_t i) { y[i] = function<f, true>(x[i], 0, p, q); });
}

template <Unary f>
static void unary_gradient(int64_t n, const real* gy, const real* x, const real* y, real* gx,
                           real p, real q) {
  for_elements(n, 2, 3, [=](int64_t i) { gx[i] = gy[i] * function<f, false>(x[i], y[i], p, q); });
}

// ---- Functions of two numbers -------------------------------------------------------------------

enum class Want { value, da, db };  // y, dy/da or dy/db

static real power_slope(real a, real b, Want want) {
  if (want == Want::da) return b == 0 ? 0 : b * std::pow(a, b - 1);
  // 0^b stays 0 when b > 0 moves, although log 0 is infinite.
  return a == 0 && b >= 0 ? 0 : std::pow(a, b) * std::log(a);
}

// The slope of the larger or smaller of two numbers: where they are equal each gets half.
static real chosen(bool other, bool tie) { return other ? 0 : tie ? real(0.5) : 1; }

template <Binary f, Want want> static real function(real a, real b) {
  constexpr bool value = want == Want::value, da = want == Want::da;
  switch (f) {
    case Binary::add: return a + b;
    case Binary::sub: return a - b;
    case Binary::mul: return a * b;
    case Binary::greater: return real(a > b);
    case Binary::less: return real(a < b);
    case Binary::equal: return real(a == b);
    case Binary::div: return value ? a / b : da ? 1 / b : -(a / b) / b;
    case Binary::power: return value ? std::pow(a, b) : power_slope(a, b, want);
    case Binary::maximum:
      if (value) return a < b || b != b ? b : a;
      return chosen(da ? a < b : b < a, a == b);
    case Binary::minimum:
      if (value) return a > b || b != b ? b : a;
      return chosen(da ? a > b : b > a, a == b);
    // -b log p - (1 - b) log(1 - p) with p = sigmoid(a), without a logarithm of zero.
    case Binary::bce_with_logits:
      if (value) return (a > 0 ? a : 0) - a * b + std::log1p(std::exp(-std::abs(a)));
      return da ? sigmoid(a) - b : -a;
    case Binary::count_: break;
  }
  return 0;
}

template <Binary f>
static void binary(const Broadcast& walk, const real* a, const real* b, real* y) {
  walk_pairs(walk, 1, 3, a, b,
             [=](int64_t i, real ai, real bi) { y[i] = function<f, Want::value>(ai, bi); });
}

template <Binary f, Want slope>
static void binary_gradient(const Broadcast& walk, const real* gy, const real* a, const real* b,
                            real* g) {
  walk_pairs(walk, 2, 4, a, b,
             [=](int64_t i, real ai, real bi) { g[i] = gy[i] * function<f, slope>(ai, bi); });
}

// ---- Other loops over elements ------------------------------------------------------------------

static void where(int64_t n, const real* mask, const real* a, const real* b, real* y) {
  for_elements(n, 1, 4, [=](int64_t i) {
    const real yes = a[i], no = b[i];
    y[i] = mask[i] != 0 ? yes : no;
  });
}

static void lerp(int64_t n, real* w, const real* target, real t) {
  for_elements(n, 3, 3, [=](int64_t i) { w[i] += t * (target[i] - w[i]); });
}

static void scale(int64_t n, real* x, real factor) {
  for_elements(n, 1, 2, [=](int64_t i) { x[i] *= factor; });
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
    for (int64_t i = 0; i < n; ++i) y[at + i] = x[from + i * step];
  });
}

static void strided_add(const Broadcast& walk, const real* y, real* x) {
  const int64_t step = walk.a_strides[size_t(walk.rank - 1)];
  walk_rows(walk, 1, 3, [=](int64_t at, int64_t to, int64_t, int64_t n) {
    for (int64_t i = 0; i < n; ++i) x[to + i * step] += y[at + i];
  });
}

}  // namespace kindling::kernel
