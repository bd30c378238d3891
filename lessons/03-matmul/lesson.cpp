// Lesson 03, the matrix product: from the textbook's three loops to what the machine can do, one
// rung at a time. Page: docs/03-matmul.md
#include "kindling.h"

#include "03-matmul/checks.h"
#include "03-matmul/experiments.h"
#include "03-matmul/ladder.h"
#include "03-matmul/measure.h"
#include "03-matmul/network.h"
#include "03-matmul/orders.h"
#include "03-matmul/roofline.h"

using namespace kindling;
using namespace lesson03;

namespace {

struct Settings {
  std::string part = "all", mistake = "none";
  int64_t size = 1024;
  size_t rounds = 3;  // of the slow rungs
};

// The rungs of this machine; a mistake takes the place of the widest tile.
std::vector<Rung> rungs_with(const std::string& mistake) {
  const std::string isa = kernels().name;
  std::vector<Rung> rungs = ladder(isa);
  const auto threads = std::ranges::find(rungs, true, &Rung::threads);
  Rung& widest = *(threads - 1);
  if (mistake == "store") widest.tile = tile_that_stores(isa);
  if (mistake == "one-chain") widest.tile = tiles(isa)[0];
  return rungs;
}
const Rung& widest(const std::vector<Rung>& rungs) {
  return *(std::ranges::find(rungs, true, &Rung::threads) - 1);
}

// ---- 2: how fast is it? -----------------------------------------------------------------------

void measure(const std::vector<Rung>& rungs, const Settings& settings, Report& report) {
  const Machine machine = measure_machine();
  const Cache cache = second_cache();
  fmt::print(
      "\n2. The machine: one core does {:.0f} GFLOP/s at best, {:.1f} one number at a time;\n"
      "   a copy moves {:.1f} GB/s, reads behind the second cache of {} KiB {:.1f} GB/s\n\n",
      machine.peak, machine.one_lane, machine.memory, cache.bytes / 1024, machine.next_cache);
  const int64_t n = settings.size;
  const int all = threads();
  Matrices square(n, n, n), layer(128, 784, 256);
  const double flops = square.product().flops(), layer_flops = layer.product().flops();
  fmt::print("   {:16}{:>12}{:>10}{:>10}{:>12}{:>14}\n", "", fmt::format("{} cubed", n), "of peak",
             "faster", "a layer", "operations");
  fmt::print("   {:16}{:>12}{:>10}{:>10}{:>12}{:>14}\n", "rung", "GFLOP/s", "", "by", "GFLOP/s",
             "per byte");
  std::map<std::string, double> speed;
  std::vector<Dot> dots;
  double before = 0;
  for (const Rung& rung : rungs) {
    set_threads(rung.threads ? all : 1);
    const auto rate = [&](Matrices& m, double work) {
      return work / 1e9 / median_seconds(settings.rounds, 0.3, [&] { climb(rung, m.product()); });
    };
    const double gflops = speed[rung.name] = rate(square, flops);
    const double of_layer = rate(layer, layer_flops);
    const double share = gflops / machine.peak / threads();
    const double intensity = flops / bytes_moved(rung, square.product(), {}, cache);
    if (!rung.threads) dots.push_back({rung.name, intensity, gflops});
    fmt::print("   {:16}{:>12.2f}{:>8.1f} %{:>10}{:>12.2f}{:>14.2f}\n", rung.name, gflops,
               100 * share, before > 0 ? fmt::format("{:.1f}", gflops / before) : "", of_layer,
               intensity);
    std::fflush(stdout);
    before = gflops;
  }
  set_threads(all);
  write_file(
      report.path("roofline.svg"),
      roofline(fmt::format("The rungs under the roof of one core, {} cubed", n), machine, dots));
  write_file(report.path("orders.svg"), draw_orders(256));
  fmt::print("   {} and orders.svg\n", report.path("roofline.svg"));

  const Rung& last = widest(rungs);
  const int lanes = ladder(kernels().name).at(size_t(&last - rungs.data())).tile.lanes;
  const double at_least = lanes == 16 ? 50 : lanes == 8 ? 25 : 10;
  report.claim("the order of the loops alone makes it more than twice as fast",
               speed["loop order"] > 2 * speed["naive"]);
  report.claim(fmt::format("{}, on one core, is more than {} times as fast as the textbook",
                           last.name, at_least),
               speed[last.name] > at_least * speed["naive"]);
  report.claim(fmt::format("{} reaches a third of the peak, the engine half", last.name),
               speed[last.name] > machine.peak / 3 && speed["engine"] > machine.peak / 2);
  report.note("peak", machine.peak), report.note("one_lane", machine.one_lane);
  report.note("memory", machine.memory), report.note("next_cache", machine.next_cache);
  for (const char* name : {"naive", "loop order", "cache tiles", "packing", "micro-kernel",
                           "vectors of 4", "AVX2", "AVX-512", "threads", "engine",
                           "engine, threads"}) {  // those that are not here are no number
    std::string column;
    for (const char* c = name; *c; ++c) column += std::isalnum(uint8_t(*c)) ? char(*c) : '_';
    report.note(column, speed.contains(name) ? speed[name] : NAN);
  }
  report.note("engine_percent", 100 * speed["engine"] / machine.peak);
  report.note("times_naive", speed["engine"] / speed["naive"]);
}

}  // namespace

int main(int argc, char** argv) {
  Cli cli("03-matmul", "the matrix product, from three loops to what the machine can do");
  Settings settings;
  cli.without("--resume"), cli.without("--graph");
  cli.choice("--part", settings.part,
             {"all", "check", "ladder", "without", "network", "tiles", "blocks", "rows"},
             "run one part; the last three are experiments, and not in all");
  cli.option("--size", settings.size, "rows and columns of the square matrices", {16, 4096});
  cli.choice("--mistake", settings.mistake, {"none", "store", "one-chain"},
             "put a mistake into the widest tile and see which claim tells of it");
  return lesson_main(argc, argv, cli, [&] {
    if (cli.shared.quick) settings.rounds = 1;
    const auto runs = [&](const char* part) {
      return settings.part == "all" || settings.part == part;
    };
    const std::vector<Rung> rungs = rungs_with(settings.mistake);
    if (runs("ladder")) {
      fmt::print("{} rungs, about {:.0f} s on this machine\n", rungs.size(),
                 seconds_of_the_slow_rungs(settings.size, settings.rounds));
    }
    Report report(cli, "");
    if (runs("check")) check(rungs, report);
    if (runs("ladder")) measure(rungs, settings, report), same_bits(rungs, report);
    if (runs("without")) without(widest(rungs), settings.size, report);
    if (runs("network")) network(cli.shared, report);
    if (settings.part == "tiles") sweep_tiles(settings.size, report);
    if (settings.part == "blocks") sweep_blocks(widest(rungs), settings.size, report);
    if (settings.part == "rows") sweep_rows(rungs, settings.size, report);
    return report.verdict("the experiments in docs/03-matmul.md");
  });
}
