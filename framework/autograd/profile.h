// The profiler behind --profile: per operation calls, time, FLOPs, bytes. Page: docs/autograd.md
#pragma once

#include <chrono>
#include <map>

#include "autograd/node.h"
#include "kernels/types.h"

namespace kindling {

// Measures every operation of this thread while it lives. One at a time.
class Profiler final : public Observer {
 public:
  Profiler();
  ~Profiler() override { graph_state.observer = nullptr; }
  Profiler(const Profiler&) = delete;

  struct Row {
    std::string op;  // "matmul" or "matmul backward"
    int64_t calls = 0;
    double seconds = 0;  // own time, without operations it called
    Cost cost;           // own as well
  };
  std::vector<Row> rows() const;  // the slowest first
  // A table: op, calls, ms, share of the time since construction, GFLOP/s, GB/s, and the share of
  // this machine's measured peak. The last line is the time outside operations.
  std::string table() const;

  void begin(const char* op, bool backward) override;
  void end() override;

 private:
  using Clock = std::chrono::steady_clock;
  struct Running {
    Row* row;
    Clock::time_point start;
    double inner = 0;  // seconds of the operations it called
    Cost* outer_cost;  // where costs went before
  };
  std::map<std::pair<std::string, bool>, Row> rows_;  // a map: rows stay where they are
  std::vector<Running> running_;                      // the innermost last
  const Clock::time_point start_ = Clock::now();
};

// GFLOP/s of float multiply-adds this machine reaches in registers on `threads()` threads, with the
// widest instructions it has whatever --isa says, and GB/s at which the kernel sum_of_squares reads
// memory. Takes 0.2 s.
struct Peak {
  double gflops, gbytes;
};
Peak measure_peak();

}  // namespace kindling
