// Shapes and broadcasting. Page: docs/tensor.md
#include "tensor/shape.h"

namespace kindling {

Shape::Shape(std::span<const int64_t> sizes) {
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

void Shape::fail_axis(int i) const {
  throw Error(fmt::format("shape: {} has no dimension {}", str(), i));
}

Shape Shape::inserted(int i, int64_t size) const {
  ENSURE(i >= 0 && i <= rank_, "shape: no place {} in {}", i, str());
  return spliced(i, 0, {size});
}

Shape Shape::spliced(int i, int removed, std::initializer_list<int64_t> added) const {
  std::array<int64_t, kMaxRank + 1> sizes{};
  auto last = std::copy(begin(), begin() + i, sizes.begin());
  last = std::copy(added.begin(), added.end(), last);
  last = std::copy(begin() + i + removed, end(), last);
  return Shape(std::span<const int64_t>(sizes.begin(), last));
}

std::string Shape::str() const { return fmt::format("[{}]", fmt::join(begin(), end(), ", ")); }

Shape broadcast(const char* op, const Shape& a, const Shape& b) {
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
