// Lesson 02: from a threshold to a bias to a network. Read with docs/02-perceptron.md
#include "kindling.h"

#include <optional>

#include "02-perceptron/blobs.h"
#include "02-perceptron/gates.h"
#include "02-perceptron/hidden.h"
#include "02-perceptron/images.h"

using namespace kindling;

constexpr const char* kRecords =
#include "records.inc"
    ;

struct Settings {
  std::string part = "all";
  int64_t hidden = 256;
  double momentum = 0.9, decay = 5e-4;
  bool no_bias = false, shuffle_labels = false, validate = false;
};

// The training loop in full: train/trainer.cpp is the same loop, written once for later lessons.
void train_mlp(Sequential& model, const ImageSet& data, const Settings& settings, const Cli& cli,
               Report& report) {
  const SharedOptions& shared = cli.shared;
  Loader loader(data, {.batch = shared.batch, .seed = shared.seed});
  Sgd optimizer(model, {.rate = shared.lr, .momentum = settings.momentum, .decay = settings.decay});
  const int64_t steps = shared.epochs * loader.batches();
  const Schedule schedule = warm_up(steps / 20, cosine_schedule(steps - steps / 20));
  Training state{.model = &model, .optimizer = &optimizer, .loader = &loader};
  const std::string checkpoint = report.path("checkpoint.safetensors");
  if (!shared.resume.empty()) load_checkpoint(checkpoint, state);

  fmt::print("{} parameters, {} steps of {} samples: about {:.0f} s on this machine\n",
             parameter_count(model), steps - state.step, shared.batch,
             double(steps - state.step) * lesson02::seconds_a_step(model, data, shared.batch));
  Progress progress("training", steps - state.step);
  while (loader.position().epoch < shared.epochs) {
    double total = 0;
    int64_t count = 0;
    while (const auto batch = loader.next()) {
      optimizer.rate = shared.lr * schedule(state.step);         // 1. how far to go
      const Tensor logits = model(lesson02::flat(batch->x));     // 2. forward
      const Tensor loss = cross_entropy(logits, batch->labels);  // 3. one number: how wrong
      if (shared.graph && state.step == 0) {
        fmt::print("{}\n", draw_graph(loss, report.path("graph")));
      }
      loss.backward();        // 4. every weight's share
      optimizer.step();       // 5. a step downhill
      optimizer.zero_grad();  // 6. forget the gradients
      ++state.step;
      const double value = double(loss.item());
      ENSURE(std::isfinite(value),
             "training: the loss is not finite after {} steps. Try a smaller --lr", state.step);
      total += value, ++count;
      progress.step(shared.batch, value);
      if (interrupted()) {
        save_checkpoint(checkpoint, state);
        throw Interrupted("interrupted; go on with the same options and --resume " +
                          report.folder());
      }
    }
    if (count == 0) continue;  // resumed where an epoch had just ended
    const int64_t epoch = loader.position().epoch;
    const double mean = total / double(count);  // of what this run saw of the epoch
    progress.say(fmt::format("epoch {}: loss {:.4f}{}", epoch, mean,
                             count < loader.batches() ? " since the run went on" : ""));
    report.metrics({{"epoch", double(epoch)}, {"batches", double(count)}, {"loss", mean}});
    save_checkpoint(checkpoint, state);
  }
}

void images(ImageData data, const Settings& settings, const Cli& cli, Report& report) {
  const SharedOptions& shared = cli.shared;
  const std::string name = data.train.name;
  // Recipes were chosen on the last 5,000 training images; the test set is read once, at the end.
  std::vector<int32_t> all(size_t(data.train.size()));
  std::iota(all.begin(), all.end(), 0);
  std::span<const int32_t> samples = all;
  if (settings.validate) {
    ENSURE(all.size() > 5000, "--validate: {} has {} training images, and 5,000 are to be held out",
           name, all.size());
    data.test = data.train.subset(samples.last(5000));
    samples = samples.first(all.size() - 5000);
  }
  if (shared.quick) samples = samples.first(std::min<size_t>(10000, samples.size()));
  data.train = data.train.subset(samples);
  if (settings.shuffle_labels) {
    Random random(shared.seed, 7);
    std::vector<int32_t> shuffled;
    for (int32_t i : permutation(data.train.size(), random)) {
      shuffled.push_back(data.train.labels[size_t(i)]);
    }
    data.train.labels = shuffled;
  }
  fmt::print("\n6. {}: {} training and {} {} images of {}\n\n", name, data.train.size(),
             data.test.size(), settings.validate ? "held-out" : "test", data.train.image);

  Random random(shared.seed);
  Sequential model = lesson02::make_mlp(data.train.image.elements(), settings.hidden,
                                        int64_t(data.train.classes.size()), random);
  train_mlp(model, data.train, settings, cli, report);
  const lesson02::Answers answers = lesson02::answer(model, data.test);
  lesson02::draw_results(report, model, data.test, answers);
  const double loss = std::accumulate(answers.loss.begin(), answers.loss.end(), 0.0);
  report.note("loss", loss / double(data.test.size()));
  const std::string experiment = name + (settings.hidden == 0 ? "-linear" : "") +
                                 (shared.quick ? "-quick" : "") +
                                 (settings.validate ? "-held-out" : "");
  report.result("accuracy", answers.percent, "%", experiment);
}

int main(int argc, char** argv) {
  Cli cli("02-perceptron", "From a threshold to a bias to a network.");
  Settings settings;
  cli.shared.epochs = 12, cli.shared.batch = 128, cli.shared.lr = 0.1;
  cli.data_choice({"auto", "fashion-mnist", "mnist", "digits"});
  cli.choice("--part", settings.part, {"all", "gates", "blobs", "xor", "prior", "images"},
             "run one part");
  cli.option("--hidden", settings.hidden, "units of the first hidden layer; 0: softmax regression",
             {0, 65536});
  cli.option("--momentum", settings.momentum, "of SGD", {0, 1});
  cli.option("--decay", settings.decay, "weight decay", {0, 1});
  cli.option("--no-bias", settings.no_bias, "take the bias from the unit that separates the blobs");
  cli.option("--shuffle-labels", settings.shuffle_labels, "train on labels exchanged at random");
  cli.option("--validate", settings.validate,
             "hold out 5,000 training images, leave the test set alone");
  return lesson_main(argc, argv, cli, [&] {
    const auto runs = [&](const char* part) {
      return settings.part == "all" || settings.part == part;
    };
    std::optional<ImageData> data;  // first of all: nothing runs, and no folder is made, without
    if (runs("images")) data = lesson02::load_images(cli.shared.data, cli.shared.seed);
    Report report(cli, kRecords);
    if (runs("gates")) lesson02::gates(report);
    if (runs("blobs")) lesson02::blobs(report, cli.shared.seed, settings.no_bias);
    if (runs("xor")) lesson02::xor_gate(report, cli.shared.seed);
    if (runs("prior")) lesson02::log_prior(report), lesson02::idle_bias(report, cli.shared.seed);
    if (data) images(std::move(*data), settings, cli, report);
    return report.verdict("the experiments in docs/02-perceptron.md");
  });
}
