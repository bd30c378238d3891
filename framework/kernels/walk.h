// What the kernels share: how a loop is cut into pieces for the threads, and the walk over
// broadcast shapes. Page: docs/kernels.md
//
// Each isa_*.cpp includes these headers and compiles them with its own flags. Functions are static,
// and what is a member the Makefile makes private to the file: so each has its own copies, and the
// linker can never hand code for a wide machine to a narrow one. Loop bodies are copied to the
// stack: what lies behind a reference might change with every element that is written, and would be
// read again for each.
#pragma once

#include "base/memory.h"
#include "base/parallel.h"
#include "kernels/types.h"
#include "kernels/vec.h"

namespace kindling::kernel {

// Elements in one piece of work for a thread: some microseconds, which a fork and join is small to.
inline constexpr int64_t kGrain = 32768;

static constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
// How many rows of n elements make a piece.
static constexpr int64_t row_grain(int64_t n) {
  return std::max<int64_t>(1, kGrain / std::max<int64_t>(n, 1));
}
static constexpr int64_t bytes_of(int64_t reals) { return reals * int64_t(sizeof(real)); }
inline constexpr int64_t kLine = 64 / bytes_of(1);  // numbers in a line of the caches
// Whether a result has more numbers than the second cache can hold.
static constexpr bool is_large(int64_t reals) { return bytes_of(reals) > 1 << 21; }

// Memory for one piece of work, from the allocator that keeps it.
struct Scratch {
  size_t bytes;
  real* data;
  explicit Scratch(int64_t reals)
      : bytes(size_t(bytes_of(reals))), data(static_cast<real*>(memory::allocate(bytes))) {}
  Scratch(const Scratch&) = delete;
  ~Scratch() { memory::release(data, bytes); }
};

// part.load(from), which if `ask` also asks for numbers so far behind these, 512 or `more`, that
// they are there in time: processors foresee what is read next, but during a long computation not
// enough of it.
template <bool ask = true, class Part>
[[gnu::always_inline]] static inline Vec load_on(Part part, const real* from, int64_t more = 0) {
  if (ask) __builtin_prefetch(from + std::max<int64_t>(512, more));
  return part.load(from);
}

// to = the sum of `parts` arrays of n numbers that lie behind each other, in order.
static void sum_parts(int64_t parts, int64_t n, const real* from, real* to) {
  for_vectors(0, n, [=](int64_t i, auto part) {
    Vec sum{};
    for (int64_t p = 0; p < parts; ++p) sum += part.load(from + p * n + i);
    part.store(to + i, sum);
  });
}

// total = sums over n things, made in at most 16 pieces, always the same, and added in order:
// f(i, end, sums) adds what it finds in [i, end), which parallel_for makes a whole piece, to `size`
// sums.
template <class F> static void add_in_pieces(int64_t n, int64_t size, real* total, const F& f) {
  const int64_t piece = std::max<int64_t>(1, ceil_div(n, 16)), pieces = ceil_div(n, piece);
  const Scratch sums(pieces * size);
  std::fill_n(sums.data, pieces * size, real(0));
  parallel_for(n, piece, [&](int64_t i, int64_t end) { f(i, end, sums.data + i / piece * size); });
  sum_parts(pieces, size, sums.data, total);
}

// Calls f(i) for n numbers i, shared out in pieces of `grain`.
template <class F> static void parallel_each(int64_t n, int64_t grain, const F& f) {
  parallel_for(n, grain, [&](int64_t i, int64_t end) {
    for (; i < end; ++i) f(i);
  });
}

// Calls f(i, part) for n elements, a register at a time (vec.h); one costs `flops` operations and
// moves `reals` numbers.
template <class F> static void for_elements(int64_t n, int64_t flops, int64_t reals, const F& f) {
  count_cost(flops * n, bytes_of(reals * n));
  parallel_for(n, kGrain, [&](int64_t begin, int64_t end) {
    const F body = f;
    for_vectors(begin, end, body);
  });
}

// Calls row(r) for each of `rows` rows of n elements; flops and reals are those of an element.
template <class Row>
static void for_rows(int64_t rows, int64_t n, int64_t flops, int64_t reals, const Row& row) {
  count_cost(flops * rows * n, bytes_of(reals * rows * n));
  parallel_each(rows, row_grain(n), row);
}

// Calls row(at, a, b, n) for runs of n elements of y from y[at], of a from a[a] in steps of the
// last a_stride, and of b likewise; flops and reals are those of an element.
template <class Row>
static void walk_rows(const Broadcast& walk, int64_t flops, int64_t reals, const Row& row) {
  count_cost(flops * walk.elements, bytes_of(reals * walk.elements));
  parallel_for(walk.elements, kGrain, [&](int64_t begin, int64_t end) {
    const size_t last = size_t(walk.rank - 1);
    while (begin < end) {
      int64_t a = 0, b = 0, rest = begin, n = end - begin;
      for (size_t d = last; d > 0; rest /= walk.sizes[d--]) {
        const int64_t i = rest % walk.sizes[d];
        if (d == last) n = std::min(n, walk.sizes[d] - i);
        a += i * walk.a_strides[d], b += i * walk.b_strides[d];
      }
      row(begin, a + rest * walk.a_strides[0], b + rest * walk.b_strides[0], n);
      begin += n;
    }
  });
}

// Calls f(i, part, a, b) for the elements of y from i on, a register of them at a time, with those
// of a and b that belong to them.
template <class F>
static void walk_pairs(const Broadcast& walk, int64_t flops, int64_t reals, const real* a,
                       const real* b, const F& f) {
  const int64_t da = walk.a_strides[size_t(walk.rank - 1)];
  const int64_t db = walk.b_strides[size_t(walk.rank - 1)];
  walk_rows(walk, flops, reals, [=](int64_t at, int64_t a_at, int64_t b_at, int64_t n) {
    const real *from_a = a + a_at, *from_b = b + b_at;
    const F body = f;
    if (da == 1 && db == 1) {
      for_vectors(0, n, [=](int64_t i, auto part) {
        body(at + i, part, part.load(from_a + i), part.load(from_b + i));
      });
    } else if (da == 1 && db == 0) {
      for_vectors(0, n, [=, all_b = all(*from_b)](int64_t i, auto part) {
        body(at + i, part, part.load(from_a + i), all_b);
      });
    } else {
      for_vectors(0, n, [=](int64_t i, auto part) {
        const int64_t count = std::min(kWidth, n - i);
        body(at + i, part, load_strided(from_a + i * da, da, count),
             load_strided(from_b + i * db, db, count));
      });
    }
  });
}

}  // namespace kindling::kernel
