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
  explicit Shape(std::span<const int64_t> sizes) {
    ENSURE(sizes.size() <= size_t(kMaxRank), "shape: {} dimensions are more than {}", sizes.size(),
           kMaxRank);
    int64_t elements = 1;
    for (int64_t size : sizes) {
      ENSURE(size >= 0 && size <= std::numeric_limits<int32_t>::max(),
             "shape: a dimension of size {}; it must be 0 to 2^31 - 1", size);
      ENSURE(!__builtin_mul_overflow(elements, std::max<int64_t>(16 * size, 16), &elements),
             "shape: more elements than any machine can hold");
      elements /= 16;  // the factor 16 leaves room for their bytes
      sizes_[size_t(rank_++)] = int32_t(size);
    }
  }

  int rank() const { return rank_; }
  int64_t operator[](int i) const { return sizes_[size_t(i)]; }  // i in 0 .. rank-1, unchecked
  int64_t dim(int i) const { return sizes_[size_t(axis(i))]; }   // negative i counts from the end
  int axis(int i) const {                                        // i or rank + i, checked
    ENSURE(i >= -rank_ && i < rank_, "shape: {} has no dimension {}", str(), i);
    return i < 0 ? i + rank_ : i;
  }
  int64_t elements() const {
    return std::accumulate(begin(), end(), int64_t{1}, std::multiplies());
  }
  const int32_t* begin() const { return sizes_.data(); }
  const int32_t* end() const { return sizes_.data() + rank_; }
  bool operator==(const Shape& other) const {  // the default calls memcmp, 20 ns in a graph node
    return rank_ == other.rank_ && std::mismatch(begin(), end(), other.begin()).first == end();
  }

  Shape with(int i, int64_t size) const { return spliced(axis(i), 1, {size}); }  // i replaced
  Shape without(int i) const { return spliced(axis(i), 1, {}); }                 // i removed
  Shape inserted(int i, int64_t size) const {  // a new dimension before i (i may be rank)
    ENSURE(i >= 0 && i <= rank_, "shape: no place {} in {}", i, str());
    return spliced(i, 0, {size});
  }

  std::string str() const;  // "[64, 784]"

 private:
  // The dimensions [i, i + removed) replaced by those of the list.
  Shape spliced(int i, int removed, std::initializer_list<int64_t> added) const {
    std::array<int64_t, kMaxRank + 1> sizes{};
    auto last = std::copy(begin(), begin() + i, sizes.begin());
    last = std::copy(added.begin(), added.end(), last);
    last = std::copy(begin() + i + removed, end(), last);
    return Shape(std::span<const int64_t>(sizes.begin(), last));
  }

  // Every tensor and node carries a shape: 28 bytes are half of what int64_t would take.
  int32_t rank_ = 0;
  std::array<int32_t, kMaxRank> sizes_{};
};

}  // namespace kindling

template <> struct fmt::formatter<kindling::Shape> {  // {} alone: no width
  constexpr auto parse(format_parse_context& context) { return context.begin(); }
  appender format(const kindling::Shape& shape, format_context& context) const;
};

namespace kindling {

// The shape two operands share: sizes are matched from the last dimension on, and 1 stretches.
// Throws "OP: shapes [3, 4] and [5] do not broadcast".
inline Shape broadcast(const char* op, const Shape& a, const Shape& b) {
  if (a == b) return a;
  const int rank = std::max(a.rank(), b.rank());
  std::array<int64_t, kMaxRank> sizes{};
  for (int i = 1; i <= rank; ++i) {
    const int64_t m = i <= a.rank() ? a[a.rank() - i] : 1, n = i <= b.rank() ? b[b.rank() - i] : 1;
    ENSURE(m == n || m == 1 || n == 1, "{}: shapes {} and {} do not broadcast", op, a, b);
    sizes[size_t(rank - i)] = m == 1 ? n : m;
  }
  return Shape(std::span(sizes).first(size_t(rank)));
}

}  // namespace kindling
