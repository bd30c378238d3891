// Tests of framework/autograd/profile: what is counted, and to whom.
#include "autograd/profile.h"

#include <chrono>
#include <thread>

#include "base/check.h"
#include "ops/ops.h"
#include "support/catch.h"

using namespace kindling;

namespace {

const Profiler::Row* find(const std::vector<Profiler::Row>& rows, const std::string& op) {
  for (const Profiler::Row& row : rows) {
    if (row.op == op) return &row;
  }
  return nullptr;
}

// An operation that does `inner` and then sleeps and costs 7 FLOPs and 3 bytes itself.
Tensor sleeping(const char* op, int milliseconds, const std::function<void()>& inner = {}) {
  return record(
      op, {},
      [&] {
        if (inner) inner();
        count_cost(7, 3);
        std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
        return scalar(0);
      },
      [](const Tensor&, Grads&) {});
}

}  // namespace

TEST_CASE("profile: calls and costs of operations, forward and backward", "[profile]") {
  Tensor a = ones({4, 8}), b = ones({8, 3});
  a.set_requires_grad(), b.set_requires_grad();
  const Profiler profiler;
  for (int i = 0; i < 3; ++i) sum(matmul(a, b)).backward();
  const auto rows = profiler.rows();
  REQUIRE(rows.size() == 4);
  const auto *forward = find(rows, "matmul"), *backward = find(rows, "matmul backward");
  REQUIRE(forward);
  REQUIRE(backward);
  CHECK(find(rows, "sum"));
  CHECK(find(rows, "sum backward"));
  CHECK(forward->calls == 3);
  CHECK(backward->calls == 3);
  CHECK(forward->cost.flops == 3 * 2 * 4 * 8 * 3);
  // Two products of the same size; later ones are added to the gradient that is there.
  CHECK(backward->cost.flops >= 3 * 2 * 2 * 4 * 8 * 3);
  CHECK(forward->cost.bytes > 0);
  CHECK(forward->seconds > 0);
}

TEST_CASE("profile: an operation's own time and cost leave out those it calls", "[profile]") {
  const Profiler profiler;
  sleeping("outer", 1, [] { sleeping("inner", 60); });
  const auto rows = profiler.rows();
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].op == "inner");  // the slowest first
  CHECK(rows[0].seconds >= 0.06);
  CHECK(rows[1].op == "outer");
  CHECK(rows[1].seconds >= 0.001);
  for (const Profiler::Row& row : rows) {
    CHECK(row.calls == 1);
    CHECK(row.cost.flops == 7);
    CHECK(row.cost.bytes == 3);
  }
}

TEST_CASE("profile: an operation that throws is ended", "[profile]") {
  const Profiler profiler;
  CHECK_THROWS(sleeping("throws", 0, [] { throw Error("inside"); }));
  CHECK(running_cost == nullptr);
  sleeping("next", 0);
  const auto rows = profiler.rows();
  REQUIRE(find(rows, "throws"));
  CHECK(find(rows, "throws")->cost.flops == 0);
  CHECK(find(rows, "next")->cost.flops == 7);
}

TEST_CASE("profile: nothing is counted before and after, one at a time", "[profile]") {
  {
    const Profiler profiler;
    CHECK_THROWS_WITH(Profiler(), ContainsSubstring("is being measured already"));
    CHECK(graph_state.observer == &profiler);
    CHECK(profiler.rows().empty());
  }
  CHECK(graph_state.observer == nullptr);
  sleeping("unseen", 0);
  CHECK(Profiler().rows().empty());
}

TEST_CASE("profile: the table has a line for each operation and for the rest", "[profile]") {
  const Profiler profiler;
  sleeping("slow_op", 80);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const std::string table = profiler.table();
  double ms = 0, share = 0, rest_ms = 0, rest_share = 0;
  int calls = 0;
  const size_t row = table.find("slow_op"), rest = table.find("outside operations");
  REQUIRE(row != std::string::npos);
  REQUIRE(rest != std::string::npos);
  REQUIRE(std::sscanf(table.c_str() + row, "slow_op %d %lf %lf", &calls, &ms, &share) == 3);
  REQUIRE(std::sscanf(table.c_str() + rest, "outside operations %lf %lf", &rest_ms, &rest_share) ==
          2);
  CHECK(calls == 1);
  CHECK(ms >= 80);
  CHECK(rest_ms >= 20);
  CHECK(share + rest_share == Approx(100).margin(0.11));  // two roundings to 0.1
  CHECK(share == Approx(100 * ms / (ms + rest_ms)).margin(0.1));
  CHECK_THAT(table, ContainsSubstring("peak of "));
}

TEST_CASE("profile: the measured peak is that of a machine", "[profile]") {
  const Peak peak = measure_peak();
  // One core does at least a multiply-add of 4 floats per cycle at 1 GHz, and no machine with two
  // vector units of 16 floats at 6 GHz and 1024 cores does more than the upper bound.
  CHECK(peak.gflops > 4);
  CHECK(peak.gflops < 1024 * 2 * 2 * 16 * 6.0);
  CHECK(peak.gbytes > 0.1);
}
