// Tests of Indices in framework/tensor/tensor.
#include "tensor/tensor.h"

#include "support/catch.h"

using namespace kindling;

// A label that does not fit 32 bits must not be cut off in silence.
static_assert(std::is_constructible_v<Indices, Shape, std::vector<int32_t>>);
static_assert(!std::is_constructible_v<Indices, Shape, std::vector<int64_t>>);
static_assert(!std::is_constructible_v<Indices, Shape, std::vector<double>>);

TEST_CASE("indices hold whole numbers with a shape", "[indices]") {
  const Indices row{3, 1, 2};
  CHECK(row.shape() == Shape{3});
  CHECK(row[1] == 1);
  const std::vector<int32_t> values = {1, 2, 3, 4, 5, 6};
  const Indices table({2, 3}, values);
  CHECK(table.rank() == 2);
  CHECK(table.dim(-1) == 3);
  CHECK(table.size() == 6);
  CHECK(std::vector<int32_t>(table.values().begin(), table.values().end()) == values);
  CHECK_FALSE(Indices().defined());
}

TEST_CASE("a copy of indices is a handle", "[indices]") {
  Indices a{1, 2, 3, 4};
  const Indices b = a;
  a.mutable_data()[3] = 9;
  CHECK(b[3] == 9);
}

TEST_CASE("indices refuse counts that do not fit their shape", "[indices]") {
  const std::vector<int32_t> three = {1, 2, 3};
  CHECK_THROWS_WITH(Indices({2, 2}, three), Equals("indices: 3 values for shape [2, 2]"));
}
