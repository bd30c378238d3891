// Picking by index: gather, pick, embedding, one_hot. Page: docs/ops.md
#include "ops/ops.h"
#include "ops/values.h"

namespace kindling {
namespace {

void check_range(const char* op, const Indices& index, int64_t size) {
  for (int64_t i = 0; i < index.size(); ++i) {
    ENSURE(index[i] >= 0 && index[i] < size, "{}: index {} at position {} is not in 0..{}", op,
           index[i], i, size - 1);
  }
}

// Rows of x [N, n] by index, into `shape`. Backwards each row adds its gradient where it came from.
Tensor rows(const char* op, const Tensor& x, const Indices& index, const Shape& shape) {
  check_range(op, index, x.dim(0));
  const int64_t n = x.size() / std::max(x.dim(0), int64_t{1});
  return record(
      op, {shape_only(x), index},
      [&] {
        Tensor y(shape);
        kernels().gather_rows(index.size(), n, x.data(), index.data(), y.mutable_data());
        return y;
      },
      [index, n](const Tensor& gy, Grads& g) {
        kernels().scatter_rows(index.size(), n, gy.data(), index.data(), g.into(0).mutable_data());
      });
}

}  // namespace

Tensor gather(const Tensor& x, const Indices& index) {
  ENSURE(x.rank() >= 1, "gather: x is a single number");
  Shape shape = index.shape();
  for (int i = 1; i < x.rank(); ++i) shape = shape.inserted(shape.rank(), x.dim(i));
  return rows("gather", x, index, shape);
}

Tensor pick(const Tensor& x, const Indices& index) {
  ENSURE(x.rank() == 2 && index.shape() == Shape{x.dim(0)},
         "pick: x {} needs two dimensions and one index per row, got {}", x.shape(), index.shape());
  check_range("pick", index, x.dim(1));
  const Indices flat = value::flat_index("pick", index, x.dim(1));
  return record(
      "pick", {shape_only(x)},
      [&] {
        Tensor y(index.shape());
        kernels().gather_rows(flat.size(), 1, x.data(), flat.data(), y.mutable_data());
        return y;
      },
      [flat](const Tensor& gy, Grads& g) {
        kernels().scatter_rows(flat.size(), 1, gy.data(), flat.data(), g.into(0).mutable_data());
      });
}

Tensor embedding(const Tensor& weight, const Indices& ids) {
  ENSURE(weight.rank() == 2, "embedding: weight {} is not [vocabulary, D]", weight.shape());
  return rows("embedding", weight, ids, ids.shape().inserted(ids.rank(), weight.dim(1)));
}

Tensor one_hot(const Indices& index, int64_t classes) {
  check_range("one_hot", index, classes);
  Tensor y = zeros(index.shape().inserted(index.rank(), classes));
  real* out = y.mutable_data();
  for (int64_t r = 0; r < index.size(); ++r) out[r * classes + index[r]] = 1;
  return y;
}

}  // namespace kindling
