// The graph as it is recorded: what gets a node, what a node keeps, and when it is freed. The walk
// back is tested in test_backward.cpp.
#include <pthread.h>

#include "base/memory.h"
#include "ops/ops.h"
#include "support/catch.h"

using namespace kindling;

namespace {

Tensor leaf(const Shape& shape, double value = 1) { return full(shape, value).set_requires_grad(); }

// y = 1.0 x, n times: n nodes, one after another.
Tensor chain(const Tensor& x, int n) {
  Tensor y = x;
  for (int i = 0; i < n; ++i) y = affine(y, 1, 0);
  return y;
}

}  // namespace

TEST_CASE("an observer that cannot begin is not told of an end", "[node]") {
  struct Full : Observer {
    int ended = 0;
    void begin(const char*, bool) override { throw Error("full"); }
    void end() override { ++ended; }
  } full;
  CHECK_THROWS_WITH(exp(scalar(1)), "full");
  CHECK(full.ended == 0);
}

TEST_CASE("an operation is recorded when an input wants a gradient", "[node]") {
  const Tensor plain = ones({2}), wanted = leaf({2});
  CHECK_FALSE((plain * plain).requires_grad());
  CHECK((plain * wanted).requires_grad());
  CHECK_FALSE((plain * wanted).detach().requires_grad());
  CHECK_FALSE(wanted.clone().requires_grad());
  const Tensor y = plain * wanted;
  CHECK(std::string(node_of(y)->op) == "mul");
  CHECK(node_of(y)->shape == Shape{2});
  REQUIRE(node_of(y)->edges.size() == 2);
  CHECK_FALSE(node_of(y)->edges[0].node);
  CHECK(node_of(y)->edges[1].node.get() == node_of(wanted));
  CHECK(leaf_of(y) == nullptr);
  CHECK(leaf_of(wanted) != nullptr);
}

TEST_CASE("ids grow from inputs to results", "[node]") {
  const Tensor x = leaf({2}), y = exp(x), z = x + y;
  CHECK(node_of(x)->id < node_of(y)->id);
  CHECK(node_of(y)->id < node_of(z)->id);
}

TEST_CASE("nothing is recorded under NoGrad, which nests", "[node]") {
  const Tensor x = leaf({2});
  {
    const NoGrad outer;
    CHECK_FALSE((x * x).requires_grad());
    {
      const NoGrad inner;
      CHECK_FALSE((x * x).requires_grad());
    }
    CHECK_FALSE((x * x).requires_grad());  // the inner one must not switch recording on
  }
  CHECK((x * x).requires_grad());
  try {
    const NoGrad scope;
    matmul(x, x);
  } catch (const Error&) {
  }
  CHECK((x * x).requires_grad());  // also after an exception
}

TEST_CASE("a recorded result cannot be written to, a leaf can", "[node]") {
  Tensor x = leaf({2}), y = x * 2.0;
  x.mutable_data()[0] = 5;
  CHECK_THROWS_WITH(y.mutable_data(),
                    "mutable_data: this is the recorded result of affine, which backward needs as "
                    "it is. Write to a clone(), or compute it under NoGrad");
  CHECK_THROWS_WITH(y.set_requires_grad(),
                    "set_requires_grad: this is the result of affine; take detach() of it first");
  CHECK_THROWS_WITH(Tensor().set_requires_grad(), "set_requires_grad: the tensor is undefined");
  y.clone().mutable_data();
  const NoGrad scope;
  (x * 2.0).mutable_data();
}

TEST_CASE("set_requires_grad can be taken back", "[node]") {
  Tensor x = leaf({2});
  const Node* before = node_of(x);
  x.set_requires_grad();
  CHECK(node_of(x) == before);  // the second call changes nothing
  x.set_requires_grad(false);
  CHECK_FALSE((x * 2.0).requires_grad());
}

TEST_CASE("results hold no cycle: the graph goes when the last handle goes", "[node]") {
  Random random(1);
  Tensor x = normal({4, 4}, random).set_requires_grad();
  const int64_t before = memory::stats().live_bytes;
  {
    // One of each way to keep something: inputs, the result, a mask, indices, statistics.
    Tensor y = softmax(matmul(x, x)) + exp(x) / (sqrt(abs(x)) + 1.0);
    y = dropout(layer_norm(y, {}, {}), 0.5, random);
    y = sum(embedding(y, {1, 1, 0})) + cross_entropy(y, {0, 1, 2, 3}) + max(y);
    CHECK(memory::stats().live_bytes > before);
  }
  CHECK(memory::stats().live_bytes == before);
}

TEST_CASE("an operation keeps no input that backward does not read", "[node]") {
  Tensor x = leaf({1 << 16});
  const int64_t before = memory::stats().live_bytes;
  Tensor y = x + 1.0;
  y = y + 2.0;
  y = sum(y);
  // The results in between were 256 KiB each; the nodes are a few hundred bytes.
  CHECK(memory::stats().live_bytes - before < 4096);
}

TEST_CASE("a chain of 200,000 nodes is dropped on a stack of 256 KiB", "[node]") {
  const int64_t before = memory::stats().live_bytes;
  const auto body = [](void*) -> void* {
    const Tensor y = chain(leaf({}), 200000);
    return nullptr;
  };
  // Recursion would need at least 50 bytes a node: 10 MB.
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  REQUIRE(pthread_attr_setstacksize(&attributes, 256 << 10) == 0);
  pthread_t thread;
  REQUIRE(pthread_create(&thread, &attributes, body, nullptr) == 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  CHECK(memory::stats().live_bytes == before);
}

TEST_CASE("an observer sees each operation begin and end", "[node]") {
  struct Log final : Observer {
    std::vector<std::string> events;
    int open = 0;
    void begin(const char* op, bool backward) override {
      events.push_back(std::string(op) + (backward ? " backward" : ""));
      ++open;
    }
    void end() override { --open; }
  };
  const Tensor x = leaf({2, 2});
  Log log;
  const Tensor y = sum(x * x);
  CHECK_THROWS(matmul(x, leaf({3, 3})));
  {
    Log younger;  // is told instead
    y.backward();
    CHECK(younger.events == std::vector<std::string>{"sum backward", "mul backward"});
    CHECK(younger.open == 0);
  }
  exp(x);
  CHECK(log.events == std::vector<std::string>{"mul", "sum", "exp"});
  CHECK(log.open == 0);
}

TEST_CASE("an exception in an operation ends what the observer saw begin", "[node]") {
  struct Count final : Observer {
    int begun = 0, ended = 0;
    void begin(const char*, bool) override { ++begun; }
    void end() override { ++ended; }
  } count;
  CHECK_THROWS(add(ones({2}), ones({3})));
  CHECK(count.begun == 1);
  CHECK(count.ended == 1);
}
