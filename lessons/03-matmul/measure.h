// How long something takes, what the machine can do at best, and whether a product is right.
// Page: docs/03-matmul.md
#pragma once

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "03-matmul/ladder.h"
#include "kindling.h"

namespace lesson03 {

// ---- Time ---------------------------------------------------------------------------------------

// Seconds that this thread had a processor: what others do in between does not count. Where several
// threads work only the clock on the wall tells when the last one was done.
inline double thread_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

// The median of the seconds that run() takes: over `rounds` of them at least, and over more of what
// is done so quickly that they do not fill `enough` seconds.
template <class Run> double median_seconds(size_t rounds, double enough, const Run& run) {
  std::vector<double> all;
  for (double sum = 0; all.size() < rounds || (sum < enough && all.size() < 1000);) {
    if (kindling::interrupted()) throw kindling::Interrupted("interrupted");
    const auto now = kindling::threads() == 1 ? thread_seconds : kindling::clock_seconds;
    const double start = now();
    run();
    all.push_back(now() - start);
    sum += all.back();
  }
  std::nth_element(all.begin(), all.begin() + std::ptrdiff_t(all.size() / 2), all.end());
  return all[all.size() / 2];
}

// What is measured while it lives is measured on one thread.
class OneThread {
 public:
  OneThread() { kindling::set_threads(1); }
  OneThread(const OneThread&) = delete;
  ~OneThread() { kindling::set_threads(before_); }

 private:
  int before_ = kindling::threads();
};

// ---- The machine --------------------------------------------------------------------------------

struct Cache {
  int64_t bytes, ways, line;
};
// The second cache of a core, as the system describes it; a common one where it does not.
inline Cache second_cache() {
  const auto ask = [](int name, int64_t otherwise) {
    const int64_t value = sysconf(name);
    return value > 0 ? value : otherwise;
  };
  return {ask(_SC_LEVEL2_CACHE_SIZE, 1 << 20), ask(_SC_LEVEL2_CACHE_ASSOC, 8),
          ask(_SC_LEVEL2_CACHE_LINESIZE, 64)};
}

// What one core does at best, in 10^9 a second.
struct Machine {
  double peak;        // operations in multiply-adds that wait for nothing, in the widest registers
  double one_lane;    // the same with one number in a register
  double memory;      // bytes of a copy, read and written, that no cache holds
  double next_cache;  // bytes read that the second cache does not hold but the next one may
};

inline Machine measure_machine() {
  using namespace kindling;
  const OneThread one;
  volatile real sink = 0;
  const auto rate = [&](double units, const auto& run) {
    double best = 1e9;
    for (int i = 0; i < 5; ++i) best = std::min(best, median_seconds(1, 0.01, run));
    return units / best / 1e9;
  };
  constexpr int64_t kFlops = 384 * 20000;
  const auto chains = [&] { return rate(kFlops, [&] { sink = kernels().fma_chains(kFlops); }); };
  Machine m{};
  m.peak = chains();
  const std::string isa = kernels().name;
  set_isa("scalar");  // registers of 16 bytes hold four numbers
  m.one_lane = chains() / 4;
  set_isa(isa);
  const size_t large = size_t{1} << 25, small = size_t{1} << 21;
  const std::vector<real> from(large, real(1));
  std::vector<real> to(large);
  m.memory = rate(2 * double(large * sizeof(real)),
                  [&] { std::memcpy(to.data(), from.data(), large * sizeof(real)); });
  // The C library looks for a byte that is not there, which is as good as nothing to compute.
  m.next_cache = rate(double(small * sizeof(real)), [&] {
    sink = std::memchr(from.data(), 0x7f, small * sizeof(real)) != nullptr;
  });
  return m;
}

}  // namespace lesson03
