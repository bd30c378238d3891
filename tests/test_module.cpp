// Tests of framework/nn/module: names, training mode, freezing; of io/weights: copies.
#include "autograd/node.h"
#include "io/weights.h"
#include "nn/layers.h"
#include "support/catch.h"

using namespace kindling;

namespace {

// A block with a parameter, a buffer and two children, one of them with children of its own.
struct Block : Module {
  explicit Block(Random& random)
      : scale(make_parameter(ones({2}))),
        count(zeros({1})),
        inner{Linear(2, 3, random), Activation(relu), Dropout(0.5, random)},
        out(3, 2, random, false) {}
  void visit(Visitor& v) override {
    v.parameter("scale", scale, Kind::norm);
    v.buffer("count", count);
    v.child("inner", inner);
    v.child("out", out);
  }
  Tensor forward(const Tensor& x) { return out(inner(x * scale)); }

  Tensor scale, count;
  Sequential inner;
  Linear out;
};

// An embedding whose table is also the output weight.
struct Tied : Module {
  Tied() : table(make_parameter(tensor({2, 2}, {1, 2, 3, 4}))), out(table) {}
  void visit(Visitor& v) override {
    v.parameter("table", table, Kind::embedding);
    v.parameter("out", out, Kind::linear);
  }
  Tensor table, out;
};

std::vector<std::string> names(const std::vector<NamedTensor>& tensors) {
  std::vector<std::string> all;
  for (const NamedTensor& t : tensors) all.push_back(t.name);
  return all;
}

}  // namespace

TEST_CASE("parameters are named by their path", "[nn][module]") {
  Random random(1);
  Block block(random);
  const std::vector<NamedTensor> found = parameters(block);
  CHECK(names(found) ==
        std::vector<std::string>{"scale", "inner.0.weight", "inner.0.bias", "out.weight"});
  CHECK(found[0].kind == Kind::norm);
  CHECK(found[1].kind == Kind::linear);
  CHECK(found[2].kind == Kind::bias);
  CHECK(names(named_tensors(block)) ==
        std::vector<std::string>{"scale", "count", "inner.0.weight", "inner.0.bias", "out.weight"});
  CHECK(named_tensors(block)[1].kind == Kind::buffer);
  CHECK(parameter_count(block) == 2 + 6 + 3 + 6);
  CHECK(leaf_of(block.out.weight)->name == "out.weight");
  CHECK(leaf_of(block.out.weight)->parameter);
  CHECK_FALSE(block.count.requires_grad());
}

TEST_CASE("generators of a module are found by path", "[nn][module]") {
  Random random(1);
  Block block(random);
  const auto found = Visitor(block).randoms;
  REQUIRE(found.size() == 1);
  CHECK(found[0].first == "inner.2.random");
  const uint64_t used = found[0].second->state().used;
  block.forward(ones({1, 2}));
  CHECK(found[0].second->state().used > used);
}

TEST_CASE("train reaches every descendant", "[nn][module]") {
  Random random(1);
  Block block(random);
  CHECK(block.inner[2].training());
  block.train(false);
  CHECK_FALSE(block.training());
  CHECK_FALSE(block.inner.training());
  CHECK_FALSE(block.inner[2].training());
  block.train();
  CHECK(block.inner[2].training());
}

TEST_CASE("tied weights are one parameter", "[nn][module]") {
  Tied tied;
  CHECK(names(parameters(tied)) == std::vector<std::string>{"table"});
  CHECK(parameter_count(tied) == 4);
  CHECK(leaf_of(tied.out)->name == "table");
  sum(tied.table + 2.0 * tied.out).backward();
  CHECK(tied.table.grad().at({0, 0}) == 3);

  set_requires_grad(tied, false);
  set_requires_grad(tied, true);
  CHECK(leaf_of(tied.table) == leaf_of(tied.out));
}

TEST_CASE("frozen parameters get no gradient until they are trained again", "[nn][module]") {
  Random random(1);
  Block block(random);
  block.train(false);
  set_requires_grad(block, false);
  CHECK_FALSE(block.forward(ones({1, 2})).requires_grad());
  CHECK(parameters(block).size() == 4);
  set_requires_grad(block, true);
  sum(block.forward(ones({1, 2}))).backward();
  CHECK(block.out.weight.grad().defined());
  CHECK(leaf_of(block.out.weight)->parameter);
}

TEST_CASE("zero_grad reaches every parameter", "[nn][module]") {
  Random random(1);
  Block block(random);
  for (NamedTensor& p : parameters(block)) p.tensor.backward(ones(p.tensor.shape()));
  CHECK(block.inner[0].training());
  zero_grad(block);
  for (const NamedTensor& p : parameters(block)) CHECK_FALSE(p.tensor.grad().defined());
}

TEST_CASE("a clone is equal and shares no storage", "[nn][module]") {
  Random random(1);
  Block block(random);
  block.count.mutable_data()[0] = 7;
  block.train(false);
  Block copy = clone(block, [&] { return Block(random); });
  const std::vector<NamedTensor> ours = named_tensors(block), theirs = named_tensors(copy);
  REQUIRE(ours.size() == theirs.size());
  for (size_t i = 0; i < ours.size(); ++i) {
    INFO(ours[i].name);
    CHECK(ours[i].tensor.data() != theirs[i].tensor.data());
    CHECK(std::equal(ours[i].tensor.values().begin(), ours[i].tensor.values().end(),
                     theirs[i].tensor.values().begin(), theirs[i].tensor.values().end()));
  }
  CHECK(copy.count.item() == 7);
  CHECK_FALSE(copy.inner.training());

  copy.out.weight.mutable_data()[0] = 100;
  CHECK(block.out.weight.data()[0] != 100);
}

TEST_CASE("copy_weights lists all differences and copies nothing", "[nn][module]") {
  Random random(1);
  Sequential from{Linear(2, 3, random), Linear(3, 2, random, false), Linear(2, 2, random)};
  Sequential to{Linear(2, 4, random), Linear(3, 2, random)};
  const real before = parameters(to)[0].tensor.data()[0];
  CHECK_THROWS_WITH(
      copy_weights(to, from),
      Equals("copy_weights: does not fit: 2 different (0.bias is [3], expected [4], 0.weight is "
             "[3, 2], expected [4, 2]); 1 missing (1.bias); 2 unexpected (2.bias, 2.weight)"));
  CHECK(parameters(to)[0].tensor.data()[0] == before);
}

TEST_CASE("tensors that differ are listed together, long lists cut short", "[nn][module]") {
  const auto message = [](const Descriptions& found, const Descriptions& expected) {
    try {
      ensure_same_tensors("a file", found, expected);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(message({{"a", "[2]"}}, {{"a", "[2]"}}).empty());
  CHECK(message({{"a", "[2]"}, {"b", "[1]"}}, {{"a", "[3]"}, {"c", "[1]"}}) ==
        "a file: does not fit: 1 different (a is [2], expected [3]); 1 missing (c); 1 unexpected "
        "(b)");
  Descriptions many;
  for (int i = 0; i < 9; ++i) many[std::to_string(i)] = "[]";
  CHECK(message({}, many) == "a file: does not fit: 9 missing (0, 1, 2, 3, 4, 5, 6, 7)");
}

TEST_CASE("a moved module keeps its weights, the one moved from says so", "[nn][module]") {
  Random random(1);
  Linear first(2, 3, random);
  const real* weights = first.weight.data();
  Linear second = std::move(first);
  CHECK(second.weight.data() == weights);
  CHECK(leaf_of(second.weight)->parameter);
  CHECK_THROWS_WITH(parameters(first),  // NOLINT: the use after the move is the point
                    Equals("module: weight is undefined; was this module moved from?"));
}

static_assert(!std::is_copy_constructible_v<Linear> && !std::is_copy_assignable_v<Sequential>,
              "a copied module would share its weights");
