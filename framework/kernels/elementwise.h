// Elementwise functions, each with its gradient beside it. Page: docs/kernels.md
#pragma once

#include <tuple>

#include "base/random.h"
#include "kernels/walk.h"

namespace kindling::kernel {

// A function of one number has value(x, p, q) and slope(x, y, p, q) = dy/dx, which reads x or y but
// never both: an operation keeps only one of them. NaN in gives NaN out.
template <class Isa> struct UnaryFunctions {
  static constexpr real kSqrtHalf = real(0.70710678118654752440);
  static constexpr real kTwoOverSqrtPi = real(1.12837916709551257390);
  static constexpr real kSqrtTwoOverPi = real(0.79788456080286535588);
  static constexpr real kOneOverSqrtTwoPi = real(0.39894228040143267794);

  // x s, but 0 where s is 0: the limit at infinity of an x times a faster decaying s.
  static real fading(real x, real s) { return s == 0 ? 0 : x * s; }

  struct Affine {
    static constexpr Unary id = Unary::affine;
    static real value(real x, real p, real q) { return p * x + q; }
    static real slope(real, real, real p, real) { return p; }
  };
  struct Exp {
    static constexpr Unary id = Unary::exp;
    static real value(real x, real, real) { return std::exp(x); }
    static real slope(real, real y, real, real) { return y; }
  };
  struct Log {
    static constexpr Unary id = Unary::log;
    static real value(real x, real, real) { return std::log(x); }
    static real slope(real x, real, real, real) { return 1 / x; }
  };
  struct Sqrt {
    static constexpr Unary id = Unary::sqrt;
    static real value(real x, real, real) { return std::sqrt(x); }
    static real slope(real, real y, real, real) { return real(0.5) / y; }
  };
  struct Square {
    static constexpr Unary id = Unary::square;
    static real value(real x, real, real) { return x * x; }
    static real slope(real x, real, real, real) { return 2 * x; }
  };
  struct Abs {
    static constexpr Unary id = Unary::abs;
    static real value(real x, real, real) { return std::abs(x); }
    static real slope(real x, real, real, real) { return real(x > 0) - real(x < 0); }
  };
  struct Reciprocal {
    static constexpr Unary id = Unary::reciprocal;
    static real value(real x, real, real) { return 1 / x; }
    static real slope(real, real y, real, real) { return -y * y; }
  };
  struct Power {
    static constexpr Unary id = Unary::power;
    static real value(real x, real p, real) { return std::pow(x, p); }
    static real slope(real x, real, real p, real) { return p == 0 ? 0 : p * std::pow(x, p - 1); }
  };
  struct Sin {
    static constexpr Unary id = Unary::sin;
    static real value(real x, real, real) { return std::sin(x); }
    static real slope(real x, real, real, real) { return std::cos(x); }
  };
  struct Cos {
    static constexpr Unary id = Unary::cos;
    static real value(real x, real, real) { return std::cos(x); }
    static real slope(real x, real, real, real) { return -std::sin(x); }
  };
  struct Tanh {
    static constexpr Unary id = Unary::tanh;
    static real value(real x, real, real) { return std::tanh(x); }
    static real slope(real, real y, real, real) { return 1 - y * y; }
  };
  struct Sigmoid {
    static constexpr Unary id = Unary::sigmoid;
    static real value(real x, real = 0, real = 0) { return 1 / (1 + std::exp(-x)); }
    static real slope(real, real y, real, real) { return y * (1 - y); }
  };
  struct Softplus {
    static constexpr Unary id = Unary::softplus;
    // log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), where nothing overflows.
    static real value(real x, real = 0, real = 0) {
      return (x > 0 ? x : 0) + std::log1p(std::exp(-std::abs(x)));
    }
    static real slope(real x, real, real, real) { return Sigmoid::value(x); }
  };
  struct Relu {
    static constexpr Unary id = Unary::relu;
    static real value(real x, real, real) { return x < 0 ? 0 : x; }
    static real slope(real, real y, real, real) { return y <= 0 ? real(0) : real(1); }
  };
  struct LeakyRelu {
    static constexpr Unary id = Unary::leaky_relu;
    static real value(real x, real p, real) { return x < 0 ? p * x : x; }
    static real slope(real x, real, real p, real) { return x > 0 ? 1 : p; }
  };
  struct Clamp {
    static constexpr Unary id = Unary::clamp;
    static real value(real x, real p, real q) { return x < p ? p : x > q ? q : x; }
    static real slope(real x, real, real p, real q) { return x < p || x > q ? real(0) : real(1); }
  };
  struct Erf {
    static constexpr Unary id = Unary::erf;
    static real value(real x, real, real) { return std::erf(x); }
    static real slope(real x, real, real, real) { return kTwoOverSqrtPi * std::exp(-x * x); }
  };
  struct Gelu {
    static constexpr Unary id = Unary::gelu;
    // The normal distribution and its density.
    static real Phi(real x) { return real(0.5) * (1 + std::erf(x * kSqrtHalf)); }
    static real phi(real x) { return kOneOverSqrtTwoPi * std::exp(real(-0.5) * x * x); }
    static real value(real x, real, real) { return fading(x, Phi(x)); }
    static real slope(real x, real, real, real) { return Phi(x) + fading(x, phi(x)); }
  };
  struct GeluTanh {
    static constexpr Unary id = Unary::gelu_tanh;
    static constexpr real kCubic = real(0.044715);
    static real t(real x) { return std::tanh(kSqrtTwoOverPi * (x + kCubic * x * x * x)); }
    static real value(real x, real, real) { return real(0.5) * fading(x, 1 + t(x)); }
    static real slope(real x, real, real, real) {
      const real y = t(x), inside = kSqrtTwoOverPi * (1 + 3 * kCubic * x * x);
      return real(0.5) * (1 + y + fading(x * inside, 1 - y * y));
    }
  };
  struct Silu {
    static constexpr Unary id = Unary::silu;
    static real value(real x, real, real) { return fading(x, Sigmoid::value(x)); }
    static real slope(real x, real, real, real) {
      const real s = Sigmoid::value(x);
      return s + fading(x, s * (1 - s));
    }
  };

  using All = std::tuple<Affine, Exp, Log, Sqrt, Square, Abs, Reciprocal, Power, Sin, Cos, Tanh,
                         Sigmoid, Softplus, Relu, LeakyRelu, Clamp, Erf, Gelu, GeluTanh, Silu>;
};

// A function of two numbers has value(a, b), da(a, b) = dy/da and db(a, b) = dy/db.
template <class Isa> struct BinaryFunctions {
  struct Add {
    static constexpr Binary id = Binary::add;
    static real value(real a, real b) { return a + b; }
    static real da(real, real) { return 1; }
    static real db(real, real) { return 1; }
  };
  struct Sub {
    static constexpr Binary id = Binary::sub;
    static real value(real a, real b) { return a - b; }
    static real da(real, real) { return 1; }
    static real db(real, real) { return -1; }
  };
  struct Mul {
    static constexpr Binary id = Binary::mul;
    static real value(real a, real b) { return a * b; }
    static real da(real, real b) { return b; }
    static real db(real a, real) { return a; }
  };
  struct Div {
    static constexpr Binary id = Binary::div;
    static real value(real a, real b) { return a / b; }
    static real da(real, real b) { return 1 / b; }
    static real db(real a, real b) { return -a / b / b; }
  };
  struct Power {
    static constexpr Binary id = Binary::power;
    static real value(real a, real b) { return std::pow(a, b); }
    static real da(real a, real b) { return b == 0 ? 0 : b * std::pow(a, b - 1); }
    // 0^b stays 0 when b > 0 moves, although log 0 is infinite.
    static real db(real a, real b) { return a == 0 && b >= 0 ? 0 : std::pow(a, b) * std::log(a); }
  };
  // Where a = b each side gets half the gradient.
  struct Maximum {
    static constexpr Binary id = Binary::maximum;
    static real value(real a, real b) { return a < b || b != b ? b : a; }
    static real da(real a, real b) { return a < b ? 0 : a == b ? real(0.5) : 1; }
    static real db(real a, real b) { return da(b, a); }
  };
  struct Minimum {
    static constexpr Binary id = Binary::minimum;
    static real value(real a, real b) { return a > b || b != b ? b : a; }
    static real da(real a, real b) { return a > b ? 0 : a == b ? real(0.5) : 1; }
    static real db(real a, real b) { return da(b, a); }
  };
  // -b log p - (1 - b) log(1 - p) with p = sigmoid(a), a the logit and b the target.
  struct BceWithLogits {
    static constexpr Binary id = Binary::bce_with_logits;
    static real value(real a, real b) { return UnaryFunctions<Isa>::Softplus::value(a) - a * b; }
    static real da(real a, real b) { return UnaryFunctions<Isa>::Sigmoid::value(a) - b; }
    static real db(real a, real) { return -a; }
  };
  struct Greater {
    static constexpr Binary id = Binary::greater;
    static real value(real a, real b) { return real(a > b); }
  };
  struct Less {
    static constexpr Binary id = Binary::less;
    static real value(real a, real b) { return real(a < b); }
  };
  struct Equal {
    static constexpr Binary id = Binary::equal;
    static real value(real a, real b) { return real(a == b); }
  };

  using Smooth = std::tuple<Add, Sub, Mul, Div, Power, Maximum, Minimum, BceWithLogits>;
  using Comparisons = std::tuple<Greater, Less, Equal>;
};

template <class Isa, class F> void unary_value(int64_t n, const real* x, real* y, real p, real q) {
  count_cost(n, bytes_of(2 * n));
  parallel_for(n, kGrain, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = F::value(x[i], p, q);
  });
}

template <class Isa, class F>
void unary_gradient(int64_t n, const real* gy, const real* x, const real* y, real* gx, real p,
                    real q) {
  count_cost(2 * n, bytes_of(3 * n));
  parallel_for(n, kGrain, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) gx[i] = gy[i] * F::slope(x[i], y[i], p, q);
  });
}

template <class Isa, class F>
void binary_value(const Broadcast& walk, const real* a, const real* b, real* y) {
  count_cost(walk.elements, bytes_of(3 * walk.elements));
  walk_pairs<Isa>(walk, a, b, [=](int64_t i, real ai, real bi) { y[i] = F::value(ai, bi); });
}

template <class Isa, class F>
void binary_gradient_a(const Broadcast& walk, const real* gy, const real* a, const real* b,
                       real* g) {
  count_cost(2 * walk.elements, bytes_of(4 * walk.elements));
  walk_pairs<Isa>(walk, a, b, [=](int64_t i, real ai, real bi) { g[i] = gy[i] * F::da(ai, bi); });
}

template <class Isa, class F>
void binary_gradient_b(const Broadcast& walk, const real* gy, const real* a, const real* b,
                       real* g) {
  count_cost(2 * walk.elements, bytes_of(4 * walk.elements));
  walk_pairs<Isa>(walk, a, b, [=](int64_t i, real ai, real bi) { g[i] = gy[i] * F::db(ai, bi); });
}

template <class Isa>
void where(int64_t n, const real* mask, const real* a, const real* b, real* y) {
  count_cost(n, bytes_of(4 * n));
  parallel_for(n, kGrain, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const real yes = a[i], no = b[i];
      y[i] = mask[i] != 0 ? yes : no;
    }
  });
}

template <class Isa> void sum_of_two(int64_t n, const real* a, const real* b, real* y) {
  count_cost(n, bytes_of(3 * n));
  parallel_for(n, kGrain, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = a[i] + b[i];
  });
}

// y = x walked with the strides of a.
template <class Isa> void strided_copy(const Broadcast& walk, const real* x, real* y) {
  count_cost(0, bytes_of(2 * walk.elements));
  const int64_t step = walk.a_strides[size_t(std::max(walk.rank, 1) - 1)];
  walk_rows<Isa>(walk, [=](int64_t at, int64_t from, int64_t, int64_t n) {
    if (step == 1) {
      std::memcpy(y + at, x + from, size_t(n) * sizeof(real));
    } else {
      for (int64_t i = 0; i < n; ++i) y[at + i] = x[from + i * step];
    }
  });
}

// No element of x may be walked twice: threads would add to it at once.
template <class Isa> void strided_add(const Broadcast& walk, const real* y, real* x) {
  count_cost(walk.elements, bytes_of(3 * walk.elements));
  const int64_t step = walk.a_strides[size_t(std::max(walk.rank, 1) - 1)];
  walk_rows<Isa>(walk, [=](int64_t at, int64_t to, int64_t, int64_t n) {
    for (int64_t i = 0; i < n; ++i) x[to + i * step] += y[at + i];
  });
}

template <class Isa>
void dropout_mask(int64_t n, real p, uint64_t seed, uint64_t stream, real* mask) {
  count_cost(n, bytes_of(n));
  const double limit = double(p) * 0x1p32;  // of 2^32 words, this many are dropped
  const real kept = 1 / (1 - p);
  static_assert(kGrain % 4 == 0, "a piece begins at a block of four words");
  parallel_for(n, kGrain, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += 4) {
      const auto words = philox(uint64_t(i / 4), stream, seed);
      const int64_t count = std::min<int64_t>(4, end - i);
      for (int64_t j = 0; j < count; ++j) mask[i + j] = double(words[size_t(j)]) < limit ? 0 : kept;
    }
  });
}

}  // namespace kindling::kernel
