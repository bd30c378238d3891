// What the operations share: sizes, strides and the two directions of broadcasting, on values
// without history. Nothing here records or is seen by the profiler as an operation of its own.
// Page: docs/ops.md
#pragma once

#include "kernels/dispatch.h"
#include "tensor/tensor.h"

namespace kindling::value {

// The product of the sizes of dimensions begin .. end-1.
inline int64_t elements(const Shape& shape, int begin, int end) {
  int64_t n = 1;
  for (int i = begin; i < end; ++i) n *= shape[i];
  return n;
}

using Strides = std::array<int64_t, kMaxRank>;

// The steps of `from`, dense, along the dimensions of `to`: 0 where it is stretched.
inline Strides steps(const Shape& from, const Shape& to) {
  Strides result{};
  int64_t step = 1;
  for (int i = from.rank() - 1; i >= 0; step *= from[i--]) {
    if (from[i] != 1) result[size_t(to.rank() - from.rank() + i)] = step;
  }
  return result;
}

// How to walk two operands so that they fill `shape`. Neighbours that continue each other are
// merged, so that the innermost loop is as long as it can be.
inline Broadcast walk(const Shape& shape, const Strides& a, const Strides& b) {
  Broadcast w;
  w.elements = shape.elements();
  w.sizes[0] = 1, w.a_strides[0] = w.b_strides[0] = 0;
  size_t last = 0;
  for (int i = 0; i < shape.rank(); ++i) {
    const int64_t n = shape[i], as = a[size_t(i)], bs = b[size_t(i)];
    if (n == 1) continue;
    const bool continues = w.a_strides[last] == as * n && w.b_strides[last] == bs * n;
    if (!continues && w.sizes[last] != 1) w.sizes[++last] = 1;
    w.sizes[last] *= n, w.a_strides[last] = as, w.b_strides[last] = bs;
  }
  w.rank = int(last) + 1;
  return w;
}

// x stretched to `shape`, element by element.
inline Tensor stretched(const Tensor& x, const Shape& shape) {
  Tensor y(shape);
  const Strides strides = steps(x.shape(), shape);
  kernels().strided_copy(walk(shape, strides, strides), x.data(), y.mutable_data());
  return y;
}

// The gradient of stretching: sums g over the dimensions that were stretched from `shape`, one run
// of neighbours at a time, the innermost first.
inline Tensor sum_to(Tensor g, const Shape& shape) {
  if (g.shape() == shape) return g;
  const Shape from = g.shape();
  const int extra = from.rank() - shape.rank();
  const auto stretched = [&](int i) { return i < extra || shape[i - extra] != from[i]; };
  int64_t inner = 1;  // elements of the sum behind the run
  for (int end = from.rank(), begin = end; end > 0; end = begin) {
    do --begin;
    while (begin > 0 && stretched(begin - 1) == stretched(end - 1));
    const int64_t outer = elements(from, 0, begin), n = elements(from, begin, end);
    if (!stretched(end - 1)) {
      inner *= n;
      continue;
    }
    Tensor sum({outer, inner});
    kernels().reduce_sum(outer, n, inner, g.data(), sum.mutable_data());
    g = sum;
  }
  return g.viewed_as(shape);
}

}  // namespace kindling::value
