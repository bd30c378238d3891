// Values without history: what the operations compute with, forwards and in their gradients.
// Nothing here records or is seen by the profiler as an operation of its own. Page: docs/ops.md
#pragma once

#include "kernels/dispatch.h"
#include "tensor/indices.h"
#include "tensor/tensor.h"

namespace kindling::value {

// f of each element; f of each pair, broadcasting (`op` names the caller in errors).
Tensor map(Unary f, const Tensor& x, double p = 0, double q = 0);
Tensor combine(const char* op, Binary f, const Tensor& a, const Tensor& b);
Tensor scaled(const Tensor& x, double factor);

// The gradient of a broadcast: sums g over the dimensions that were stretched from `shape`.
Tensor sum_to(Tensor g, const Shape& shape);
// The gradient of a sum: y [outer, inner] repeated n times gives `shape` = [outer, n, inner].
Tensor repeated(const Tensor& y, const Shape& shape, int64_t outer, int64_t n, int64_t inner);

// How to walk x so that it fills `shape`, which it broadcasts to.
Broadcast walk(const Shape& shape, const Shape& a, const Shape& b);
// Where the picked element of each row lies in the flat tensor [rows, n]: r n + index[r].
Indices flat_index(const char* op, const Indices& index, int64_t n);
// x with dimensions in another order, dense again.
Tensor permuted(const Tensor& x, const std::vector<int>& order);

}  // namespace kindling::value
