// The profiler behind --profile: per operation calls, time, FLOPs, bytes, and what the machine
// could do at best. Page: docs/autograd.md
#pragma once

#include "autograd/node.h"
#include "base/parallel.h"
#include "kernels/dispatch.h"

namespace kindling {

// GFLOP/s of multiply-adds this machine reaches in registers on `threads()` threads with the chosen
// instruction set, and GB/s at which the kernel sum_of_squares reads memory. Takes 0.2 s.
struct Peak {
  double gflops, gbytes;
};
inline Peak measure_peak() {
  // The most units a second, in 10^9, that `work` reaches in 0.1 s; it does `units` in one go.
  const auto best_rate = [](double units, const auto& work) {
    double best = 0;
    for (const double start = clock_seconds(); clock_seconds() - start < 0.1;) {
      const double begin = clock_seconds();
      work();
      best = std::max(best, units / (clock_seconds() - begin) / 1e9);
    }
    return best;
  };
  constexpr int64_t kFlops = 384 * 10'000;  // of each thread
  const double gflops = best_rate(double(kFlops * threads()), [&] {
    parallel_for(threads(), 1, [&](int64_t, int64_t) { kernels().fma_chains(kFlops); });
  });
  const std::vector<real> memory(size_t{1} << 25, real(1));  // more than caches hold
  const double gbytes = best_rate(double(memory.size() * sizeof(real)),
                                  [&] { kernels().sum_of_squares(std::array{std::span(memory)}); });
  return {gflops, gbytes};
}

// Measures every operation of this thread while it lives.
class Profiler final : public Observer {
 public:
  Profiler() { running_cost = &running_.back()->cost; }
  ~Profiler() override { running_cost = nullptr; }

  // Time and cost are a row's own, without those of the operations it called.
  struct Row {
    int64_t calls = 0;
    double seconds = 0;
    Cost cost;
  };
  std::map<std::string, Row> rows;  // "matmul", "matmul backward", ..., "outside operations"

  void begin(const char* op, bool backward) override {
    Row& row = rows[fmt::format("{}{}", op, backward ? " backward" : "")];
    charge();
    ++row.calls;
    running_.push_back(&row);
    running_cost = &row.cost;
  }

  void end() override {
    charge();
    running_.pop_back();
    running_cost = &running_.back()->cost;
  }

  // The rows, the slowest first: calls, ms, share of the whole time, FLOPs and bytes, both per
  // second as well, and the share of the peak of measure_peak().
  std::string table() {
    charge();
    std::vector<std::pair<std::string, Row>> sorted(rows.begin(), rows.end());
    std::ranges::sort(sorted, std::greater(), [](const auto& row) { return row.second.seconds; });
    double whole = 0;
    for (const auto& [op, row] : sorted) whole += row.seconds;
    const Peak peak = measure_peak();
    std::string text =
        fmt::format("{:28}{:>9}{:>10}{:>8}{:>9}{:>9}{:>9}{:>8}{:>9}\n", "operation", "calls", "ms",
                    "share", "GFLOP", "MB", "GFLOP/s", "GB/s", "of peak");
    for (const auto& [op, row] : sorted) {
      const double gflop = double(row.cost.flops) / 1e9, gbyte = double(row.cost.bytes) / 1e9;
      text += fmt::format("{:28}{:9}{:10.2f}{:6.1f} %{:9.3f}{:9.1f}{:9.1f}{:8.1f}{:7.1f} %\n", op,
                          row.calls, 1e3 * row.seconds, 100 * row.seconds / whole, gflop,
                          1e3 * gbyte, gflop / row.seconds, gbyte / row.seconds,
                          100 * gflop / row.seconds / peak.gflops);
    }
    text +=
        fmt::format("peak of {} thread{}: {:.0f} GFLOP/s in registers, {:.1f} GB/s from memory\n",
                    threads(), threads() == 1 ? "" : "s", peak.gflops, peak.gbytes);
    return text;
  }

 private:
  // The time since the last change, to the row that ran.
  void charge() {
    const double time = clock_seconds();
    running_.back()->seconds += time - std::exchange(changed_, time);
  }

  std::vector<Row*> running_ = {&rows["outside operations"]};  // the innermost last
  double changed_ = clock_seconds();                           // when it became the innermost
};

}  // namespace kindling
