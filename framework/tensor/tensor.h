// The two handles to dense row-major blocks of numbers: Tensor, of real ones, with an optional
// place in the graph, and Indices, of whole ones. Page: docs/tensor.md
#pragma once

#include "base/memory.h"
#include "base/random.h"
#include "tensor/shape.h"

namespace kindling {

// A counted block of elements that knows how often it was written. Header and elements are one
// block. The elements begin at its byte 64, so at a multiple of 64; up to 32 bytes of them (a
// number, a small bias) begin at byte 32 and share the header's cache line.
struct Storage final : Counted {
  // Room for n elements, not initialised.
  template <class T> static Ref<Storage> create(int64_t n) {
    const size_t bytes = size_t(n) * sizeof(T), gap = bytes <= 32 ? 0 : 32;
    return Ref<Storage>(make<Storage>(gap + bytes, gap));
  }
  explicit Storage(size_t gap) : data(reinterpret_cast<char*>(this + 1) + gap) {}

  // Raised by every mutable access; backward compares it with what was recorded.
  uint32_t version = 0;
  void* const data;
};
static_assert(sizeof(Storage) == 32, "the elements begin behind the header");

// What both are. Copying one copies the handle: both see the same elements.
template <class T> class Dense {
 public:
  Dense() = default;                  // undefined: no elements, no shape
  explicit Dense(const Shape& shape)  // elements not initialised
      : shape_(shape), size_(shape.elements()), storage_(Storage::create<T>(size_)) {}
  // Elements written by fill(data), which gets a pointer to the first of them.
  template <std::invocable<T*> Fill> Dense(const Shape& shape, const Fill& fill) : Dense(shape) {
    fill(elements());
  }
  // The values row by row; counts must agree. Whole numbers are taken from their own type alone:
  // another might not fit.
  template <std::ranges::sized_range Values>
  requires(!std::is_integral_v<T> || std::same_as<std::ranges::range_value_t<Values>, T>)
      Dense(const Shape& shape, const Values& values)
      : Dense(counted(shape, values.size())) {
    std::ranges::copy(values, elements());
  }

  bool defined() const { return bool(storage_); }
  const Shape& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  int64_t dim(int i) const { return shape_.dim(i); }  // negative i counts from the end
  int64_t size() const { return size_; }              // number of elements

  const T* data() const { return elements(); }
  std::span<const T> values() const { return {data(), size_t(size_)}; }
  const Ref<Storage>& storage() const { return storage_; }  // for the engine itself

 protected:
  T* mutable_data() {  // raises the storage's version
    T* const data = elements();
    ++storage_->version;
    return data;
  }

  Shape shape_;
  int64_t size_ = 0;
  Ref<Storage> storage_;

 private:
  static const Shape& counted(const Shape& shape, size_t values) {
    ENSURE(int64_t(values) == shape.elements(), "{}: {} values for shape {}",
           std::is_integral_v<T> ? "indices" : "tensor", values, shape);
    return shape;
  }
  T* elements() const {
    ENSURE(storage_, "tensor: this tensor is undefined (default constructed, or moved from)");
    return static_cast<T*>(storage_->data);
  }
};

// Class labels, token ids: a type that cannot be differentiated.
class Indices : public Dense<int32_t> {
 public:
  using Dense::Dense;
  Indices(std::initializer_list<int32_t> values)  // shape [n]
      : Dense(Shape{int64_t(values.size())}, values) {}

  using Dense::mutable_data;
  int32_t operator[](int64_t i) const { return data()[i]; }  // unchecked
};

// The double build has its own Tensor type, so that linking it with the float one fails.
#ifdef KINDLING_DOUBLE
inline namespace f64 {
#endif

class Tensor : public Dense<real> {
 public:
  using Dense::Dense;
  Tensor() = default;

  // Write access: raises the storage's version. Throws when this is the recorded result of an
  // operation, because backward needs it as it was.
  real* mutable_data() {
    if (history_) ensure_leaf();
    return Dense::mutable_data();
  }
  real item() const {  // the only element; throws if there are more
    ENSURE(size_ == 1, "item: shape {} has {} elements, not one", shape_, size_);
    return data()[0];
  }
  real at(std::initializer_list<int64_t> index) const {
    ENSURE(int(index.size()) == rank(), "at: {} indices for shape {}", index.size(), shape_);
    int64_t offset = 0;
    for (int i = 0; int64_t k : index) {
      ENSURE(k >= 0 && k < shape_[i], "at: index {} in dimension {} of {}", k, i, shape_);
      offset = offset * shape_[i++] + k;
    }
    return data()[offset];
  }

  Tensor clone() const {  // own elements, no history
    return Tensor(shape_, [&](real* copy) { std::copy_n(data(), size_, copy); });
  }
  // Same elements, no history; viewed_as gives them another shape, whose size must agree.
  Tensor detach() const { return Tensor(static_cast<const Dense&>(*this)); }
  Tensor viewed_as(const Shape& shape) const {
    ENSURE(shape.elements() == size_, "reshape: {} has {} elements, {} has {}", shape_, size_,
           shape, shape.elements());
    Tensor view = detach();
    view.shape_ = shape;
    return view;
  }

  // The graph (autograd/backward.cpp). A leaf that requires a gradient collects it in grad().
  bool requires_grad() const { return bool(history_); }
  Tensor& set_requires_grad(bool on = true);
  Tensor grad() const;    // undefined until a backward reached this leaf
  void zero_grad();       // makes grad() undefined again
  void backward() const;  // of a single element, from this result to the leaves, starting with 1
  void backward(const Tensor& gradient) const;

  // For the engine itself.
  const Ref<Counted>& history() const { return history_; }
  void set_history(Counted* node) { history_ = Ref<Counted>(node); }

 private:
  explicit Tensor(const Dense& elements) : Dense(elements) {}
  void ensure_leaf() const;  // throws for a recorded result; autograd/backward.cpp

  Ref<Counted> history_;  // a Node of autograd/node.h
};

#ifdef KINDLING_DOUBLE
}  // namespace f64
#endif

// Factories. Every one gives a tensor without history.
inline Tensor full(const Shape& shape, double value) {
  return Tensor(shape, [&](real* x) { std::fill_n(x, shape.elements(), real(value)); });
}
inline Tensor zeros(const Shape& shape) {  // quicker than full: the compiler sees a memset
  return Tensor(shape, [&](real* x) { std::fill_n(x, shape.elements(), real(0)); });
}
inline Tensor ones(const Shape& shape) { return full(shape, 1); }
inline Tensor scalar(double value) { return full({}, value); }  // shape []
inline Tensor tensor(const Shape& shape, std::initializer_list<double> values) {
  return Tensor(shape, values);  // row by row; counts must agree
}
// In [low, high).
inline Tensor uniform(const Shape& shape, Random& random, double low = 0, double high = 1) {
  const real below = std::nextafter(real(high), real(low));  // rounding may not reach high
  const auto draw = [&] { return std::min(real(random.uniform(low, high)), below); };
  return Tensor(shape, [&](real* x) { std::generate_n(x, shape.elements(), draw); });
}
inline Tensor normal(const Shape& shape, Random& random, double mean = 0, double deviation = 1) {
  const auto draw = [&] { return real(mean + deviation * random.normal()); };
  return Tensor(shape, [&](real* x) { std::generate_n(x, shape.elements(), draw); });
}

// Writes `source` over `target` element by element; shapes must agree, dtypes are real.
inline void copy_into(Tensor& target, const Tensor& source) {
  ENSURE(target.shape() == source.shape(), "copy_into: {} over {}", source.shape(), target.shape());
  std::copy_n(source.data(), source.size(), target.mutable_data());
}

}  // namespace kindling
