// Handles, factories and element access of tensors. Page: docs/tensor.md
#include "tensor/tensor.h"

namespace kindling {

real Tensor::item() const {
  ENSURE(size_ == 1, "item: shape {} has {} elements, not one", shape_, size_);
  return data()[0];
}

real Tensor::at(std::initializer_list<int64_t> index) const {
  ENSURE(int(index.size()) == rank(), "at: {} indices for shape {}", index.size(), shape_);
  int64_t offset = 0;
  for (int i = 0; int64_t k : index) {
    ENSURE(k >= 0 && k < shape_[i], "at: index {} in dimension {} of {}", k, i, shape_);
    offset = offset * shape_[i++] + k;
  }
  return data()[offset];
}

Tensor Tensor::clone() const {
  Tensor copy(shape_);
  std::copy_n(data(), size_, static_cast<real*>(copy.storage_->data()));
  return copy;
}

Tensor Tensor::viewed_as(const Shape& shape) const {
  ENSURE(shape.elements() == size_, "reshape: {} has {} elements, {} has {}", shape_, size_, shape,
         shape.elements());
  return Tensor(storage_, size_, shape);
}

Tensor zeros(const Shape& shape) {
  return Tensor(shape,
                [n = size_t(shape.elements())](real* x) { std::memset(x, 0, n * sizeof *x); });
}

Tensor full(const Shape& shape, double value) {
  return Tensor(shape, [&](real* x) { std::fill_n(x, shape.elements(), real(value)); });
}

Tensor tensor(const Shape& shape, std::span<const double> values) {
  ENSURE(shape.elements() == int64_t(values.size()), "tensor: {} values for shape {}",
         values.size(), shape);
  return Tensor(
      shape, [&](real* x) { std::ranges::transform(values, x, [](double v) { return real(v); }); });
}

Tensor uniform(const Shape& shape, Random& random, double low, double high) {
  Tensor t(shape);
  const real below = std::nextafter(real(high), real(low));  // rounding may not reach high
  std::generate_n(t.mutable_data(), t.size(),
                  [&] { return std::min(real(random.uniform(low, high)), below); });
  return t;
}

Tensor normal(const Shape& shape, Random& random, double mean, double deviation) {
  Tensor t(shape);
  std::generate_n(t.mutable_data(), t.size(),
                  [&] { return real(mean + deviation * random.normal()); });
  return t;
}

void copy_into(Tensor& target, const Tensor& source) {
  ENSURE(target.shape() == source.shape(), "copy_into: {} over {}", source.shape(), target.shape());
  std::copy_n(source.data(), source.size(), target.mutable_data());
}

}  // namespace kindling
