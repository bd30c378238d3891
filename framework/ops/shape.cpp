// Operations that only move elements: reshape, permute, concat, slice, broadcast. Page: docs/ops.md

#include "ops/ops.h"
#include "ops/values.h"

namespace kindling {

namespace value {

Tensor permuted(const Tensor& x, const std::vector<int>& order) {
  const auto strides = strides_of(x.shape());
  Broadcast walk;
  walk.rank = std::max(1, x.rank());
  walk.elements = x.size();
  walk.sizes[0] = walk.a_strides[0] = 1;
  std::array<int64_t, kMaxRank> sizes{};
  for (size_t i = 0; i < order.size(); ++i) {
    sizes[i] = walk.sizes[i] = x.dim(order[i]);
    walk.a_strides[i] = strides[size_t(order[i])];
  }
  walk.b_strides = walk.a_strides;
  Tensor y(Shape(std::span<const int64_t>(sizes.data(), order.size())));
  kernels().strided_copy(walk, x.data(), y.mutable_data());
  return y;
}

}  // namespace value

Tensor reshape(const Tensor& x, std::vector<int64_t> sizes) {
  int64_t known = 1;
  int64_t* open = nullptr;
  for (int64_t& size : sizes) {
    ENSURE(size >= 0 || (size == -1 && open == nullptr),
           "reshape: of {}: a size of {}; one may be -1, the others are at least 0", x.shape(),
           size);
    if (size == -1) {
      open = &size;
    } else {
      known *= size;
    }
  }
  if (open != nullptr) {
    ENSURE(known > 0 && x.size() % known == 0, "reshape: {} has {} elements, not a multiple of {}",
           x.shape(), x.size(), known);
    *open = x.size() / known;
  }
  return record(
      "reshape", {shape_only(x)}, [&] { return x.viewed_as(Shape(sizes)); },
      [shape = x.shape()](const Tensor& gy, Grads& g) { g.add(0, gy.viewed_as(shape)); });
}

Tensor permute(const Tensor& x, std::vector<int> order) {
  std::vector<int> inverse(order.size(), -1);
  ENSURE(int(order.size()) == x.rank(), "permute: {} axes for shape {}", order.size(), x.shape());
  for (size_t i = 0; i < order.size(); ++i) {
    order[i] = x.shape().axis(order[i]);
    int& to = inverse[size_t(order[i])];
    ENSURE(to == -1, "permute: axis {} of {} is given twice", order[i], x.shape());
    to = int(i);
  }
  return record(
      "permute", {shape_only(x)}, [&] { return value::permuted(x, order); },
      [inverse](const Tensor& gy, Grads& g) { g.add(0, value::permuted(gy, inverse)); });
}

Tensor transpose(const Tensor& x, int i, int j) {
  std::vector<int> order(size_t(x.rank()));
  std::iota(order.begin(), order.end(), 0);
  std::swap(order[size_t(x.shape().axis(i))], order[size_t(x.shape().axis(j))]);
  return permute(x, order);
}

Tensor concat(std::span<const Tensor> parts, int axis) {
  ENSURE(!parts.empty(), "concat: no tensors");
  const int a = parts[0].shape().axis(axis);
  int64_t total = 0, outer = 1, inner = 1;
  for (const Tensor& part : parts) {
    ENSURE(part.rank() == parts[0].rank() && part.shape().with(a, 1) == parts[0].shape().with(a, 1),
           "concat: {} and {} differ outside axis {}", parts[0].shape(), part.shape(), a);
    total += part.dim(a);
  }
  for (int i = 0; i < a; ++i) outer *= parts[0].dim(i);
  for (int i = a + 1; i < parts[0].rank(); ++i) inner *= parts[0].dim(i);

  std::vector<Input> inputs;
  std::vector<Shape> shapes;
  for (const Tensor& part : parts)
    inputs.push_back(shape_only(part)), shapes.push_back(part.shape());
  const int64_t row = total * inner;  // elements of the result per outer index
  return record(
      "concat", inputs,
      [&] {
        Tensor y(parts[0].shape().with(a, total));
        real* out = y.mutable_data();
        for (const Tensor& part : parts) {
          const int64_t n = part.dim(a) * inner;
          for (int64_t o = 0; o < outer; ++o) std::copy_n(part.data() + o * n, n, out + o * row);
          out += n;
        }
        count_cost(0, 2 * y.size() * int64_t(sizeof(real)));
        return y;
      },
      [shapes, a, outer, inner, row](const Tensor& gy, Grads& g) {
        const real* from = gy.data();
        for (size_t i = 0; i < shapes.size(); ++i) {
          const int64_t n = shapes[i][a] * inner;
          if (g.wants(int(i))) {
            Tensor part(shapes[i]);
            real* to = part.mutable_data();
            for (int64_t o = 0; o < outer; ++o) std::copy_n(from + o * row, n, to + o * n);
            g.add(int(i), std::move(part));
          }
          from += n;
        }
      });
}

Tensor concat(std::initializer_list<Tensor> parts, int axis) {
  return concat(std::span<const Tensor>(parts.begin(), parts.size()), axis);
}

Tensor slice(const Tensor& x, int axis, int64_t begin, int64_t end, int64_t step) {
  const int a = x.shape().axis(axis);
  const int64_t size = x.dim(a);
  const int64_t from = begin < 0 ? begin + size : begin, to = end < 0 ? end + size : end;
  ENSURE(from >= 0 && from <= to && to <= size && step >= 1,
         "slice: {} to {} by {} of axis {} in {}", begin, end, step, a, x.shape());
  const Shape shape = x.shape().with(a, (to - from + step - 1) / step);
  const auto strides = strides_of(x.shape());
  Broadcast walk;
  walk.rank = shape.rank();
  walk.elements = shape.elements();
  for (int i = 0; i < shape.rank(); ++i) {
    walk.sizes[size_t(i)] = shape[i];
    walk.a_strides[size_t(i)] = strides[size_t(i)] * (i == a ? step : 1);
  }
  walk.b_strides = walk.a_strides;
  const int64_t offset = from * strides[size_t(a)];
  return record(
      "slice", {shape_only(x)},
      [&] {
        Tensor y(shape);
        kernels().strided_copy(walk, x.data() + offset, y.mutable_data());
        return y;
      },
      [walk, offset](const Tensor& gy, Grads& g) {
        kernels().strided_add(walk, gy.data(), g.into(0).mutable_data() + offset);
      });
}

Tensor broadcast_to(const Tensor& x, const Shape& shape) {
  ENSURE(broadcast("broadcast_to", x.shape(), shape) == shape,
         "broadcast_to: {} does not stretch to {}", x.shape(), shape);
  return record(
      "broadcast_to", {shape_only(x)},
      [&] {
        Tensor y(shape);
        kernels().strided_copy(value::walk(shape, x.shape(), x.shape()), x.data(),
                               y.mutable_data());
        return y;
      },
      [from = x.shape()](const Tensor& gy, Grads& g) { g.add(0, value::sum_to(gy, from)); });
}

}  // namespace kindling
