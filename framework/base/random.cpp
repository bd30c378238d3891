// Counter-based random numbers. Page: docs/tensor.md
#include "base/random.h"

#include "base/check.h"

namespace kindling {

std::array<uint32_t, 4> philox(uint64_t counter_low, uint64_t counter_high, uint64_t key) {
  std::array<uint32_t, 4> c = {uint32_t(counter_low), uint32_t(counter_low >> 32),
                               uint32_t(counter_high), uint32_t(counter_high >> 32)};
  uint32_t k0 = uint32_t(key), k1 = uint32_t(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * c[0], p1 = uint64_t{0xCD9E8D57} * c[2];
    c = {uint32_t(p1 >> 32) ^ c[1] ^ k0, uint32_t(p1), uint32_t(p0 >> 32) ^ c[3] ^ k1,
         uint32_t(p0)};
    k0 += 0x9E3779B9, k1 += 0xBB67AE85;
  }
  return c;
}

uint32_t Random::bits() {
  if (const uint64_t block = state_.used / 4; block != block_) {
    block_ = block, words_ = philox(block, state_.stream, state_.seed);
  }
  return words_[state_.used++ % 4];
}

double Random::normal() {
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));  // 1 - u is never zero
  return radius * std::cos(2 * std::numbers::pi * uniform());
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
  const auto words = philox(child, state_.stream, state_.seed ^ 0x5851F42D4C957F2D);  // not bits()'
  return Random(state_.seed, uint64_t{words[0]} << 32 | words[1]);
}

}  // namespace kindling
