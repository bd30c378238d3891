// Measuring operations, and what the machine could do at best. Page: docs/autograd.md
#include "autograd/profile.h"

#include <fmt/format.h>

#include <chrono>

#include "base/parallel.h"
#include "kernels/dispatch.h"

namespace kindling {
namespace {

double now() {  // in seconds
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The most units a second, in 10^9, that `work` reaches in 0.1 s; it does `units` in one go.
template <class Work> double best_rate(double units, const Work& work) {
  double best = 0;
  for (const double start = now(); now() - start < 0.1;) {
    const double begin = now();
    work();
    best = std::max(best, units / (now() - begin) / 1e9);
  }
  return best;
}

}  // namespace

Peak measure_peak() {
  constexpr int64_t kFlops = 384 * 10'000;  // of each thread
  const double gflops = best_rate(double(kFlops * threads()), [&] {
    parallel_for(threads(), 1, [&](int64_t, int64_t) { kernels().fma_chains(kFlops); });
  });
  const std::vector<real> memory(size_t{1} << 25, real(1));  // more than caches hold
  const double gbytes = best_rate(double(memory.size() * sizeof(real)), [&] {
    kernels().sum_of_squares(int64_t(memory.size()), memory.data());
  });
  return {gflops, gbytes};
}

Profiler::Profiler() : running_{&rows["outside operations"]}, changed_(now()) {
  running_cost = &running_.back()->cost;
}

void Profiler::begin(const char* op, bool backward) {
  Row& row = rows[fmt::format("{}{}", op, backward ? " backward" : "")];
  charge();
  ++row.calls;
  running_.push_back(&row);
  running_cost = &row.cost;
}

void Profiler::end() {
  charge();
  running_.pop_back();
  running_cost = &running_.back()->cost;
}

void Profiler::charge() {
  const double time = now();
  running_.back()->seconds += time - std::exchange(changed_, time);
}

std::string Profiler::table() {
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
                        row.calls, 1e3 * row.seconds, 100 * row.seconds / whole, gflop, 1e3 * gbyte,
                        gflop / row.seconds, gbyte / row.seconds,
                        100 * gflop / row.seconds / peak.gflops);
  }
  return text + fmt::format(
                    "peak of {} threads: {:.0f} GFLOP/s in registers, {:.1f} GB/s of "
                    "memory\n",
                    threads(), peak.gflops, peak.gbytes);
}

}  // namespace kindling
