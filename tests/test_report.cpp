// Tests of framework/train/report: bands, run folders, records, verdicts.
#include "train/report.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <sstream>
#include <thread>

#include "base/check.h"
#include "kernels/dispatch.h"
#include "support/capture.h"
#include "support/catch.h"
#include "support/command.h"

using namespace kindling;
namespace fs = std::filesystem;

namespace {

// A lesson in a temporary folder; what it prints is kept.
struct Lesson {
  TempFolder folder;
  Cli cli{"00-sample", "A lesson for tests."};
  int64_t hidden = 3;

  explicit Lesson(std::vector<std::string> words = {}) {
    cli.shared.epochs = 2;
    cli.option("--hidden", hidden, "units");
    parse(words);
  }
  void parse(std::vector<std::string> words) {
    const std::string out = (folder.path() / "out").string();
    words.insert(words.begin(), {"lesson", "--out", out});
    std::vector<const char*> argv;
    for (const std::string& word : words) argv.push_back(word.c_str());
    cli.parse(int(argv.size()), argv.data());
  }
  fs::path run(int number) const {
    return folder.path() / "out" / "00-sample" / fmt::format("run-{:03}", number);
  }
};

struct Outcome {
  Exit code;
  std::string last_line, verdict_file;
};

// The verdict of a run with this result, which has the recorded values 90, 91, 92 (band 80–102).
const char* const kRecords =
    "# file sample.tsv\n"
    "experiment\tseed\taccuracy\n"
    "sample\t1\t90\nsample\t2\t91\nsample\t3\t92\n";

Outcome verdict_of(Lesson& lesson, const std::function<void(Report&)>& body) {
  Capture out;
  Report report(lesson.cli, kRecords);
  body(report);
  const Exit code = report.verdict("make lesson-01");
  const std::string text = out.text();
  const size_t begin = text.rfind("\n\n") + 2;
  const std::string file = read_text(report.path("verdict.tsv"));
  return {code, text.substr(begin), file.substr(file.find('\n') + 1)};
}

Outcome accuracy(Lesson& lesson, double value, const std::string& experiment = "sample") {
  return verdict_of(lesson, [&](Report& r) { r.result("accuracy", value, "%", experiment); });
}

}  // namespace

TEST_CASE("report: the band is the prediction interval for one more run", "[report]") {
  // mean 3, s = sqrt(2.5), half = 4.6041 sqrt(2.5) sqrt(1.2) = 7.9744
  CHECK(band_of({1, 2, 3, 4, 5}, 0.3).low == Approx(3 - 7.9744).margin(1e-3));
  CHECK(band_of({1, 2, 3, 4, 5}, 0.3).high == Approx(3 + 7.9744).margin(1e-3));
  CHECK(band_of({2, 2, 2}, 0.25).low == 1.75);
  CHECK(band_of({2, 2, 2}, 0.25).high == 2.25);

  // The t of each number of runs: Student's distribution stays below it with probability 0.995.
  // Integrated by Simpson's rule after x = sqrt(f) tan(a): the density is cos(a)^(f - 1) there.
  std::vector<double> values = {1, -1};
  for (int n = 2; n <= 60; ++n) {
    const double f = n - 1, s = std::sqrt(2 / f);
    const double t = band_of(values, 0).high / (s * std::sqrt(1 + 1.0 / n));
    const double angle = std::atan(t / std::sqrt(f));
    double sum = 0;
    for (int i = 0; i <= 2000; ++i) {
      const int weight = i == 0 || i == 2000 ? 1 : i % 2 == 1 ? 4 : 2;
      sum += weight * std::pow(std::cos(angle * i / 2000), f - 1);
    }
    const double scale = std::exp(std::lgamma((f + 1) / 2) - std::lgamma(f / 2));
    const double below = 0.5 + scale / std::sqrt(std::acos(-1.0)) * sum * angle / 6000;
    values.push_back(0);
    INFO("n = " << n << ", t = " << t);
    if (n <= 31) {
      CHECK(below == Approx(0.995).margin(1e-6));  // t has four digits after the point
    } else {
      CHECK((below > 0.995 && below < 0.9965));  // the band is a little wide
    }
  }
}

TEST_CASE("report: a band comes from the rows of its experiment, in any file", "[report]") {
  const std::string records =
      "# file a.tsv\n"
      "experiment\tseed\taccuracy\n"
      "a\t1\t90\n# a remark\na\t2\t91\n"
      "# file b.tsv\n"
      "seed\texperiment\tloss\taccuracy\n"
      "1\tb\t0.5\t50\n3\ta\t0.1\t92\n";
  CHECK(recorded(records, "a", "accuracy") == std::vector<double>{90, 91, 92});
  CHECK(recorded(records, "b", "accuracy") == std::vector<double>{50});
  CHECK(recorded("", "a", "accuracy").empty());
  CHECK_THROWS_WITH(recorded(records, "a", "loss"),
                    "records: loss '' of a run of a is not a number");
  CHECK_THROWS_AS(recorded("experiment\tx\na\t1\na\tnan\na\t1\n", "a", "x"), Error);
}

TEST_CASE("report: every run has a folder of its own", "[report]") {
  Lesson lesson;
  Capture out;
  const Report first(lesson.cli, ""), second(lesson.cli, "");
  CHECK(first.folder() == lesson.run(1).string());
  CHECK(second.folder() == lesson.run(2).string());
  CHECK(out.text() ==
        fmt::format("run folder: {}\nrun folder: {}\n", first.folder(), second.folder()));
  // Runs that start together do not share one either.
  const Capture quiet;
  std::vector<std::string> folders(8);
  std::vector<std::thread> threads;
  for (std::string& folder : folders) {
    threads.emplace_back([&] { folder = Report(lesson.cli, "").folder(); });
  }
  for (std::thread& thread : threads) thread.join();
  std::sort(folders.begin(), folders.end());
  CHECK(std::adjacent_find(folders.begin(), folders.end()) == folders.end());
  CHECK(folders.back() == lesson.run(10).string());
}

TEST_CASE("report: an unusable --out is one clear error", "[report]") {
  Lesson lesson;
  write_text(lesson.folder.path() / "file", "");
  lesson.parse({"--out", (lesson.folder.path() / "file").string()});
  CHECK_THROWS_WITH(Report(lesson.cli, ""), ContainsSubstring("cannot make a run folder in") &&
                                                ContainsSubstring("Choose another with --out"));
}

TEST_CASE("report: config.json holds what a result depends on", "[report]") {
  Lesson lesson({"--hidden", "5", "--seed", "9"});
  Capture out;
  const Report report(lesson.cli, "");
  const std::string text = read_text(report.path("config.json"));
  CHECK_THAT(text, Catch::Matchers::StartsWith(
                       fmt::format("{{\n  \"lesson\": \"00-sample\",\n  \"isa\": \"{}\",\n"
                                   "  \"options\": [\n    \"--seed 9\",\n    \"--quick false\",\n"
                                   "    \"--epochs 2\",\n    \"--hidden 5\"\n  ],\n",
                                   kernels().name)));
  CHECK_THAT(text, ContainsSubstring("\n  \"threads\": "));
  CHECK_THAT(text, ContainsSubstring("\n  \"cpu\": \""));
  CHECK_THAT(text, Catch::Matchers::EndsWith("\"\n}\n"));
}

TEST_CASE("report: metrics.csv grows line by line, with fixed columns", "[report]") {
  Lesson lesson;
  Capture out;
  Report report(lesson.cli, "");
  report.metrics({{"step", 1}, {"loss", 0.5}});
  report.metrics({{"step", 2}, {"loss", 0.25}});
  CHECK(read_text(report.path("metrics.csv")) == "step,loss\n1,0.5\n2,0.25\n");
  CHECK_THROWS_WITH(report.metrics({{"step", 3}}),
                    ContainsSubstring("has the columns 'step,loss', this run 'step'"));

  lesson.parse({"--resume", report.folder()});
  write_text(report.path("checkpoint.safetensors"), "");
  Report resumed(lesson.cli, "");
  resumed.metrics({{"step", 3}, {"loss", 0.125}});
  CHECK(read_text(report.path("metrics.csv")) == "step,loss\n1,0.5\n2,0.25\n3,0.125\n");
  Report other(lesson.cli, "");
  CHECK_THROWS_AS(other.metrics({{"epoch", 1}}), Error);
}

TEST_CASE("report: --resume takes a run of this lesson with the same options", "[report]") {
  Lesson lesson({"--hidden", "5"});
  Capture out;
  const std::string folder = Report(lesson.cli, "").folder();
  const std::string config = read_text(folder + "/config.json");

  lesson.parse({"--hidden", "5", "--resume", folder});
  CHECK_THROWS_MATCHES(
      Report(lesson.cli, ""), UsageError,
      Catch::Matchers::Message("--resume " + folder +
                               ": there is no checkpoint to go on from. Give the folder of a run "
                               "that trained"));
  write_text(folder + "/checkpoint.safetensors", "");
  CHECK(Report(lesson.cli, "").folder() == folder);
  CHECK(read_text(folder + "/config.json") == config);

  lesson.parse({"--hidden", "6", "--resume", folder});
  CHECK_THROWS_MATCHES(
      Report(lesson.cli, ""), UsageError,
      Catch::Matchers::Message(fmt::format("--resume {0}: that run has \"--hidden 5\", this one "
                                           "\"--hidden 6\". See {0}/config.json",
                                           folder)));
  // A flag that one run has and the other has not.
  lesson.parse({"--hidden", "5", "--quick", "--resume", folder});
  CHECK_THROWS_WITH(Report(lesson.cli, ""),
                    ContainsSubstring("has \"--quick false\", this one \"--quick true\"."));
  lesson.cli.shared.quick = false;
  lesson.parse({"--hidden", "5", "--resume", folder, "--record", "x.tsv"});
  CHECK_THROWS_AS(Report(lesson.cli, ""), UsageError);
  lesson.cli.shared.record.clear();
  lesson.parse({"--resume", lesson.folder.path().string()});
  CHECK_THROWS_WITH(Report(lesson.cli, ""), ContainsSubstring(": there is no checkpoint"));
  // Nor one of another instruction set: its bits would be others.
  std::string elsewhere = config;
  const std::string isa = fmt::format("\"{}\"", kernels().name);
  write_text(folder + "/config.json",
             elsewhere.replace(elsewhere.find(isa), isa.size(), "\"mmx\""));
  lesson.parse({"--hidden", "5", "--resume", folder});
  CHECK_THROWS_WITH(Report(lesson.cli, ""),
                    ContainsSubstring("that run has \"isa\": \"mmx\", this one \"isa\": "));
  for (const char* damaged : {"{", ""}) {
    write_text(folder + "/config.json", damaged);
    CHECK_THROWS_WITH(Report(lesson.cli, ""),
                      ContainsSubstring(fmt::format("that run has {}, this one ", damaged)));
  }
}

TEST_CASE("report: the verdict compares the result with the band", "[report]") {
  Lesson lesson;  // mean 91, s 1, half 9.9248 sqrt(4/3) = 11.46
  const Outcome inside = accuracy(lesson, 80);
  CHECK(inside.code == Exit::pass);
  CHECK(inside.last_line == "PASS accuracy 80% (expected 80–102). Next: make lesson-01\n");
  CHECK_THAT(inside.verdict_file, ContainsSubstring("00-sample\taccuracy 80%\t80–102\t0."));
  CHECK_THAT(inside.verdict_file, ContainsSubstring("\tPASS\t" + lesson.run(1).string() + "\n"));

  const Outcome below = accuracy(lesson, 79.4);
  CHECK(below.code == Exit::outside);
  CHECK(below.last_line == "FAIL accuracy 79% (expected 80–102).\n");
  CHECK_THAT(below.verdict_file, ContainsSubstring("\tFAIL\t"));

  const Outcome above = accuracy(lesson, 103);
  CHECK(above.code == Exit::pass);
  CHECK(above.last_line ==
        "PASS accuracy 103% (above the expected 80–102). Next: make lesson-01\n");

  CHECK(accuracy(lesson, std::nan("")).code == Exit::outside);
}

TEST_CASE("report: a narrow band is shown with the digits it needs", "[report]") {
  Lesson lesson;
  Capture out;
  Report report(lesson.cli, "experiment\taccuracy\na\t91.5\na\t91.5\na\t91.5\n");
  report.result("accuracy", 91.204, "%", "a", 0.3);
  CHECK(report.verdict("x") == Exit::pass);  // it is 91.20 as shown, and so is the low end
  CHECK_THAT(out.text(), ContainsSubstring("PASS accuracy 91.20% (expected 91.20–91.80)."));
}

TEST_CASE("report: without a band the verdict says so", "[report]") {
  Lesson lesson;
  const Outcome outcome = accuracy(lesson, 50, "never-run");
  CHECK(outcome.code == Exit::outside);  // what was never recorded cannot be inside
  CHECK(outcome.last_line == "NOT JUDGED accuracy 50.00% (no recorded runs to judge it by).\n");
  CHECK_THAT(outcome.verdict_file, ContainsSubstring("\tNOT JUDGED\t"));
}

TEST_CASE("report: changed options are part of the verdict", "[report]") {
  Lesson lesson({"--epochs", "1", "--hidden", "4", "--seed", "7"});
  const Outcome outcome = accuracy(lesson, 91);
  CHECK(outcome.last_line ==
        "PASS accuracy 91% (expected 80–102), changed: --epochs 1 --hidden 4. Next: make "
        "lesson-01\n");
  CHECK_THAT(outcome.verdict_file, ContainsSubstring("\tPASS\t"));
}

TEST_CASE("report: one wrong claim fails the run", "[report]") {
  Lesson lesson;
  const auto claims = [](bool second, bool with_result) {
    return [=](Report& r) {
      r.claim("the first", true);
      r.claim("the second", second);
      if (with_result) r.result("accuracy", 91, "%", "sample");
    };
  };
  const Outcome both = verdict_of(lesson, claims(true, false));
  CHECK(both.code == Exit::pass);
  CHECK(both.last_line == "PASS 2 of 2 claims hold. Next: make lesson-01\n");
  CHECK_THAT(both.verdict_file, ContainsSubstring("\t2 of 2 claims\tall claims\t"));

  const Outcome one = verdict_of(lesson, claims(false, false));
  CHECK(one.code == Exit::outside);
  CHECK(one.last_line == "FAIL 1 of 2 claims hold.\n");

  const Outcome with_result = verdict_of(lesson, claims(false, true));
  CHECK(with_result.code == Exit::outside);
  CHECK(with_result.last_line == "FAIL accuracy 91% (expected 80–102), 1 of 2 claims hold.\n");

  Capture out;
  Report report(lesson.cli, "");
  CHECK_THROWS_WITH(report.verdict("x"), "verdict: this run claims nothing");
  report.claim("it is so", true);
  report.claim("it is not", false);
  report.result("a", 1, "", "a");
  CHECK_THROWS_AS(report.result("b", 1, "", "b"), Error);
  CHECK_THAT(out.text(), ContainsSubstring("   ok     it is so\n   WRONG  it is not\n"));
}

TEST_CASE("report: --record appends one line with fixed columns", "[report]") {
  Lesson lesson;
  const std::string file = (lesson.folder.path() / "digits.tsv").string();
  const auto record = [&](const std::string& seed, double loss) {
    lesson.parse({"--record", file, "--seed", seed, "--epochs", "1", "--quick"});
    return verdict_of(lesson, [&](Report& r) {
      r.note("loss", loss);
      r.result("accuracy", 91.25, "%", "sample");
    });
  };
  record("1", 0.5);
  write_text(file, "# a remark\n" + read_text(file));
  record("2", 0.25);
  const std::string text = read_text(file);
  std::istringstream in(text);
  std::string remark, header, first, second, more;
  std::getline(in, remark), std::getline(in, header);
  std::getline(in, first), std::getline(in, second);
  CHECK(remark == "# a remark");
  CHECK(header == "experiment\tseed\tisa\tthreads\tcpu\tseconds\toptions\taccuracy\tloss");
  CHECK_THAT(first, Catch::Matchers::StartsWith(fmt::format("digits\t1\t{}\t", kernels().name)));
  CHECK_THAT(first, Catch::Matchers::EndsWith("\t--quick --epochs 1\t91.25\t0.5"));
  CHECK_THAT(second, Catch::Matchers::StartsWith("digits\t2\t"));
  CHECK_FALSE(std::getline(in, more));

  // Other columns: an error, and the file stays as it was.
  CHECK_THROWS_WITH(verdict_of(lesson, [](Report& r) { r.claim("x", true); }),
                    ContainsSubstring("digits.tsv has the columns '"));
  REQUIRE(read_text(file) == text);

  lesson.parse({"--record", "nowhere/x.tsv"});  // found out before the training
  CHECK_THROWS_WITH(
      verdict_of(lesson, [](Report&) { FAIL("the run has begun"); }),
      ContainsSubstring("nowhere/x.tsv: cannot be written: No such file or directory. Choose"));

  lesson.parse({"--record", "/dev/full"});
  CHECK_THROWS_WITH(verdict_of(lesson, [](Report&) { FAIL("the run has begun"); }),
                    ContainsSubstring("/dev/full: is no file to keep records in. Choose"));

  // What was recorded gives a band.
  record("3", 0.125);
  CHECK(recorded(read_text(file), "digits", "accuracy").size() == 3);
}
