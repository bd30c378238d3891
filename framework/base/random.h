// Counter-based random numbers: the n-th number is a function of (seed, stream, n), so any piece of
// a tensor can be drawn by any thread and a checkpoint holds three integers. Page: docs/tensor.md
#pragma once

#include "base/check.h"

namespace kindling {

// Philox4x32-10: four random words from a 128-bit counter and a 64-bit key.
// Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 4.
// Always inlined, because a copy that a kernel's file makes has that file's instruction set.
[[gnu::always_inline]] inline std::array<uint32_t, 4> philox(uint64_t counter_low,
                                                             uint64_t counter_high, uint64_t key) {
  std::array<uint32_t, 4> c = {uint32_t(counter_low), uint32_t(counter_low >> 32),
                               uint32_t(counter_high), uint32_t(counter_high >> 32)};
  uint32_t k0 = uint32_t(key), k1 = uint32_t(key >> 32);
#pragma GCC unroll 10
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * c[0], p1 = uint64_t{0xCD9E8D57} * c[2];
    c = {uint32_t(p1 >> 32) ^ c[1] ^ k0, uint32_t(p1), uint32_t(p0 >> 32) ^ c[3] ^ k1,
         uint32_t(p0)};
    k0 += 0x9E3779B9, k1 += 0xBB67AE85;
  }
  return c;
}

class Random {
 public:
  explicit Random(uint64_t seed, uint64_t stream = 0) : state_{seed, stream, 0} {}

  uint32_t bits() {  // 32 random bits
    if (state_.used % 4 == 0) restore(state_);
    return words_[state_.used++ % 4];
  }
  double uniform() { return bits() * 0x1p-32; }  // in [0, 1), 32 bits of it
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  double normal() {  // mean 0, variance 1 (Box and Muller, 1958)
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));  // 1 - u is never zero
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }
  int64_t below(int64_t n) {  // in 0 .. n-1 without bias; n at least 1 and at most 2^32
    ENSURE(n >= 1 && n <= (int64_t{1} << 32), "random: below({}) needs 1 to 2^32", n);
    // The words above the last multiple of n would favour small results; they are drawn again.
    const uint64_t range = uint64_t(n), limit = (uint64_t{1} << 32) / range * range;
    uint64_t word = bits();
    while (word >= limit) word = bits();
    return int64_t(word % range);
  }

  // A generator of its own stream, for a layer, an epoch or a sample: `fork(i)` is always the same.
  Random fork(uint64_t child) const {
    // Another key than that of bits(), so other words.
    const auto words = philox(child, state_.stream, state_.seed ^ 0x5851F42D4C957F2D);
    return Random(state_.seed, uint64_t{words[0]} << 32 | words[1]);
  }

  // What a checkpoint keeps; `used` counts words of 32 bits.
  struct State {
    uint64_t seed, stream, used;
  };
  const State& state() const { return state_; }
  void restore(const State& state) {
    state_ = state;
    words_ = philox(state_.used / 4, state_.stream, state_.seed);
  }

 private:
  State state_;
  std::array<uint32_t, 4> words_{};  // the four to which word `used` belongs
};

}  // namespace kindling
