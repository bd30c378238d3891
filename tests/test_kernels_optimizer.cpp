// Optimizer steps against their naive twins, in every variant.
#include "kernels/reference.h"
#include "support/kernels.h"

using namespace kindling;

namespace {

// A few roundings in float in each of three steps, some of sums whose parts cancel: a weight near
// zero, alone in its array, keeps the error of the larger numbers that made it.
constexpr double kTolerance = 1e-6;

// Three steps of an optimizer from the same start give the same weights and state as its twin's.
template <class Step> double error_after_steps(int64_t n, const Step& step) {
  Guarded w(random_values(n, 1)), m(n, 0), v(n, 0), want_w = w, want_m = m, want_v = v;
  double worst = 0;
  for (uint64_t t = 1; t <= 3; ++t) {
    const Guarded g(random_values(n, 10 + t));
    step(int(t), true, w.data(), g.data(), m.data(), v.data());
    step(int(t), false, want_w.data(), g.data(), want_m.data(), want_v.data());
    worst =
        std::max({worst, error_of(w, want_w, 1), error_of(m, want_m, 1), error_of(v, want_v, 1)});
  }
  return worst;
}

}  // namespace

TEST_CASE("sgd equals its twin", "[kernels][optimizer]") {
  for_each_isa([](const Kernels& k) {
    for (const int64_t n : kSizes) {
      for (const double momentum : {0.0, 0.9}) {
        for (const bool nesterov : {false, true}) {
          for (const double dampening : {0.0, 0.3}) {
            INFO("n " << n << " momentum " << momentum << " nesterov " << nesterov);
            const double error = error_after_steps(
                n, [&](int t, bool fast, real* w, const real* g, real* velocity, real*) {
                  const SgdStep step{0.1, momentum, dampening, 0.01, nesterov, t == 1};
                  (fast ? k.sgd : reference::sgd)(n, w, g, velocity, step);
                });
            REQUIRE(error <= kTolerance);
          }
        }
      }
    }
  });
}

TEST_CASE("sgd reads no velocity on its first step, and none without momentum",
          "[kernels][optimizer]") {
  for_each_isa([](const Kernels& k) {
    const Guarded g(random_values(33, 1));
    Guarded w(33, 1), velocity(33);  // NaN
    k.sgd(33, w.data(), g.data(), velocity.data(), {0.1, 0.9, 0, 0, false, true});
    CHECK(error_of(velocity, g) == 0);
    k.sgd(33, w.data(), g.data(), nullptr, {0.1, 0, 0, 0, false, false});
    CHECK(!std::isnan(w[32]));
  });
}

TEST_CASE("adam equals its twin", "[kernels][optimizer]") {
  for_each_isa([](const Kernels& k) {
    for (const int64_t n : kSizes) {
      for (const double decay : {0.0, 0.1}) {
        for (const double l2 : {0.0, 0.05}) {
          INFO("n " << n << " decay " << decay << " l2 " << l2);
          const double error =
              error_after_steps(n, [&](int t, bool fast, real* w, const real* g, real* m, real* v) {
                const AdamStep step{
                    0.01, 0.9, 0.99, 1e-8, 1 - std::pow(0.9, t), 1 - std::pow(0.99, t), decay, l2};
                (fast ? k.adam : reference::adam)(n, w, g, m, v, step);
              });
          REQUIRE(error <= kTolerance);
        }
      }
    }
  });
}

TEST_CASE("the first step of adam is the rate in the gradient's direction",
          "[kernels][optimizer]") {
  for_each_isa([](const Kernels& k) {
    const Guarded g({real(0.001), -5, 300});
    Guarded w(3, 0), m(3, 0), v(3, 0);
    k.adam(3, w.data(), g.data(), m.data(), v.data(), {0.1, 0.9, 0.999, 0, 0.1, 0.001, 0, 0});
    CHECK(error_of(w, Guarded({real(-0.1), real(0.1), real(-0.1)})) < 1e-6);
  });
}

TEST_CASE("rmsprop equals its twin", "[kernels][optimizer]") {
  for_each_isa([](const Kernels& k) {
    for (const int64_t n : kSizes) {
      for (const double momentum : {0.0, 0.9}) {
        for (const bool inside : {false, true}) {
          INFO("n " << n << " momentum " << momentum << " inside " << inside);
          const double error = error_after_steps(
              n, [&](int, bool fast, real* w, const real* g, real* velocity, real* v) {
                const RmsPropStep step{0.01, 0.99, 0.1, momentum, 0.001, inside};
                real* velocity_or_null = momentum == 0 ? nullptr : velocity;
                (fast ? k.rmsprop : reference::rmsprop)(n, w, g, v, velocity_or_null, step);
              });
          REQUIRE(error <= kTolerance);
        }
      }
    }
  });
}

TEST_CASE("lerp and scale equal their twins", "[kernels][optimizer]") {
  for_each_isa([](const Kernels& k) {
    for (const int64_t n : kSizes) {
      const double error =
          error_after_steps(n, [&](int, bool fast, real* w, const real* g, real*, real*) {
            (fast ? k.lerp : reference::lerp)(n, w, g, real(0.3));
            (fast ? k.scale : reference::scale)(n, w, real(-1.7));
          });
      REQUIRE(error <= kTolerance);
    }
  });
}

TEST_CASE("optimizer steps have the same bits for any number of threads",
          "[kernels][optimizer][threads]") {
  const int64_t n = 100001;
  const Guarded g(random_values(n, 2));
  for_each_isa([&](const Kernels& k) {
    CHECK(same_for_any_threads([&] {
      Guarded w(n, 1), m(n, 0), v(n, 0);
      k.adam(n, w.data(), g.data(), m.data(), v.data(), {0.01, 0.9, 0.99, 1e-8, 0.1, 0.01, 0, 0});
      return w;
    }));
  });
}
