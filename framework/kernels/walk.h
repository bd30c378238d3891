// What the kernels share: how a loop is cut into pieces for the threads, the walk over broadcast
// shapes, vectors and scratch memory. Page: docs/kernels.md
//
// Everything in these headers is a template over the tag of an instruction set, which lies in an
// anonymous namespace: so each isa_*.cpp has its own copies, and the linker can never hand code for
// a wide machine to a narrow one.
#pragma once

#include "base/memory.h"
#include "base/parallel.h"
#include "kernels/table.h"

namespace kindling::kernel {

// Elements in one piece of work for a thread: some microseconds, which a fork and join is small to.
inline constexpr int64_t kGrain = 32768;

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
// How many rows of n elements make a piece.
constexpr int64_t row_grain(int64_t n) {
  return std::max<int64_t>(1, kGrain / std::max<int64_t>(n, 1));
}
constexpr int64_t bytes_of(int64_t reals) { return reals * int64_t(sizeof(real)); }

// Elements of type T for the time of a kernel, not initialised.
template <class Isa, class T> class Scratch {
 public:
  explicit Scratch(int64_t n)
      : bytes_(size_t(n) * sizeof(T)),
        data_(n == 0 ? nullptr : static_cast<T*>(memory::allocate(bytes_))) {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    if (data_) memory::release(data_, bytes_);
  }
  T* data() const { return data_; }

 private:
  size_t bytes_;
  T* data_;
};

// Isa::Vec is as many reals as a register of the instruction set holds; the compilers' vector types
// have the arithmetic operators, also between a vector and a number.
template <class Isa>
inline constexpr int64_t kWidth = int64_t(sizeof(typename Isa::Vec) / sizeof(real));

template <class Isa> typename Isa::Vec load(const real* from) {
  typename Isa::Vec v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

template <class Isa> void store(real* to, const typename Isa::Vec& v) {
  std::memcpy(to, &v, sizeof v);
}

// The sum of f(x[i]...) over i. Each lane adds up to 16 numbers in real, the lanes and blocks are
// added in double, so that the error does not grow with n.
template <class Isa, class F, class... X> double sum_over(int64_t n, const F& f, const X*... x) {
  constexpr int64_t W = kWidth<Isa>, kBlock = 64 * W;
  double total = 0;
  int64_t i = 0;
  while (n - i >= W) {
    typename Isa::Vec lanes[4] = {};
    const int64_t end = std::min(n, i + kBlock);
    for (; i + 4 * W <= end; i += 4 * W) {
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) lanes[v] += f(load<Isa>(x + i + v * W)...);
    }
    for (; i + W <= end; i += W) lanes[0] += f(load<Isa>(x + i)...);
    const typename Isa::Vec sum = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
    double parts[4] = {};  // apart, because one addition waits for the one before
#pragma GCC unroll 16
    for (int64_t lane = 0; lane < W; ++lane) parts[lane % 4] += double(sum[lane]);
    total += (parts[0] + parts[1]) + (parts[2] + parts[3]);
  }
  for (; i < n; ++i) total += double(f(x[i]...));
  return total;
}

// Calls row(at, a, b, n) for runs of n elements of y from y[at], of a from a[a] in steps of the
// last a_stride, and of b likewise.
template <class Isa, class Row> void walk_rows(const Broadcast& walk, const Row& row) {
  if (walk.rank <= 1) {
    return parallel_for(walk.elements, kGrain, [&](int64_t begin, int64_t end) {
      row(begin, begin * walk.a_strides[0], begin * walk.b_strides[0], end - begin);
    });
  }
  parallel_for(walk.elements, kGrain, [&](int64_t begin, int64_t end) {
    const size_t last = size_t(walk.rank - 1);
    std::array<int64_t, 6> index{};
    int64_t a = 0, b = 0, rest = begin;
    for (size_t d = last + 1; d-- > 0; rest /= walk.sizes[d]) {
      index[d] = rest % walk.sizes[d];
      a += index[d] * walk.a_strides[d];
      b += index[d] * walk.b_strides[d];
    }
    while (begin < end) {
      const int64_t n = std::min(walk.sizes[last] - index[last], end - begin);
      row(begin, a, b, n);
      begin += n;
      index[last] += n;
      a += n * walk.a_strides[last];
      b += n * walk.b_strides[last];
      for (size_t d = last; d > 0 && index[d] == walk.sizes[d]; --d) {
        index[d] = 0;
        ++index[d - 1];
        a += walk.a_strides[d - 1] - walk.sizes[d] * walk.a_strides[d];
        b += walk.b_strides[d - 1] - walk.sizes[d] * walk.b_strides[d];
      }
    }
  });
}

// Calls f(i, a[..], b[..]) for every element i of y.
template <class Isa, class F>
void walk_pairs(const Broadcast& walk, const real* a, const real* b, const F& f) {
  const int64_t da = walk.a_strides[size_t(std::max(walk.rank, 1) - 1)];
  const int64_t db = walk.b_strides[size_t(std::max(walk.rank, 1) - 1)];
  walk_rows<Isa>(walk, [=](int64_t at, int64_t a_at, int64_t b_at, int64_t n) {
    const real *from_a = a + a_at, *from_b = b + b_at;
    if (da == 1 && db == 1) {
      for (int64_t i = 0; i < n; ++i) f(at + i, from_a[i], from_b[i]);
    } else if (da == 1 && db == 0) {
      for (int64_t i = 0; i < n; ++i) f(at + i, from_a[i], *from_b);
    } else if (da == 0 && db == 1) {
      for (int64_t i = 0; i < n; ++i) f(at + i, *from_a, from_b[i]);
    } else {
      for (int64_t i = 0; i < n; ++i) f(at + i, from_a[i * da], from_b[i * db]);
    }
  });
}

}  // namespace kindling::kernel
