// Exponentials, logarithms and the functions made of them, for a register of numbers. Page:
// docs/kernels.md
//
// Each brings its argument into a short interval, where a polynomial is enough, and takes the
// result back. The coefficients are fitted by tests/golden/polynomials.py.
// tests/test_kernels_vecmath.cpp sweeps all floats, with and without fused multiply-adds, and
// bounds the errors: in units of the result's last place (ulp) exp and log are within 1, erf 1.6,
// softplus 2, tanh and sigmoid 2.5. NaN, infinities, denormals and zeros give what they give in
// libm. The double build calls libm itself.
#pragma once

#include "kernels/vec.h"

namespace kindling::kernel {

// The part of the normal distribution beyond |x|, and e^(-x^2 / 2).
struct Normal {
  Vec tail, bell;
};

#ifdef KINDLING_DOUBLE

static Vec exp(Vec x) { return each<real(real)>(x, std::exp); }
static Vec exp_falling(Vec x) { return exp(x); }
static Vec log(Vec x) { return each<real(real)>(x, std::log); }
static Vec log1p_of_exp(Vec x) {
  return each(x, [](real v) { return std::log1p(std::exp(v)); });
}
static Vec tanh(Vec x) { return each<real(real)>(x, std::tanh); }
static Vec erf(Vec x) { return each<real(real)>(x, std::erf); }
static Normal normal(Vec x) {
  const Vec tail = each(x, [](real v) { return std::erfc(std::abs(v) / std::sqrt(2.0)) / 2; });
  return {tail, exp(real(-0.5) * x * x)};
}

#else

// c[0] + c[1] x + c[2] x^2 + ...
template <size_t n> [[gnu::always_inline]] static inline Vec polynomial(Vec x, const real (&c)[n]) {
  Vec sum = all(c[n - 1]);
#pragma GCC unroll 16
  for (size_t i = n - 1; i > 0; --i) sum = sum * x + c[i - 1];
  return sum;
}

// log 2 in two parts: a whole number below 2^14 times the first is exact.
inline constexpr real kLog2 = 0x1.63p-1f, kLog2Rest = real(-0x1.bd0105c610ca8p-13);

// x = n log 2 + r, n whole and |r| <= log(2) / 2 (a bit more, since n is rounded).
struct Reduced {
  Vec n, r;
};
[[gnu::always_inline]] static inline Reduced reduce(Vec x) {
  constexpr real kRound = 0x1.8p23f;  // the last bit of so large a number is 1: adding it rounds
  const Vec n = (x * std::numbers::log2e_v<real> + kRound) - kRound;
  return {n, x - n * kLog2 - n * kLog2Rest};
}

// 2^n for -127 < n < 128, written into the exponent.
[[gnu::always_inline]] static inline Vec power_of_two(Bits n) { return Vec((n + 127) << 23); }

// y 2^n, rounded once where the result is a denormal.
[[gnu::always_inline]] static inline Vec scaled(Vec y, Vec n) {
#if defined(__AVX512F__)
  return Vec(_mm512_maskz_scalef_ps(__mmask16(-1), __m512(y), __m512(n)));
#else
  // In two steps, because 2^n alone may be no float where the result is one.
  const Bits whole = __builtin_convertvector(n, Bits), half = whole >> 1;
  return y * power_of_two(half) * power_of_two(whole - half);
#endif
}

// e^r - 1 for |r| <= log(2) / 2, within 1.6e-8 of itself.
[[gnu::always_inline]] static inline Vec short_expm1(Vec r) {
  const Vec rest =
      polynomial(r, {0x1p-1f, 0x1.5554bp-3f, 0x1.555486p-5f, 0x1.12281ap-7f, 0x1.6d9934p-10f});
  return r + r * r * rest;
}

// e^x for x <= 0, or up to where it overflows.
[[gnu::always_inline]] static inline Vec exp_falling(Vec x) {
  const auto [n, r] = reduce(x < -104 ? -104 : x);  // where it is zero already; NaN stays
  return scaled(1 + short_expm1(r), n);
}
[[gnu::always_inline]] static inline Vec exp(Vec x) {
  return exp_falling(x > 89 ? 89 : x);  // where it is infinite already
}

[[gnu::always_inline]] static inline Vec log(Vec x) {
  // x = 2^n m with m between sqrt(1/2) and sqrt(2); a denormal is made larger first.
  const Mask tiny = x < std::numeric_limits<real>::min();
  const Bits bits = Bits(abs(tiny ? x * 0x1p23f : x));
  const Bits exponent = (bits - Bits(all(0x1.6a09e6p-1f))) >> 23;
  const Vec n = __builtin_convertvector(exponent, Vec) - (tiny ? all(23) : Vec{});
  const Vec f = Vec(bits - (exponent << 23)) - 1;
  const Vec p = polynomial(
      f, {0x1.555548p-2f, -0x1.000006p-2f, 0x1.99a4b6p-3f, -0x1.555c4ep-3f, 0x1.233768p-3f,
          -0x1.fc2208p-4f, 0x1.e6f06ap-4f, -0x1.de3c16p-4f, 0x1.1457a6p-4f});
  const Vec y = f + (f * f * (f * p - 0x1p-1f) + n * kLog2Rest) + n * kLog2;
  constexpr real kInfinity = std::numeric_limits<real>::infinity();
  const Vec outside = x == 0 ? all(-kInfinity) : all(std::numeric_limits<real>::quiet_NaN());
  return x == kInfinity ? x : x > 0 ? y : outside;
}

// log(1 + e^x) for x <= 0. With u = e^x what 1 + u loses of u is added to the logarithm.
[[gnu::always_inline]] static inline Vec log1p_of_exp(Vec x) {
  const Vec u = exp_falling(x), w = 1 + u;
  return log(w) + (u - (w - 1)) / w;
}

// E / (E + 2) with E = e^(2 |x|) - 1, which is exact near 0 too; from 9.02 on it is 1.
[[gnu::always_inline]] static inline Vec tanh(Vec x) {
  const Vec size = abs(x), twice = 10 < size ? 20 : 2 * size;
  const auto [n, r] = reduce(twice);
  const Vec scale = scaled(all(1), n), E = scale * short_expm1(r) + (scale - 1);
  return copy_sign(E / (E + 2), x);
}

// tail / bell falls slowly, as 1 / |x|: a polynomial in s = 1 / (1 + 0.24 |x|) within 1.3e-8.
[[gnu::always_inline]] static inline Normal normal(Vec x) {
  const Vec s = 1 / (1 + 0.24f * abs(x)), bell = exp_falling(-0.5f * x * x);
  const Vec ratio = polynomial(
      s, {0x1.8828dap-4f, 0x1.88a15ap-4f, 0x1.6c48bep-4f, 0x1.676fc6p-4f, 0x1.cda5d6p-6f,
          0x1.21a00ap-3f, -0x1.27673p-3f, 0x1.a4c946p-3f, -0x1.fe7daap-4f, 0x1.a234f8p-6f});
  return {bell * s * ratio, bell};
}

// Near 0 x times a polynomial in x^2, farther out 1 less twice the tail.
[[gnu::always_inline]] static inline Vec erf(Vec x) {
  const Vec near =
      x * polynomial(x * x, {0x1.06eba8p-3f, -0x1.81273ep-2f, 0x1.ce2cf8p-4f, -0x1.b7f90ep-6f,
                             0x1.5405b2p-8f, -0x1.a3f7p-11f, 0x1.496a32p-14f});
  const Vec far = 1 - 2 * normal(x * std::numbers::sqrt2_v<real>).tail;
  return abs(x) < 1 ? x + near : copy_sign(far, x);
}

#endif

// 1 / (1 + e^-x), and 1 less that, in which nothing cancels.
struct Logistic {
  Vec value, rest;
};
[[gnu::always_inline]] static inline Logistic logistic(Vec x) {
  const Vec e = exp_falling(-abs(x)), large = 1 / (1 + e), small = e * large;
  return {x < 0 ? small : large, x < 0 ? large : small};
}
[[gnu::always_inline]] static inline Vec sigmoid(Vec x) { return logistic(x).value; }

// log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), where nothing overflows.
[[gnu::always_inline]] static inline Vec softplus(Vec x) {
  return (x > 0 ? x : 0) + log1p_of_exp(-abs(x));
}

}  // namespace kindling::kernel
