// One register of numbers, for every instruction set. Page: docs/kernels.md
//
// Isa is the tag of the file that includes this; its Vec is a vector type of the compiler, which
// has the arithmetic operators, also between a vector and a number. What is left are the ways in
// and out, and the edges: where fewer numbers than a register holds are left, nothing beyond them
// is read or written.
#pragma once

#include "base/standard.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace kindling::kernel {

using Vec = Isa::Vec;
using Mask = decltype(Vec{} < Vec{});  // what a comparison gives; c ? a : b chooses by it
using Bits = Mask;                     // or the bits of the numbers
constexpr int64_t kWidth = int64_t(sizeof(Vec) / sizeof(real));  // numbers in a register
using Wide = double __attribute__((vector_size(sizeof(Vec))));
constexpr auto kSign = std::numeric_limits<std::remove_reference_t<decltype(Bits{}[0])>>::min();

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

// For results that no cache will hold until they are read: a store past the caches does not read
// the line that it fills, which `store` must. Where a register is not a line it is a plain store. A
// thread calls finish_stores() before another may read.
[[gnu::always_inline]] static inline bool fills_lines(const real* to, int64_t step) {
  return sizeof(Vec) == 64 && reinterpret_cast<uintptr_t>(to) % 64 == 0 && step % kWidth == 0;
}
#if defined(__AVX512F__)
static inline void store_past_caches(real* to, Vec v) { _mm512_stream_ps(to, __m512(v)); }
static inline void finish_stores() { _mm_sfence(); }
#else
static inline void store_past_caches(real* to, Vec v) { store(to, v); }
static inline void finish_stores() {}
#endif

// The first n numbers of every stride-th.
[[gnu::always_inline]] static inline Vec load_strided(const real* from, int64_t stride, int64_t n) {
  if (stride == 0) return all(*from);
  real line[kWidth] = {};
  for (int64_t i = 0; i < n; ++i) line[i] = from[i * stride];
  return load(line);
}

// from[0] in the even places, from[1] in the odd ones.
[[gnu::always_inline]] static inline Vec load_pair(const real* from) {
  if constexpr (kWidth == 2) return load(from);
  double two;  // numbers, taken for one: compilers know broadcasts of doubles best
  std::memcpy(&two, from, sizeof two);
  return Vec(two - Wide{});
}

// Place i gets the number from place order[i].
[[gnu::always_inline]] static inline Vec permute(Vec v, Bits order) {
#if defined(__AVX512F__)
  return Vec(_mm512_maskz_permutexvar_ps(__mmask16(-1), __m512i(order), __m512(v)));
#else
  Vec result;
  for (int64_t i = 0; i < kWidth; ++i) result[i] = v[order[i]];
  return result;
#endif
}

namespace {  // whatever is a member here has its copy in each file

// How a loop body loads and stores: whole registers, and the last one, of n numbers.
struct Whole {
  static constexpr int64_t n = kWidth;
  [[gnu::always_inline]] Vec load(const real* from) const { return kernel::load(from); }
  [[gnu::always_inline]] void store(real* to, Vec v) const { kernel::store(to, v); }
  [[gnu::always_inline]] Vec or_else(Vec v, Vec) const { return v; }
};
struct First {
  int64_t n;
  [[gnu::always_inline]] Vec load(const real* from) const { return load_first(from, n); }
  [[gnu::always_inline]] void store(real* to, Vec v) const { store_first(to, v, n); }
  // v, but `other` from place n on.
  [[gnu::always_inline]] Vec or_else(Vec v, Vec other) const {
    Bits place{};
#pragma GCC unroll 16
    for (int64_t i = 0; i < kWidth; ++i) place[i] = int(i);
    return place < Bits{} + int(n) ? v : other;
  }
};

}  // namespace

// Calls f(i, part) for i = begin, begin + kWidth, ...: part is Whole, and First where the end is
// nearer. The last numbers go through the same operations as all others, so they get the same bits.
template <class F>
[[gnu::always_inline]] static inline void for_vectors(int64_t begin, int64_t end, const F& f) {
  for (; begin + kWidth <= end; begin += kWidth) f(begin, Whole{});
  if (begin < end) f(begin, First{end - begin});
}

[[gnu::always_inline]] static inline Vec abs(Vec x) { return Vec(Bits(x) & ~kSign); }
[[gnu::always_inline]] static inline Vec copy_sign(Vec size, Vec sign) {
  return Vec(Bits(abs(size)) | (Bits(sign) & kSign));
}
// 1 where the condition holds, otherwise 0.
[[gnu::always_inline]] static inline Vec one_if(Mask c) { return c ? Vec{} + 1 : Vec{}; }

// f of each number alone, for what no inner loop of a network needs.
template <class F> [[gnu::always_inline]] static inline Vec each(Vec x, const F& f) {
  for (int64_t i = 0; i < kWidth; ++i) x[i] = f(x[i]);
  return x;
}

[[gnu::always_inline]] static inline Vec sqrt(Vec x) {
#if defined(__AVX512F__)
  return Vec(_mm512_maskz_sqrt_ps(__mmask16(-1), __m512(x)));
#elif defined(__AVX2__)
  return Vec(_mm256_sqrt_ps(__m256(x)));
#else
  return each(x, [](real v) { return std::sqrt(v); });
#endif
}

// The numbers of a register in another order: i becomes that of place i ^ distance.
template <int64_t distance, class V, size_t... I>
[[gnu::always_inline]] static inline V swapped(V v, std::index_sequence<I...>) {
  return __builtin_shufflevector(v, v, int(int64_t(I) ^ distance)...);
}
// f over all numbers of a register: halves, then quarters, ... meet.
template <class V, class F> [[gnu::always_inline]] static inline auto across(V v, const F& f) {
  constexpr size_t n = sizeof(V) / sizeof(v[0]);
  constexpr auto places = std::make_index_sequence<n>();
  if constexpr (n > 8) v = f(v, swapped<8>(v, places));
  if constexpr (n > 4) v = f(v, swapped<4>(v, places));
  if constexpr (n > 2) v = f(v, swapped<2>(v, places));
  return f(v, swapped<1>(v, places))[0];
}

// ---- Sums in double -----------------------------------------------------------------------------

constexpr int kHalves = sizeof(real) == sizeof(double) ? 1 : 2;

// The lower or upper half of v.
template <int half, size_t... I>
[[gnu::always_inline]] static inline Wide widen(Vec v, std::index_sequence<I...>) {
  const auto part = __builtin_shufflevector(v, v, int(I + half * sizeof...(I))...);
#if defined(__AVX512F__)  // GCC makes two conversions and an insertion of the other form
  return Wide(_mm512_maskz_cvtps_pd(__mmask8(-1), __m256(part)));
#else
  return __builtin_convertvector(part, Wide);
#endif
}
template <int half> [[gnu::always_inline]] static inline Wide widen(Vec v) {
  return widen<half>(v, std::make_index_sequence<size_t(kWidth / kHalves)>());
}

namespace {

// A sum for each place of a register; it begins as Sum{}.
struct Sum {
  Wide lanes[kHalves];

  [[gnu::always_inline]] void add(Vec v) {
    add([](Wide w) { return w; }, v);
  }
  // Adds f of numbers in double.
  template <class F, class... V>
  requires(!std::same_as<F, Vec>) [[gnu::always_inline]] void add(const F& f, V... v) {
    lanes[0] += f(widen<0>(v)...);
    if constexpr (kHalves == 2) lanes[1] += f(widen<1>(v)...);
  }
  [[gnu::always_inline]] void add(const Sum& other) {
    for (int h = 0; h < kHalves; ++h) lanes[h] += other.lanes[h];
  }
  [[gnu::always_inline]] double operator[](int64_t i) const {
    return lanes[i * kHalves / kWidth][i % (kWidth / kHalves)];
  }
  // Each place rounded to a number.
  [[gnu::always_inline]] Vec values() const {
    Vec v;
#pragma GCC unroll 16
    for (int64_t i = 0; i < kWidth; ++i) v[i] = real((*this)[i]);
    return v;
  }
  [[gnu::always_inline]] double total() const {
    return across(kHalves == 2 ? lanes[0] + lanes[kHalves - 1] : lanes[0],
                  [](Wide a, Wide b) { return a + b; });
  }
};

}  // namespace

// ---- Rows to columns ----------------------------------------------------------------------------

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
