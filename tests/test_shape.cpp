// Tests of framework/tensor/shape: sizes, axes, broadcasting, errors.
#include "tensor/shape.h"

#include <limits>

#include "support/catch.h"

using namespace kindling;

TEST_CASE("a shape knows its sizes", "[shape]") {
  const Shape shape{2, 3, 4};
  CHECK(shape.rank() == 3);
  CHECK(shape.elements() == 24);
  CHECK(shape[1] == 3);
  CHECK(shape.dim(-1) == 4);
  CHECK(shape.dim(-3) == 2);
  CHECK(shape.axis(-2) == 1);
  CHECK(shape.str() == "[2, 3, 4]");
  CHECK(fmt::format("{}", Shape{64, 784}) == "[64, 784]");
  CHECK(Shape{}.elements() == 1);
  CHECK(Shape{}.str() == "[]");
  CHECK(Shape{3, 0, 2}.elements() == 0);
}

TEST_CASE("shapes are equal when rank and sizes are", "[shape]") {
  CHECK(Shape{2, 3} == Shape{2, 3});
  CHECK_FALSE(Shape{2, 3} == Shape{3, 2});
  CHECK_FALSE(Shape{2} == Shape{2, 1});
  CHECK_FALSE(Shape{} == Shape{1});
}

TEST_CASE("dimensions are replaced, removed and inserted", "[shape]") {
  const Shape shape{2, 3, 4};
  CHECK(shape.with(-1, 9) == Shape{2, 3, 9});
  CHECK(shape.without(1) == Shape{2, 4});
  CHECK(shape.without(-1) == Shape{2, 3});
  CHECK(shape.inserted(0, 5) == Shape{5, 2, 3, 4});
  CHECK(shape.inserted(3, 5) == Shape{2, 3, 4, 5});
  CHECK(shape == Shape{2, 3, 4});
}

TEST_CASE("broadcasting stretches 1 and adds dimensions in front", "[shape]") {
  CHECK(broadcast("add", {2, 3}, {2, 3}) == Shape{2, 3});
  CHECK(broadcast("add", {2, 3}, {3}) == Shape{2, 3});
  CHECK(broadcast("add", {3}, {2, 1}) == Shape{2, 3});
  CHECK(broadcast("add", {4, 1, 3}, {1, 5, 1}) == Shape{4, 5, 3});
  CHECK(broadcast("add", {}, {2, 2}) == Shape{2, 2});
  CHECK(broadcast("add", {0, 3}, {1, 3}) == Shape{0, 3});
}

TEST_CASE("wrong shapes say what is wrong", "[shape]") {
  CHECK_THROWS_WITH(broadcast("mul", {3, 4}, {5}),
                    Equals("mul: shapes [3, 4] and [5] do not broadcast"));
  CHECK_THROWS_WITH(broadcast("mul", {0, 3}, {2, 3}), ContainsSubstring("do not broadcast"));
  const Shape shape{2, 3};
  CHECK_THROWS_WITH(shape.dim(2), Equals("shape: [2, 3] has no dimension 2"));
  CHECK_THROWS_WITH(shape.axis(-3), Equals("shape: [2, 3] has no dimension -3"));
  CHECK_THROWS_WITH(shape.inserted(3, 1), ContainsSubstring("no place 3"));
  CHECK_THROWS_WITH((Shape{2, -1}), ContainsSubstring("size -1"));
  CHECK_THROWS_WITH((Shape{1, 1, 1, 1, 1, 1, 1}), ContainsSubstring("7 dimensions"));
  const int64_t longest = std::numeric_limits<int32_t>::max();
  CHECK(Shape{longest, 2}.elements() == 2 * longest);
  CHECK_THROWS_WITH((Shape{longest + 1}), ContainsSubstring("size 2147483648"));
  CHECK_THROWS_WITH((Shape{2}.with(0, longest + 1)), ContainsSubstring("size 2147483648"));
  CHECK_THROWS_WITH((Shape{longest, longest}), ContainsSubstring("more elements"));
  CHECK_THROWS_WITH((Shape{0, longest, longest}), ContainsSubstring("more elements"));
}
