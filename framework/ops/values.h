// What the operations share: sizes, strides, the two directions of broadcasting. Page: docs/ops.md
#pragma once

#include "kernels/dispatch.h"
#include "tensor/tensor.h"

namespace kindling::value {

// The product of the sizes begin .. end-1.
inline int64_t product(const auto& sizes, int begin, int end) {
  return std::accumulate(sizes.begin() + begin, sizes.begin() + end, int64_t{1}, std::multiplies());
}

// Null for an undefined tensor.
inline const real* data_of(const Tensor& t) { return t.defined() ? t.data() : nullptr; }

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

// The same for operands of shapes a and b, both stretched to `shape`.
inline Broadcast walk(const Shape& shape, const Shape& a, const Shape& b) {
  if (a == shape && b == shape) return Broadcast::flat(shape.elements());
  return walk(shape, steps(a, shape), steps(b, shape));
}

// x stretched to `shape`, element by element.
inline Tensor stretched(const Tensor& x, const Shape& shape) {
  return Tensor(shape, [&](real* y) {
    kernels().strided_copy(walk(shape, x.shape(), x.shape()), x.data(), y);
  });
}

// The gradient of stretching: sums g over the dimensions that were stretched from `shape`.
inline Tensor sum_to(Tensor g, const Shape& shape) {
  if (g.shape() == shape) return g;
  const Broadcast w = walk(g.shape(), g.shape(), shape);
  int64_t inner = 1;  // sizes behind dimension i that stay
  for (int i = w.rank; i-- > 0;) {
    const int64_t n = w.sizes[size_t(i)], outer = product(w.sizes, 0, i);
    if (w.b_strides[size_t(i)] != 0) {
      inner *= n;
    } else {
      g = Tensor({outer, inner},
                 [&](real* sum) { kernels().reduce_sum(outer, n, inner, g.data(), sum); });
    }
  }
  return g.viewed_as(shape);
}

// Functions of one number, whose value and slope stand side by side in kernels/elementwise.h. Where
// the slope follows from the result y, that is kept, as the next operation does anyway; else x.
Tensor of_x(const char* op, Unary f, const Tensor& x, double p = 0, double q = 0);
Tensor of_y(const char* op, Unary f, const Tensor& x);
// Functions of two numbers with both slopes there.
Tensor of_ab(const char* op, Binary f, const Tensor& a, const Tensor& b);

}  // namespace kindling::value
