// Reductions over any axes: sum, mean, max, var, logsumexp, argmax. Page: docs/ops.md
#include "ops/ops.h"

namespace kindling {
namespace {

// The shape of a reduction over the given axes, or over all where none are given: with sizes of 1
// in their places, and as the caller wants it.
struct Reduced {
  Shape ones, result;
};

Reduced reduced(const char* op, const Shape& shape, const std::vector<int>& axes, bool keep) {
  std::array<bool, kMaxRank> given{};
  for (int axis : axes) {
    const bool twice = std::exchange(given[size_t(shape.axis(axis))], true);
    ENSURE(!twice, "{}: axis {} of {} is given twice", op, axis, shape);
  }
  Reduced to{shape, shape};
  for (int i = shape.rank(); i-- > 0;) {
    if (!axes.empty() && !given[size_t(i)]) continue;
    to.ones = to.ones.with(i, 1);
    to.result = keep ? to.result.with(i, 1) : to.result.without(i);
  }
  return to;
}

Tensor total(const char* op, const Tensor& x, const std::vector<int>& axes, bool keep) {
  const Reduced to = reduced(op, x.shape(), axes, keep);
  return record(
      op, {shape_only(x)},
      [&] {
        const Tensor y = to.ones == x.shape() ? x.clone() : value::sum_to(x.detach(), to.ones);
        return y.viewed_as(to.result);
      },
      [ones = to.ones](const Tensor& gy, Grads& g) {
        g.add(0, value::stretched(gy.viewed_as(ones), g.shape(0)));
      });
}

}  // namespace

Tensor sum(const Tensor& x, std::vector<int> axes, bool keep) {
  return total("sum", x, axes, keep);
}

Tensor mean(const Tensor& x, std::vector<int> axes, bool keep) {
  ENSURE(x.size() > 0, "mean: no elements in {}", x.shape());
  const Tensor y = total("mean", x, axes, keep);
  return y * (double(y.size()) / double(x.size()));
}

// One axis after another, the innermost first, so that the first of equal maxima stays the first.
Tensor max(const Tensor& x, std::vector<int> axes, bool keep) {
  ENSURE(x.size() > 0, "max: no elements in {}", x.shape());
  const Reduced to = reduced("max", x.shape(), axes, keep);
  Tensor y = x;
  for (int i = x.rank() - 1; i >= 0; --i) {
    if (to.ones[i] != x.dim(i)) y = pick(y, argmax(y, i), i);
  }
  return reshape(y, {to.result.begin(), to.result.end()});
}

Tensor var(const Tensor& x, std::vector<int> axes, bool keep, int correction) {
  const Tensor total = sum(square(x - mean(x, axes, true)), axes, keep);
  const int64_t n = x.size() / total.size();
  ENSURE(n > correction, "var: {} elements with correction {}", n, correction);
  return total / double(n - correction);
}

// The maximum is taken out because exp overflows above 88 in float; an infinite one stays in. Where
// it is taken out does not change the result, so it needs no gradient.
Tensor logsumexp(const Tensor& x, std::vector<int> axes, bool keep) {
  ENSURE(x.size() > 0, "logsumexp: no elements in {}", x.shape());
  const Shape result = reduced("logsumexp", x.shape(), axes, keep).result;
  constexpr double kLargest = std::numeric_limits<real>::max();
  const Tensor out = clamp(max(x.detach(), axes, true), -kLargest, kLargest);
  return log(sum(exp(x - out), axes, keep)) + out.viewed_as(result);
}

Indices argmax(const Tensor& x, int axis) {
  ENSURE(x.size() > 0, "argmax: no elements in {}", x.shape());
  const int a = x.shape().axis(axis);
  Indices where(x.shape().without(a));
  Tensor largest(where.shape());
  kernels().reduce_max(value::product(x.shape(), 0, a), x.dim(a),
                       value::product(x.shape(), a + 1, x.rank()), x.data(), largest.mutable_data(),
                       where.mutable_data());
  return where;
}

}  // namespace kindling
