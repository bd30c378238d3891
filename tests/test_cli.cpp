// Tests of framework/train/cli: options, messages, help and exit codes.
#include "train/cli.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "autograd/node.h"
#include "base/check.h"
#include "base/parallel.h"
#include "kernels/dispatch.h"
#include "support/capture.h"
#include "support/catch.h"

using namespace kindling;

namespace {

// A lesson with an option of each kind.
struct Sample {
  Cli cli{"00-sample", "A lesson for tests."};
  int64_t hidden = 256;
  double decay = 5e-4, shift = 0;
  std::string part = "all";
  bool shuffle = false;

  Sample() {
    cli.shared.epochs = 12, cli.shared.batch = 128, cli.shared.lr = 0.1;
    cli.data_choice({"auto", "mnist", "digits"});
    cli.option("--hidden", hidden, "units of the hidden layer");
    cli.option("--decay", decay, "weight decay");
    cli.option("--shift", shift, "of the inputs", {-2, 2});
    cli.choice("--part", part, {"all", "first", "last"}, "run one part");
    cli.option("--shuffle", shuffle, "mix the labels");
    cli.without("--graph");
  }

  bool parse(std::vector<const char*> words) {
    words.insert(words.begin(), "lesson");
    return cli.parse(int(words.size()), words.data());
  }
};

std::string usage_error(const std::vector<const char*>& words) {
  Sample sample;
  try {
    sample.parse(words);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "no error";
}

int run(Cli& cli, const std::vector<const char*>& words, const std::function<Exit()>& body) {
  std::vector<const char*> argv = {"lesson"};
  argv.insert(argv.end(), words.begin(), words.end());
  return lesson_main(int(argv.size()), argv.data(), cli, body);
}

}  // namespace

TEST_CASE("cli: without arguments every option keeps its default", "[cli]") {
  Sample s;
  REQUIRE(s.parse({}));
  CHECK(s.cli.shared.seed == 1);
  CHECK(s.cli.shared.epochs == 12);
  CHECK(s.cli.shared.data == "auto");
  CHECK(s.hidden == 256);
  CHECK(s.part == "all");
  CHECK_FALSE(s.shuffle);
  CHECK(s.cli.changed().empty());
  CHECK(s.cli.chosen().empty());
}

TEST_CASE("cli: values are read in both forms, the last one counts", "[cli]") {
  Sample s;
  REQUIRE(s.parse({"--seed", "7", "--lr=0", "--hidden", "3", "--hidden=5", "--shuffle", "--quick",
                   "--shift", "-1.5", "--part=last", "--out=a=b", "--out", "elsewhere", "--decay",
                   "1e-3", "--seed=18446744073709551615"}));
  CHECK(s.cli.shared.seed == 18446744073709551615u);
  CHECK(s.cli.shared.lr == 0);
  CHECK(s.hidden == 5);
  CHECK(s.shuffle);
  CHECK(s.cli.shared.quick);
  CHECK(s.shift == -1.5);
  CHECK(s.part == "last");
  CHECK(s.cli.shared.out == "elsewhere");
  CHECK(s.decay == 0.001);
}

TEST_CASE("cli: a refused value leaves the variable as it was", "[cli]") {
  Cli cli("00-test", "A test.");
  double decay = 0.5;
  cli.option("--decay", decay, "a real number");
  const char* const argv[] = {"lesson", "--decay", "-3"};
  CHECK_THROWS_AS(cli.parse(3, argv), UsageError);
  CHECK(decay == 0.5);
}

TEST_CASE("cli: what is no number in range is refused with the range", "[cli]") {
  CHECK(usage_error({"--epochs", "-1"}) ==
        "--epochs: '-1' is not a whole number from 1 to 1000000");
  CHECK(usage_error({"--batch", "0"}) == "--batch: '0' is not a whole number from 1 to 1000000");
  CHECK(usage_error({"--lr", "nan"}) == "--lr: 'nan' is not a number from 0 to 1000000");
  CHECK(usage_error({"--lr", "inf"}) == "--lr: 'inf' is not a number from 0 to 1000000");
  CHECK(usage_error({"--threads=1e3"}) == "--threads: '1e3' is not a whole number from 0 to 1024");
  CHECK(usage_error({"--threads=1025"}) ==
        "--threads: '1025' is not a whole number from 0 to 1024");
  CHECK(usage_error({"--seed", "1.5"}) == "--seed: '1.5' is not a whole number of at least 0");
  CHECK(usage_error({"--hidden", "9223372036854775808"}) ==
        "--hidden: '9223372036854775808' is not a whole number of at least 0");
  CHECK(usage_error({"--decay", "inf"}) == "--decay: 'inf' is not a number of at least 0");
  CHECK(usage_error({"--shift", "2.1"}) == "--shift: '2.1' is not a number from -2 to 2");
  CHECK(usage_error({"--hidden", "12 "}) == "--hidden: '12 ' is not a whole number of at least 0");
}

TEST_CASE("cli: an unknown option is refused with the nearest name", "[cli]") {
  CHECK(usage_error({"--epoch", "1"}) ==
        "unknown option '--epoch'. Did you mean --epochs? See --help");
  CHECK(usage_error({"--hiden=3"}) ==
        "unknown option '--hiden'. Did you mean --hidden? See --help");
  CHECK(usage_error({"--x"}) == "unknown option '--x'. See --help");
  CHECK(usage_error({"--prof"}) == "unknown option '--prof'. Did you mean --profile? See --help");
  CHECK(usage_error({"--something-else"}) == "unknown option '--something-else'. See --help");
  CHECK(usage_error({"mnist"}) == "unknown option 'mnist'. See --help");
  CHECK(usage_error({"--graph"}) == "unknown option '--graph'. See --help");  // taken away
  CHECK(usage_error({"--part", "lats"}) ==
        "--part: 'lats' is not one of all, first, last. Did you mean last?");
  CHECK(usage_error({"--data", "imagenet"}) ==
        "--data: 'imagenet' is not one of auto, mnist, digits.");
}

TEST_CASE("cli: an option needs its value, and a flag takes none", "[cli]") {
  CHECK(usage_error({"--resume", ""}) == "--resume needs a value: --resume FOLDER");
  CHECK(usage_error({"--seed="}) == "--seed needs a value: --seed N");
  CHECK(usage_error({"--out="}) == "--out needs a value: --out FOLDER");
  CHECK(usage_error({"--seed"}) == "--seed needs a value: --seed N");
  CHECK(usage_error({"--out", "--quick"}) == "--out needs a value: --out FOLDER");
  CHECK(usage_error({"--quick=false"}) == "--quick takes no value. See --help");
}

TEST_CASE("cli: a lesson without epochs, batches, a rate or data has no such options", "[cli]") {
  Cli cli("00-bare", "Nothing to train.");
  const char* words[] = {"lesson", "--batch", "3"};
  CHECK_THROWS_WITH(cli.parse(3, words), "unknown option '--batch'. See --help");
  for (const char* name : {"--epochs", "--batch", "--lr", "--data", "Options of this lesson"}) {
    CHECK_THAT(cli.help(), !ContainsSubstring(name));
  }
}

TEST_CASE("cli: changed, chosen and settings tell what a result depends on", "[cli]") {
  Sample s;
  REQUIRE(s.parse({"--seed", "3", "--lr", "0", "--quick", "--shuffle", "--threads", "1", "--data",
                   "digits", "--out", "x", "--hidden", "256"}));
  CHECK(s.cli.changed() == "--lr 0 --shuffle");
  CHECK(s.cli.chosen() == "--quick --lr 0 --data digits --shuffle");
  CHECK(joined(s.cli.settings(), " ") ==
        "--seed 3 --quick true --epochs 12 --batch 128 --lr 0 --data digits --hidden 256 "
        "--decay 0.0005 --shift 0 --part all --shuffle true");
}

TEST_CASE("cli: help shows shared options first, defaults and choices", "[cli]") {
  Sample s;
  Capture out;
  REQUIRE_FALSE(s.parse({"--epochs", "99", "--help"}));
  const std::string text = out.text();
  CHECK_THAT(text, ContainsSubstring("usage: lesson-00-sample [options]"));
  CHECK_THAT(text,
             ContainsSubstring("\n  --epochs N          passes over the data (default: 12)\n"));
  CHECK_THAT(text, ContainsSubstring(
                       "data set:\n                      auto, mnist, digits (default: auto)\n"));
  CHECK_THAT(text, ContainsSubstring("\n  --shuffle           mix the labels\n"));
  CHECK(text.find("--no-color") < text.find("Options of this lesson"));
  CHECK(text.find("Options of this lesson") < text.find("--hidden"));

  Sample shorter;
  Capture again;
  REQUIRE_FALSE(shorter.parse({"--epochs", "99", "-h"}));
  CHECK(again.text() == text);
}

TEST_CASE("cli: --threads and --isa are applied", "[cli]") {
  const int threads_before = threads();
  const std::string isa_before = kernels().name;
  Sample s;
  REQUIRE(s.parse({"--threads", "3", "--isa", "scalar"}));
  CHECK(threads() == 3);
  CHECK(std::string(kernels().name) == "scalar");
  CHECK_THAT(usage_error({"--isa", "mmx"}), ContainsSubstring("mmx"));
  set_threads(threads_before);
  set_isa(isa_before);
}

TEST_CASE("cli: lesson_main turns errors into one line and an exit code", "[cli]") {
  const auto code_and_line = [](const std::vector<const char*>& words,
                                const std::function<Exit()>& body) {
    Sample s;
    Capture out, err(STDERR_FILENO);
    const int code = run(s.cli, words, body);
    return std::pair<int, std::string>{code, err.text()};
  };
  using Result = std::pair<int, std::string>;
  CHECK(code_and_line({}, [] { return Exit::pass; }) == Result{0, ""});
  CHECK(code_and_line({}, [] { return Exit::outside; }) == Result{3, ""});
  CHECK(code_and_line({"--help"}, []() -> Exit { throw Error("not reached"); }) == Result{0, ""});
  CHECK(code_and_line({"--lr", "x"}, [] { return Exit::pass; }) ==
        Result{2, "00-sample: --lr: 'x' is not a number from 0 to 1000000\n"});
  CHECK(code_and_line({}, []() -> Exit { throw Error("matmul: no"); }) ==
        Result{1, "00-sample: matmul: no\n"});
  CHECK(code_and_line({}, []() -> Exit { throw std::runtime_error("other"); }) ==
        Result{1, "00-sample: other\n"});
  CHECK(code_and_line({}, []() -> Exit { throw UsageError("use"); }).first == 2);
  CHECK(code_and_line({}, []() -> Exit { throw DataMissing("data"); }).first == 4);
  CHECK(code_and_line({}, []() -> Exit { throw Interrupted("stop"); }).first == 130);
}

TEST_CASE("cli: lesson_main prints the header line", "[cli]") {
  Sample s;
  const int threads_before = threads();
  Capture out;
  run(s.cli, {"--threads", "1", "--data", "digits", "--seed", "5"}, [] { return Exit::pass; });
  set_threads(threads_before);
  CHECK(out.text() ==
        fmt::format("00-sample · seed 5 · 1 thread · {} · data digits\n", kernels().name));
}

TEST_CASE("cli: lesson_main prints the table of --profile after the body", "[cli]") {
  Sample s;
  Capture out;
  run(s.cli, {"--profile"}, [] {
    record(
        "an_operation", {}, [] { return scalar(0); }, [](const Tensor&, Grads&) {});
    return Exit::pass;
  });
  CHECK_THAT(out.text(), ContainsSubstring("\nan_operation   "));
  CHECK(graph_state.observer == nullptr);
}

TEST_CASE("cli: Ctrl-C is noted, a second one ends the process with 130", "[cli]") {
  Sample s;
  Capture out;
  for (const int number : {SIGINT, SIGTERM}) {
    bool before = true, after = false;
    run(s.cli, {}, [&] {
      before = interrupted();
      raise(number);
      after = interrupted();
      return Exit::pass;
    });
    CHECK_FALSE(before);
    CHECK(after);
  }
  run(s.cli, {}, [] { return Exit::pass; });
  CHECK_FALSE(interrupted());

  const pid_t child = fork();
  if (child == 0) {
    run(s.cli, {}, [] {
      raise(SIGINT);
      raise(SIGINT);
      return Exit::pass;
    });
    _exit(99);  // not reached
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 130);
  signal(SIGINT, SIG_DFL), signal(SIGTERM, SIG_DFL);
}
