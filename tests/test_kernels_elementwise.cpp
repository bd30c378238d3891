// Elementwise kernels against their naive twins, at the edges of the number line, and broadcast.
#include "kernels/reference.h"
#include "support/kernels.h"

using namespace kindling;

namespace {

// libm is within 2 ulp in float (6e-8 each), and a slope combines a few such numbers.
constexpr double kTolerance = 1e-6;
constexpr real kNan = std::numeric_limits<real>::quiet_NaN();
constexpr real kInf = std::numeric_limits<real>::infinity();

struct Domain {
  double low, high;
  real p, q;
};

Domain domain_of(Unary f) {
  switch (f) {
    case Unary::log:
    case Unary::sqrt:
    case Unary::reciprocal: return {0.1, 4, 0, 0};
    case Unary::power: return {0.1, 4, real(1.7), 0};
    case Unary::clamp: return {-2, 2, real(-0.7), real(1.1)};
    case Unary::affine: return {-2, 2, real(1.5), real(-0.3)};
    default: return {-6, 6, real(0.2), 0};
  }
}

real apply(const Kernels& k, Unary f, real x, real p = 0, real q = 0) {
  real y = 7;
  k.unary[size_t(f)](1, &x, &y, p, q);
  return y;
}

// The slope from x and y, whichever the function reads.
real slope(const Kernels& k, Unary f, real x, real p = 0, real q = 0) {
  const real y = apply(k, f, x, p, q), one = 1;
  real g = 7;
  k.unary_gradient[size_t(f)](1, &one, &x, &y, &g, p, q);
  return g;
}

real apply(const Kernels& k, Binary f, real a, real b) {
  Broadcast walk;
  walk.elements = walk.sizes[0] = walk.a_strides[0] = walk.b_strides[0] = 1;
  real y = 7;
  k.binary[size_t(f)](walk, &a, &b, &y);
  return y;
}

real slope_a(const Kernels& k, Binary f, real a, real b, bool of_b = false) {
  Broadcast walk;
  walk.elements = walk.sizes[0] = walk.a_strides[0] = walk.b_strides[0] = 1;
  const real one = 1;
  real g = 7;
  k.binary_gradient[of_b ? 1 : 0][size_t(f)](walk, &one, &a, &b, &g);
  return g;
}

bool is(real got, real want) { return got == want || (std::isnan(got) && std::isnan(want)); }

Broadcast walk_of(std::vector<int64_t> sizes, std::vector<int64_t> a, std::vector<int64_t> b) {
  Broadcast walk;
  walk.rank = int(sizes.size());
  walk.elements = 1;
  for (size_t i = 0; i < sizes.size(); ++i) {
    walk.sizes[i] = sizes[i], walk.a_strides[i] = a[i], walk.b_strides[i] = b[i];
    walk.elements *= sizes[i];
  }
  return walk;
}

}  // namespace

TEST_CASE("each function of one number equals its twin", "[kernels][elementwise]") {
  for_each_isa([](const Kernels& k) {
    for (int f = 0; f < int(Unary::count_); ++f) {
      const auto [low, high, p, q] = domain_of(Unary(f));
      for (const int64_t n : kSizes) {
        const Guarded x(random_values(n, 1, low, high)), gy(random_values(n, 2));
        Guarded y(n), gx(n), want_y(n), want_gx(n);
        k.unary[size_t(f)](n, x.data(), y.data(), p, q);
        k.unary_gradient[size_t(f)](n, gy.data(), x.data(), y.data(), gx.data(), p, q);
        reference::unary(Unary(f), n, x.data(), want_y.data(), p, q);
        reference::unary_gradient(Unary(f), n, gy.data(), x.data(), want_gx.data(), p, q);
        INFO("function " << f << " of " << n);
        // Where tanh and its like are flat, 1 - y^2 is what is left of 1.
        REQUIRE(error_of(y, want_y, 1) <= kTolerance);
        REQUIRE(error_of(gx, want_gx, 1) <= kTolerance);
      }
    }
  });
}

TEST_CASE("a slope reads x or y but not both", "[kernels][elementwise]") {
  // Operations hand the one that they kept as both.
  const std::vector<Unary> of_y = {Unary::exp,  Unary::sqrt,    Unary::reciprocal,
                                   Unary::tanh, Unary::sigmoid, Unary::relu};
  for_each_isa([&](const Kernels& k) {
    for (int f = 0; f < int(Unary::count_); ++f) {
      const auto [low, high, p, q] = domain_of(Unary(f));
      const Guarded x(random_values(33, 3, low, high)), gy(random_values(33, 4));
      Guarded y(33), both(33), one(33);
      k.unary[size_t(f)](33, x.data(), y.data(), p, q);
      k.unary_gradient[size_t(f)](33, gy.data(), x.data(), y.data(), both.data(), p, q);
      const bool reads_y = std::count(of_y.begin(), of_y.end(), Unary(f)) == 1;
      const real* kept = reads_y ? y.data() : x.data();
      k.unary_gradient[size_t(f)](33, gy.data(), kept, kept, one.data(), p, q);
      INFO("function " << f);
      REQUIRE(same_bits(both, one));
      Guarded over(random_values(33, 4));  // or gx is gy
      k.unary_gradient[size_t(f)](33, over.data(), kept, kept, over.data(), p, q);
      REQUIRE(same_bits(over, one));
    }
  });
}

TEST_CASE("NaN in gives NaN out", "[kernels][elementwise]") {
  for_each_isa([](const Kernels& k) {
    for (int f = 0; f < int(Unary::count_); ++f) {
      INFO("function " << f);
      CHECK(std::isnan(apply(k, Unary(f), kNan, real(1.5), real(2))));
    }
    for (int f = 0; f < int(Binary::greater); ++f) {
      INFO("function of two " << f);
      CHECK(std::isnan(apply(k, Binary(f), kNan, real(1.5))));
      CHECK(std::isnan(apply(k, Binary(f), real(1.5), kNan)));
    }
    for (const Binary f : {Binary::greater, Binary::less, Binary::equal}) {
      CHECK(apply(k, f, kNan, kNan) == 0);
    }
  });
}

TEST_CASE("values and slopes far out are their limits", "[kernels][elementwise]") {
  struct Row {
    Unary f;
    real x, value, slope;
  };
  const std::vector<Row> rows = {{Unary::exp, -kInf, 0, 0},
                                 {Unary::exp, kInf, kInf, kInf},
                                 {Unary::log, 0, -kInf, kInf},
                                 {Unary::log, kInf, kInf, 0},
                                 {Unary::log, -1, kNan, -1},
                                 {Unary::sqrt, 0, 0, kInf},
                                 {Unary::abs, 0, 0, 0},
                                 {Unary::abs, -kInf, kInf, -1},
                                 {Unary::tanh, kInf, 1, 0},
                                 {Unary::tanh, -kInf, -1, 0},
                                 {Unary::sigmoid, -kInf, 0, 0},
                                 {Unary::sigmoid, kInf, 1, 0},
                                 {Unary::sigmoid, -1000, 0, 0},
                                 {Unary::softplus, 1000, 1000, 1},
                                 {Unary::softplus, -1000, 0, 0},
                                 {Unary::softplus, kInf, kInf, 1},
                                 {Unary::softplus, -kInf, 0, 0},
                                 {Unary::relu, -kInf, 0, 0},
                                 {Unary::relu, kInf, kInf, 1},
                                 {Unary::relu, 0, 0, 0},
                                 {Unary::erf, kInf, 1, 0},
                                 {Unary::erf, -kInf, -1, 0},
                                 {Unary::gelu, kInf, kInf, 1},
                                 {Unary::gelu, -kInf, 0, 0},
                                 {Unary::gelu, 100, 100, 1},
                                 {Unary::gelu, -100, 0, 0},
                                 {Unary::gelu_tanh, kInf, kInf, 1},
                                 {Unary::gelu_tanh, -kInf, 0, 0},
                                 {Unary::silu, kInf, kInf, 1},
                                 {Unary::silu, -kInf, 0, 0},
                                 {Unary::square, -kInf, kInf, -kInf}};
  for_each_isa([&](const Kernels& k) {
    for (const Row& row : rows) {
      INFO("function " << int(row.f) << " at " << row.x);
      CHECK(is(apply(k, row.f, row.x), row.value));
      CHECK(is(slope(k, row.f, row.x), row.slope));
    }
    CHECK(apply(k, Unary::clamp, -kInf, -1, 1) == -1);
    CHECK(apply(k, Unary::clamp, kInf, -1, 1) == 1);
    CHECK(slope(k, Unary::clamp, 1, -1, 1) == 1);  // the bounds belong to the inside
    CHECK(slope(k, Unary::power, 0, 1) == 1);
    CHECK(slope(k, Unary::power, 0, 0) == 0);
    CHECK(slope(k, Unary::leaky_relu, 0, real(0.25)) == real(0.25));
  });
}

TEST_CASE("functions of two numbers at ties, zeros and extremes", "[kernels][elementwise]") {
  for_each_isa([](const Kernels& k) {
    for (const Binary f : {Binary::maximum, Binary::minimum}) {
      CHECK(slope_a(k, f, 3, 3) == real(0.5));
      CHECK(slope_a(k, f, 3, 3, true) == real(0.5));
    }
    CHECK(slope_a(k, Binary::power, 0, 2, true) == 0);
    CHECK(slope_a(k, Binary::power, 0, 0) == 0);
    CHECK(apply(k, Binary::bce_with_logits, 1000, 1) == 0);
    CHECK(apply(k, Binary::bce_with_logits, -1000, 1) == 1000);
    CHECK(apply(k, Binary::bce_with_logits, 1000, 0) == 1000);
    CHECK(apply(k, Binary::bce_with_logits, 0, real(0.5)) == Approx(std::log(2.0)));
  });
}

TEST_CASE("functions of two numbers equal their twins over every walk", "[kernels][elementwise]") {
  std::vector<Broadcast> walks;
  for (const int64_t n : kSizes) walks.push_back(walk_of({n}, {1}, {1}));
  walks.push_back(walk_of({33}, {1}, {0}));  // a vector and a number
  walks.push_back(walk_of({33}, {0}, {1}));
  walks.push_back(walk_of({7, 17}, {17, 1}, {0, 1}));  // a matrix and a row
  walks.push_back(walk_of({7, 17}, {17, 1}, {1, 0}));  // a matrix and a column
  walks.push_back(walk_of({7, 17}, {1, 0}, {0, 1}));   // a column and a row
  walks.push_back(walk_of({7, 17}, {1, 7}, {17, 1}));  // a transposed matrix and another
  walks.push_back(walk_of({3, 5, 9}, {45, 9, 1}, {9, 0, 1}));
  walks.push_back(walk_of({2, 3, 2, 2, 3, 5}, {180, 60, 30, 15, 5, 1}, {0, 10, 0, 5, 0, 1}));
  walks.push_back(walk_of({300, 257}, {257, 1}, {0, 1}));  // several pieces that begin inside a row
  for_each_isa([&](const Kernels& k) {
    for (size_t w = 0; w < walks.size(); ++w) {
      const Broadcast& walk = walks[w];
      const int64_t n = walk.elements;
      const Guarded a(random_values(std::max<int64_t>(n, 1), 5, 0.2, 2));
      const Guarded b(random_values(std::max<int64_t>(n, 1), 6, 0.2, 2)), gy(random_values(n, 7));
      for (int f = 0; f < int(Binary::count_); ++f) {
        INFO("function " << f << ", walk " << w);
        Guarded y(n), want(n);
        k.binary[size_t(f)](walk, a.data(), b.data(), y.data());
        reference::binary(Binary(f), walk, a.data(), b.data(), want.data());
        REQUIRE(error_of(y, want) <= kTolerance);
        if (f >= int(Binary::add)) continue;
        k.binary_gradient[0][size_t(f)](walk, gy.data(), a.data(), b.data(), y.data());
        reference::binary_gradient(Binary(f), false, walk, gy.data(), a.data(), b.data(),
                                   want.data());
        REQUIRE(error_of(y, want) <= kTolerance);
        k.binary_gradient[1][size_t(f)](walk, gy.data(), a.data(), b.data(), y.data());
        reference::binary_gradient(Binary(f), true, walk, gy.data(), a.data(), b.data(),
                                   want.data());
        REQUIRE(error_of(y, want) <= kTolerance);
      }
    }
  });
}

TEST_CASE("comparisons give 0 and 1 on equal numbers too", "[kernels][elementwise]") {
  for_each_isa([](const Kernels& k) {
    CHECK(apply(k, Binary::greater, 2, 1) == 1);
    CHECK(apply(k, Binary::greater, 1, 1) == 0);
    CHECK(apply(k, Binary::less, 1, 2) == 1);
    CHECK(apply(k, Binary::less, 1, 1) == 0);
    CHECK(apply(k, Binary::equal, 1, 1) == 1);
    CHECK(apply(k, Binary::equal, 1, 2) == 0);
  });
}

TEST_CASE("where equals its twin; sums of two equal theirs in place, too",
          "[kernels][elementwise]") {
  for_each_isa([](const Kernels& k) {
    for (const int64_t n : kSizes) {
      const Guarded a(random_values(n, 8)), b(random_values(n, 9));
      Guarded mask(n, 0), y(n), want(n);
      for (int64_t i = 0; i < n; i += 3) mask[i] = i % 2 == 0 ? real(1) : real(-0.5);
      k.where(n, mask.data(), a.data(), b.data(), y.data());
      reference::where(n, mask.data(), a.data(), b.data(), want.data());
      REQUIRE(error_of(y, want) == 0);
      const Broadcast flat = Broadcast::flat(n);
      reference::binary(Binary::add, flat, a.data(), b.data(), want.data());
      Guarded in_a = a, in_b = b, added = b;
      k.binary[size_t(Binary::add)](flat, in_a.data(), b.data(), in_a.data());
      k.binary[size_t(Binary::add)](flat, a.data(), in_b.data(), in_b.data());
      k.strided_add(flat, a.data(), added.data());  // how backward adds up gradients
      REQUIRE(error_of(in_a, want) == 0);
      REQUIRE(error_of(in_b, want) == 0);
      REQUIRE(error_of(added, want) == 0);
    }
  });
}

TEST_CASE("strided copies and sums equal their twins", "[kernels][elementwise]") {
  const std::vector<Broadcast> walks = {
      walk_of({0}, {1}, {0}),
      walk_of({17}, {1}, {0}),
      walk_of({17}, {3}, {0}),
      walk_of({7, 9}, {1, 7}, {0, 0}),            // transposed
      walk_of({4, 5, 3}, {45, 3, 1}, {0, 0, 0}),  // a slice of [4, 15, 3]
      walk_of({300, 200}, {1, 300}, {0, 0}),      // more than one piece
  };
  for_each_isa([&](const Kernels& k) {
    for (size_t w = 0; w < walks.size(); ++w) {
      INFO("walk " << w);
      const int64_t n = walks[w].elements;
      const Guarded x(random_values(60000, 10));
      Guarded y(n), want(n);
      k.strided_copy(walks[w], x.data(), y.data());
      reference::strided_copy(walks[w], x.data(), want.data());
      REQUIRE(error_of(y, want) == 0);
      Guarded sum = x, want_sum = x;
      k.strided_add(walks[w], y.data(), sum.data());
      reference::strided_add(walks[w], y.data(), want_sum.data());
      REQUIRE(error_of(sum, want_sum) == 0);
      REQUIRE((n == 0 || !same_bits(sum, x)));
    }
    Guarded filled(33);  // stride 0 repeats one number
    const Guarded x(random_values(1, 10));
    k.strided_copy(walk_of({33}, {0}, {0}), x.data(), filled.data());
    CHECK(error_of(filled, Guarded(33, x.data()[0])) == 0);
  });
}

TEST_CASE("dropout masks are the twin's, and drop the share they should",
          "[kernels][elementwise]") {
  for_each_isa([](const Kernels& k) {
    for (const int64_t n : kSizes) {
      Guarded mask(n), want(n);
      k.dropout_mask(n, real(0.3), 11, 12, mask.data());
      reference::dropout_mask(n, real(0.3), 11, 12, want.data());
      REQUIRE(error_of(mask, want) == 0);
    }
    const int64_t n = 100000;
    Guarded mask(n);
    k.dropout_mask(n, real(0.25), 1, 2, mask.data());
    const auto dropped = std::count(mask.data(), mask.data() + n, real(0));
    CHECK(std::abs(double(dropped) / double(n) - 0.25) < 0.007);  // five deviations of 0.0014
    k.dropout_mask(n, 0, 1, 2, mask.data());
    CHECK(std::count(mask.data(), mask.data() + n, real(1)) == n);
    k.dropout_mask(n, 1, 1, 2, mask.data());
    CHECK(std::count(mask.data(), mask.data() + n, real(0)) == n);
  });
}

TEST_CASE("elementwise kernels have the same bits for any number of threads",
          "[kernels][elementwise][threads]") {
  const int64_t n = 150001;
  const Guarded x(random_values(n, 13)), row(random_values(1001, 14));
  for_each_isa([&](const Kernels& k) {
    CHECK(same_for_any_threads([&] {
      Guarded y(n);
      k.unary[size_t(Unary::gelu)](n, x.data(), y.data(), 0, 0);
      return y;
    }));
    CHECK(same_for_any_threads([&] {
      Guarded y(149 * 1001);
      k.binary[size_t(Binary::mul)](walk_of({149, 1001}, {1001, 1}, {0, 1}), x.data(), row.data(),
                                    y.data());
      return y;
    }));
    CHECK(same_for_any_threads([&] {
      Guarded y(n);
      k.dropout_mask(n, real(0.5), 3, 4, y.data());
      return y;
    }));
  });
}

TEST_CASE("kernels add what they cost", "[kernels][elementwise]") {
  for_each_isa([](const Kernels& k) {
    const Guarded x(random_values(100, 15));
    Guarded y(100);
    Cost cost;
    running_cost = &cost;
    k.unary[size_t(Unary::relu)](100, x.data(), y.data(), 0, 0);
    k.gemm({x.data(), 9, 10, 10, 1}, {x.data(), 10, 8, 8, 1}, y.data(), 8, {});
    running_cost = nullptr;
    CHECK(cost.flops == 100 + 2 * 9 * 10 * 8);
    CHECK(cost.bytes == (200 + 90 + 80 + 72) * int64_t(sizeof(real)));
    k.unary[size_t(Unary::relu)](100, x.data(), y.data(), 0, 0);
    CHECK(cost.flops == 100 + 2 * 9 * 10 * 8);  // nobody measures any more
  });
}
