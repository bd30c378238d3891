// Lesson 02: the perceptron and its bound, and whole runs with their exit codes, pictures and bits.
#include <algorithm>
#include <cmath>
#include <filesystem>

#include "02-perceptron/gates.h"
#include "support/catch.h"
#include "support/command.h"

using namespace lesson02;
namespace fs = std::filesystem;

namespace {

std::string lesson() { return fs::absolute(build_folder() / "lesson-02-perceptron").string(); }

CommandResult run(const TempFolder& out, const std::string& options,
                  const std::string& before = "") {
  return run_command(before + " " + lesson() + " --no-color --out " + out.path().string() + " " +
                     options);
}

fs::path first_run(const TempFolder& out) { return out.path() / "02-perceptron" / "run-001"; }

const std::string kImages = "--quick --part images --data digits ";

}  // namespace

TEST_CASE("perceptron: the rule moves weights and bias by the error times the input") {
  Perceptron p;
  CHECK(p.fires({0, 0}) == 0);   // 0 > 0 is false
  CHECK(p.learn({{2, -1}, 1}));  // should have fired
  CHECK(p.w == std::array<double, 2>{2, -1});
  CHECK(p.b == 1);
  CHECK_FALSE(p.learn({{2, -1}, 1}));  // right now: nothing moves
  CHECK(p.learn({{1, 1}, 0}));         // 2 - 1 + 1 > 0: fired, should not have
  CHECK(p.w == std::array<double, 2>{1, -2});
  CHECK(p.b == 0);
  p.with_bias = false;
  CHECK(p.learn({{1, 1}, 1}));
  CHECK(p.b == 0);
}

TEST_CASE("perceptron: gates are numbered by their truth table") {
  CHECK(kGateNames[6] == std::string("XOR"));
  const auto answers = [](int g) {
    std::string bits;
    for (const Sample& s : gate(g)) bits += char('0' + s.target);
    return bits;  // for 00 01 10 11
  };
  CHECK(answers(0) == "0000");
  CHECK(answers(6) == "0110");
  CHECK(answers(8) == "0001");   // AND
  CHECK(answers(14) == "0111");  // OR
  CHECK(answers(15) == "1111");
}

TEST_CASE("perceptron: exactly 14 gates with a bias and 6 without are learned") {
  const auto ignore = [](int) {};
  std::vector<std::string> with, without;
  for (int g = 0; g < 16; ++g) {
    Perceptron a, b;
    b.with_bias = false;
    if (train(a, gate(g), 1000, ignore).converged) with.push_back(kGateNames[size_t(g)]);
    if (train(b, gate(g), 1000, ignore).converged) without.push_back(kGateNames[size_t(g)]);
  }
  CHECK(with.size() == 14);
  CHECK(std::count(with.begin(), with.end(), "XOR") == 0);
  CHECK(std::count(with.begin(), with.end(), "XNOR") == 0);
  CHECK(without == std::vector<std::string>{"FALSE", "!x1 & x2", "x1 & !x2", "x2", "x1", "OR"});
}

TEST_CASE("perceptron: the bound is (R / gamma)^2 of the widest margin") {
  // AND with a bias: the widest separating unit vector is (2, 2, -3) / sqrt(17), which leaves 11
  // and 01, 10 at 1 / sqrt(17); R^2 = 3, so the bound is 51.
  CHECK(mistake_bound(gate(8), true) == Approx(51).epsilon(1e-9));
  // TRUE with a bias: (0, 0, 1) leaves every input at 1, so R^2 = 3 it is.
  CHECK(mistake_bound(gate(15), true) == Approx(3).epsilon(1e-9));
  CHECK(mistake_bound(gate(6), true) == 0);   // XOR: no margin
  CHECK(mistake_bound(gate(8), false) == 0);  // AND through the origin: none either
  // OR without a bias, inputs 01 10 11: (1, 1) / sqrt(2) leaves 1 / sqrt(2); R^2 = 2.
  CHECK(mistake_bound(gate(14), false) == Approx(4).epsilon(1e-9));
}

TEST_CASE("perceptron: a threshold and a bias learn the same") { CHECK(threshold_is_minus_bias()); }

TEST_CASE("lesson 02: a quick run passes and leaves its pictures") {
  const TempFolder out;
  const CommandResult r = run(out, "--quick --data digits");
  INFO(r.output);
  CHECK(r.code == 0);
  CHECK_THAT(r.output, ContainsSubstring("14 of 16 gates are learned with a bias (14)"));
  CHECK_THAT(r.output, ContainsSubstring("6 of 16 gates are learned without (6)"));
  CHECK_THAT(r.output, ContainsSubstring("PASS accuracy"));
  for (const char* name : {"boundary.png", "learning.png", "xor.png", "weights.png"}) {
    const std::string bytes = read_text(first_run(out) / name);
    INFO(name);
    CHECK(bytes.substr(1, 3) == "PNG");
    CHECK(bytes.size() > 1000);
  }
  for (const char* name : {"confusion.svg", "most-wrong.svg"}) {
    CHECK_THAT(read_text(first_run(out) / name), ContainsSubstring("</svg>"));
  }
  CHECK_THAT(read_text(first_run(out) / "metrics.csv"), ContainsSubstring("epoch,batches,loss"));
  CHECK_THAT(read_text(first_run(out) / "verdict.tsv"), ContainsSubstring("PASS"));
}

TEST_CASE("lesson 02: a profile and the graph of a step on request") {
  const TempFolder out;
  const CommandResult r = run(out, kImages + "--epochs 1 --profile --graph");
  INFO(r.output);
  CHECK(r.code != 1);
  CHECK_THAT(r.output, ContainsSubstring("linear backward"));
  CHECK_THAT(r.output, ContainsSubstring("of peak"));
  CHECK_THAT(read_text(first_run(out) / "graph.dot"), ContainsSubstring("cross_entropy"));
}

TEST_CASE("lesson 02: a run keeps the data set that auto found, so that it goes on with that one") {
  const TempFolder out;
  const CommandResult r = run(out, "--part images --quick --epochs 1");
  INFO(r.output);
  const bool fashion = r.output.find("\n6. fashion-mnist: ") != std::string::npos;
  CHECK_THAT(read_text(first_run(out) / "config.json"),
             ContainsSubstring(fashion ? "\"--data fashion-mnist\"" : "\"--data digits\""));
}

TEST_CASE("lesson 02: a short run holds out 5,000 of the 10,000 digits and trains on the rest") {
  const TempFolder out;
  const CommandResult r = run(out, "--part images --data digits --quick --validate --epochs 1");
  INFO(r.output);
  CHECK(r.code == 3);  // such a run has no band
  CHECK_THAT(r.output, ContainsSubstring("5000 training and 5000 held-out images"));
}

TEST_CASE("lesson 02: known mistakes fall outside the band and exit with 3", "[long]") {
  const std::string mistake = GENERATE(as<std::string>(), "--part images --lr 0",
                                       "--part images --shuffle-labels", "--part blobs --no-bias");
  const TempFolder out;
  const CommandResult r = run(out, "--quick --data digits " + mistake);
  INFO(r.output);
  CHECK(r.code == 3);
  CHECK_THAT(r.output, ContainsSubstring("FAIL"));
  CHECK_THAT(r.output, ContainsSubstring("changed: "));
}

TEST_CASE("lesson 02: usage errors, missing data and a foreign run folder") {
  const TempFolder out;
  const CommandResult unknown = run(out, "--hiden 3");
  CHECK(unknown.code == 2);
  CHECK_THAT(unknown.output, ContainsSubstring("--hidden"));
  CHECK(run(out, "--data cifar").code == 2);
  CHECK(run(out, "--hidden -3").code == 2);

  // From another folder, so that no data set fetched earlier is found.
  const std::string nowhere = "cd " + out.path().string() + " && KINDLING_DATA=none";
  const CommandResult missing = run(out, "--quick --part images --data mnist", nowhere);
  INFO(missing.output);
  CHECK(missing.code == 4);
  CHECK_THAT(missing.output, ContainsSubstring("make data-mnist"));

  CHECK(run(out, "--quick --resume " + (out.path() / "nothing").string()).code == 2);
  CHECK(run(out, "--part gates", "KINDLING_THREADS=abc").code == 2);
  CHECK(run(out, "--part gates", "KINDLING_ISA=mmx").code == 2);
  // Output that is lost is an error.
  const CommandResult full = run(out, "--part gates >/dev/full");
  CHECK(full.code == 1);
  CHECK_THAT(full.output, ContainsSubstring("the output cannot be written"));
}

TEST_CASE("lesson 02: the same seed gives the same weights for 1, 2 and 4 threads", "[threads]") {
  std::string first;
  for (const char* threads : {"1", "2", "4"}) {
    const TempFolder out;
    REQUIRE(run(out, kImages + "--epochs 1 --threads " + threads).code != 1);
    const std::string weights = read_text(first_run(out) / "checkpoint.safetensors");
    REQUIRE(weights.size() > 100000);
    if (first.empty()) first = weights;
    INFO(threads << " threads");
    CHECK((weights == first));  // in brackets: Catch would print 2 MB
  }
  const TempFolder out;
  run(out, kImages + "--epochs 1 --seed 2");
  CHECK((read_text(first_run(out) / "checkpoint.safetensors") != first));
}

TEST_CASE("lesson 02: an interrupted run goes on to the same bits") {
  const TempFolder whole, parts;
  const std::string options = kImages + "--epochs 12 --threads 1";
  REQUIRE(run(whole, options).code != 1);
  // Ctrl-C after the first epoch: the run saves where it is and says how to go on.
  const CommandResult cut =
      run(parts, options + "& run=$!; until [ -s " + (first_run(parts) / "metrics.csv").string() +
                     " ] || ! kill -0 $run; do sleep 0.01; done; kill -INT $run; wait $run");
  INFO(cut.output);
  REQUIRE(cut.code == 130);
  const std::string folder = first_run(parts).string();
  CHECK_THAT(cut.output, ContainsSubstring("--resume " + folder));
  const std::string full = read_text(first_run(whole) / "checkpoint.safetensors");
  CHECK((read_text(folder + "/checkpoint.safetensors") != full));
  const CommandResult resumed = run(parts, options + " --resume " + folder);
  INFO(resumed.output);
  CHECK(resumed.code != 1);
  CHECK((read_text(folder + "/checkpoint.safetensors") == full));
}
