// Whole-number tensors. Page: docs/tensor.md
#include "tensor/indices.h"

namespace kindling {

Indices::Indices(const Shape& shape, std::span<const int32_t> values) : Indices(shape) {
  ENSURE(int64_t(values.size()) == size(), "indices: {} values for shape {}", values.size(), shape);
  std::copy(values.begin(), values.end(), mutable_data());
}

Indices::Indices(std::initializer_list<int32_t> values)
    : Indices(Shape{int64_t(values.size())}, std::span(values.begin(), values.size())) {}

Indices Indices::viewed_as(const Shape& shape) const {
  ENSURE(shape.elements() == size(), "indices: {} cannot be seen as {}", shape_, shape);
  Indices view = *this;
  view.shape_ = shape;
  return view;
}

}  // namespace kindling
