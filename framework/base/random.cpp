// Counter-based random numbers. Page: docs/tensor.md
#include "base/random.h"

#include "base/check.h"

namespace kindling {

std::array<uint32_t, 4> philox(uint64_t counter_low, uint64_t counter_high, uint64_t key) {
  uint32_t c0 = uint32_t(counter_low), c1 = uint32_t(counter_low >> 32);
  uint32_t c2 = uint32_t(counter_high), c3 = uint32_t(counter_high >> 32);
  uint32_t k0 = uint32_t(key), k1 = uint32_t(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * c0;
    const uint64_t p1 = uint64_t{0xCD9E8D57} * c2;
    c0 = uint32_t(p1 >> 32) ^ c1 ^ k0;
    c1 = uint32_t(p1);
    c2 = uint32_t(p0 >> 32) ^ c3 ^ k1;
    c3 = uint32_t(p0);
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return {c0, c1, c2, c3};
}

uint32_t Random::bits() {
  const uint64_t block = used_ / 4;
  if (block != block_) {
    words_ = philox(block, stream_, seed_);
    block_ = block;
  }
  return words_[used_++ % 4];
}

double Random::uniform() { return bits() * 0x1p-32; }

double Random::uniform(double low, double high) { return low + (high - low) * uniform(); }

double Random::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));  // 1 - u is never zero
  return radius * std::cos(2.0 * 3.14159265358979323846 * uniform());
}

int64_t Random::below(int64_t n) {
  ENSURE(n >= 1 && n <= (int64_t{1} << 32), "random: below({}) needs 1 to 2^32", n);
  // The words above the last multiple of n would favour small results; they are drawn again.
  const uint64_t range = uint64_t(n), limit = (uint64_t{1} << 32) / range * range;
  uint64_t word = bits();
  while (word >= limit) word = bits();
  return int64_t(word % range);
}

Random Random::fork(uint64_t child) const {
  const auto words = philox(child, stream_, seed_ ^ 0x5851F42D4C957F2D);  // apart from bits()
  return Random(seed_, (uint64_t{words[0]} << 32) | words[1]);
}

void Random::restore(const State& state) {
  seed_ = state.seed, stream_ = state.stream, used_ = state.used;
  block_ = ~uint64_t{0};
}

}  // namespace kindling
