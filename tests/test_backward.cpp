// Walking the graph back: what each leaf gets, what is freed when, and what is refused. The
// gradient of each operation is checked in tests/f64/op_table.cpp.
#include "autograd/node.h"

#include <pthread.h>

#include "base/memory.h"
#include "kernels/dispatch.h"
#include "ops/ops.h"
#include "support/catch.h"
#include "support/golden.h"

using namespace kindling;

namespace {

Tensor leaf(const Shape& shape, std::initializer_list<double> values) {
  return tensor(shape, values).set_requires_grad();
}

std::vector<real> grad(const Tensor& x) {
  const Tensor g = x.grad();
  return g.defined() ? std::vector<real>(g.values().begin(), g.values().end())
                     : std::vector<real>{};
}

using Reals = std::vector<real>;

// Hands its gradient on to inputs 0 .. `before`-1, then throws.
Tensor broken(const Tensor& a, const Tensor& b, int before) {
  return record(
      "broken", {a, b}, [&] { return a.clone(); },
      [before](const Tensor& gy, Grads& g) {
        for (int i = 0; i < before; ++i) g.add(i, gy);
        throw Error("broken: as it should be");
      });
}

// Calls `seen` for each operation that is walked back through while it lives.
struct Watch final : Observer {
  explicit Watch(std::function<void(const std::string& op)> f) : seen(std::move(f)) {}
  void begin(const char* op, bool backward) override {
    if (backward) seen(op);
  }
  std::function<void(const std::string& op)> seen;
};

}  // namespace

// ---- What arrives -------------------------------------------------------------------------------

TEST_CASE("backward with an undefined gradient is refused", "[backward]") {
  Tensor w = scalar(3);
  w.set_requires_grad();
  const Tensor y = w * w;
  CHECK_THROWS_WITH(y.backward(Tensor()), "backward: the gradient is undefined");
}

TEST_CASE("the gradient of a scalar expression, worked out by hand", "[backward]") {
  // y = (a b + sin a) / b at a = 2, b = 4: dy/da = 1 + cos(a) / b, dy/db = -sin(a) / b^2.
  const Tensor a = leaf({}, {2}), b = leaf({}, {4});
  const Tensor y = (a * b + sin(a)) / b;
  y.backward();
  CHECK(a.grad().item() == Approx(1 + std::cos(2.0) / 4));
  CHECK(b.grad().item() == Approx(-std::sin(2.0) / 16));
}

TEST_CASE("an input used twice gets both gradients", "[backward]") {
  const Tensor x = leaf({2}, {3, -1});
  sum(x * x).backward();
  CHECK(grad(x) == Reals{6, -2});
  const Tensor y = leaf({2}, {3, -1});
  sum(y + y).backward();
  CHECK(grad(y) == Reals{2, 2});
  const Tensor z = leaf({2}, {3, -1});
  (z - z).backward(ones({2}));
  CHECK(grad(z) == Reals{0, 0});
}

TEST_CASE("every consumer of a result is walked before the result", "[backward]") {
  // Two paths of different length meet in h; h must pass on the sum of both, once.
  const Tensor x = leaf({}, {3});
  const Tensor h = square(x);
  const Tensor longer = exp(affine(affine(h, 0.1, 0), 1, 0));
  int visits = 0;
  {
    const Watch watch([&](const std::string& op) { visits += op == "square"; });
    (longer + h * 2.0).backward();
  }
  CHECK(visits == 1);
  CHECK(x.grad().item() == Approx(6 * (0.1 * std::exp(0.9) + 2)));
}

TEST_CASE("a ladder of diamonds is walked once, not once for each path", "[backward]") {
  const Tensor x = leaf({}, {1});
  Tensor y = x;
  for (int i = 0; i < 40; ++i) y = y * 0.5 + y * 0.5;  // 2^40 paths
  int visits = 0;
  {
    const Watch watch([&](const std::string&) { ++visits; });
    y.backward();
  }
  CHECK(visits == 3 * 40);
  CHECK(x.grad().item() == 1);
}

TEST_CASE("a result of many elements takes the gradient it is given", "[backward]") {
  const Tensor x = leaf({3}, {1, 2, 3});
  square(x).backward(tensor({3}, {1, 10, 100}));
  CHECK(grad(x) == Reals{2, 40, 600});
}

TEST_CASE("gradients add up over graphs until zero_grad", "[backward]") {
  Tensor x = leaf({2}, {1, 2});
  sum(x * 3.0).backward();
  sum(x * x).backward();
  CHECK(grad(x) == Reals{5, 7});
  x.zero_grad();
  CHECK_FALSE(x.grad().defined());
  sum(x * 3.0).backward();
  CHECK(grad(x) == Reals{3, 3});
}

TEST_CASE("several losses of one graph are added, then walked once", "[backward]") {
  const Tensor x = leaf({2}, {1, 2}), h = x * x;
  (sum(h) + sum(h * 10.0)).backward();
  CHECK(grad(x) == Reals{22, 44});
}

TEST_CASE("backward of a leaf gives it the gradient itself", "[backward]") {
  const Tensor x = leaf({2}, {1, 2});
  x.backward(tensor({2}, {5, 6}));
  x.backward(tensor({2}, {1, 1}));
  CHECK(grad(x) == Reals{6, 7});
}

TEST_CASE("leaf gradients share no elements", "[backward]") {
  // add hands the same tensor to both sides, reshape a view, a leaf as root the one it was given.
  const Tensor a = leaf({2}, {1, 2}), b = leaf({2}, {3, 4}), c = leaf({2}, {5, 6});
  const Tensor given = ones({2});
  (a + b + reshape(c, {2})).backward(given);
  Tensor ga = a.grad();
  std::fill_n(ga.mutable_data(), 2, real(10));
  CHECK(grad(a) == Reals{10, 10});
  CHECK(grad(b) == Reals{1, 1});
  CHECK(grad(c) == Reals{1, 1});
  CHECK(given.at({0}) == 1);
  const Tensor d = leaf({2}, {1, 2});
  d.backward(given);
  Tensor gd = d.grad();
  std::fill_n(gd.mutable_data(), 2, real(10));
  CHECK(given.at({0}) == 1);
}

TEST_CASE("an operation that adds in place leaves the gradients of others alone", "[backward]") {
  const Tensor x = leaf({2}, {1, 2}), z = leaf({2}, {3, 4});
  const Tensor part = slice(x, 0, 0, 1), total = x + z;  // add hands one tensor to x and z
  (sum(total) + sum(part)).backward();                   // then slice adds to its part of x
  CHECK(grad(x) == Reals{2, 1});
  CHECK(grad(z) == Reals{1, 1});
}

TEST_CASE("a gradient somebody looks at is not changed by the next backward", "[backward]") {
  const Tensor x = leaf({2}, {1, 2});
  sum(x * 3.0).backward();
  const Tensor seen = x.grad();
  sum(x * 3.0).backward();
  CHECK(seen.at({0}) == 3);
  const Tensor second = x.grad();
  CHECK(second.at({0}) == 6);
  sum(slice(x, 0, 0, 1)).backward();  // this one adds through into()
  CHECK(seen.at({0}) == 3);
  CHECK(second.at({0}) == 6);
  CHECK(grad(x) == Reals{7, 6});
}

TEST_CASE("a gradient is written over the one behind it unless somebody looks at that",
          "[backward]") {
  const Tensor x = leaf({3}, {-1, 2, 3}), z = leaf({3}, {4, -5, 6});
  const Tensor given = tensor({3}, {1, 2, 3});
  relu(x).backward(given);  // the reader looks
  CHECK(std::ranges::equal(given.values(), Reals{1, 2, 3}));
  CHECK(grad(x) == Reals{0, 2, 3});
  ((relu(x) + relu(z)) * 1.0).backward(given);  // each side gets what the other has
  CHECK(grad(x) == Reals{0, 4, 6});
  CHECK(grad(z) == Reals{1, 0, 3});

  const Tensor four = leaf({4}, {1, 2, 3, 4});  // nor where it has another shape
  const Tensor first = record(
      "first", {four}, [&] { return slice(four, 0, 0, 1).detach(); },
      [](const Tensor& gy, Grads& g) {
        g.add(
            0, [](real* gx) { std::fill_n(gx, 4, real(7)); }, gy);
      });
  (first * 1.0).backward(ones({1}));
  CHECK(grad(four) == Reals{7, 7, 7, 7});

  const int64_t n = 1 << 18, bytes = n * int64_t(sizeof(real));
  const Tensor many = full({n}, 0.5).set_requires_grad();
  const Tensor y = relu(silu(tanh(many)));
  const Tensor one = ones({n});
  const int64_t before = memory::stats().live_bytes;
  memory::reset_peak();
  y.backward(one);
  // The first gradient, which the two behind it are written over.
  CHECK(memory::stats().peak_bytes - before < bytes + 4096);
}

// ---- What is not computed -----------------------------------------------------------------------

TEST_CASE("only wanted gradients are computed", "[backward]") {
  // The FLOPs of matmul's backward: one product when one side wants a gradient, two when both do.
  struct Flops final : Observer {
    Cost cost;
    void begin(const char*, bool backward) override { running_cost = backward ? &cost : nullptr; }
    void end() override { running_cost = nullptr; }
  };
  const auto backward_flops = [](bool a_wanted, bool b_wanted) {
    Tensor a = ones({3, 4}), b = ones({4, 5});
    a.set_requires_grad(a_wanted), b.set_requires_grad(b_wanted);
    Flops flops;
    matmul(a, b).backward(ones({3, 5}));
    if (!a_wanted) CHECK_THROWS_WITH(a.grad(), ContainsSubstring("keeps no gradient"));
    return flops.cost.flops;
  };
  constexpr int64_t kProduct = 2 * 3 * 4 * 5;
  CHECK(backward_flops(true, false) == kProduct);
  CHECK(backward_flops(false, true) == kProduct);
  CHECK(backward_flops(true, true) == 2 * kProduct);
}

TEST_CASE("a branch that leads to no leaf is not walked", "[backward]") {
  const Tensor x = leaf({2}, {1, 2}), constant = tensor({2}, {3, 4});
  std::vector<std::string> visited;
  {
    const Watch watch([&](const std::string& op) { visited.push_back(op); });
    sum(x * exp(constant)).backward();
  }
  CHECK(visited == std::vector<std::string>{"sum", "mul"});
}

TEST_CASE("an operation may give its inputs nothing", "[backward]") {
  const Tensor x = leaf({2}, {1, 2});
  const Tensor y = record(
      "constant", {x}, [&] { return x.clone(); }, [](const Tensor&, Grads&) {});
  sum(y).backward();
  CHECK_FALSE(x.grad().defined());
}

TEST_CASE("backward records nothing, whatever an operation does in it", "[backward]") {
  const Tensor x = leaf({2}, {1, 2});
  const Tensor y = record(
      "uses_operations", {x}, [&] { return x.clone(); },
      [x](const Tensor& gy, Grads& g) { g.add(0, gy * x); });
  CHECK_NOTHROW(sum(y).backward());
  CHECK(grad(x) == Reals{1, 2});
  CHECK_FALSE(x.grad().requires_grad());
  CHECK(graph_state.recording);  // and recording goes on afterwards
}

// ---- What is refused ----------------------------------------------------------------------------

TEST_CASE("backward twice through one graph is refused", "[backward]") {
  const Tensor x = leaf({2}, {1, 2});
  const Tensor loss = sum(x * x);
  loss.backward();
  CHECK_THROWS_WITH(loss.backward(),
                    "backward: the graph behind sum was used by an earlier backward. Run the "
                    "forward again, or add the losses and call backward once");
  CHECK(grad(x) == Reals{2, 4});
}

TEST_CASE("two backwards through a shared part are refused where they meet", "[backward]") {
  const Tensor x = leaf({2}, {1, 2}), h = exp(x);
  sum(h).backward();
  CHECK_THROWS_WITH(sum(h * 2.0).backward(),
                    ContainsSubstring("the graph behind exp was used by an earlier"));
}

TEST_CASE("backward without a graph is refused", "[backward]") {
  const std::string message =
      "backward: this tensor has no graph: none of its inputs requires a gradient, or it was "
      "computed under NoGrad";
  CHECK_THROWS_WITH(sum(ones({2})).backward(), message);
  const Tensor x = leaf({2}, {1, 2});
  const NoGrad scope;
  CHECK_THROWS_WITH(sum(x).backward(), message);
}

TEST_CASE("a gradient that does not fit is refused", "[backward]") {
  const Tensor x = leaf({2, 3}, {1, 2, 3, 4, 5, 6});
  CHECK_THROWS_WITH(exp(x).backward(),
                    "backward: the result has shape [2, 3]. Reduce it to one number (sum, mean), "
                    "or pass the gradient of each element");
  CHECK_THROWS_WITH(exp(x).backward(ones({3})), "backward: gradient [3] for a result [2, 3]");
  CHECK_THROWS_WITH(exp(x).grad(),
                    "grad: the result of exp keeps no gradient; only leaves with "
                    "set_requires_grad do");
  CHECK_THROWS_WITH(ones({2}).grad(),
                    "grad: this tensor keeps no gradient; only leaves with set_requires_grad do");
}

TEST_CASE("an operation whose backward gives a wrong shape is named", "[backward]") {
  const Tensor x = leaf({2}, {1, 2});
  const Tensor y = record(
      "careless", {x}, [&] { return x.clone(); },
      [](const Tensor&, Grads& g) { g.add(0, ones({3})); });
  CHECK_THROWS_WITH(y.backward(ones({2})),
                    "backward of careless: the gradient of input 0 has shape [3], the input [2]");
}

TEST_CASE("an input that was changed after it was recorded is refused", "[backward]") {
  Tensor x = leaf({2}, {1, 2}), w = leaf({2}, {3, 4});
  const Tensor product = sum(x * w);
  w.mutable_data()[0] = 7;
  CHECK_THROWS_WITH(product.backward(), "mul: input 1 was changed after it was recorded");

  // add reads no elements on the way back, so that is allowed.
  const Tensor total = sum(x + w);
  w.mutable_data()[0] = 8;
  total.backward();
  CHECK(grad(w) == Reals{1, 1});

  // A write through another handle counts as well.
  Tensor raw = tensor({2}, {1, 2});
  const Tensor y = sum(raw * x);
  raw.viewed_as({2, 1}).mutable_data();
  CHECK_THROWS_WITH(y.backward(), "mul: input 0 was changed after it was recorded");
}

TEST_CASE("a result that was changed behind the graph's back is refused", "[backward]") {
  const Tensor x = leaf({2}, {1, 2}), y = exp(x);  // backward needs exp(x) itself
  y.detach().mutable_data()[0] = 0;
  CHECK_THROWS_WITH(sum(y).backward(), "exp: its result was changed after it was recorded");
}

// ---- After an exception -------------------------------------------------------------------------

TEST_CASE("an exception half-way leaves no gradient behind", "[backward]") {
  const Tensor x = leaf({2}, {1, 2});
  const Tensor h = exp(x), k = sin(x);
  for (int before : {0, 1, 2}) {
    CHECK_THROWS_WITH(sum(broken(h, k, before)).backward(), "broken: as it should be");
    CHECK_FALSE(node_of(h)->incoming.defined());
    CHECK_FALSE(node_of(k)->incoming.defined());
  }
  CHECK(graph_state.recording);
  // What the failed walks did not reach is still good, and nothing of theirs is added to it.
  sum(h + k).backward();
  CHECK(x.grad().at({0}) == Approx(std::exp(1.0) + std::cos(1.0)));
}

TEST_CASE("an exception leaves the gradients of leaves as they were", "[backward]") {
  // A leaf that has got a part of a gradient must not look as if it had all of it.
  const Tensor x = leaf({2}, {1, 2}), w = leaf({2}, {3, 4}), other = leaf({2}, {1, 1});
  sum(other).backward();
  const Tensor early = broken(x, x, 0);  // the older node is walked after w's
  CHECK_THROWS(sum(early + w).backward());
  CHECK_FALSE(w.grad().defined());
  CHECK_THROWS(sum(broken(x, w, 1)).backward());
  CHECK_FALSE(x.grad().defined());
  CHECK(grad(other) == Reals{1, 1});
  sum(x * w).backward();
  CHECK(grad(x) == Reals{3, 4});
  CHECK_THROWS(sum(broken(x, w, 2)).backward());
  CHECK(grad(x) == Reals{3, 4});  // what an earlier backward gave them stays
  CHECK(grad(w) == Reals{1, 2});
}

// ---- Long chains and memory ---------------------------------------------------------------------

TEST_CASE("backward through 200,000 nodes on a stack of 256 KiB", "[backward]") {
  const auto body = [](void* slope) -> void* {
    const Tensor x = full({}, 1).set_requires_grad();
    Tensor y = x;
    for (int i = 0; i < 200000; ++i) y = affine(y, -1, 0);
    y.backward();
    *static_cast<real*>(slope) = x.grad().item();
    return nullptr;
  };
  real slope = 0;
  const int64_t before = memory::stats().live_bytes;
  // Recursion would need at least 50 bytes a node: 10 MB.
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  REQUIRE(pthread_attr_setstacksize(&attributes, 256 << 10) == 0);
  pthread_t thread;
  REQUIRE(pthread_create(&thread, &attributes, body, &slope) == 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  CHECK(slope == 1);  // 200,000 changes of sign
  CHECK(memory::stats().live_bytes == before);
}

TEST_CASE("nodes are freed while the walk goes on", "[backward]") {
  Tensor x = ones({1 << 16}).set_requires_grad();
  Tensor y = x;
  for (int i = 0; i < 20; ++i) y = sin(y);  // each keeps its input of 256 KiB
  const int64_t held = memory::stats().live_bytes;
  y = sum(y);
  std::vector<int64_t> live;
  {
    const Watch watch([&](const std::string&) { live.push_back(memory::stats().live_bytes); });
    y.backward();
  }
  live.push_back(memory::stats().live_bytes);
  REQUIRE(live.size() == 22);  // before sum and 20 times sin, and after
  // Each step frees the input it kept, but for the last, whose input is x.
  for (size_t i = 3; i < live.size() - 1; ++i) CHECK(live[i] < live[i - 1] - (200 << 10));
  CHECK(live.back() < held - 18 * (256 << 10));
}

TEST_CASE("a training step leaves nothing behind", "[backward]") {
  Random random(2);
  Tensor w = normal({8, 8}, random).set_requires_grad();
  const Tensor x = normal({4, 8}, random);
  const auto step = [&] {
    w.zero_grad();
    mean(square(tanh(matmul(x, w)))).backward();
    const NoGrad scope;
    copy_into(w, w.detach() - w.grad() * 0.01);
  };
  for (int i = 0; i < 10; ++i) step();
  const memory::Stats before = memory::stats();
  for (int i = 0; i < 10000; ++i) step();
  CHECK(memory::stats().live_bytes == before.live_bytes);
#ifndef KINDLING_ASAN  // which has no cache
  CHECK(memory::stats().system_requests == before.system_requests);
#endif
}

// ---- Who is asked -------------------------------------------------------------------------------

TEST_CASE("the youngest is walked first, with its whole gradient", "[backward]") {
  std::vector<std::string> seen;
  const auto named = [&](const char* op, const Tensor& a) {  // op(a) = a
    return record(
        op, {a}, [&] { return a.clone(); },
        [&seen, op](const Tensor& gy, Grads& g) {
          seen.push_back(fmt::format("{} {}", op, double(gy.data()[0])));
          g.add(0, gy);
        });
  };
  const Tensor x = leaf({2}, {1, 2}), w = leaf({2}, {3, 4});
  const Tensor first = named("first", x), second = named("second", w * 10.0);
  const Tensor third = named("third", first + x);
  const Tensor fourth = named("fourth", sum(second + (third + first * first)));
  CHECK_NOTHROW(fourth.backward());
  CHECK(seen == std::vector<std::string>{"fourth 1", "third 1", "second 1", "first 3"});
  CHECK(grad(x) == Reals{4, 6});
  CHECK(grad(w) == Reals{10, 10});
}

TEST_CASE("module parameters that no optimizer owns are listed once", "[backward]") {
  take_unowned_parameters();
  const Tensor owned = leaf({2}, {1, 2}), unowned = leaf({2}, {1, 2}), plain = leaf({2}, {1, 2});
  leaf_of(owned)->parameter = leaf_of(owned)->owned = true;
  leaf_of(unowned)->parameter = true;
  for (int i = 0; i < 2; ++i) sum(owned * unowned * plain).backward();
  {
    const Tensor gone = leaf({2}, {1, 2});
    leaf_of(gone)->parameter = true;
    sum(gone).backward();
  }
  const auto taken = take_unowned_parameters();
  REQUIRE(taken.size() == 1);
  CHECK(taken[0].get() == leaf_of(unowned));
  CHECK(take_unowned_parameters().empty());
}
