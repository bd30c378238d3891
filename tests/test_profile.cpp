// Tests of framework/train/profile: what is counted, and to whom.
#include "train/profile.h"

#include <chrono>
#include <sstream>
#include <thread>

#include "base/check.h"
#include "ops/ops.h"
#include "support/catch.h"

using namespace kindling;

namespace {

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
  Profiler profiler;
  for (int i = 0; i < 3; ++i) sum(matmul(a, b)).backward();
  REQUIRE(profiler.rows.size() == 5);
  REQUIRE(profiler.rows.contains("outside operations"));
  REQUIRE(profiler.rows.contains("sum"));
  REQUIRE(profiler.rows.contains("sum backward"));
  const Profiler::Row forward = profiler.rows["matmul"],
                      backward = profiler.rows["matmul backward"];
  CHECK(forward.calls == 3);
  CHECK(backward.calls == 3);
  CHECK(forward.cost.flops == 3 * 2 * 4 * 8 * 3);
  // Two products of the same size; later ones are added to the gradient that is there.
  CHECK(backward.cost.flops >= 3 * 2 * 2 * 4 * 8 * 3);
  CHECK(forward.cost.bytes > 0);
  CHECK(forward.seconds > 0);
}

TEST_CASE("profile: an operation's own time and cost leave out those it calls", "[profile]") {
  Profiler profiler;
  sleeping("outer", 1, [] { sleeping("inner", 60); });
  REQUIRE(profiler.rows.size() == 3);
  CHECK(profiler.rows["inner"].seconds >= 0.06);
  CHECK(profiler.rows["outer"].seconds >= 0.001);
  CHECK(profiler.rows["outer"].seconds < profiler.rows["inner"].seconds);
  for (const char* op : {"inner", "outer"}) {
    CHECK(profiler.rows[op].calls == 1);
    CHECK(profiler.rows[op].cost.flops == 7);
    CHECK(profiler.rows[op].cost.bytes == 3);
  }
}

TEST_CASE("profile: an operation that throws is ended", "[profile]") {
  Profiler profiler;
  CHECK_THROWS(sleeping("throws", 0, [] { throw Error("inside"); }));
  sleeping("next", 0);
  REQUIRE(profiler.rows.contains("throws"));
  CHECK(profiler.rows["throws"].cost.flops == 0);
  CHECK(profiler.rows["next"].cost.flops == 7);
}

TEST_CASE("profile: nothing is counted before and after", "[profile]") {
  {
    const Profiler profiler;
    CHECK(graph_state.observer == &profiler);
    CHECK(profiler.rows.size() == 1);  // what is outside operations
  }
  CHECK(graph_state.observer == nullptr);
  CHECK(running_cost == nullptr);
  sleeping("unseen", 0);
  CHECK(Profiler().rows.size() == 1);
}

TEST_CASE("profile: the table has a line for each operation and for the rest", "[profile]") {
  Profiler profiler;
  record(
      "slow_op", {},
      [] {
        count_cost(4'000'000, 2'000'000);
        std::this_thread::sleep_for(std::chrono::milliseconds(80));
        return scalar(0);
      },
      [](const Tensor&, Grads&) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const std::string table = profiler.table();
  const auto numbers = [&](const std::string& row) {  // of its columns, without the % signs
    const size_t at = table.find("\n" + row);
    REQUIRE(at != std::string::npos);
    std::string line = table.substr(at + 1 + row.size());
    line.resize(line.find('\n'));
    std::istringstream in(line);
    std::vector<double> all;
    for (std::string word; in >> word;) {
      if (word != "%") all.push_back(std::stod(word));
    }
    return all;
  };
  // calls, ms, share, GFLOP, MB, GFLOP/s, GB/s, of peak
  const auto row = numbers("slow_op"), rest = numbers("outside operations");
  REQUIRE(row.size() == 8);
  REQUIRE(rest.size() == 8);
  CHECK(row[0] == 1);
  CHECK(row[1] >= 80);
  CHECK(rest[1] >= 20);
  // The slowest first: slow_op, unless a busy machine drew out the rest.
  const bool slow_first = table.find("slow_op") < table.find("outside operations");
  CHECK(slow_first == (row[1] > rest[1]));
  CHECK(row[2] + rest[2] == Approx(100).margin(0.11));  // two roundings to 0.1
  CHECK(row[2] == Approx(100 * row[1] / (row[1] + rest[1])).margin(0.1));
  CHECK(row[3] == 0.004);
  CHECK(row[4] == 2);
  CHECK(row[5] <= 0.1);  // 0.004 GFLOP in 0.08 s or more
  CHECK(rest[4] == 0);
  CHECK_THAT(table, ContainsSubstring("GFLOP       MB  GFLOP/s    GB/s  of peak\n") &&
                        ContainsSubstring("\npeak of "));
}

TEST_CASE("profile: the measured peak is that of a machine", "[profile][speed]") {
  const Peak peak = measure_peak();
  // One core does at least a multiply-add of 4 floats per cycle at 1 GHz, and no machine with two
  // vector units of 16 floats at 6 GHz and 1024 cores does more than the upper bound.
  CHECK(peak.gflops > 4);
  CHECK(peak.gflops < 1024 * 2 * 2 * 16 * 6.0);
  CHECK(peak.gbytes > 0.1);
}
