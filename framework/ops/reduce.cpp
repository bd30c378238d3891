// Reductions over any axes: sum, mean, max, var, logsumexp, argmax. Page: docs/ops.md

#include "ops/ops.h"
#include "ops/values.h"

namespace kindling {
namespace {

// The axes to reduce, counted from the front, the innermost first; all where none are given.
std::vector<int> chosen(const char* op, const Shape& shape, const std::vector<int>& axes) {
  std::array<bool, kMaxRank> reduced{};
  for (int axis : axes) {
    bool& r = reduced[size_t(shape.axis(axis))];
    ENSURE(!r, "{}: axis {} of {} is given twice", op, axis, shape);
    r = true;
  }
  std::vector<int> result;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    if (axes.empty() || reduced[size_t(i)]) result.push_back(i);
  }
  return result;
}

void ensure_elements(const char* op, const Tensor& x) {
  ENSURE(x.size() > 0, "{}: no elements in {}", op, x.shape());
}

}  // namespace

Tensor sum(const Tensor& x, std::vector<int> axes, bool keep) {
  Shape ones = x.shape(), result = ones;  // of the sum, with and without the axes of size 1
  for (int axis : chosen("sum", x.shape(), axes)) {
    ones = ones.with(axis, 1);
    if (!keep) result = result.without(axis);
  }
  return record(
      "sum", {shape_only(x)},
      [&] {
        const Tensor y = ones == x.shape() ? x.clone() : value::sum_to(x.detach(), ones);
        return y.viewed_as(keep ? ones : result);
      },
      [ones](const Tensor& gy, Grads& g) {
        g.add(0, value::stretched(gy.viewed_as(ones), g.shape(0)));
      });
}

Tensor mean(const Tensor& x, std::vector<int> axes, bool keep) {
  ensure_elements("mean", x);
  const Tensor total = sum(x, chosen("mean", x.shape(), axes), keep);
  return total * (double(total.size()) / double(x.size()));
}

// One axis after another: the first of equal maxima is the first in each.
Tensor max(const Tensor& x, std::vector<int> axes, bool keep) {
  ensure_elements("max", x);
  Tensor y = x;
  Shape ones = x.shape();
  for (int axis : chosen("max", x.shape(), axes)) {
    y = pick(y, argmax(y, axis), axis);
    ones = ones.with(axis, 1);
  }
  return keep ? reshape(y, {ones.begin(), ones.end()}) : y;
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
  ensure_elements("logsumexp", x);
  constexpr double kLargest = std::numeric_limits<real>::max();
  axes = chosen("logsumexp", x.shape(), axes);
  const Tensor out = clamp(max(x.detach(), axes, true), -kLargest, kLargest);
  const Tensor y = log(sum(exp(x - out), axes, keep));
  return y + out.viewed_as(y.shape());
}

Indices argmax(const Tensor& x, int axis) {
  ensure_elements("argmax", x);
  const int a = x.shape().axis(axis);
  Indices where(x.shape().without(a));
  Tensor largest(where.shape());
  kernels().reduce_max(value::elements(x.shape(), 0, a), x.dim(a),
                       value::elements(x.shape(), a + 1, x.rank()), x.data(),
                       largest.mutable_data(), where.mutable_data());
  return where;
}

}  // namespace kindling
