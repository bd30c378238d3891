// The bench: its lines and sums, what it is asked, and peers of which one multiplies wrongly.
#include "bench/report.h"

#include <sstream>

#include "kindling.h"
#include "support/catch.h"
#include "support/command.h"
#include "support/skip.h"

using namespace kindling::bench;

namespace {

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, at);) parts.push_back(part);
  return parts;
}

Line line_of(const std::string& kind, const std::string& name, double ours, double peer,
             double limit) {
  Line line{.kind = kind, .name = name, .threads = 1, .isa = "avx2"};
  line.ours_ms = ours, line.peer_ms = peer, line.limit_pct = limit, line.best_peer = "peer";
  return line;
}

// The bench with few turns, from the environment "BENCH=gemm ...".
CommandResult run_bench(const std::string& asked,
                        const std::string& binary = build_folder() / "bench") {
  return run_command("env -u ISA -u SAVE -u PEERS THREADS=1 BENCH_ROUNDS=1 " + asked + " " +
                     binary);
}

// The columns of the one line of measurements, after the header.
std::vector<std::string> columns_of(const std::string& output) {
  std::vector<std::string> found;
  for (const std::string& line : split(output, '\n')) {
    if (line[0] == '#' || line + "\n" == kHeader) continue;
    CHECK(found.empty());
    found = split(line, '\t');
  }
  return found;
}

// A peer that multiplies by the book and, where it is told so, wrongly.
constexpr const char* kPeer = R"(
#include <cstdlib>
#include "bench/peers/peer.h"
using namespace kindling::bench;
const Peer kindling_peer = {
    [] { return std::string("a slow one"); },
    [](const Gemm& p) {
      return std::vector<Contender>{{"slow", [=] {
        for (int i = 0; i < p.M; ++i) {
          for (int j = 0; j < p.N; ++j) {
            double sum = std::getenv("WRONG") ? 0.1 : 0;
            for (int k = 0; k < p.K; ++k) sum += double(p.a[i * p.K + k]) * p.b[k * p.N + j];
            p.c[i * p.N + j] = float(sum);
          }
        }
      }}};
    },
    nullptr};
)";

}  // namespace

TEST_CASE("bench: a line has the header's columns, and - where nothing is known") {
  Line line{.kind = "gemm", .name = "square", .threads = 2, .isa = "avx512"};
  CHECK(line.text() == "gemm\tsquare\t2\tavx512\t-\t-\t-\t-\t-\t-\t-\n");
  line.ours_ms = 0.5, line.rate = 123.45, line.unit = "GFLOP/s", line.limit_pct = 95.04;
  line.best_peer = "blis", line.peer_ms = 0.75;
  CHECK(line.text() == "gemm\tsquare\t2\tavx512\t0.5\t123.5\tGFLOP/s\t95.0\tblis\t0.75\t1.500\n");
  CHECK(split(kHeader, '\t').size() == split(line.text(), '\t').size());
}

TEST_CASE("bench: the summary has the geometric mean and the smallest of the ratios") {
  CHECK(summary({}) == "");
  Line alone = line_of("rows", "c", 1, kNone, 50);
  CHECK(summary({alone}) == "");
  const std::string text =
      summary({line_of("rows", "a", 1, 4, 99), line_of("rows", "b", 2, 1, 99), alone});
  CHECK(text ==
        "# rows, 1 threads, avx2: 2 lines with peers, geometric mean of ratios 1.414, smallest "
        "0.500 (b)\n");
}

TEST_CASE("bench: a product at 95 % of the peak is not behind, but may be ahead") {
  const auto of = [](double ours, double peer, double limit) {
    return summary({line_of("gemm", "a", ours, peer, limit)});
  };
  CHECK_THAT(of(2, 1, 95), ContainsSubstring("smallest 1.000"));
  CHECK_THAT(of(2, 1, 94.9), ContainsSubstring("smallest 0.500"));
  CHECK_THAT(of(1, 2, 95), ContainsSubstring("smallest 2.000"));
}

TEST_CASE("bench: results replace those of the same thing and keep the others") {
  const Line a = line_of("gemm", "a", 1, 2, 3), b = line_of("gemm", "ab", 4, 5, 6);
  const std::string both = merged("", {a, b});
  CHECK(both == kHeader + a.text() + b.text());
  Line faster = a, threads = a;
  faster.ours_ms = 0.25, threads.threads = 2;
  CHECK(merged(both, {faster, threads}) == kHeader + faster.text() + b.text() + threads.text());
}

TEST_CASE("bench: a processor has a name that a file may have") {
  CHECK(processor("vendor_id\t: AuthenticAMD\ncpu family\t: 26\nmodel name\t: AMD EPYC\n") ==
        "amd-zen5");
  CHECK(processor("vendor_id\t: AuthenticAMD\ncpu family\t: 23\nmodel name\t: AMD Ryzen 5 3600 "
                  "6-Core Processor\n") == "amd-ryzen-5-3600-6-core-processor");
  CHECK(processor("model name\t: Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz\n") ==
        "intel-core-i7-8550u");
  CHECK(processor("model name\t: Intel(R) Xeon(R) Processor\n") == "intel-xeon-processor");
  CHECK(processor("") == "unknown");
}

TEST_CASE("bench: a product is timed, and its rate follows from the time") {
  const CommandResult run = run_bench("BENCH=gemm FILTER=square_NN_1_64_64_64");
  INFO(run.output);
  REQUIRE(run.code == 0);
  CHECK(run.output.starts_with(kHeader));
  const std::vector<std::string> columns = columns_of(run.output);
  REQUIRE(columns.size() == 11);
  CHECK(columns[0] == "gemm");
  CHECK(columns[1] == "square_NN_1_64_64_64");
  CHECK(columns[2] == "1");
  const double milliseconds = std::stod(columns[4]);
  CHECK(std::stod(columns[5]) == Approx(2.0 * 64 * 64 * 64 / milliseconds / 1e6).epsilon(1e-3));
  CHECK(columns[6] == "GFLOP/s");
  CHECK(std::stod(columns[7]) > 0);
  CHECK(columns[10] == "-");
}

// The numbers are PyTorch's, of peers/torch_models.py.
TEST_CASE("bench: a network's layers have all of its parameters") {
  for (const auto& [name, parameters] : std::vector<std::pair<std::string, std::string>>{
           {"resnet20", "269722"}, {"mae_tiny", "2945040"}}) {
    const CommandResult run = run_bench("BENCH=models FILTER=" + name);
    INFO(run.output);
    CHECK(run.code == 0);
    CHECK_THAT(run.output, ContainsSubstring("#   parameters: " + parameters + "\n"));
  }
}

TEST_CASE("bench: what cannot be measured is said, with exit code 2") {
  for (const auto& [asked, answer] : std::vector<std::pair<std::string, std::string>>{
           {"BENCH=gem",
            "error: BENCH=gem: there are limits, gemm, conv, rows, train, models, graph\n"},
           {"BENCH=gemm FILTER=cube", "error: FILTER=cube: no line has this in its name\n"},
           {"SAVE=1 PYTHON=python3 FILTER=cube",
            "error: SAVE keeps lines of the system's PyTorch: leave it or PYTHON out\n"},
           {"THREADS=0", "error: THREADS=0: must be a whole number from 1 to "},
           {"THREADS=two", "error: THREADS=two: must be a whole number from 1 to "},
           {"BENCH_ROUNDS=0", "error: BENCH_ROUNDS=0: must be a whole number from 1 to "},
           {"ISA=mmx", "error: isa 'mmx': this machine runs scalar"}}) {
    const CommandResult run = run_bench(asked);
    INFO(asked);
    CHECK(run.code == 2);
    CHECK_THAT(run.output, ContainsSubstring(answer));
  }
}

TEST_CASE("bench: a peer takes turns, and a wrong product is an error") {
  if (!has_program("g++")) return skip("g++, which compiles peers, is not installed");
  const TempFolder temp;
  const std::string folder = temp.path(), binary = folder + "/bench";
  write_text(temp.path() / "peers/slow.cpp", kPeer);
  const CommandResult made = run_command(
      "cp " + (build_folder() / "bench").string() + " " + folder + " && cd " + folder +
      "/peers && g++ -std=c++20 -O1 -shared -fPIC -I$OLDPWD/tests slow.cpp -o eigen.so");
  INFO(made.output);
  REQUIRE(made.code == 0);

  const std::string asked = "PEERS=1 BENCH=gemm FILTER=square_NN_1_64_64_64";
  const CommandResult run = run_bench(asked, binary);
  INFO(run.output);
  REQUIRE(run.code == 0);
  CHECK_THAT(run.output, ContainsSubstring("# peer: a slow one\n"));
  CHECK_THAT(run.output, ContainsSubstring("# peer: no onednn\n"));
  const std::vector<std::string> columns = columns_of(run.output);
  REQUIRE(columns.size() == 11);
  CHECK(columns[8] == "slow");
  const double ratio = std::stod(columns[9]) / std::stod(columns[4]);
  CHECK(std::stod(columns[10]) == Approx(ratio).epsilon(1e-3));
  CHECK_THAT(run.output, ContainsSubstring(": 1 lines with peers"));

  const CommandResult wrong = run_bench("WRONG=1 " + asked, binary);
  INFO(wrong.output);
  CHECK(wrong.code == 1);
  CHECK_THAT(wrong.output, ContainsSubstring("error: gemm square_NN_1_64_64_64: slow: "));
}

#if !defined(KINDLING_ASAN) && !defined(__SANITIZE_THREAD__)  // which have allocators of their own
TEST_CASE("training asks the system for nothing once it has begun", "[bench][memory]") {
  if (!has_program("strace")) return skip("strace is not installed: run make deps-dev");
  const TempFolder temp;
  const auto trace = temp.path() / "trace";
  const CommandResult run = run_bench("BENCH=steady strace -f -o " + trace.string() +
                                      " -e trace=mmap,mremap,munmap,brk,madvise,write");
  REQUIRE(run.code == 0);
  CHECK_THAT(run.output, ContainsSubstring("faults of a step: median 0,"));
  std::string text = kindling::read_file(trace);
  REQUIRE_THAT(text, ContainsSubstring("mmap(") && ContainsSubstring("\"step 10\\n"));
  text = text.substr(text.find("\"step 10\\n"));
  text = text.substr(0, text.find("\"step 110\\n"));
  for (const char* call : {"mmap(", "mremap(", "munmap(", "brk(", "madvise("}) {
    CHECK_THAT(text, !ContainsSubstring(call));
  }
}
#endif
