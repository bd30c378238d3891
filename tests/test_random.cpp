// The random numbers: published test vectors, the shape of the distributions, independence,
// restore.
#include "base/random.h"

#include <cmath>
#include <set>
#include <vector>

#include "base/check.h"
#include "support/catch.h"

using namespace kindling;

TEST_CASE("philox gives the published words", "[random]") {
  // kat_vectors of Random123 1.14, "philox4x32 10": counter and key all zeros, all ones, digits of
  // pi.
  CHECK(philox(0, 0, 0) == std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox(~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0}) ==
        std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox(0x85a308d3243f6a88, 0x0370734413198a2e, 0x299f31d0a4093822) ==
        std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("bits are the words of the counter in order", "[random]") {
  Random random(7, 9);
  for (uint64_t block = 0; block < 3; ++block) {
    for (const uint32_t word : philox(block, 9, 7)) CHECK(random.bits() == word);
  }
}

TEST_CASE("uniform numbers fill their interval evenly", "[random]") {
  constexpr int kDraws = 200000, kBins = 20;
  Random random(1);
  std::vector<int> bins(kBins, 0);
  double sum = 0, low = 1, high = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double u = random.uniform();
    REQUIRE((u >= 0 && u < 1));
    sum += u, low = std::min(low, u), high = std::max(high, u);
    ++bins[size_t(u * kBins)];
  }
  // Five standard errors: 1 / sqrt(12 n) for the mean, sqrt(n p (1 - p)) for a bin.
  CHECK(std::abs(sum / kDraws - 0.5) < 5 / std::sqrt(12.0 * kDraws));
  for (const int count : bins) CHECK(std::abs(count - kDraws / kBins) < 5 * 97.5);
  CHECK(low < 1e-4);
  CHECK(high > 1 - 1e-4);
  const double scaled = random.uniform(-3, 5);
  CHECK((scaled >= -3 && scaled < 5));
}

TEST_CASE("normal numbers have the moments of the normal distribution", "[random]") {
  constexpr int kDraws = 400000;
  Random random(2);
  double moments[5] = {};
  int beyond_two = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double x = random.normal();
    REQUIRE(std::isfinite(x));
    for (int k = 1; k <= 4; ++k) moments[k] += std::pow(x, k) / kDraws;
    beyond_two += std::abs(x) > 2;
  }
  // Five standard errors: the variances of x, x^2, x^3, x^4 are 1, 2, 15, 96.
  const double unit = 5 / std::sqrt(double(kDraws));
  CHECK(std::abs(moments[1]) < unit);
  CHECK(std::abs(moments[2] - 1) < unit * std::sqrt(2.0));
  CHECK(std::abs(moments[3]) < unit * std::sqrt(15.0));
  CHECK(std::abs(moments[4] - 3) < unit * std::sqrt(96.0));
  CHECK(std::abs(double(beyond_two) / kDraws - 0.0455) < unit * 0.2084);
}

TEST_CASE("below is even, also where 2^32 is no multiple", "[random]") {
  constexpr int kDraws = 70000;
  Random random(3);
  std::vector<int> counts(7, 0);
  for (int i = 0; i < kDraws; ++i) ++counts[size_t(random.below(7))];
  for (const int count : counts) CHECK(std::abs(count - kDraws / 7) < 5 * 93);  // sqrt(n p (1 - p))

  // Taking the remainder alone would give the lower half of 3 * 2^30 twice as often.
  int low = 0;
  for (int i = 0; i < kDraws; ++i) low += random.below(int64_t{3} << 30) < (int64_t{1} << 30);
  CHECK(std::abs(low - kDraws / 3.0) < 5 * 125);

  CHECK(random.below(1) == 0);
  CHECK(random.below(int64_t{1} << 32) >= 0);
  CHECK_THROWS_WITH(random.below(0), "random: below(0) needs 1 to 2^32");
  CHECK_THROWS_WITH(random.below((int64_t{1} << 32) + 1),
                    "random: below(4294967297) needs 1 to 2^32");
}

TEST_CASE("forks are repeatable, differ, and do not follow their parent", "[random]") {
  Random parent(4);
  const uint32_t first = parent.fork(5).bits();
  parent.bits();
  CHECK(parent.fork(5).bits() == first);  // whatever has been drawn

  // The stream of a child is made of other words than those that its parent draws.
  Random drawing(4);
  const uint64_t high = drawing.bits(), low = drawing.bits();
  CHECK(parent.fork(0).state().stream != (high << 32 | low));

  std::set<uint32_t> words;
  Random same(4);
  for (uint64_t child = 0; child < 1000; ++child) {
    words.insert(parent.fork(child).bits());
    words.insert(parent.fork(child).fork(1).bits());
    words.insert(same.bits());
  }
  CHECK(words.size() == 3000);  // a chance of 1 in 1000 that any two of 3000 words agree

  // Correlation of a child with its neighbour and with its parent: 1 / sqrt(n) by chance.
  constexpr int kDraws = 40000;
  Random a = parent.fork(1), b = parent.fork(2), c(4);
  double ab = 0, ac = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double x = a.uniform(-1, 1), y = b.uniform(-1, 1), z = c.uniform(-1, 1);
    ab += 3 * x * y / kDraws, ac += 3 * x * z / kDraws;
  }
  CHECK(std::abs(ab) < 5 / std::sqrt(double(kDraws)));
  CHECK(std::abs(ac) < 5 / std::sqrt(double(kDraws)));
}

TEST_CASE("a restored generator goes on where it was", "[random]") {
  for (const int used : {0, 1, 3, 4, 5, 103}) {
    Random random(6, 7);
    for (int i = 0; i < used; ++i) random.bits();
    const Random::State state = random.state();
    CHECK(state.used == uint64_t(used));
    Random restored(99);
    restored.bits();
    restored.restore(state);
    for (int i = 0; i < 9; ++i) REQUIRE(restored.bits() == random.bits());
    CHECK(restored.fork(1).bits() == random.fork(1).bits());
  }
}
