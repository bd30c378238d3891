// What the machine can do at best: multiply-adds in registers, and reading, copying and adding up
// memory that lies in each of its caches or in none.
#include "bench/bandwidth.h"
#include "bench/race.h"

namespace kindling::bench {
namespace {

struct Level {
  const char* name;
  int64_t bytes;  // that each thread walks over
};
constexpr Level kLevels[] = {
    {"L1", 24 << 10}, {"L2", 512 << 10}, {"L3", 8 << 20}, {"DRAM", 384 << 20}};

// Arrays of n floats for each thread, in one.
struct Arrays {
  int64_t n;
  std::vector<Tensor> all;

  Arrays(int count, int64_t bytes) : n(bytes / 4 / count / 64 * 64) {
    for (int i = 0; i < count; ++i) all.push_back(noise({threads() * n}, uint32_t(i)));
  }
  real* of(int array, int64_t thread) { return all[size_t(array)].mutable_data() + thread * n; }
};

void bandwidth_of(Bench& bench, const Level& level) {
  const auto measure = [&](const std::string& what, int count, auto walk) {
    if (!bench.wants(what + "_" + level.name)) return;
    Arrays arrays(count, level.bytes);
    // So often that a thread has something to do.
    const int64_t times = std::max(int64_t{1}, (int64_t{16} << 20) / level.bytes);
    const double bytes = double(times * threads() * count * arrays.n * 4);
    bench.race({.kind = "limits",
                .name = what + "_" + level.name,
                .work = bytes,
                .unit = "GB/s",
                .limit = Row::none,
                .contenders = {{"ours", [&] {
                                  parallel_for(threads(), 1, [&](int64_t thread, int64_t) {
                                    for (int64_t i = 0; i < times; ++i) walk(arrays, thread);
                                  });
                                }}}});
  };
  const Bandwidth& move = bandwidth(isa());
  measure("read", 1, [&](Arrays& a, int64_t thread) {
    [[maybe_unused]] static volatile float sink;
    sink = move.read(a.n, a.of(0, thread));
  });
  measure("copy", 2,
          [&](Arrays& a, int64_t thread) { move.copy(a.n, a.of(0, thread), a.of(1, thread)); });
  measure("triad", 3, [&](Arrays& a, int64_t thread) {
    move.triad(a.n, a.of(0, thread), a.of(1, thread), a.of(2, thread));
  });
}

}  // namespace

void limits(Bench& bench) {
  if (bench.wants("fma")) {
    Contender ours = peak_contender();
    ours.name = "ours";
    bench.race({.kind = "limits",
                .name = "fma",
                .work = peak_flops(),
                .unit = "GFLOP/s",
                .limit = Row::none,
                .contenders = {ours}});
  }
  for (const Level& level : kLevels) bandwidth_of(bench, level);
}

}  // namespace kindling::bench
