// Tensor: a handle to a dense row-major block of numbers, with an optional place in the graph.
// Page: docs/tensor.md
#pragma once

#include "base/random.h"
#include "base/real.h"
#include "tensor/shape.h"
#include "tensor/storage.h"

namespace kindling {
// The double build has its own Tensor type, so that linking it with the float one fails.
#ifdef KINDLING_DOUBLE
inline namespace f64 {
#endif

// Copying a Tensor copies the handle: both see the same elements. clone() copies the elements.
class Tensor {
 public:
  Tensor() = default;                  // undefined: no elements, no shape
  explicit Tensor(const Shape& shape)  // elements not initialised; the factories below fill them
      : Tensor(Storage::create(size_t(shape.elements()) * sizeof(real)), shape.elements(), shape) {}
  // Elements written by fill(data), which gets a pointer to the first of them.
  template <std::invocable<real*> Fill>
  Tensor(const Shape& shape, const Fill& fill) : Tensor(shape) {
    fill(static_cast<real*>(storage_->data()));
  }

  bool defined() const { return bool(storage_); }
  const Shape& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  int64_t dim(int i) const { return shape_.dim(i); }  // negative i counts from the end
  int64_t size() const { return size_; }              // number of elements

  const real* data() const { return static_cast<const real*>(checked_storage()->data()); }
  std::span<const real> values() const { return {data(), size_t(size_)}; }
  // Write access: raises the storage's version. Throws when this is the recorded result of an
  // operation, because backward needs it as it was.
  real* mutable_data() {
    if (history_) ensure_leaf();
    checked_storage()->written();
    return static_cast<real*>(storage_->data());
  }
  real item() const;  // the only element; throws if there are more
  real at(std::initializer_list<int64_t> index) const;

  Tensor clone() const;                                              // own elements, no history
  Tensor detach() const { return Tensor(storage_, size_, shape_); }  // same elements, no history
  Tensor viewed_as(const Shape& shape) const;  // same elements, no history; sizes must agree

  // The graph (autograd/backward.cpp). A leaf that requires a gradient collects it in grad().
  bool requires_grad() const { return bool(history_); }
  Tensor& set_requires_grad(bool on = true);
  Tensor grad() const;    // undefined until a backward reached this leaf
  void zero_grad();       // makes grad() undefined again
  void backward() const;  // of a single element, starting with 1
  void backward(const Tensor& gradient) const;

  // For the engine itself.
  const Ref<Storage>& storage() const { return storage_; }
  const Ref<Counted>& history() const { return history_; }
  void set_history(Ref<Counted> node) { history_ = std::move(node); }

 private:
  Tensor(Ref<Storage> storage, int64_t size, const Shape& shape)
      : storage_(std::move(storage)), size_(size), shape_(shape) {}

  Storage* checked_storage() const {
    ENSURE(storage_, "tensor: this tensor is undefined (default constructed, or moved from)");
    return storage_.get();
  }
  void ensure_leaf() const;  // throws for a recorded result; autograd/backward.cpp

  Ref<Storage> storage_;
  Ref<Counted> history_;  // a Node of autograd/node.h
  int64_t size_ = 0;
  Shape shape_;
};

#ifdef KINDLING_DOUBLE
}  // namespace f64
#endif

// Factories. Every one gives a tensor without history.
Tensor zeros(const Shape& shape);
Tensor full(const Shape& shape, double value);
inline Tensor ones(const Shape& shape) { return full(shape, 1); }
inline Tensor scalar(double value) { return full({}, value); }      // shape []
Tensor tensor(const Shape& shape, std::span<const double> values);  // row by row; counts must agree
inline Tensor tensor(const Shape& shape, std::initializer_list<double> values) {
  return tensor(shape, std::span(values.begin(), values.size()));
}
// In [low, high).
Tensor uniform(const Shape& shape, Random& random, double low = 0, double high = 1);
Tensor normal(const Shape& shape, Random& random, double mean = 0, double deviation = 1);

// Writes `source` over `target` element by element; shapes must agree, dtypes are real.
void copy_into(Tensor& target, const Tensor& source);

}  // namespace kindling
