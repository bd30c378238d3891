// Which instruction set runs. Page: docs/kernels.md
#include "kernels/dispatch.h"

#include "base/check.h"

namespace kindling {

constinit thread_local Cost* running_cost = nullptr;
constinit std::atomic<const Kernels*> detail::chosen_kernels = nullptr;

namespace {

// What is compiled in, the narrowest first, and whether it runs here.
std::vector<std::pair<const Kernels*, bool>> candidates() {
  std::vector<std::pair<const Kernels*, bool>> all = {{&kernels_scalar, true}};
#if defined(__x86_64__) && !defined(KINDLING_DOUBLE)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  all.push_back({&kernels_avx2, avx2});
  all.push_back({&kernels_avx512,
                 avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                     __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")});
#elif defined(__aarch64__) && !defined(KINDLING_DOUBLE)
  all.push_back({&kernels_neon, true});
#endif
  return all;
}

const Kernels& find(const std::string& name, const char* asked_by) {
  std::string here, compiled;
  for (const auto& [table, runs_here] : candidates()) {
    if (runs_here && table->name == name) return *table;
    (compiled += ' ') += table->name;
    if (runs_here) (here += ' ') += table->name;
  }
  throw UsageError(
      fmt::format("{} '{}': this machine runs{} (compiled in:{})", asked_by, name, here, compiled));
}

}  // namespace

const Kernels& detail::choose_kernels() {
  const char* name = std::getenv("KINDLING_ISA");
  chosen_kernels = &(name ? find(name, "KINDLING_ISA") : find(available_isas().back(), "isa"));
  return *chosen_kernels.load();
}

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const auto& [table, runs_here] : candidates()) {
    if (runs_here) names.push_back(table->name);
  }
  return names;
}

void set_isa(const std::string& name) { detail::chosen_kernels = &find(name, "isa"); }

}  // namespace kindling
