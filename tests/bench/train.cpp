// Whole training steps: zero_grad, forward, backward, optimizer; and the memory they take. Models,
// batches, losses and optimizers are those of peers/torch_peer.py.
#include <sys/resource.h>

#include <filesystem>

#include "bench/race.h"

namespace kindling::bench {
namespace {

using Step = std::function<void()>;

// Moves `made` by what loss(model) gives.
template <class Model, class Loss>
Step step_of(Model made, const SgdOptions& options, const Loss& loss) {
  auto model = std::make_shared<Model>(std::move(made));
  auto optimizer = std::make_shared<Sgd>(*model, options);
  return [=] {
    optimizer->zero_grad();
    loss(*model).backward();
    optimizer->step();
  };
}

// 4 samples, 2-2-1 with tanh: what a step costs besides arithmetic.
Step xor_step() {
  Random random(1);
  return step_of(Sequential{Linear(2, 2, random), Activation(tanh), Linear(2, 1, random)},
                 {.rate = 0.5},
                 [x = tensor({4, 2}, {0, 0, 0, 1, 1, 0, 1, 1}), y = tensor({4, 1}, {0, 1, 1, 0})](
                     Sequential& model) { return binary_cross_entropy(model(x), y); });
}

// The loss of a model that tells ten classes apart, on a batch of this shape.
auto classify(const Shape& batch) {
  Indices labels(Shape{batch[0]});
  for (int64_t i = 0; i < batch[0]; ++i) labels.mutable_data()[i] = int32_t(i * 7 % 10);
  return [x = noise(batch, 1), labels](auto& model) { return cross_entropy(model(x), labels); };
}

Step mlp_step() {
  Random random(1);
  return step_of(Sequential{Linear(784, 256, random), Activation(relu), Linear(256, 128, random),
                            Activation(relu), Linear(128, 10, random)},
                 {.rate = 0.05, .momentum = 0.9}, classify({128, 784}));
}

// The 61,706 parameters of LeCun et al. (1998) as they are trained today, with ReLU and maxima.
Sequential lenet() {
  Random random(1);
  return Sequential{Conv2d(1, 6, 5, {.padding = 2}, random),
                    Activation(relu),
                    MaxPool2d({2}),
                    Conv2d(6, 16, 5, {}, random),
                    Activation(relu),
                    MaxPool2d({2}),
                    Flatten(),
                    Linear({5, 5, 16}, 120, random),
                    Activation(relu),
                    Linear(120, 84, random),
                    Activation(relu),
                    Linear(84, 10, random)};
}
constexpr double kLenetFirst = 128.0 * 28 * 28 * 25 * 6;
constexpr double kLenet =
    kLenetFirst + 128.0 * (10 * 10 * 150 * 16 + 400 * 120 + 120 * 84 + 84 * 10);

Step lenet_step() {
  return step_of(lenet(), {.rate = 0.05, .momentum = 0.9}, classify({128, 28, 28, 1}));
}

struct Model {
  const char* name;
  Step (*make)();
  double products, first;  // multiply-adds forward, and those of the layers that see the batch
};
constexpr Model kModels[] = {
    {"xor", xor_step, 4 * (2 * 2 + 2), 4 * 2 * 2},
    {"mlp", mlp_step, 128.0 * (784 * 256 + 256 * 128 + 128 * 10), 128.0 * 784 * 256},
    {"lenet", lenet_step, kLenet, kLenetFirst},
};

// Of a fresh process, because what this one has freed would be used again.
double memory_of(const std::string& model) {
  const auto self = std::filesystem::read_symlink("/proc/self/exe").string();
  unpin();  // it chooses its processors as this one did
  FILE* pipe = popen(
      fmt::format("BENCH=memory PEERS= GLIBC_TUNABLES= FILTER={} THREADS={} ISA={} SAVE= '{}'",
                  model, threads(), isa(), self)
          .c_str(),
      "r");
  double mib = kNone;
  if (!pipe || std::fscanf(pipe, "%lf", &mib) != 1) mib = kNone;
  if (pipe) pclose(pipe);
  pin_threads();
  ENSURE(!std::isnan(mib), "train: no figure for the memory of {}", model);
  return mib;
}

}  // namespace

// VmHWM after 50 steps, less what it was before the model was built.
double training_memory(const std::string& name) {
  const double before = peak_memory();
  for (const Model& model : kModels) {
    if (name != model.name) continue;
    const Step step = model.make();
    for (int i = 0; i < 50; ++i) step();
  }
  return peak_memory() - before;
}

// Training of lenet with the loader running. Prints when step 10 and step 110 are done, and how
// many times between them a page had to be fetched from the system: a trace of its calls may lie
// beside it.
void steady() {
  Images images;
  images.name = "noise", images.image = {28, 28, 1}, images.classes.resize(10);
  for (int32_t i = 0; i < 1280; ++i) images.labels.push_back(i * 7 % 10);
  for (int64_t i = 0; i < 1280 * 28 * 28; ++i) images.bytes.push_back(uint8_t(i * 31));
  const ImageSet set(std::move(images));
  Loader loader(set, {.batch = 128});
  Sequential model = lenet();
  Sgd optimizer(model, {.rate = 0.01});
  std::vector<int64_t> faults;
  for (int64_t done = 0; done < 110;) {
    std::optional<Batch> batch = loader.next();
    if (!batch) continue;
    rusage before{}, after{};
    getrusage(RUSAGE_SELF, &before);
    optimizer.zero_grad();
    cross_entropy(model(batch->x), batch->labels).backward();
    optimizer.step();
    getrusage(RUSAGE_SELF, &after);
    if (done >= 10) faults.push_back(after.ru_minflt - before.ru_minflt);
    if (++done % 100 == 10) fmt::print("step {}\n", done), std::fflush(stdout);
  }
  std::ranges::sort(faults);
  fmt::print("faults of a step: median {}, most {}\n", faults[50], faults.back());
}

void train(Bench& bench) {
  for (const Model& model : kModels) {
    if (!bench.wants(model.name)) continue;
    std::vector<Contender> contenders = {{"ours", model.make()}};
    if (Torch* torch = bench.torch()) {
      std::ranges::move(torch->contenders(model.name), std::back_inserter(contenders));
    }
    bench.race({.kind = "train",
                .name = model.name,
                // Backward has as many for the weights, and for all inputs but the batch.
                .work = 2 * (3 * model.products - model.first),
                .unit = "GFLOP/s",
                .contenders = contenders});
  }
  bench.end_part();
  for (const Model& model : kModels) {
    if (!bench.wants(model.name)) continue;
    Line line{.kind = "memory", .name = model.name, .threads = threads(), .isa = isa()};
    line.ours_ms = memory_of(model.name), line.unit = "MiB";
    if (bench.torch()) line.best_peer = "torch", line.peer_ms = Torch::peak_memory(model.name);
    bench.print(line);
  }
}

}  // namespace kindling::bench
