// What the tests of kernels share: arrays with guarded ends, comparisons, every instruction set.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "base/random.h"
#include "kernels/dispatch.h"
#include "support/catch.h"

using kindling::real;

// n elements between NaNs that a kernel must leave alone, at an address that is aligned to nothing.
class Guarded {
 public:
  explicit Guarded(int64_t n, real fill = std::numeric_limits<real>::quiet_NaN())
      : n_(n), all_(size_t(n + 2 * kEnds), std::numeric_limits<real>::quiet_NaN()) {
    std::fill_n(data(), n, fill);
  }
  explicit Guarded(const std::vector<real>& values) : Guarded(int64_t(values.size())) {
    std::copy(values.begin(), values.end(), data());
  }
  real* data() { return all_.data() + kEnds; }
  const real* data() const { return all_.data() + kEnds; }
  int64_t size() const { return n_; }
  real& operator[](int64_t i) { return data()[i]; }
  bool ends_untouched() const {
    const auto is_nan = [](real v) { return std::isnan(v); };
    return std::all_of(all_.begin(), all_.begin() + kEnds, is_nan) &&
           std::all_of(all_.end() - kEnds, all_.end(), is_nan);
  }

 private:
  static constexpr int64_t kEnds = 67;  // more than a vector, and odd
  int64_t n_;
  std::vector<real> all_;
};

inline std::vector<real> random_values(int64_t n, uint64_t seed, double low = -2, double high = 2) {
  kindling::Random random(seed);
  std::vector<real> values(size_t(n), 0);
  for (real& v : values) v = real(random.uniform(low, high));
  return values;
}

// max|got - want| / max|want|; infinite where one is NaN or infinite and the other is not the same.
// The largest is taken to be `at_least`, where parts of that size cancel in what is compared.
inline double error_of(int64_t n, const real* got, const real* want, double at_least = 0) {
  double worst = 0, largest = at_least;
  for (int64_t i = 0; i < n; ++i) {
    if (std::isnan(got[i]) && std::isnan(want[i])) continue;
    if (got[i] == want[i]) {
      if (std::isfinite(want[i])) largest = std::max(largest, std::abs(double(want[i])));
      continue;
    }
    const double difference = std::abs(double(got[i]) - double(want[i]));
    if (!std::isfinite(difference)) return INFINITY;
    worst = std::max(worst, difference);
    largest = std::max(largest, std::abs(double(want[i])));
  }
  return worst == 0 ? 0 : worst / largest;
}

inline double error_of(const Guarded& got, const Guarded& want, double at_least = 0) {
  return got.ends_untouched() ? error_of(got.size(), got.data(), want.data(), at_least) : INFINITY;
}

inline bool same_bits(const Guarded& a, const Guarded& b) {
  return std::memcmp(a.data(), b.data(), size_t(a.size()) * sizeof(real)) == 0;
}

// Runs the body with each instruction set that this machine has, or with that of KINDLING_ISA.
template <class Body> void for_each_isa(const Body& body) {
  const std::string before = kindling::kernels().name;
  const char* only = std::getenv("KINDLING_ISA");
  for (const std::string& name : kindling::available_isas()) {
    if (only && name != only) continue;
    INFO("instruction set " << name);
    kindling::set_isa(name);
    body(kindling::kernels());
  }
  kindling::set_isa(before);
}

// Runs `make`, which returns a Guarded, with 1, 2 and 4 threads: the bits must be the same.
template <class Make> bool same_for_any_threads(const Make& make) {
  const int before = kindling::threads();
  kindling::set_threads(1);
  const Guarded one = make();
  bool same = true;
  for (const int n : {2, 4}) {
    kindling::set_threads(n);
    same = same && same_bits(one, make());
  }
  kindling::set_threads(before);
  return same;
}

// One below, at and above the widths of vectors, tiles and strips.
inline const std::vector<int64_t> kSizes = {0,  1,  2,  3,  7,  8,   9,   15,  16,
                                            17, 31, 33, 63, 65, 100, 255, 257, 1000};
