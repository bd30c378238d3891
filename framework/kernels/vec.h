// One register of numbers, for every instruction set. Page: docs/kernels.md
//
// Isa is the tag of the file that includes this; its Vec is a vector type of the compiler, which
// has the arithmetic operators, also between a vector and a number. What is left are the ways in
// and out, and the edges: where fewer numbers than a register holds are left, nothing beyond them
// is read or written.
#pragma once

#include "base/standard.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace kindling::kernel {

using Vec = Isa::Vec;
constexpr int64_t kWidth = int64_t(sizeof(Vec) / sizeof(real));  // numbers in a register

[[gnu::always_inline]] static inline Vec load(const real* from) {
  Vec v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
[[gnu::always_inline]] static inline void store(real* to, Vec v) { std::memcpy(to, &v, sizeof v); }

// x in every place: x - 0 is x, whatever x is, so compilers make one broadcast of it.
[[gnu::always_inline]] static inline Vec all(real x) { return x - Vec{}; }

// The first n <= kWidth numbers, with zeros behind them.
[[gnu::always_inline]] static inline Vec load_first(const real* from, int64_t n) {
#if defined(__AVX512F__)
  return Vec(_mm512_maskz_loadu_ps(__mmask16((1u << n) - 1), from));
#elif defined(__AVX2__)
  const __m256i place = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return Vec(_mm256_maskload_ps(from, _mm256_cmpgt_epi32(_mm256_set1_epi32(int(n)), place)));
#else
  real line[kWidth] = {};
  for (int64_t i = 0; i < n; ++i) line[i] = from[i];
  return load(line);
#endif
}
[[gnu::always_inline]] static inline void store_first(real* to, Vec v, int64_t n) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(to, __mmask16((1u << n) - 1), __m512(v));
#elif defined(__AVX2__)
  const __m256i place = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  _mm256_maskstore_ps(to, _mm256_cmpgt_epi32(_mm256_set1_epi32(int(n)), place), __m256(v));
#else
  real line[kWidth];
  store(line, v);
  for (int64_t i = 0; i < n; ++i) to[i] = line[i];
#endif
}

// The lower, or upper, halves of a and b in turn: a0 b0 a1 b1 ...
template <size_t from, size_t... I>
[[gnu::always_inline]] static inline Vec interleave(Vec a, Vec b, std::index_sequence<I...>) {
  return __builtin_shufflevector(a, b, (from + I / 2 + I % 2 * size_t(kWidth))...);
}

// Rows become columns. Each round interleaves rows that lie half a matrix apart, which turns the
// digits of a place, row then column, by one; after log2(width) rounds row and column are
// exchanged.
[[gnu::always_inline]] static inline void transpose(Vec (&rows)[kWidth]) {
  constexpr auto places = std::make_index_sequence<size_t(kWidth)>();
#pragma GCC unroll 4
  for (int64_t round = 1; round < kWidth; round *= 2) {
    Vec next[kWidth];
#pragma GCC unroll 8
    for (int64_t i = 0; i < kWidth / 2; ++i) {
      next[2 * i] = interleave<0>(rows[i], rows[i + kWidth / 2], places);
      next[2 * i + 1] = interleave<kWidth / 2>(rows[i], rows[i + kWidth / 2], places);
    }
#pragma GCC unroll 16
    for (int64_t i = 0; i < kWidth; ++i) rows[i] = next[i];
  }
}

}  // namespace kindling::kernel
