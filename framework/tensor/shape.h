// Shape: the sizes of a tensor's dimensions, outermost first, and broadcasting. Page:
// docs/tensor.md
#pragma once

#include "base/check.h"

namespace kindling {

// Most dimensions a tensor may have: windows of a batch of images need six.
inline constexpr int kMaxRank = 6;

// A dimension has at most 2^31 - 1 elements; a tensor may have more.
class Shape {
 public:
  Shape() = default;  // of a scalar: rank 0, one element
  Shape(std::initializer_list<int64_t> sizes) : Shape(std::span(sizes.begin(), sizes.size())) {}
  explicit Shape(std::span<const int64_t> sizes);

  int rank() const { return rank_; }
  int64_t operator[](int i) const { return sizes_[size_t(i)]; }  // i in 0 .. rank-1, unchecked
  int64_t dim(int i) const { return sizes_[size_t(axis(i))]; }   // negative i counts from the end
  int axis(int i) const {                                        // i or rank + i, checked
    if (i < -rank_ || i >= rank_) fail_axis(i);
    return i < 0 ? i + rank_ : i;
  }
  int64_t elements() const {
    int64_t n = 1;
    for (int i = 0; i < rank_; ++i) n *= sizes_[size_t(i)];
    return n;
  }
  const int32_t* begin() const { return sizes_.data(); }
  const int32_t* end() const { return sizes_.data() + rank_; }
  bool operator==(const Shape& other) const {  // the default calls memcmp, 20 ns in a graph node
    bool same = rank_ == other.rank_;
    for (int i = 0; same && i < rank_; ++i) same = sizes_[size_t(i)] == other.sizes_[size_t(i)];
    return same;
  }

  Shape with(int i, int64_t size) const { return spliced(axis(i), 1, {size}); }  // i replaced
  Shape without(int i) const { return spliced(axis(i), 1, {}); }                 // i removed
  Shape inserted(int i, int64_t size) const;  // a new dimension before i (i may be rank)

  std::string str() const;  // "[64, 784]"

 private:
  [[noreturn]] void fail_axis(int i) const;
  // The dimensions [i, i + removed) replaced by those of the list.
  Shape spliced(int i, int removed, std::initializer_list<int64_t> added) const;

  // Every tensor and node carries a shape: 28 bytes are half of what int64_t would take.
  int32_t rank_ = 0;
  std::array<int32_t, kMaxRank> sizes_{};
};

// The shape two operands share: sizes are matched from the last dimension on, and 1 stretches.
// Throws "OP: shapes [3, 4] and [5] do not broadcast".
Shape broadcast(const char* op, const Shape& a, const Shape& b);

}  // namespace kindling

template <> struct fmt::formatter<kindling::Shape> {
  constexpr auto parse(format_parse_context& context) { return context.begin(); }
  template <class Context> auto format(const kindling::Shape& shape, Context& context) const {
    return fmt::format_to(context.out(), "{}", shape.str());
  }
};
