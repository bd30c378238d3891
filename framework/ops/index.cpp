// Picking by index: gather, pick, embedding, one_hot. Page: docs/ops.md
#include "ops/ops.h"

namespace kindling {
namespace {

void check_range(const char* op, const Indices& index, int64_t size) {
  for (int64_t i = 0; i < index.size(); ++i) {
    ENSURE(index[i] >= 0 && index[i] < size, "{}: index {} at position {} is not in 0..{}", op,
           index[i], i, size - 1);
  }
}

// Slices of x along its first axis. Backwards each adds its gradient where it came from.
Tensor slices(const char* op, const Tensor& x, const Indices& index) {
  check_range(op, index, x.dim(0));
  Shape shape = index.shape();
  for (int i = 1; i < x.rank(); ++i) shape = shape.inserted(shape.rank(), x.dim(i));
  const int64_t n = value::product(x.shape(), 1, x.rank());
  return record(
      op, {shape_only(x), index}, shape,
      [&](real* y) { kernels().gather_rows(index.size(), n, x.data(), index.data(), y); },
      [index, n](const Tensor& gy, Grads& g) {
        kernels().scatter_rows(index.size(), n, gy.data(), index.data(), g.into(0).mutable_data());
      });
}

}  // namespace

Tensor gather(const Tensor& x, const Indices& index) {
  ENSURE(x.rank() >= 1, "gather: x is a single number");
  return slices("gather", x, index);
}

Tensor embedding(const Tensor& weight, const Indices& ids) {
  ENSURE(weight.rank() == 2, "embedding: weight {} is not [vocabulary, D]", weight.shape());
  return slices("embedding", weight, ids);
}

Tensor pick(const Tensor& x, const Indices& index, int axis) {
  const int a = x.shape().axis(axis);
  const int64_t n = x.dim(a), inner = value::product(x.shape(), a + 1, x.rank());
  ENSURE(index.shape() == x.shape().without(a),
         "pick: x {} needs one index for each place without axis {}, got {}", x.shape(), a,
         index.shape());
  ENSURE(x.size() <= std::numeric_limits<int32_t>::max(),
         "pick: {} rows of {} are more elements than 2^31 - 1", index.size(), n);
  check_range("pick", index, n);
  Indices flat(index.shape());  // where each element lies in x
  int32_t* to = flat.mutable_data();
  for (int64_t i = 0; i < index.size(); ++i) {
    to[i] = int32_t((i / inner * n + index[i]) * inner + i % inner);
  }
  return slices("pick", reshape(x, {-1}), flat);
}

Tensor one_hot(const Indices& index, int64_t classes) {
  check_range("one_hot", index, classes);
  Tensor y = zeros(index.shape().inserted(index.rank(), classes));
  real* out = y.mutable_data();
  for (int64_t i = 0; i < index.size(); ++i) out[i * classes + index[i]] = 1;
  return y;
}

}  // namespace kindling
