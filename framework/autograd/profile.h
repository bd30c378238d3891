// The profiler behind --profile: per operation calls, time, FLOPs, bytes. Page: docs/autograd.md
#pragma once

#include <chrono>
#include <map>

#include "autograd/node.h"
#include "kernels/cost.h"

namespace kindling {

// Measures every operation of this thread while it lives.
class Profiler final : public Observer {
 public:
  Profiler() { running_cost = &outside_.cost; }
  ~Profiler() override { running_cost = nullptr; }

  struct Row {
    std::string op;  // "matmul" or "matmul backward"
    int64_t calls = 0;
    double seconds = 0;  // own time, without operations it called
    Cost cost = {};      // own as well
  };
  std::vector<Row> rows() const;  // the slowest first
  // A table: op, calls, ms, share of the time since construction, FLOPs and bytes, both per second
  // as well, and the share of the peak of measure_peak(). The last row is what ran outside
  // operations.
  std::string table();

  void begin(const char* op, bool backward) override;
  void end() override;

 private:
  void charge();  // the time since the last change, to the row that ran

  std::map<std::string, Row> rows_;  // a map: rows stay where they are
  Row outside_{"outside operations"};
  std::vector<Row*> running_ = {&outside_};  // the innermost last
  std::chrono::steady_clock::time_point changed_ = std::chrono::steady_clock::now();
};

// GFLOP/s of multiply-adds this machine reaches in registers on `threads()` threads with the chosen
// instruction set, and GB/s at which the kernel sum_of_squares reads memory. Takes 0.2 s.
struct Peak {
  double gflops, gbytes;
};
Peak measure_peak();

}  // namespace kindling
