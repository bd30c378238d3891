// Measuring operations, and what the machine could do at best. Page: docs/autograd.md
#include "autograd/profile.h"

#include <fmt/format.h>

#include "base/parallel.h"
#include "kernels/dispatch.h"

namespace kindling {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The most units a second, in 10^9, that `work` reaches in 0.1 s; it does `units` in one go.
template <class Work> double best_rate(double units, const Work& work) {
  double best = 0;
  for (const auto start = Clock::now(); seconds_since(start) < 0.1;) {
    const auto begin = Clock::now();
    work();
    best = std::max(best, units / seconds_since(begin) / 1e9);
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

void Profiler::charge() {
  const auto now = Clock::now();
  running_.back()->seconds += std::chrono::duration<double>(now - changed_).count();
  changed_ = now;
}

void Profiler::begin(const char* op, bool backward) {
  const std::string name = fmt::format("{}{}", op, backward ? " backward" : "");
  Row& row = rows_.try_emplace(name, Row{name}).first->second;
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

std::vector<Profiler::Row> Profiler::rows() const {
  std::vector<Row> all;
  for (const auto& [op, row] : rows_) all.push_back(row);
  std::ranges::sort(all, std::greater(), &Row::seconds);
  return all;
}

std::string Profiler::table() {
  charge();
  std::vector<Row> all = rows();
  all.push_back(outside_);
  double whole = 0;
  for (const Row& row : all) whole += row.seconds;
  const Peak peak = measure_peak();
  std::string text =
      fmt::format("{:28}{:>9}{:>10}{:>8}{:>9}{:>9}{:>9}{:>8}{:>9}\n", "operation", "calls", "ms",
                  "share", "GFLOP", "MB", "GFLOP/s", "GB/s", "of peak");
  for (const auto& [op, calls, seconds, cost] : all) {
    const double gflop = double(cost.flops) / 1e9, gbyte = double(cost.bytes) / 1e9;
    text += fmt::format("{:28}{:9}{:10.2f}{:6.1f} %{:9.3f}{:9.1f}{:9.1f}{:8.1f}{:7.1f} %\n", op,
                        calls, 1e3 * seconds, 100 * seconds / whole, gflop, 1e3 * gbyte,
                        gflop / seconds, gbyte / seconds, 100 * gflop / seconds / peak.gflops);
  }
  return text + fmt::format(
                    "peak of {} threads: {:.0f} GFLOP/s in registers, {:.1f} GB/s from "
                    "memory\n",
                    threads(), peak.gflops, peak.gbytes);
}

}  // namespace kindling
