// Indices: whole numbers (class labels, token ids), a type that cannot be differentiated.
// Page: docs/tensor.md
#pragma once

#include "tensor/shape.h"
#include "tensor/storage.h"

namespace kindling {

// A handle to a dense row-major block of int32, like Tensor without a graph.
class Indices {
 public:
  Indices() = default;
  explicit Indices(const Shape& shape)  // elements not initialised
      : storage_(Storage::create(size_t(shape.elements()) * sizeof(int32_t))), shape_(shape) {}
  Indices(const Shape& shape, std::span<const int32_t> values) : Indices(shape) {
    ENSURE(int64_t(values.size()) == size(), "indices: {} values for shape {}", values.size(),
           shape);
    std::copy(values.begin(), values.end(), mutable_data());
  }
  Indices(std::initializer_list<int32_t> values)  // shape [n]
      : Indices(Shape{int64_t(values.size())}, std::span(values.begin(), values.size())) {}

  bool defined() const { return bool(storage_); }
  const Shape& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  int64_t dim(int i) const { return shape_.dim(i); }
  int64_t size() const { return shape_.elements(); }

  const int32_t* data() const { return static_cast<const int32_t*>(storage_->data()); }
  int32_t* mutable_data() {
    storage_->written();
    return static_cast<int32_t*>(storage_->data());
  }
  std::span<const int32_t> values() const { return {data(), size_t(size())}; }
  int32_t operator[](int64_t i) const { return data()[i]; }  // unchecked
  const Ref<Storage>& storage() const { return storage_; }

 private:
  Ref<Storage> storage_;
  Shape shape_;
};

}  // namespace kindling
