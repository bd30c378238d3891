// The profiler behind --profile: per operation calls, time, FLOPs, bytes. Page: docs/autograd.md
#pragma once

#include <map>

#include "autograd/node.h"
#include "kernels/cost.h"

namespace kindling {

// Measures every operation of this thread while it lives.
class Profiler final : public Observer {
 public:
  Profiler();
  ~Profiler() override { running_cost = nullptr; }
  void begin(const char* op, bool backward) override;
  void end() override;

  // Time and cost are a row's own, without those of the operations it called.
  struct Row {
    int64_t calls = 0;
    double seconds = 0;
    Cost cost;
  };
  std::map<std::string, Row> rows;  // "matmul", "matmul backward", ..., "outside operations"

  // The rows, the slowest first: calls, ms, share of the whole time, FLOPs and bytes, both per
  // second as well, and the share of the peak of measure_peak().
  std::string table();

 private:
  void charge();  // the time since the last change, to the row that ran

  std::vector<Row*> running_;  // the innermost last; a map's rows stay where they are
  double changed_;             // when the innermost became another, in seconds
};

// GFLOP/s of multiply-adds this machine reaches in registers on `threads()` threads with the chosen
// instruction set, and GB/s at which the kernel sum_of_squares reads memory. Takes 0.2 s.
struct Peak {
  double gflops, gbytes;
};
Peak measure_peak();

}  // namespace kindling
