// Optimizer steps against their naive twins, in every variant.
#include <numeric>

#include "kernels/reference.h"
#include "support/kernels.h"

using namespace kindling;

namespace {

// A few roundings in float in each of three steps, some of sums whose parts cancel: a weight near
// zero, alone in its array, keeps the error of the larger numbers that made it.
constexpr double kTolerance = 1e-6;

// A kernel: one step over all parameters.
template <class Options> using Rule = void (*)(std::span<const ParameterStep>, const Options&);

// Three steps of an optimizer from the same start give the same weights and state as its twin's.
template <class Options>
double error_after_steps(int64_t n, Rule<Options> fast, Rule<Options> twin, const Options& options,
                         bool with_velocity = true) {
  Guarded w(random_values(n, 1)), m(n, 0), v(n, 0), want_w = w, want_m = m, want_v = v;
  double worst = 0;
  for (int64_t t = 1; t <= 3; ++t) {
    const Guarded g(random_values(n, uint64_t(10 + t)));
    const auto step = [&](auto rule, Guarded& weights, Guarded& first, Guarded& second) {
      real* velocity = with_velocity ? second.data() : nullptr;
      ParameterStep p{n, t, weights.data(), g.data(), {first.data(), velocity}, 0, 0};
      p.rate = options.rate, p.decay = options.decay;
      rule({&p, 1}, options);
    };
    step(fast, w, m, v);
    step(twin, want_w, want_m, want_v);
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
          INFO("n " << n << " momentum " << momentum << " nesterov " << nesterov);
          const SgdOptions options{0.1, momentum, 0.01, nesterov};
          REQUIRE(error_after_steps(n, k.sgd, reference::sgd, options) <= kTolerance);
        }
      }
    }
  });
}

TEST_CASE("sgd needs no velocity without momentum", "[kernels][optimizer]") {
  for_each_isa([](const Kernels& k) {
    const Guarded g(random_values(33, 1));
    Guarded w(33, 1);
    const ParameterStep step{33, 1, w.data(), g.data(), {}, 0.1, 0};
    k.sgd({&step, 1}, {});
    CHECK(!std::isnan(w[32]));
  });
}

TEST_CASE("adam equals its twin", "[kernels][optimizer]") {
  for_each_isa([](const Kernels& k) {
    for (const int64_t n : kSizes) {
      for (const double decay : {0.0, 0.1}) {
        for (const bool decoupled : {false, true}) {
          for (const bool bias_correction : {false, true}) {
            INFO("n " << n << " decay " << decay << " decoupled " << decoupled << " correction "
                      << bias_correction);
            const AdamOptions options{0.01, 0.9, 0.99, 1e-8, decay, decoupled, bias_correction};
            REQUIRE(error_after_steps(n, k.adam, reference::adam, options) <= kTolerance);
          }
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
    const ParameterStep step{3, 1, w.data(), g.data(), {m.data(), v.data()}, 0.1, 0};
    k.adam({&step, 1}, {.epsilon = 0});
    CHECK(error_of(w, Guarded({real(-0.1), real(0.1), real(-0.1)})) < 1e-6);
  });
}

TEST_CASE("rmsprop equals its twin", "[kernels][optimizer]") {
  for_each_isa([](const Kernels& k) {
    for (const int64_t n : kSizes) {
      for (const double momentum : {0.0, 0.9}) {
        for (const bool inside : {false, true}) {
          INFO("n " << n << " momentum " << momentum << " inside " << inside);
          const RmsPropOptions options{0.01, 0.99, 0.1, momentum, 0.001, inside};
          REQUIRE(error_after_steps(n, k.rmsprop, reference::rmsprop, options, momentum != 0) <=
                  kTolerance);
        }
      }
    }
  });
}

TEST_CASE("lerp equals its twin", "[kernels][optimizer]") {
  for_each_isa([](const Kernels& k) {
    for (const int64_t n : kSizes) {
      const Guarded target(random_values(n, 10));
      Guarded w(random_values(n, 1)), want = w;
      k.lerp(n, w.data(), target.data(), real(0.3));
      reference::lerp(n, want.data(), target.data(), real(0.3));
      REQUIRE(error_of(w, want, 1) <= kTolerance);
    }
  });
}

namespace {

// What a step makes of parameters of these sizes, behind each other: all at once, or one by one.
template <class Options>
Guarded weights_after_step(const std::vector<int64_t>& sizes, Rule<Options> rule,
                           const Options& options, bool at_once) {
  const int64_t n = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  Guarded w(random_values(n, 1)), g(random_values(n, 2)), m(n, 0), v(n, 0);
  std::vector<ParameterStep> steps;
  int64_t at = 0;
  for (const int64_t size : sizes) {
    steps.push_back({size,
                     1,
                     w.data() + at,
                     g.data() + at,
                     {m.data() + at, v.data() + at},
                     options.rate * double(1 + steps.size()),
                     0.1});
    at += size;
  }
  if (at_once) rule(steps, options);
  for (size_t i = 0; !at_once && i < steps.size(); ++i) rule({&steps[i], 1}, options);
  CHECK(w.ends_untouched());
  return w;
}

template <class Options> void check_at_once(Rule<Options> rule, const Options& options) {
  // Ends of parameters and of pieces meet in all ways.
  for (const auto& sizes : std::vector<std::vector<int64_t>>{
           {}, {0}, {5, 0, 7}, {32768, 1, 32768}, {32767, 2, 33, 70001, 3}, {100001, 1}}) {
    CHECK(same_for_any_threads([&] { return weights_after_step(sizes, rule, options, true); }));
    CHECK(same_bits(weights_after_step(sizes, rule, options, true),
                    weights_after_step(sizes, rule, options, false)));
  }
}

}  // namespace

TEST_CASE("a step over all parameters is one over each, for any number of threads",
          "[kernels][optimizer][threads]") {
  for_each_isa([&](const Kernels& k) {
    check_at_once<SgdOptions>(k.sgd, {.momentum = 0.9});
    check_at_once<AdamOptions>(k.adam, {});
    check_at_once<RmsPropOptions>(k.rmsprop, {.momentum = 0.9});
  });
}
