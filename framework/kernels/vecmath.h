// Exponentials, logarithms and the functions made of them, for a register of numbers. Page:
// docs/kernels.md
//
// Each brings its argument into a short interval, where a polynomial is enough, and takes the result
// back. The coefficients are ours, from tests/golden/polynomials.py, which makes the largest error as
// small as it can be; tests/test_kernels_vecmath.cpp holds the errors of the whole, over all floats,
// to bounds: with a fused multiply-add and without. NaN, infinities, denormals and zeros give what
// they give in libm. The double build calls libm itself.
#pragma once

#include "kernels/vec.h"

namespace kindling::kernel {

// The part of the normal distribution beyond |x|, and e^(-x^2 / 2).
struct Normal {
  Vec tail, bell;
};

#ifdef KINDLING_DOUBLE

static Vec exp(Vec x) {
  return each(x, [](real v) { return std::exp(v); });
}
static Vec log(Vec x) {
  return each(x, [](real v) { return std::log(v); });
}
static Vec log1p_of_exp(Vec x) {
  return each(x, [](real v) { return std::log1p(std::exp(v)); });
}
static Vec tanh(Vec x) {
  return each(x, [](real v) { return std::tanh(v); });
}
static Vec erf(Vec x) {
  return each(x, [](real v) { return std::erf(v); });
}
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
  Vec r;
  Bits n;
};
[[gnu::always_inline]] static inline Reduced reduce(Vec x) {
  // Of so large a number the last bit is 1: adding it rounds, and n lies in the low bits.
  constexpr real kRound = 0x1.8p23f;
  const Vec rounded = x * std::numbers::log2e_v<real> + kRound;
  const Vec n = rounded - kRound;
  return {x - n * kLog2 - n * kLog2Rest, Bits(rounded) - Bits(all(kRound))};
}

// 2^n for -127 < n < 128, written into the exponent.
[[gnu::always_inline]] static inline Vec power_of_two(Bits n) { return Vec((n + 127) << 23); }

// e^r - 1 for |r| <= log(2) / 2, within 1.4e-8 of itself.
[[gnu::always_inline]] static inline Vec short_expm1(Vec r) {
  return r + r * r * polynomial(r, {0x1p-1f, 0x1.5554bp-3f, 0x1.555486p-5f, 0x1.12281cp-7f,
                                    0x1.6d992ep-10f});
}

[[gnu::always_inline]] static inline Vec exp(Vec x) {
  x = 89 < x ? 89 : x;  // already infinite, or zero; NaN stays
  x = -104 > x ? -104 : x;
  const auto [r, n] = reduce(x);
  // In two steps, because 2^n alone may be no float where the result is one.
  const Bits half = n >> 1;
  return (1 + short_expm1(r)) * power_of_two(half) * power_of_two(n - half);
}

[[gnu::always_inline]] static inline Vec log(Vec x) {
  // x = 2^n m with m between sqrt(1/2) and sqrt(2); a denormal is made larger first.
  const Mask tiny = x < std::numeric_limits<real>::min();
  const Bits bits = Bits(tiny ? x * 0x1p23f : x);
  const Bits exponent = (bits - Bits(all(0x1.6a09e6p-1f))) >> 23;
  const Vec n = __builtin_convertvector(exponent, Vec) - (tiny ? all(23) : Vec{});
  const Vec f = Vec(bits - (exponent << 23)) - 1;
  const Vec p = polynomial(f, {0x1.555548p-2f, -0x1.000006p-2f, 0x1.99a4b6p-3f, -0x1.555c4ep-3f,
                               0x1.233766p-3f, -0x1.fc220ep-4f, 0x1.e6f08cp-4f, -0x1.de3bf8p-4f,
                               0x1.14573ep-4f});
  const Vec y = f + (f * f * (f * p - 0x1p-1f) + n * kLog2Rest) + n * kLog2;
  constexpr real kInfinity = std::numeric_limits<real>::infinity();
  const Vec outside = x == 0 ? all(-kInfinity) : all(std::numeric_limits<real>::quiet_NaN());
  return x == kInfinity ? x : x > 0 ? y : outside;
}

// log(1 + e^x) for x <= 0. With u = e^x what 1 + u loses of u is added to the logarithm.
[[gnu::always_inline]] static inline Vec log1p_of_exp(Vec x) {
  const Vec u = exp(x), w = 1 + u;
  return log(w) + (u - (w - 1)) / w;
}

// E / (E + 2) with E = e^(2 |x|) - 1, which is exact near 0 too; from 9.02 on it is 1.
[[gnu::always_inline]] static inline Vec tanh(Vec x) {
  const Vec size = abs(x), twice = 10 < size ? 20 : 2 * size;
  const auto [r, n] = reduce(twice);
  const Vec scale = power_of_two(n), E = scale * short_expm1(r) + (scale - 1);
  return copy_sign(E / (E + 2), x);
}

// tail / bell falls slowly, as 1 / |x|: a polynomial in s = 1 / (1 + 0.24 |x|) within 2.3e-8.
[[gnu::always_inline]] static inline Normal normal(Vec x) {
  const Vec s = 1 / (1 + 0.24f * abs(x)), bell = exp(-0.5f * x * x);
  const Vec ratio = polynomial(s, {0x1.8828dap-4f, 0x1.88a15ap-4f, 0x1.6c48bep-4f, 0x1.676fc6p-4f,
                                   0x1.cda5cap-6f, 0x1.21a00cp-3f, -0x1.276732p-3f,
                                   0x1.a4c948p-3f, -0x1.fe7daap-4f, 0x1.a234fap-6f});
  return {bell * s * ratio, bell};
}

// Near 0 x times a polynomial in x^2, farther out 1 less twice the tail.
[[gnu::always_inline]] static inline Vec erf(Vec x) {
  const Vec near = x * polynomial(x * x, {0x1.06eba8p-3f, -0x1.81273ep-2f, 0x1.ce2cf8p-4f,
                                          -0x1.b7f90cp-6f, 0x1.5405b2p-8f, -0x1.a3f6fcp-11f,
                                          0x1.496a28p-14f});
  const Vec far = 1 - 2 * normal(x * std::numbers::sqrt2_v<real>).tail;
  return abs(x) < 1 ? x + near : copy_sign(far, x);
}

#endif

// 1 / (1 + e^-x), and 1 less that, in which nothing cancels.
struct Logistic {
  Vec value, rest;
};
[[gnu::always_inline]] static inline Logistic logistic(Vec x) {
  const Vec e = exp(-abs(x)), large = 1 / (1 + e), small = e * large;
  return {x < 0 ? small : large, x < 0 ? large : small};
}
[[gnu::always_inline]] static inline Vec sigmoid(Vec x) { return logistic(x).value; }

// log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), where nothing overflows.
[[gnu::always_inline]] static inline Vec softplus(Vec x) {
  return (x > 0 ? x : 0) + log1p_of_exp(-abs(x));
}

}  // namespace kindling::kernel
