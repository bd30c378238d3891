// The attention kernel against its naive twin: sizes below, at and above its blocks, every mask.
#include "kernels/reference.h"
#include "support/kernels.h"

using namespace kindling;

namespace {

// Scores are sums of up to 80 products, a few units of 6e-8 off, and so are the exponents: a
// probability is off by some 1e-6 of itself. What is summed over keys or queries is compared with
// the largest such sum.
constexpr double kTolerance = 4e-6;

// The arrays of one problem. Where `packed`, q, k and v share their rows.
struct Arrays {
  Attention a;
  bool packed;
  int64_t D = a.heads * a.width;
  Guarded q, k, v, gy, allowed, bias;

  Arrays(const Attention& problem, bool is_packed = false, double largest = 2)
      : a(problem),
        packed(is_packed),
        q(random_values(a.batch * a.queries * a.stride, 1, -largest, largest)),
        k(random_values(packed ? 0 : a.batch * a.keys * a.stride, 2, -largest, largest)),
        v(random_values(packed ? 0 : a.batch * a.keys * a.stride, 3)),
        gy(random_values(a.batch * a.queries * D, 4)),
        allowed(random_values(a.batch * a.keys, 5, 0, 2)),
        bias(random_values(a.batch * a.heads * a.queries * a.keys, 6)) {
    for (int64_t i = 0; i < allowed.size(); ++i) allowed[i] = std::floor(allowed[i]);
  }
  const real* part(const Guarded& x, int64_t i) const {
    return packed ? q.data() + i * D : x.data();
  }
};

struct Results {
  Guarded y, log_sum, gq, gk, gv, gbias;

  explicit Results(const Arrays& in)
      : y(in.gy.size()),
        log_sum(in.a.batch * in.a.heads * in.a.queries),
        gq(in.q.size()),
        gk(in.k.size()),
        gv(in.v.size()),
        gbias(in.a.bias ? in.bias.size() : 0, 1) {}

  template <class Value, class Gradient>
  void run(const Arrays& in, Value value, Gradient gradient) {
    const real *q = in.q.data(), *k = in.part(in.k, 1), *v = in.part(in.v, 2);
    value(in.a, q, k, v, y.data(), log_sum.data());
    gradient(in.a, q, k, v, y.data(), log_sum.data(), in.gy.data(), gq.data(),
             in.packed ? gq.data() + in.D : gk.data(), in.packed ? gq.data() + 2 * in.D : gv.data(),
             in.a.bias ? gbias.data() : nullptr);
  }
};

Results reference_of(const Arrays& in) {
  Results want(in);
  want.run(in, reference::attention, reference::attention_gradient);
  return want;
}

Results results_of(const Kernels& k, const Arrays& in) {
  Results got(in);
  got.run(in, k.attention, k.attention_gradient);
  return got;
}

// The largest error; that of sums of many numbers is compared with what these have at least.
double error_of(const Results& got, const Results& want) {
  return std::max({error_of(got.y, want.y, 1), error_of(got.log_sum, want.log_sum, 1),
                   error_of(got.gq, want.gq, 1), error_of(got.gk, want.gk, 1),
                   error_of(got.gv, want.gv, 1), error_of(got.gbias, want.gbias, 1)});
}

std::string describe(const Attention& a) {
  return fmt::format("batch {} heads {} queries {} keys {} width {} stride {}", a.batch, a.heads,
                     a.queries, a.keys, a.width, a.stride);
}

// `masks` is a sum of these.
enum Masks { kPadding = 1, kCausal = 2, kBias = 4, kBiasOfHeads = 8, kBiasOfAll = 16, kDrop = 32 };

Arrays with_masks(Attention a, int masks, bool packed = false, double largest = 2) {
  Arrays in(a, packed, largest);
  if (masks & kPadding) in.a.allowed = in.allowed.data();
  in.a.causal = masks & kCausal;
  if (masks & (kBias | kBiasOfHeads | kBiasOfAll)) in.a.bias = in.bias.data();
  if (masks & (kBiasOfHeads | kBiasOfAll)) in.a.bias_head = a.queries * a.keys;
  if (masks & kBiasOfAll) in.a.bias_batch = a.heads * a.queries * a.keys;
  if (masks & kDrop) in.a.dropout = real(0.3), in.a.seed = 5, in.a.stream = uint64_t(7) << 40;
  return in;
}

void check(const Attention& a, int masks, bool packed = false) {
  INFO(describe(a) << ", masks " << masks << (packed ? ", packed" : ""));
  const Arrays in = with_masks(a, masks, packed);
  const Results want = reference_of(in);
  for_each_isa([&](const Kernels& k) { REQUIRE(error_of(results_of(k, in), want) <= kTolerance); });
}

Attention separate(int64_t batch, int64_t heads, int64_t queries, int64_t keys, int64_t width) {
  return {batch, heads, queries, keys, width, heads * width};
}
Attention packed(int64_t batch, int64_t heads, int64_t length, int64_t width) {
  return {batch, heads, length, length, width, 3 * heads * width};
}

}  // namespace

TEST_CASE("attention of every number of queries and keys equals its twin", "[kernels][attention]") {
  for (const int64_t queries : {1, 2, 5, 6, 7, 16, 31, 64, 65, 97}) {
    for (const int64_t keys : {1, 2, 4, 15, 16, 17, 33, 64, 65, 80, 127, 129}) {
      check(separate(1, 2, queries, keys, 9), 0);
    }
  }
}

TEST_CASE("attention of every width equals its twin", "[kernels][attention]") {
  for (const int64_t width : {1, 2, 3, 4, 7, 8, 15, 16, 17, 20, 31, 33, 48, 64, 65, 80}) {
    check(separate(2, 3, 11, 18, width), 0);
    check(packed(2, 3, 13, width), 0, true);
  }
}

TEST_CASE("attention of several blocks equals its twin", "[kernels][attention]") {
  for (const int masks : {0, +kCausal, kPadding | kBias | kDrop}) {
    check(separate(1, 1, 200, 300, 20), masks);
    check(separate(2, 5, 130, 259, 8), masks);  // enough heads that no part of the keys is alone
    check(packed(1, 2, 261, 16), masks, true);
  }
}

TEST_CASE("attention with every combination of masks equals its twin", "[kernels][attention]") {
  for (const int bias : {0, +kBias, +kBiasOfHeads, +kBiasOfAll}) {
    for (int others = 0; others < 64; ++others) {
      if (others & (kBias | kBiasOfHeads | kBiasOfAll)) continue;
      check(separate(2, 2, 19, 23, 8), bias | others);
      check(separate(3, 2, 23, 19, 5), bias | others);
      check(packed(2, 3, 21, 8), bias | others, true);
    }
  }
}

TEST_CASE("each gradient of attention alone has the bits that it has among all",
          "[kernels][attention]") {
  const Arrays in = with_masks(separate(1, 2, 70, 150, 12), kBiasOfHeads);
  for_each_isa([&](const Kernels& k) {
    const Results all = results_of(k, in);
    const auto alone = [&](int wanted) {
      Results one(in);
      k.attention_gradient(in.a, in.q.data(), in.k.data(), in.v.data(), all.y.data(),
                           all.log_sum.data(), in.gy.data(), wanted == 0 ? one.gq.data() : nullptr,
                           wanted == 1 ? one.gk.data() : nullptr,
                           wanted == 2 ? one.gv.data() : nullptr,
                           wanted == 3 ? one.gbias.data() : nullptr);
      return one;
    };
    CHECK(same_bits(alone(0).gq, all.gq));
    CHECK(same_bits(alone(1).gk, all.gk));
    CHECK(same_bits(alone(2).gv, all.gv));
    CHECK(same_bits(alone(3).gbias, all.gbias));
  });
}

TEST_CASE("a query without a key gets zeros", "[kernels][attention]") {
  const int64_t queries = 5, keys = 130;
  Arrays in = with_masks(separate(2, 2, queries, keys, 8), kPadding | kDrop);
  std::fill_n(in.allowed.data(), keys, real(0));  // none in the first sample
  in.allowed[keys] = 1;                           // one at least in the second
  const Results want = reference_of(in);
  for_each_isa([&](const Kernels& k) {
    const Results got = results_of(k, in);
    CHECK(error_of(got, want) <= kTolerance);
    const auto zeros = [](const Guarded& x, int64_t n) {
      return std::all_of(x.data(), x.data() + n, [](real v) { return v == 0; });
    };
    CHECK((zeros(got.y, queries * 16) && zeros(got.log_sum, 2 * queries)));
    CHECK((zeros(got.gq, queries * 16) && zeros(got.gk, keys * 16) && zeros(got.gv, keys * 16)));
  });
}

TEST_CASE("a bias of -infinity keeps a query from a key", "[kernels][attention]") {
  Arrays in = with_masks(separate(1, 2, 4, 150, 8), kBias);
  for (int64_t j = 0; j < 150; ++j) in.bias[j] = -INFINITY;          // query 0: from all
  for (int64_t j = 0; j < 128; ++j) in.bias[150 + j] = -INFINITY;    // query 1: from the first
  for (int64_t j = 100; j < 150; ++j) in.bias[300 + j] = -INFINITY;  // query 2: from the last
  const Results want = reference_of(in);
  for_each_isa([&](const Kernels& k) { CHECK(error_of(results_of(k, in), want) <= kTolerance); });
}

TEST_CASE("what nobody may attend to does not matter", "[kernels][attention]") {
  const Attention a = separate(2, 2, 20, 140, 8);
  Arrays in = with_masks(a, kPadding);
  const Results want = reference_of(in);
  for (int64_t i = 0; i < in.k.size(); ++i) {
    if (in.allowed[i / a.stride] == 0) in.k[i] = NAN, in.v[i] = 1e30f;
  }
  for_each_isa([&](const Kernels& k) {
    const Results got = results_of(k, in);
    CHECK(error_of(got.y, want.y, 1) <= kTolerance);
    CHECK(error_of(got.gv, want.gv, 1) <= kTolerance);
  });
}

TEST_CASE("scores that overflow every exponential are no trouble", "[kernels][attention]") {
  // They reach some 2e4, and rounding moves them by 1e-3: what is left of 3 digits is compared.
  const Arrays in = with_masks(separate(1, 2, 30, 300, 16), 0, false, 100);
  const Results want = reference_of(in);
  for_each_isa([&](const Kernels& k) {
    const Results got = results_of(k, in);
    CHECK(error_of(got.y, want.y, 1) <= 1e-2);
    CHECK(error_of(got.log_sum, want.log_sum, 1) <= kTolerance);
  });
}

TEST_CASE("a NaN of a query stays in its row", "[kernels][attention]") {
  Arrays in = with_masks(separate(1, 1, 9, 140, 8), 0);
  in.q[3 * 8 + 2] = NAN;
  for_each_isa([&](const Kernels& k) {
    const Results got = results_of(k, in);
    for (int64_t i = 0; i < got.y.size(); ++i) CHECK(std::isnan(got.y.data()[i]) == (i / 8 == 3));
    for (int64_t i = 0; i < got.gq.size(); ++i) CHECK(std::isnan(got.gq.data()[i]) == (i / 8 == 3));
  });
}

TEST_CASE("attention of nothing", "[kernels][attention]") {
  check(separate(0, 2, 3, 4, 8), 0);
  check(separate(2, 2, 0, 4, 8), kBias);
  check(separate(2, 2, 3, 0, 8), kBias);
  check(separate(2, 2, 0, 0, 8), kPadding | kDrop);
  check(packed(0, 2, 3, 8), 0, true);
}

TEST_CASE("attention has the same bits for any number of threads",
          "[kernels][attention][threads]") {
  for (const Attention& a :
       {separate(1, 1, 300, 700, 16), separate(5, 3, 65, 65, 20), separate(1, 2, 129, 400, 8)}) {
    for (const int masks : {0, kCausal | kBias, kPadding | kBiasOfHeads | kDrop}) {
      INFO(describe(a) << ", masks " << masks);
      const Arrays in = with_masks(a, masks);
      for_each_isa([&](const Kernels& k) {
        for (Guarded Results::*array : {&Results::y, &Results::log_sum, &Results::gq, &Results::gk,
                                        &Results::gv, &Results::gbias}) {
          CHECK(same_for_any_threads([&] { return results_of(k, in).*array; }));
        }
      });
    }
  }
}
