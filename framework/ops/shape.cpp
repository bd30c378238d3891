// Operations that only move elements: reshape, permute, concat, slice, broadcast. Page: docs/ops.md
#include "ops/ops.h"

namespace kindling {
namespace {

// A copy of the elements `strides` apart in x, from `offset` on. Backwards each adds its gradient
// where it came from.
Tensor strided(const char* op, const Tensor& x, const Shape& shape, const value::Strides& strides,
               int64_t offset = 0) {
  const Broadcast walk = value::walk(shape, strides, strides);
  return record(
      op, {shape_only(x)}, shape,
      [&](real* y) { kernels().strided_copy(walk, x.data() + offset, y); },
      [walk, offset](const Tensor& gy, Grads& g) {
        kernels().strided_add(walk, gy.data(), g.into(0).mutable_data() + offset);
      });
}

}  // namespace

Tensor reshape(const Tensor& x, std::vector<int64_t> sizes) {
  const auto open = std::ranges::find(sizes, -1);
  const int64_t negative = std::ranges::count_if(sizes, [](int64_t size) { return size < 0; });
  ENSURE(negative == (open != sizes.end()),
         "reshape: of {}: one may be -1, the other sizes are at least 0", x.shape());
  if (open != sizes.end()) {
    *open = 1;
    const int64_t known = Shape(sizes).elements();
    ENSURE(known > 0 && x.size() % known == 0, "reshape: {} has {} elements, not a multiple of {}",
           x.shape(), x.size(), known);
    *open = x.size() / known;
  }
  return record(
      "reshape", {shape_only(x)}, [&] { return x.viewed_as(Shape(sizes)); },
      [](const Tensor& gy, Grads& g) { g.add(0, gy.viewed_as(g.shape(0))); });
}

Tensor permute(const Tensor& x, std::vector<int> order) {
  ENSURE(int(order.size()) == x.rank(), "permute: {} axes for shape {}", order.size(), x.shape());
  const value::Strides from = value::steps(x.shape(), x.shape());
  value::Strides strides{};
  std::vector<int64_t> sizes;
  std::array<bool, kMaxRank> used{};
  for (int i = 0; i < x.rank(); ++i) {
    const int axis = x.shape().axis(order[size_t(i)]);
    ENSURE(!std::exchange(used[size_t(axis)], true), "permute: axis {} of {} is given twice", axis,
           x.shape());
    sizes.push_back(x.dim(axis));
    strides[size_t(i)] = from[size_t(axis)];
  }
  return strided("permute", x, Shape(sizes), strides);
}

Tensor transpose(const Tensor& x, int i, int j) {
  std::vector<int> order(size_t(x.rank()));
  std::iota(order.begin(), order.end(), 0);
  std::swap(order[size_t(x.shape().axis(i))], order[size_t(x.shape().axis(j))]);
  return permute(x, order);
}

Tensor concat(std::span<const Tensor> parts, int axis) {
  ENSURE(!parts.empty(), "concat: no tensors");
  const Shape& first = parts[0].shape();
  const int a = first.axis(axis);
  std::vector<Input> inputs;
  std::vector<int64_t> begins = {0};  // of the parts along the axis, and the end of the last
  for (const Tensor& part : parts) {
    ENSURE(part.rank() == first.rank() && part.shape().with(a, 1) == first.with(a, 1),
           "concat: {} and {} differ outside axis {}", first, part.shape(), a);
    inputs.push_back(shape_only(part));
    begins.push_back(begins.back() + part.dim(a));
  }
  return record(
      "concat", inputs, first.with(a, begins.back()),
      [&](real* y) {
        const int64_t outer = value::product(first, 0, a);
        for (int64_t o = 0; o < outer; ++o) {
          for (const Tensor& part : parts) {
            const int64_t n = part.size() / outer;
            y = std::copy_n(part.data() + o * n, n, y);
            count_cost(0, 2 * n * int64_t(sizeof(real)));
          }
        }
      },
      [a, begins](const Tensor& gy, Grads& g) {
        for (size_t i = 0; i + 1 < begins.size(); ++i) {
          if (g.wants(int(i))) g.add(int(i), slice(gy, a, begins[i], begins[i + 1]));
        }
      });
}

Tensor slice(const Tensor& x, int axis, int64_t begin, int64_t end, int64_t step) {
  const int a = x.shape().axis(axis);
  const int64_t size = x.dim(a);
  const int64_t from = begin < 0 ? begin + size : begin, to = end < 0 ? end + size : end;
  ENSURE(from >= 0 && from <= to && to <= size && step >= 1,
         "slice: {} to {} by {} of axis {} in {}", begin, end, step, a, x.shape());
  step = std::min(step, size + 1);  // which takes one element, as any larger step does
  value::Strides strides = value::steps(x.shape(), x.shape());
  const int64_t offset = from * strides[size_t(a)];
  strides[size_t(a)] *= step;
  return strided("slice", x, x.shape().with(a, (to - from + step - 1) / step), strides, offset);
}

Tensor broadcast_to(const Tensor& x, const Shape& shape) {
  ENSURE(broadcast("broadcast_to", x.shape(), shape) == shape,
         "broadcast_to: {} does not stretch to {}", x.shape(), shape);
  if (x.shape() == shape) return x;
  return record(
      "broadcast_to", {shape_only(x)}, [&] { return value::stretched(x, shape); },
      [](const Tensor& gy, Grads& g) { g.add(0, value::sum_to(gy, g.shape(0))); });
}

}  // namespace kindling
