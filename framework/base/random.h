// Counter-based random numbers: the n-th number is a function of (seed, stream, n), so any piece of
// a tensor can be drawn by any thread and a checkpoint holds three integers. Page: docs/tensor.md
#pragma once

#include "base/standard.h"

namespace kindling {

// Philox4x32-10: four random words from a 128-bit counter and a 64-bit key.
// Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 4.
std::array<uint32_t, 4> philox(uint64_t counter_low, uint64_t counter_high, uint64_t key);

class Random {
 public:
  explicit Random(uint64_t seed, uint64_t stream = 0) : state_{seed, stream, 0} {}

  uint32_t bits();                               // 32 random bits
  double uniform() { return bits() * 0x1p-32; }  // in [0, 1), 32 bits of it
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  double normal();           // mean 0, variance 1 (Box and Muller, 1958)
  int64_t below(int64_t n);  // in 0 .. n-1 without bias; n at least 1 and at most 2^32

  // A generator of its own stream, for a layer, an epoch or a sample: `fork(i)` is always the same.
  Random fork(uint64_t child) const;

  // What a checkpoint keeps; `used` counts words of 32 bits.
  struct State {
    uint64_t seed, stream, used;
  };
  const State& state() const { return state_; }
  void restore(const State& state) { state_ = state, block_ = ~uint64_t{0}; }

 private:
  State state_;
  uint64_t block_ = ~uint64_t{0};  // which four words `words_` holds
  std::array<uint32_t, 4> words_{};
};

}  // namespace kindling
