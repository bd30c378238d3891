// Reductions over any axes: sum, mean, max, var, logsumexp, argmax. Page: docs/ops.md

#include "ops/ops.h"
#include "ops/values.h"

namespace kindling {

namespace value {

Tensor repeated(const Tensor& y, const Shape& shape, int64_t outer, int64_t n, int64_t inner) {
  Tensor x(shape);
  kernels().repeat(outer, n, inner, y.data(), x.mutable_data());
  return x;
}

Indices flat_index(const char* op, const Indices& index, int64_t n) {
  ENSURE(index.size() * n <= std::numeric_limits<int32_t>::max(),
         "{}: {} rows of {} are more elements than 2^31 - 1", op, index.size(), n);
  Indices flat(index.shape());
  int32_t* out = flat.mutable_data();
  for (int64_t r = 0; r < index.size(); ++r) out[r] = int32_t(r * n + index[r]);
  return flat;
}

}  // namespace value

namespace {

// What is reduced, seen as [outer, n, inner] with the result [outer, inner].
struct Split {
  int64_t outer = 1, n = 1, inner = 1;
  Shape result;
};

// Calls reduce(x, split). Axes that are not neighbours, or that are not the last ones where
// `last_only` asks for it, are first moved to the end by a permute (which copies, and is recorded).
template <class Reduce>
Tensor over_axes(const char* op, const Tensor& x, const std::vector<int>& axes, bool keep,
                 bool last_only, Reduce&& reduce) {
  const Shape& shape = x.shape();
  std::array<bool, kMaxRank> reduced{};
  for (int axis : axes) {
    bool& r = reduced[size_t(shape.axis(axis))];
    ENSURE(!r, "{}: axis {} of {} is given twice", op, axis, shape);
    r = true;
  }
  if (axes.empty()) std::fill_n(reduced.begin(), shape.rank(), true);

  Split split;
  std::vector<int> kept_axes, reduced_axes;
  std::vector<int64_t> result;
  for (int i = 0; i < shape.rank(); ++i) {
    const bool r = reduced[size_t(i)];
    (r ? reduced_axes : kept_axes).push_back(i);
    if (!r || keep) result.push_back(r ? 1 : shape[i]);
    if (r) split.n *= shape[i];
  }
  split.result = Shape(result);
  const int first = reduced_axes.empty() ? shape.rank() : reduced_axes.front();
  const int end = first + int(reduced_axes.size());
  const bool neighbours = reduced_axes.empty() || reduced_axes.back() == end - 1;
  if (!neighbours || (last_only && end != shape.rank())) {
    split.outer = split.n == 0 ? split.result.elements() : x.size() / split.n;
    std::vector<int> order = kept_axes;
    order.insert(order.end(), reduced_axes.begin(), reduced_axes.end());
    return reduce(permute(x, order), split);
  }
  for (int i = 0; i < first; ++i) split.outer *= shape[i];
  for (int i = end; i < shape.rank(); ++i) split.inner *= shape[i];
  return reduce(x, split);
}

Tensor scaled_sum(const char* op, const Tensor& x, const std::vector<int>& axes, bool keep,
                  bool mean_of) {
  return over_axes(op, x, axes, keep, false, [&](const Tensor& t, const Split& s) {
    const double scale = mean_of ? 1.0 / double(s.n) : 1;
    return record(
        op, {shape_only(t)},
        [&] {
          Tensor y(s.result);
          kernels().reduce_sum(s.outer, s.n, s.inner, t.data(), y.mutable_data());
          return scale == 1 ? y : value::scaled(y, scale);
        },
        [s, scale, shape = t.shape()](const Tensor& gy, Grads& g) {
          const Tensor each = scale == 1 ? gy : value::scaled(gy, scale);
          g.add(0, value::repeated(each, shape, s.outer, s.n, s.inner));
        });
  });
}

}  // namespace

Tensor sum(const Tensor& x, std::vector<int> axes, bool keep) {
  return scaled_sum("sum", x, axes, keep, false);
}

Tensor mean(const Tensor& x, std::vector<int> axes, bool keep) {
  ENSURE(x.size() > 0, "mean: no elements in {}", x.shape());
  return scaled_sum("mean", x, axes, keep, true);
}

Tensor max(const Tensor& x, std::vector<int> axes, bool keep) {
  ENSURE(x.size() > 0, "max: no elements in {}", x.shape());
  return over_axes("max", x, axes, keep, true, [](const Tensor& t, const Split& s) {
    Indices where(Shape{s.outer});
    return record(
        "max", {shape_only(t)},
        [&] {
          Tensor y(s.result);
          kernels().reduce_max(s.outer, s.n, 1, t.data(), y.mutable_data(), where.mutable_data());
          return y;
        },
        [where, n = s.n](const Tensor& gy, Grads& g) {
          kernels().scatter_rows(gy.size(), 1, gy.data(), value::flat_index("max", where, n).data(),
                                 g.into(0).mutable_data());
        });
  });
}

Tensor var(const Tensor& x, std::vector<int> axes, bool keep, int correction) {
  const Tensor deviation = sub(x, mean(x, axes, true));
  const Tensor total = sum(square(deviation), axes, keep);
  const int64_t n = x.size() / total.size();
  ENSURE(n > correction, "var: {} elements with correction {}", n, correction);
  return affine(total, 1.0 / double(n - correction), 0);
}

Tensor logsumexp(const Tensor& x, std::vector<int> axes, bool keep) {
  ENSURE(x.size() > 0, "logsumexp: no elements in {}", x.shape());
  return over_axes("logsumexp", x, axes, keep, true, [](const Tensor& t, const Split& s) {
    return record(
        "logsumexp", {t},
        [&] {
          Tensor y(s.result);
          kernels().logsumexp(s.outer, s.n, t.data(), y.mutable_data());
          return y;
        },
        [t, s](const Tensor& gy, Grads& g) {  // dy/dx = softmax(x)
          Tensor p(t.shape());
          kernels().softmax(s.outer, s.n, t.data(), p.mutable_data());
          const Tensor each = value::repeated(gy, t.shape(), s.outer, s.n, 1);
          g.add(0, value::combine("logsumexp", Binary::mul, p, each));
        });
  });
}

Indices argmax(const Tensor& x, int axis) {
  ENSURE(x.size() > 0, "argmax: no elements in {}", x.shape());
  const int a = x.shape().axis(axis);
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < a; ++i) outer *= x.dim(i);
  for (int i = a + 1; i < x.rank(); ++i) inner *= x.dim(i);
  Tensor largest({outer, inner});
  Indices where(x.shape().without(a));
  kernels().reduce_max(outer, x.dim(a), inner, x.data(), largest.mutable_data(),
                       where.mutable_data());
  return where;
}

}  // namespace kindling
