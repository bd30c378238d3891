// Tensor: handles, element access, versions, factories and errors. Shapes are tested in
// test_shape.cpp, the graph in test_node.cpp and test_backward.cpp.
#include <cmath>

#include "base/memory.h"
#include "support/catch.h"
#include "tensor/tensor.h"

using namespace kindling;

TEST_CASE("values are counted before room is made for them", "[tensor]") {
  CHECK_THROWS_WITH(tensor({1 << 20, 1 << 24}, {1, 2}),
                    "tensor: 2 values for shape [1048576, 16777216]");
}

TEST_CASE("copying a tensor copies the handle, clone the elements", "[tensor]") {
  Tensor a = tensor({3}, {1, 2, 3});
  Tensor same = a, copy = a.clone();
  same.mutable_data()[0] = 9;
  CHECK(a.at({0}) == 9);
  CHECK(copy.at({0}) == 1);
  CHECK(a.data() == same.data());
  CHECK(a.detach().data() == a.data());
  CHECK(a.viewed_as({3, 1}).data() == a.data());
}

TEST_CASE("the last handle gives the memory back", "[tensor]") {
  const int64_t before = memory::stats().live_bytes;
  {
    const Tensor a = zeros({1000, 1000}), view = a.viewed_as({1000000});
    Tensor b = a;
    const Tensor moved = std::move(b);
    const int64_t held = memory::stats().live_bytes - before,
                  bytes = a.size() * int64_t(sizeof(real));
    CHECK(held >= bytes);
    CHECK(held < 2 * bytes);  // one block, not one for each handle
  }
  CHECK(memory::stats().live_bytes == before);
}

TEST_CASE("elements are aligned and not initialised", "[tensor]") {
  for (int64_t n : {1, 3, 17, 1000}) {
    const Tensor x({n});
    // Up to 32 bytes share the cache line of the storage's header.
    const size_t alignment = size_t(n) * sizeof(real) <= 32 ? 32 : 64;
    CHECK(reinterpret_cast<uintptr_t>(x.data()) % alignment == 0);
    // In tests new blocks are filled with NaN: nothing has written to this one.
    for (real value : x.values()) REQUIRE(std::isnan(value));
  }
}

TEST_CASE("every mutable access raises the version that all handles see", "[tensor]") {
  Tensor a = zeros({2});
  const Tensor view = a.viewed_as({1, 2});
  const uint32_t before = view.storage()->version;
  a.data(), a.at({0}), a.values();
  CHECK(view.storage()->version == before);
  a.mutable_data();
  a.mutable_data();
  CHECK(view.storage()->version == before + 2);
  CHECK(a.clone().storage()->version != view.storage()->version);
}

TEST_CASE("factories", "[tensor]") {
  CHECK(scalar(2.5).shape() == Shape{});
  CHECK(scalar(2.5).item() == real(2.5));
  CHECK(ones({2, 3}).at({1, 2}) == 1);
  CHECK(full({2}, -4).at({1}) == -4);
  CHECK(tensor({2, 2}, {1, 2, 3, 4}).at({1, 0}) == 3);
  CHECK(zeros({2, 0, 3}).size() == 0);
  Random one(5), two(5);
  const Tensor u = uniform({1000}, one, -2, 3), v = uniform({1000}, two, -2, 3);
  for (int64_t i = 0; i < 1000; ++i) {
    REQUIRE(u.data()[i] == v.data()[i]);
    REQUIRE((u.data()[i] >= -2 && u.data()[i] < 3));
  }
}

TEST_CASE("normal numbers have the mean and the deviation asked for", "[tensor]") {
  Random random(8);
  const Tensor x = normal({10000}, random, 3, 2);
  double sum = 0, squares = 0;
  for (real value : x.values()) sum += value, squares += (value - 3.0) * (value - 3.0);
  CHECK(sum / 1e4 == Approx(3).margin(5 * 2 / 100.0));  // five standard errors of a mean
  CHECK(std::sqrt(squares / 1e4) == Approx(2).margin(5 * 2 / std::sqrt(2e4)));
}

TEST_CASE("copy_into writes over the elements", "[tensor]") {
  Tensor a = zeros({2});
  const Tensor handle = a;
  copy_into(a, tensor({2}, {3, 4}));
  CHECK(handle.at({1}) == 4);
  CHECK_THROWS_WITH(copy_into(a, ones({2, 1})), "copy_into: [2, 1] over [2]");
}

TEST_CASE("tensors say what is wrong", "[tensor]") {
  const Tensor x = zeros({2, 3});
  const std::string undefined =
      "tensor: this tensor is undefined (default constructed, or moved from)";
  CHECK_THROWS_WITH(Tensor().data(), undefined);
  CHECK_THROWS_WITH(Tensor().mutable_data(), undefined);
  CHECK_THROWS_WITH(Tensor().clone(), undefined);
  Tensor source = ones({2});
  const Tensor target = std::move(source);
  CHECK(target.at({1}) == 1);
  CHECK_THROWS_WITH(source.data(), undefined);  // NOLINT: what a moved-from tensor says
  CHECK_THROWS_WITH(x.item(), "item: shape [2, 3] has 6 elements, not one");
  CHECK_THROWS_WITH(x.at({1}), "at: 1 indices for shape [2, 3]");
  CHECK_THROWS_WITH(x.at({1, 3}), "at: index 3 in dimension 1 of [2, 3]");
  CHECK_THROWS_WITH(x.at({-1, 0}), "at: index -1 in dimension 0 of [2, 3]");
  CHECK_THROWS_WITH(x.dim(2), "shape: [2, 3] has no dimension 2");
  CHECK_THROWS_WITH(x.viewed_as({5}), "reshape: [2, 3] has 6 elements, [5] has 5");
  CHECK_THROWS_WITH(tensor({2}, {1, 2, 3}), "tensor: 3 values for shape [2]");
}
