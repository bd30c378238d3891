// `make bench`: how fast this is, beside what the machine can do and beside other libraries.
//
// Asked through the environment, or in the command line of make:
//   BENCH=limits|gemm|conv|rows|train|models|graph   one part; all of them without it
//   THREADS=1  FILTER=text in the name  ISA=avx2
//   PEERS=1    takes turns with other libraries, in a process started once more, for large pages;
//              PYTHON=path of one that has another PyTorch
//   SAVE=1     puts the lines into tests/bench/results/<processor>.tsv
//   BENCH_ROUNDS=9
//   BENCH=steady                              trains, for a trace of what it asks of the system
// Prints lines of the columns in report.h, comments begin with #. Page: docs/contributing.md
#include <fmt/core.h>
#include <unistd.h>

#include <filesystem>

#include "bench/race.h"

using namespace kindling;

namespace {

std::string asked(const char* name) {
  const char* text = std::getenv(name);
  return text ? text : "";
}

bool switched_on(const char* name) { return asked(name) != "" && asked(name) != "0"; }

int number(const char* name, int default_value, int most) {
  const std::string text = asked(name);
  if (text.empty()) return default_value;
  const bool digits = text.find_first_not_of("0123456789") == std::string::npos;
  const long n = digits ? std::strtol(text.c_str(), nullptr, 10) : 0;
  if (n >= 1 && n <= most) return int(n);
  throw UsageError(fmt::format("{}={}: must be a whole number from 1 to {}", name, text, most));
}

void save(const std::vector<bench::Line>& lines) {
  const std::string file =
      fmt::format("tests/bench/results/{}.tsv", bench::processor(read_file("/proc/cpuinfo")));
  const std::string before = std::filesystem::exists(file) ? read_file(file) : "";
  std::filesystem::create_directories("tests/bench/results");
  write_file(file, bench::merged(before, lines));
  fmt::print("# {} lines kept in {}\n", lines.size(), file);
}

void run() {
  const std::map<std::string, void (*)(bench::Bench&)> parts = {
      {"limits", bench::limits}, {"gemm", bench::gemm},   {"conv", bench::convolution},
      {"rows", bench::rows},     {"train", bench::train}, {"models", bench::models},
      {"graph", bench::graph}};
  const std::vector<std::string> order = {"limits", "gemm",   "conv", "rows",
                                          "train",  "models", "graph"};
  const std::string part = asked("BENCH");
  const int most = int(bench::processors().size());
  set_threads(number("THREADS", most, most));
  if (!asked("ISA").empty()) set_isa(asked("ISA"));
  if (part == "memory") {  // train asks this of a fresh process
    fmt::print("{:.3f}\n", bench::training_memory(asked("FILTER")));
    return;
  }
  if (switched_on("SAVE") && !asked("PYTHON").empty()) {
    throw UsageError("SAVE keeps lines of the system's PyTorch: leave it or PYTHON out");
  }
  if (part == "steady") return bench::steady();
  if (!part.empty() && !parts.count(part)) {
    throw UsageError(fmt::format("BENCH={}: there are {}", part, joined(order)));
  }
  bench::Bench all({.filter = asked("FILTER"),
                    .peers = switched_on("PEERS"),
                    .rounds = number("BENCH_ROUNDS", 9, 1000)});
  fmt::print("{}", bench::kHeader);
  for (const std::string& name : order) {
    if (!part.empty() && name != part) continue;
    parts.at(name)(all);
    all.end_part();
  }
  if (all.printed() == 0) {
    throw UsageError(fmt::format("{}: no line has this in its name",
                                 asked("FILTER").empty() ? "BENCH=" + part + " without PEERS=1"
                                                         : "FILTER=" + asked("FILTER")));
  }
  if (switched_on("SAVE")) save(all.quiet());
}

// Large pages also for what other libraries take from malloc, as ours has them: glibc reads this
// when a process starts, so it starts once more.
void ask_for_large_pages(char** arguments) {
  const std::string wish = "glibc.malloc.hugetlb=1", set = asked("GLIBC_TUNABLES");
  if (set.find(wish) != std::string::npos) return;
  setenv("GLIBC_TUNABLES", (set.empty() ? wish : set + ":" + wish).c_str(), 1);
  execv("/proc/self/exe", arguments);
  throw Error("bench: cannot start once more");
}

}  // namespace

int main(int, char** arguments) {
  try {
    if (switched_on("PEERS")) ask_for_large_pages(arguments);
    run();
    return 0;
  } catch (const UsageError& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
}
