// Lesson 04: what a convolution is, and a first network made of them. Read with
// docs/04-convolution.md
#include "kindling.h"

#include <optional>

#include "02-perceptron/images.h"
#include "04-convolution/filters.h"
#include "04-convolution/ladder.h"
#include "04-convolution/lenet.h"
#include "04-convolution/receptive.h"
#include "04-convolution/see.h"

using namespace kindling;

constexpr const char* kRecords =
#include "records.inc"
    ;

struct Settings {
  std::string part = "all", photo, model = "lenet";
  lesson04::Recipe recipe;
  int64_t images = 0;
  double momentum = 0.9, decay = 5e-4, smoothing = 0.1;
  bool augment = false, shuffle_labels = false, validate = false;
};

ImageSet first(const ImageSet& set, int64_t n) {
  std::vector<int32_t> samples(size_t(std::min(n, set.size())));
  std::iota(samples.begin(), samples.end(), 0);
  return set.subset(samples);
}

// What is trained on and what is tested on, as the options say.
ImageData chosen(ImageData data, const Settings& settings, const SharedOptions& shared) {
  const int64_t all = data.train.size(), held_out = settings.validate ? 5000 : 0;
  ENSURE(all > held_out, "--validate: {} has {} training images, and 5,000 are to be held out",
         data.train.name, all);
  // Recipes were chosen on the last 5,000 training images; the test set is read once, at the end.
  if (settings.validate) {
    std::vector<int32_t> last(5000);
    std::iota(last.begin(), last.end(), int32_t(all - held_out));
    data.test = data.train.subset(last);
  }
  const int64_t wanted = settings.images > 0 ? settings.images : shared.quick ? 5000 : all;
  data.train = first(data.train, std::min(wanted, all - held_out));
  if (data.train.size() < shared.batch) {
    throw UsageError(
        fmt::format("{} training images make no batch of {}: give more --images, or "
                    "a smaller --batch",
                    data.train.size(), shared.batch));
  }
  if (settings.shuffle_labels) {
    Random random(shared.seed, 7);
    const std::vector<int32_t> labels = data.train.labels;
    const std::vector<int32_t> order = permutation(data.train.size(), random);
    for (size_t i = 0; i < order.size(); ++i) data.train.labels[i] = labels[size_t(order[i])];
  }
  return data;
}

void network(const ImageData& data, const Settings& settings, const Cli& cli, Report& report) {
  const SharedOptions& shared = cli.shared;
  const Shape image = data.train.image;
  const auto classes = int64_t(data.train.classes.size());
  fmt::print("\n5. {}: {} training and {} {} images of {}\n\n", data.train.name, data.train.size(),
             data.test.size(), settings.validate ? "held-out" : "test", image);

  Random random(shared.seed), other(shared.seed, 1);
  Sequential net = lesson04::lenet(image, classes, settings.recipe, random);
  const int64_t size = parameter_count(net);
  Sequential perceptron =
      lesson04::perceptron_of(size, image, classes, settings.recipe.dropout, other);
  const int64_t its_size = parameter_count(perceptron);
  report.claim(
      fmt::format("LeNet has {} parameters, the perceptron {}: within 1 %", size, its_size),
      std::abs(its_size - size) * 100 <= size);
  const bool is_lenet = settings.model == "lenet";
  Sequential& model = is_lenet ? net : perceptron;

  const lesson04::Moved moved(data.train, lesson04::random_moves(1));
  const Dataset& train = settings.augment ? static_cast<const Dataset&>(moved) : data.train;
  const int64_t steps =
      shared.epochs * Loader(train, {.batch = shared.batch, .ahead = false}).batches();
  const auto loss = [&](const Batch& batch) {
    return cross_entropy(model(batch.x), batch.labels, settings.smoothing);
  };
  fmt::print("   {} steps of {} images: about {:.0f} s on this machine\n", steps, shared.batch,
             double(steps) * lesson04::seconds_a_step(model, train, shared.batch, loss));
  Sgd optimizer(model, {.rate = shared.lr, .momentum = settings.momentum, .decay = settings.decay});
  fit(model, optimizer, train, loss, cli, report,
      {.schedule = warm_up(steps / 20, cosine_schedule(steps - steps / 20))});

  const auto experiment = [&](const std::string& kind) {
    return data.train.name + kind + (shared.quick ? "-quick" : "") +
           (settings.validate ? "-held-out" : "");
  };
  const lesson04::Answers answers = lesson04::answers(model, data.test);
  report.note("loss", answers.loss);
  const ImageSet to_move = first(data.test, shared.quick ? 2000 : data.test.size());
  lesson04::show_moved(report, model, is_lenet, to_move, kRecords, experiment);
  if (is_lenet) lesson04::show_learned(report, net, data.test);
  report.result(
      "accuracy", answers.percent, "%",
      experiment(std::string(is_lenet ? "" : "-mlp") + (settings.augment ? "-augment" : "")));
}

int main(int argc, char** argv) {
  Cli cli("04-convolution", "What a convolution is, and a first network of them.");
  Settings settings;
  cli.shared.epochs = 20, cli.shared.batch = 128, cli.shared.lr = 0.05;
  // Images that are never the same twice take, and bear, a longer training.
  for (int i = 1; i < argc; ++i) {
    if (argv[i] == std::string("--augment")) cli.shared.epochs = 40;
  }
  cli.data_choice({"auto", "fashion-mnist", "mnist", "digits"});
  cli.choice("--part", settings.part, {"all", "filters", "ladder", "seen", "network"},
             "run one part");
  cli.choice("--photo", settings.photo, {}, "the file to filter, PNG or JPEG");
  cli.choice("--model", settings.model, {"lenet", "mlp"}, "what is trained");
  cli.option("--filters", settings.recipe.filters, "of the first convolution", {1, 1024});
  cli.option("--kernel", settings.recipe.kernel, "side of the filters", {1, 13});
  cli.choice("--pool", settings.recipe.pool, {"max", "average"}, "what a pooling takes of 2 x 2");
  cli.option("--dropout", settings.recipe.dropout, "behind each hidden linear layer", {0, 0.9});
  cli.option("--augment", settings.augment,
             "move images by up to 1 pixel, mirror half of them; 40 epochs");
  cli.option("--images", settings.images, "number of training images; 0: all", {0, 60000});
  cli.option("--momentum", settings.momentum, "of SGD", {0, 1});
  cli.option("--decay", settings.decay, "weight decay", {0, 1});
  cli.option("--smoothing", settings.smoothing, "share of the label given to all classes", {0, 1});
  cli.option("--shuffle-labels", settings.shuffle_labels, "train on labels exchanged at random");
  cli.option("--validate", settings.validate,
             "hold out 5,000 training images, leave the test set alone");
  return lesson_main(argc, argv, cli, [&] {
    const auto runs = [&](const char* part) {
      return settings.part == "all" || settings.part == part;
    };
    // First of all: nothing runs, and no folder is made, without.
    std::optional<Tensor> photograph;
    if (runs("filters")) photograph = lesson04::load_photograph(settings.photo);
    std::optional<ImageData> data;
    if (runs("network")) {
      data = chosen(lesson02::load_images(cli.shared.data, cli.shared.seed), settings, cli.shared);
    }
    Report report(cli, kRecords);
    if (runs("filters")) lesson04::filters(report, photograph);
    if (runs("ladder")) lesson04::ladder(report, cli.shared.seed);
    if (runs("seen")) lesson04::receptive_fields(report, cli.shared.seed);
    if (runs("seen")) lesson04::pooling(report);
    if (data) network(*data, settings, cli, report);
    return report.verdict("the experiments in docs/04-convolution.md");
  });
}
