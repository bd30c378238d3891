// Each loop is written once, for a register of any width, and compiled into one function for each
// instruction set.
#include "bench/bandwidth.h"

namespace kindling::bench {
namespace {

struct Narrow {
  using V = float __attribute__((vector_size(16)));
};
struct Avx2 {
  using V = float __attribute__((vector_size(32)));
};
struct Avx512 {
  using V = float __attribute__((vector_size(64)));
};

// Keeps a compiler from making the loop around it a call of memcpy, which has ways of its own.
[[gnu::always_inline]] inline void as_written() { asm volatile("" ::: "memory"); }

template <class Isa> [[gnu::always_inline]] inline float read(int64_t n, const float* x) {
  using V = typename Isa::V;
  constexpr int64_t kLanes = sizeof(V) / 4;
  V sums[4] = {};
  for (int64_t i = 0; i < n; i += 4 * kLanes) {
#pragma GCC unroll 4
    for (int64_t j = 0; j < 4; ++j) {
      sums[j] += *reinterpret_cast<const V*>(x + i + j * kLanes);
    }
  }
  const V sum = sums[0] + sums[1] + sums[2] + sums[3];
  float total = 0;
  for (int64_t j = 0; j < kLanes; ++j) total += sum[j];
  return total;
}

// f(i) for every vector, of which i is the first element.
template <class Isa, class F> [[gnu::always_inline]] inline void each_vector(int64_t n, F f) {
  constexpr int64_t kLanes = sizeof(typename Isa::V) / 4;
  for (int64_t i = 0; i < n; i += 4 * kLanes) {
#pragma GCC unroll 4
    for (int64_t j = i; j < i + 4 * kLanes; j += kLanes) f(j);
    as_written();
  }
}
template <class Isa> [[gnu::always_inline]] inline void copy(int64_t n, const float* x, float* y) {
  using V = typename Isa::V;
  each_vector<Isa>(
      n, [=](int64_t i) __attribute__((always_inline)) {
        *reinterpret_cast<V*>(y + i) = *reinterpret_cast<const V*>(x + i);
      });
}
template <class Isa>
[[gnu::always_inline]] inline void triad(int64_t n, const float* x, const float* z, float* y) {
  using V = typename Isa::V;
  each_vector<Isa>(
      n, [=](int64_t i) __attribute__((always_inline)) {
        *reinterpret_cast<V*>(y + i) =
            *reinterpret_cast<const V*>(x + i) + 3 * *reinterpret_cast<const V*>(z + i);
      });
}

constexpr Bandwidth kScalar = {
    [](int64_t n, const float* x) { return read<Narrow>(n, x); },
    [](int64_t n, const float* x, float* y) { copy<Narrow>(n, x, y); },
    [](int64_t n, const float* x, const float* z, float* y) { triad<Narrow>(n, x, z, y); }};

#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] float read_avx2(int64_t n, const float* x) { return read<Avx2>(n, x); }
[[gnu::target("avx2,fma")]] void copy_avx2(int64_t n, const float* x, float* y) {
  copy<Avx2>(n, x, y);
}
[[gnu::target("avx2,fma")]] void triad_avx2(int64_t n, const float* x, const float* z, float* y) {
  triad<Avx2>(n, x, z, y);
}
[[gnu::target("avx512f")]] float read_avx512(int64_t n, const float* x) {
  return read<Avx512>(n, x);
}
[[gnu::target("avx512f")]] void copy_avx512(int64_t n, const float* x, float* y) {
  copy<Avx512>(n, x, y);
}
[[gnu::target("avx512f")]] void triad_avx512(int64_t n, const float* x, const float* z, float* y) {
  triad<Avx512>(n, x, z, y);
}
constexpr Bandwidth kAvx2 = {read_avx2, copy_avx2, triad_avx2};
constexpr Bandwidth kAvx512 = {read_avx512, copy_avx512, triad_avx512};
#endif

}  // namespace

const Bandwidth& bandwidth([[maybe_unused]] const std::string& isa) {
#if defined(__x86_64__)
  if (isa == "avx512") return kAvx512;
  if (isa == "avx2") return kAvx2;
#endif
  return kScalar;
}

}  // namespace kindling::bench
