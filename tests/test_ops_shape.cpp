// Operations that move elements: against PyTorch, at their limits, and their errors. Gradients are
// checked to 1e-6 in tests/f64/op_table.cpp.
#include "support/catch.h"
#include "support/golden.h"
#include "support/parity.h"

using namespace kindling;

namespace {

Tensor arange(int64_t n) {  // 0, 1, ..., n - 1
  Tensor t({n});
  std::iota(t.mutable_data(), t.mutable_data() + n, real(0));
  return t;
}

}  // namespace

TEST_CASE("operations that move elements agree with PyTorch", "[ops_shape]") {
  const auto cat = [](int axis) { return [axis](const Tensors& x) { return concat(x, axis); }; };
  check_parity({{"reshape/plain",
                 [](const Tensors& x) {
                   return reshape(x[0], {4, -1});
                 }},
                {"permute/three",
                 [](const Tensors& x) {
                   return permute(x[0], {2, 0, 1});
                 }},
                {"permute/four",
                 [](const Tensors& x) {
                   return permute(x[0], {0, 2, -1, 1});
                 }},
                {"transpose/last", [](const Tensors& x) { return transpose(x[0]); }},
                {"transpose/far", [](const Tensors& x) { return transpose(x[0], 0, 2); }},
                {"concat/first", cat(0)},
                {"concat/middle", cat(1)},
                {"concat/last", cat(-1)},
                {"slice/middle", [](const Tensors& x) { return slice(x[0], 1, 1, 4); }},
                {"slice/step", [](const Tensors& x) { return slice(x[0], 1, 1, 6, 2); }},
                {"slice/from_the_end", [](const Tensors& x) { return slice(x[0], -1, -5, -1, 3); }},
                {"broadcast_to/rows",
                 [](const Tensors& x) {
                   return broadcast_to(x[0], {2, 3});
                 }},
                {"broadcast_to/middle",
                 [](const Tensors& x) {
                   return broadcast_to(x[0], {2, 4, 3});
                 }},
                {"broadcast_to/scalar", [](const Tensors& x) {
                   return broadcast_to(x[0], {2, 2});
                 }}});
}

TEST_CASE("reshape refuses sizes whose product no number holds", "[ops_shape]") {
  CHECK_THROWS_WITH(reshape(ones({4}), {int64_t{1} << 33, int64_t{1} << 33, -1}),
                    ContainsSubstring("a dimension of size 8589934592"));
}

TEST_CASE("reshape shares the elements, permute and slice copy them", "[ops_shape]") {
  const Tensor x = arange(6);
  CHECK(reshape(x, {2, 3}).data() == x.data());
  CHECK(permute(reshape(x, {2, 3}), {0, 1}).data() != x.data());
  CHECK(slice(x, 0, 0, 6).data() != x.data());
}

TEST_CASE("permute of six dimensions, against an index computed by hand", "[ops_shape]") {
  const Tensor x = reshape(arange(2 * 3 * 1 * 2 * 3 * 2), {2, 3, 1, 2, 3, 2});
  const Tensor y = permute(x, {5, 0, 4, 2, 1, 3});
  REQUIRE(y.shape() == Shape{2, 2, 3, 1, 3, 2});
  CHECK(y.at({1, 0, 2, 0, 1, 1}) == x.at({0, 1, 0, 1, 2, 1}));
  CHECK(y.at({0, 1, 1, 0, 2, 0}) == x.at({1, 2, 0, 0, 1, 0}));
}

TEST_CASE("shapes with a size of zero pass through", "[ops_shape]") {
  CHECK(slice(arange(4), 0, 2, 2).shape() == Shape{0});
  CHECK(permute(zeros({0, 3}), {1, 0}).shape() == Shape{3, 0});
  CHECK(concat({zeros({0, 2}), ones({1, 2})}).shape() == Shape{1, 2});
  CHECK(reshape(zeros({0, 3}), {3, 0}).shape() == Shape{3, 0});
  CHECK(permute(scalar(2), {}).item() == 2);
}

TEST_CASE("operations that move elements say what is wrong", "[ops_shape]") {
  const Tensor x = zeros({2, 3});
  CHECK_THROWS_WITH(reshape(x, {4, -1}), "reshape: [2, 3] has 6 elements, not a multiple of 4");
  CHECK_THROWS_WITH(reshape(x, {5}), "reshape: [2, 3] has 6 elements, [5] has 5");
  CHECK_THROWS_WITH(reshape(x, {-1, -1}), ContainsSubstring("one may be -1"));
  CHECK_THROWS_WITH(permute(x, {0}), "permute: 1 axes for shape [2, 3]");
  CHECK_THROWS_WITH(permute(x, {0, -2}), "permute: axis 0 of [2, 3] is given twice");
  CHECK_THROWS_WITH(transpose(x, 0, 2), "shape: [2, 3] has no dimension 2");
  CHECK_THROWS_WITH(transpose(zeros({3})), "shape: [3] has no dimension -2");
  CHECK_THROWS_WITH(concat(Tensors{}), "concat: no tensors");
  CHECK_THROWS_WITH(concat({x, zeros({2, 4})}), "concat: [2, 3] and [2, 4] differ outside axis 0");
  CHECK_THROWS_WITH(concat({x, zeros({3})}), "concat: [2, 3] and [3] differ outside axis 0");
  CHECK_THROWS_WITH(slice(x, 1, 2, 4), "slice: 2 to 4 by 1 of axis 1 in [2, 3]");
  CHECK_THROWS_WITH(slice(x, 1, 2, 1), "slice: 2 to 1 by 1 of axis 1 in [2, 3]");
  CHECK_THROWS_WITH(slice(x, 1, -4, 2), "slice: -4 to 2 by 1 of axis 1 in [2, 3]");
  CHECK_THROWS_WITH(slice(x, 1, 0, 2, 0), "slice: 0 to 2 by 0 of axis 1 in [2, 3]");
  CHECK_THROWS_WITH(broadcast_to(x, {2, 4}),
                    "broadcast_to: shapes [2, 3] and [2, 4] do not broadcast");
  CHECK_THROWS_WITH(broadcast_to(x, {1, 3}), "broadcast_to: [2, 3] does not stretch to [1, 3]");
}
