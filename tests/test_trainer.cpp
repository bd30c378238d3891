// Tests of framework/train/trainer: the loop, its checkpoints, resuming bit for bit.
#include "train/trainer.h"

#include <signal.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <optional>
#include <sstream>

#include "base/check.h"
#include "base/parallel.h"
#include "nn/layers.h"
#include "ops/ops.h"
#include "support/capture.h"
#include "support/catch.h"
#include "support/command.h"

using namespace kindling;
namespace fs = std::filesystem;

namespace {

// 120 samples of 20 numbers in three classes; every batch adds noise of its own.
class Clouds : public Dataset {
 public:
  int64_t size() const override { return 120; }
  Batch batch(std::span<const int32_t> samples, Random& random) const override {
    const auto n = int64_t(samples.size());
    Batch batch{Tensor({n, 20}), Indices(Shape{n}), Indices(Shape{n}, samples)};
    for (int64_t i = 0; i < n; ++i) {
      const int32_t label = samples[size_t(i)] % 3;
      batch.labels.mutable_data()[i] = label;
      for (int64_t j = 0; j < 20; ++j) {
        batch.x.mutable_data()[20 * i + j] = real((j % 3 == label) + 0.5 * random.normal());
      }
    }
    return batch;
  }
};

// A run of 3 epochs of 7 batches, with everything that a checkpoint has to keep: momentum, dropout,
// averages, a schedule, and a generator of the loss.
struct Run {
  TempFolder folder;
  Cli cli{"00-sample", "A lesson for tests."};
  Clouds data;
  Random random{5}, noise{6};
  Sequential model{Linear(20, 32, random), Activation(relu), Dropout(0.2, random),
                   Linear(32, 3, random)};
  std::optional<Sgd> optimizer;
  std::optional<Ema> ema;
  TrainerOptions options;
  std::string output;
  double rate = 0.1;

  Run() { cli.shared.epochs = 3, cli.shared.batch = 16, cli.shared.seed = 11; }

  Tensor loss(const Batch& batch) {
    const Tensor shaken = batch.x + normal(batch.x.shape(), noise, 0, 0.1);
    return cross_entropy(model(shaken), batch.labels);
  }

  // Trains in `resume` or in a new folder below `out`; gives the run folder.
  std::string train(const fs::path& out, const std::string& resume = "",
                    const Loss& loss_of = nullptr, std::vector<std::string> words = {}) {
    words.insert(words.begin(), {"lesson", "--out", out.string()});
    cli.shared.resume = resume;
    std::vector<const char*> argv;
    for (const std::string& word : words) argv.push_back(word.c_str());
    cli.parse(int(argv.size()), argv.data());
    Capture printed;
    Report report(cli, "");
    optimizer.reset();
    optimizer.emplace(model, SgdOptions{.rate = rate, .momentum = 0.9});
    ema.emplace(model, 0.9);
    options.schedule = cosine_schedule(21);
    options.ema = &*ema;
    options.randoms = {&noise};
    try {
      fit(
          model, *optimizer, data, loss_of ? loss_of : [&](const Batch& b) { return loss(b); }, cli,
          report, options);
    } catch (...) {
      output = printed.text();
      throw;
    }
    output = printed.text();
    return report.folder();
  }

  // A hash of all bits of the weights and of their averages.
  std::string bits() {
    std::string all;
    const auto append = [&](const std::vector<NamedTensor>& tensors) {
      for (const NamedTensor& t : tensors) {
        all.append(reinterpret_cast<const char*>(t.tensor.data()),
                   size_t(t.tensor.size()) * sizeof(real));
      }
    };
    append(named_tensors(model));
    if (ema) append(ema->shadow());
    return fmt::format("{:016x}", std::hash<std::string>()(all));
  }
};

}  // namespace

TEST_CASE("trainer: fit is the loop of lesson 02", "[trainer]") {
  Run by_fit, by_hand;
  by_fit.options.clip_norm = 0.5;
  by_fit.train(by_fit.folder.path());

  Loader loader(by_hand.data, {.batch = 16, .seed = 11});
  Sgd optimizer(by_hand.model, {.rate = 0.1, .momentum = 0.9});
  by_hand.ema.emplace(by_hand.model, 0.9);
  for (int64_t step = 0; step < 21;) {
    while (const auto batch = loader.next()) {
      optimizer.rate = 0.1 * cosine_schedule(21)(step++);
      by_hand.loss(*batch).backward();
      clip_gradients(parameters(by_hand.model), 0.5);
      optimizer.step();
      optimizer.zero_grad();
      by_hand.ema->update();
    }
  }
  CHECK(by_fit.bits() == by_hand.bits());
  CHECK(by_fit.optimizer->steps == 21);
  CHECK(by_fit.optimizer->rate == 0.1);  // the schedule's last factor does not stay

  Run unclipped, still;
  unclipped.train(unclipped.folder.path());
  CHECK(unclipped.bits() != by_hand.bits());
  const std::string before = still.bits();
  still.rate = 0;
  still.train(still.folder.path());
  still.ema.reset();
  CHECK(still.bits() == before);
}

TEST_CASE("trainer: it learns", "[trainer]") {
  Run run;
  const auto loss = [&] {
    const NoGrad no_grad;
    run.model.train(false);
    Loader loader(run.data, {.batch = 120, .shuffle = false});
    const Batch all = *loader.next();
    return cross_entropy(run.model(all.x), all.labels).item();
  };
  const double before = loss();
  CHECK(before > 0.8);  // about log 3, by guessing
  run.train(run.folder.path());
  CHECK(loss() < before / 3);
}

TEST_CASE("trainer: interrupted and resumed, the weights have the same bits",
          "[trainer][threads]") {
  const int threads_before = threads();
  std::string whole;
  for (const int n : {1, 2, 4}) {
    set_threads(n);
    Run run;
    run.train(run.folder.path());
    if (whole.empty()) whole = run.bits();
    CHECK(run.bits() == whole);
  }
  // 3: inside the first epoch; 7 and 14: its last step and the second's.
  for (const int stop_after : {3, 7, 14, 20}) {
    INFO("interrupted after step " << stop_after);
    set_threads(stop_after % 2 + 1);
    Run first;
    int step = 0;
    const Loss interrupting = [&](const Batch& batch) {
      if (++step == stop_after) raise(SIGINT);
      return first.loss(batch);
    };
    const char* words[] = {"lesson"};
    std::string message;
    // The handler of Ctrl-C is installed by lesson_main.
    const Capture header, message_line(STDERR_FILENO);
    const int code = lesson_main(1, words, first.cli, [&] {
      try {
        first.train(first.folder.path(), "", interrupting);
      } catch (const Interrupted& error) {
        message = error.what();
        throw;
      }
      return Exit::pass;
    });
    signal(SIGINT, SIG_DFL);
    REQUIRE(code == 130);
    CHECK(step == stop_after);
    const std::string folder = (first.folder.path() / "00-sample" / "run-001").string();
    CHECK(message == fmt::format("interrupted at step {}; the same options with --resume {} go on "
                                 "from there",
                                 stop_after, folder));
    CHECK(first.bits() != whole);

    const Capture quiet;
    const int cleared = lesson_main(1, words, first.cli, [] { return Exit::pass; });
    REQUIRE(cleared == 0);  // and Ctrl-C is forgotten
    Run second;
    second.random = Random(99);  // none of what it starts with matters
    second.noise = Random(98);
    second.train(second.folder.path(), folder);
    CHECK(second.bits() == whole);
  }
  signal(SIGINT, SIG_DFL);
  set_threads(threads_before);
}

TEST_CASE("trainer: after a kill a run goes on from the last epoch", "[trainer]") {
  Run whole, killed, resumed;
  whole.train(whole.folder.path());
  int step = 0;
  // An exception without a checkpoint stands for the kill: 10 steps are 1 epoch and 3 steps.
  CHECK_THROWS_WITH(killed.train(killed.folder.path(), "",
                                 [&](const Batch& batch) {
                                   if (++step == 10) throw Error("killed");
                                   return killed.loss(batch);
                                 }),
                    "killed");
  int steps_again = 0;
  resumed.train(resumed.folder.path(), (killed.folder.path() / "00-sample" / "run-001").string(),
                [&](const Batch& batch) {
                  ++steps_again;
                  return resumed.loss(batch);
                });
  CHECK(steps_again == 14);
  CHECK(resumed.bits() == whole.bits());
}

TEST_CASE("trainer: metrics.csv has the rate and the mean loss of its steps", "[trainer]") {
  Run run;
  std::vector<double> losses;
  const std::string folder = run.train(run.folder.path(), "", [&](const Batch& batch) {
    const Tensor loss = run.loss(batch);
    losses.push_back(double(loss.item()));
    return loss;
  });
  std::istringstream in(read_text(folder + "/metrics.csv"));
  std::string line;
  std::getline(in, line);
  CHECK(line == "step,epoch,rate,loss");
  for (int i = 0; i < 21; ++i) {
    REQUIRE(std::getline(in, line));
    CHECK(line == fmt::format("{},{},{},{}", i + 1, i / 7 + 1, 0.1 * cosine_schedule(21)(i),
                              losses[size_t(i)]));
  }
  CHECK_FALSE(std::getline(in, line));
  CHECK_THAT(run.output, ContainsSubstring("training 100 %"));
}

TEST_CASE("trainer: a loss that is not finite stops the run", "[trainer]") {
  Run run;
  int step = 0;
  CHECK_THROWS_WITH(run.train(run.folder.path(), "",
                              [&](const Batch& batch) {
                                const bool last = ++step == 9;
                                return run.loss(batch) * (last ? std::nan("") : 1.0);
                              }),
                    "training: the loss is not finite at step 8 of epoch 2. Try a smaller --lr");
  CHECK(step == 9);
}

TEST_CASE("trainer: --graph draws the first step", "[trainer]") {
  Run run;
  run.model = Sequential{Linear(20, 3, run.random)};
  const std::string folder = run.train(run.folder.path(), "", nullptr, {"--graph"});
  CHECK_THAT(read_text(folder + "/graph.dot"), ContainsSubstring("0.weight\\n[3, 20]"));
  CHECK_THAT(run.output, ContainsSubstring(folder + "/graph."));
}
