// Measuring operations, and what the machine could do at best. Page: docs/autograd.md
#include "autograd/profile.h"

#include <fmt/format.h>

#include <atomic>

#include "base/parallel.h"
#include "kernels/dispatch.h"

namespace kindling {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// ---- The machine's peak -------------------------------------------------------------------------

// Chains of x = x x + c. Each waits some four cycles for its own result while two units can start
// one each per cycle, so fewer than eight chains would leave them idle.
constexpr int kChains = 12;
// Volatile: a compiler that knew the start would know the end.
volatile const float kStart = 0.25f, kAdd = 0.1875f;  // 0.25 = 0.25 0.25 + 0.1875

// Always inlined: it becomes the instructions that its caller may use.
template <class Vector> [[gnu::always_inline]] inline float run_chains(int64_t rounds) {
  Vector x[kChains];
  for (Vector& chain : x) chain = Vector{} + kStart;
  const Vector add = Vector{} + kAdd;
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (Vector& chain : x) chain = chain * chain + add;
  }
  for (const Vector& chain : x) x[0] += chain;
  return x[0][0];
}

using Vector4 [[gnu::vector_size(16)]] = float;
float chains4(int64_t rounds) { return run_chains<Vector4>(rounds); }
#if defined(__x86_64__)
using Vector8 [[gnu::vector_size(32)]] = float;
using Vector16 [[gnu::vector_size(64)]] = float;
[[gnu::target("avx2,fma")]] float chains8(int64_t rounds) { return run_chains<Vector8>(rounds); }
[[gnu::target("avx512f")]] float chains16(int64_t rounds) { return run_chains<Vector16>(rounds); }
#endif

// The most units a second, in 10^9, that `work` reaches; it does `units` on all threads together.
template <class Work> double best_rate(double units, const Work& work) {
  double best = 0;
  for (const auto start = std::chrono::steady_clock::now(); seconds_since(start) < 0.1;) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    best = std::max(best, units / seconds_since(begin) / 1e9);
  }
  return best;
}

}  // namespace

Peak measure_peak() {
  int width = 4;
  float (*chains)(int64_t rounds) = chains4;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("fma")) width = 8, chains = chains8;
  if (__builtin_cpu_supports("avx512f")) width = 16, chains = chains16;
#endif
  constexpr int64_t kRounds = 200'000;
  std::atomic<double> sink = 0;  // what is never used need not be computed
  const double flops = best_rate(2.0 * kChains * width * kRounds * threads(), [&] {
    parallel_for(threads(), 1, [&](int64_t, int64_t) { sink = chains(kRounds); });
  });
  const std::vector<real> memory(size_t{1} << 25, real(1));  // more than caches hold
  const double bytes = best_rate(double(memory.size() * sizeof(real)), [&] {
    sink = kernels().sum_of_squares(int64_t(memory.size()), memory.data());
  });
  return {flops, bytes};
}

// ---- Profiler -----------------------------------------------------------------------------------

Profiler::Profiler() {
  ENSURE(!graph_state.observer, "profiler: this thread is being measured already");
  graph_state.observer = this;
}

void Profiler::begin(const char* op, bool backward) {
  Row& row = rows_[{op, backward}];
  if (row.calls++ == 0) row.op = fmt::format("{}{}", op, backward ? " backward" : "");
  running_.push_back({&row, Clock::now(), 0, std::exchange(running_cost, &row.cost)});
}

void Profiler::end() {
  const Running ended = running_.back();
  running_.pop_back();
  const double seconds = seconds_since(ended.start);
  ended.row->seconds += seconds - ended.inner;
  if (!running_.empty()) running_.back().inner += seconds;
  running_cost = ended.outer_cost;
}

std::vector<Profiler::Row> Profiler::rows() const {
  std::vector<Row> all;
  for (const auto& [key, row] : rows_) all.push_back(row);
  std::sort(all.begin(), all.end(),
            [](const Row& a, const Row& b) { return a.seconds > b.seconds; });
  return all;
}

std::string Profiler::table() const {
  const double whole = seconds_since(start_);
  const Peak peak = measure_peak();
  std::string text = fmt::format("{:28}{:>9}{:>11}{:>8}{:>10}{:>8}{:>9}\n", "operation", "calls",
                                 "ms", "share", "GFLOP/s", "GB/s", "of peak");
  double outside = whole;
  for (const Row& row : rows()) {
    const double flops = double(row.cost.flops) / row.seconds / 1e9;
    text += fmt::format("{:28}{:9}{:11.2f}{:6.1f} %{:10.1f}{:8.1f}{:7.1f} %\n", row.op, row.calls,
                        1e3 * row.seconds, 100 * row.seconds / whole, flops,
                        double(row.cost.bytes) / row.seconds / 1e9, 100 * flops / peak.gflops);
    outside -= row.seconds;
  }
  return text + fmt::format(
                    "{:28}{:9}{:11.2f}{:6.1f} %\n"
                    "peak of {} threads: {:.0f} GFLOP/s in registers, "
                    "{:.1f} GB/s from memory\n",
                    "outside operations", "", 1e3 * outside, 100 * outside / whole, threads(),
                    peak.gflops, peak.gbytes);
}

}  // namespace kindling
