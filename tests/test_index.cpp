// Picking by index: against PyTorch, and its errors. Gradients are checked to 1e-6 in
// tests/f64/op_table.cpp.
#include <algorithm>

#include "ops/ops.h"
#include "support/catch.h"
#include "support/golden.h"
#include "support/parity.h"

using namespace kindling;

TEST_CASE("picking by index agrees with PyTorch", "[index]") {
  const Indices two = golden_indices("gather/repeated"), one = golden_indices("gather/vector"),
                row = golden_indices("pick/plain"), ids = golden_indices("embedding/repeated");
  check_parity({{"gather/repeated", [=](const Tensors& x) { return gather(x[0], two); }},
                {"gather/vector", [=](const Tensors& x) { return gather(x[0], one); }},
                {"pick/plain", [=](const Tensors& x) { return pick(x[0], row); }},
                {"embedding/repeated", [=](const Tensors& x) { return embedding(x[0], ids); }}});
}

TEST_CASE("an id that occurs three times gets three gradients", "[index]") {
  Tensor weight = zeros({4, 2});
  weight.set_requires_grad();
  sum(embedding(weight, {1, 3, 1, 1})).backward();
  CHECK(relative_error(weight.grad(), tensor({4, 2}, {0, 0, 3, 3, 0, 0, 1, 1})) == 0);
}

TEST_CASE("one_hot", "[index]") {
  const Tensor y = one_hot(Indices(Shape{2, 1}, std::vector<int32_t>{2, 0}), 3);
  CHECK(relative_error(y, tensor({2, 1, 3}, {0, 0, 1, 1, 0, 0})) == 0);
}

TEST_CASE("picking nothing gives nothing", "[index]") {
  CHECK(gather(zeros({3, 2}), Indices(Shape{0})).shape() == Shape{0, 2});
  CHECK(one_hot(Indices(Shape{0}), 3).shape() == Shape{0, 3});
}

TEST_CASE("picking by index says what is wrong", "[index]") {
  const Tensor x = zeros({2, 3});
  CHECK_THROWS_WITH(gather(x, {0, 2}), "gather: index 2 at position 1 is not in 0..1");
  CHECK_THROWS_WITH(embedding(x, {-1}), "embedding: index -1 at position 0 is not in 0..1");
  CHECK_THROWS_WITH(pick(x, {0, 3}), "pick: index 3 at position 1 is not in 0..2");
  CHECK_THROWS_WITH(one_hot({5}, 5), "one_hot: index 5 at position 0 is not in 0..4");
  CHECK_THROWS_WITH(pick(x, {0}),
                    "pick: x [2, 3] needs one index for each place without axis 1, got [1]");
  CHECK_THROWS_WITH(embedding(zeros({3}), {0}), "embedding: weight [3] is not [vocabulary, D]");
  CHECK_THROWS_WITH(gather(scalar(1), {0}), "gather: x is a single number");
}

TEST_CASE("indices that change before backward are an error", "[index]") {
  const std::string changed = "input 1 was changed after it was recorded";
  Tensor table = ones({5, 2});
  table.set_requires_grad();
  Indices ids{1, 2};
  const Tensor rows = sum(embedding(table, ids));
  ids.mutable_data()[0] = 300;
  CHECK_THROWS_WITH(rows.backward(), ContainsSubstring("embedding: " + changed));

  Indices labels{0, 1};
  const Tensor loss = cross_entropy(gather(table, Indices{0, 1}), labels);
  labels.mutable_data()[0] = 1;
  CHECK_THROWS_WITH(loss.backward(), ContainsSubstring("cross_entropy: " + changed));
}

TEST_CASE("pick refuses tensors whose places do not fit an index", "[index]") {
  // Not even filled with NaN, so that the 8 GiB are only reserved.
  struct Untouched {
    Untouched() { memory::poison_new_blocks = false; }
    ~Untouched() { memory::poison_new_blocks = true; }
  } const until_the_end;
  const Tensor x({65536, 32769});
  Indices first(Shape{65536});
  std::fill_n(first.mutable_data(), first.size(), 0);
  CHECK_THROWS_WITH(pick(x, first), ContainsSubstring("pick: 65536 rows of 32769 are more"));
}
