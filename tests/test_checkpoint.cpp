// Tests of framework/io/checkpoint: going on bit for bit, and all or nothing.
#include "io/checkpoint.h"

#include <cstring>
#include <filesystem>
#include <span>

#include "base/parallel.h"
#include "io/safetensors.h"
#include "nn/layers.h"
#include "support/catch.h"
#include "support/command.h"

using namespace kindling;
namespace fs = std::filesystem;

namespace {

// 40 samples of 6 features in three classes; batches add noise drawn from their own generator.
class Noisy : public Dataset {
 public:
  Noisy() {
    Random random(11);
    features_ = normal({40, 6}, random);
  }
  int64_t size() const override { return 40; }
  Batch batch(std::span<const int32_t> samples, Random& random) const override {
    const int64_t b = int64_t(samples.size());
    Batch batch{normal({b, 6}, random, 0, 0.1), Indices(Shape{b}), Indices(Shape{b}, samples)};
    for (int64_t i = 0; i < b; ++i) {
      const int32_t sample = samples[size_t(i)];
      for (int64_t k = 0; k < 6; ++k)
        batch.x.mutable_data()[6 * i + k] += features_.at({sample, k});
      batch.labels.mutable_data()[i] = sample % 3;
    }
    return batch;
  }

 private:
  Tensor features_;
};

// Everything a training run needs, made anew as after a restart.
struct Run {
  explicit Run(uint64_t seed = 1, int64_t width = 8)
      : init(seed),
        model{Linear(6, width, init), Activation(relu), LayerNorm(width), Dropout(0.4, init),
              Linear(width, 3, init)},
        optimizer(model, {.rate = 0.01, .decay = 0.1}),
        ema(model, 0.9),
        loader(data, {.batch = 7, .seed = seed}),
        jitter(seed + 5) {}

  Training training() { return {&model, &optimizer, &loader, &ema, {&jitter}, step}; }

  void train(int steps) {
    for (int i = 0; i < steps; ++i) {
      auto batch = loader.next();
      if (!batch) batch = loader.next();
      batch->x.mutable_data()[0] += real(0.01 * jitter.normal());
      Tensor loss = cross_entropy(model(batch->x), batch->labels);
      optimizer.zero_grad();
      loss.backward();
      optimizer.rate = 0.01 / (1 + double(step++));  // a schedule that depends on the step
      optimizer.step();
      ema.update();
    }
  }
  void save(const std::string& path) { save_checkpoint(path, training()); }
  void load(const std::string& path) {
    Training t = training();
    load_checkpoint(path, t);
    step = t.step;
  }

  // The bits of all that training changes.
  std::vector<uint64_t> bits() {
    std::vector<uint64_t> all = {uint64_t(step), uint64_t(optimizer.steps)};
    const auto add = [&](const std::vector<NamedTensor>& tensors) {
      for (const NamedTensor& t : tensors) {
        for (real x : t.tensor.values()) {
          uint64_t word = 0;
          std::memcpy(&word, &x, sizeof x);
          all.push_back(word);
        }
      }
    };
    add(named_tensors(model));
    add(optimizer.state());
    add(ema.shadow());
    for (const auto& [name, random] : Visitor(model).randoms) all.push_back(random->state().used);
    all.insert(all.end(), {jitter.state().seed, jitter.state().stream, jitter.state().used});
    all.insert(all.end(), {uint64_t(loader.position().epoch), uint64_t(loader.position().batch)});
    return all;
  }

  Noisy data;
  Random init;
  Sequential model;
  Adam optimizer;
  Ema ema;
  Loader loader;
  Random jitter;
  int64_t step = 0;
};

// A file with one part of another changed.
void rewrite(const std::string& from, const std::string& to, const std::string& name,
             const std::vector<uint64_t>& counters) {
  TensorFile file = read_safetensors(from);
  file.at(name) = counters;
  write_safetensors(to, file);
}

}  // namespace

TEST_CASE("a resumed run goes on bit for bit", "[checkpoint][loader]") {
  TempFolder folder;
  const std::string path = (folder.path() / "checkpoint.safetensors").string();
  // 5 batches an epoch: saved in the middle of one, at its end, and before the first step.
  for (int before : {0, 3, 5, 12}) {
    Run whole;
    whole.train(before);
    whole.save(path);
    const auto saved = whole.bits();
    whole.train(11);

    Run resumed(99);  // another seed: nothing it drew may survive
    resumed.train(2);
    resumed.load(path);
    CHECK(resumed.bits() == saved);
    // The loader's options, its seed among them, belong to the run and not to the checkpoint.
    Run same;
    same.load(path);
    CHECK(same.bits() == saved);
    CHECK(same.step == before);
    same.train(11);
    CHECK(same.bits() == whole.bits());
    CHECK(same.bits() != saved);
  }
}

TEST_CASE("a resumed run does not depend on the number of threads", "[checkpoint][threads]") {
  TempFolder folder;
  const std::string path = (folder.path() / "x").string();
  const int before = threads();
  set_threads(1);
  Run whole;
  whole.train(20);
  set_threads(3);
  Run first;
  first.train(10);
  first.save(path);
  set_threads(2);
  Run second;
  second.load(path);
  second.train(10);
  set_threads(before);
  CHECK(second.bits() == whole.bits());
}

TEST_CASE("a checkpoint names its parts", "[checkpoint]") {
  TempFolder folder;
  const std::string path = (folder.path() / "x").string();
  Run run;
  run.train(3);
  run.save(path);
  const TensorFile file = read_safetensors(path);
  for (const char* name : {"model.0.weight", "model.2.bias", "ema.4.weight", "step",
                           "optimizer.steps", "loader", "random.0"}) {
    INFO(name);
    CHECK(file.contains(name));
  }
  CHECK(std::get<std::vector<uint64_t>>(file.at("step")) == std::vector<uint64_t>{3});
  CHECK(std::get<std::vector<uint64_t>>(file.at("loader")) == std::vector<uint64_t>{0, 3});
  CHECK_FALSE(fs::exists(path + ".part"));
}

TEST_CASE("parts may be left out, on both sides", "[checkpoint]") {
  TempFolder folder;
  const std::string path = (folder.path() / "x").string();
  Run run, other(2);
  run.train(2);
  save_checkpoint(path, {.model = &run.model, .step = 7});
  Training only_model{.model = &other.model};
  load_checkpoint(path, only_model);
  CHECK(only_model.step == 7);
  CHECK(std::ranges::equal(parameters(other.model)[0].tensor.values(),
                           parameters(run.model)[0].tensor.values()));
  CHECK_THROWS_WITH(run.load(path),
                    ContainsSubstring(" missing (") && ContainsSubstring("optimizer."));
}

TEST_CASE("a checkpoint that does not fit changes nothing", "[checkpoint]") {
  TempFolder folder;
  const std::string path = (folder.path() / "x").string(), bad = (folder.path() / "bad").string();
  Run saved, wide(1, 9);
  saved.train(4);
  saved.save(path);

  Run run(2);
  run.train(6);
  const auto before = run.bits();
  const auto fails = [&](const std::string& file, const std::string& why) {
    CHECK_THROWS_WITH(run.load(file), ContainsSubstring(why));
    CHECK(run.bits() == before);
  };
  wide.save(bad);
  fails(bad, "model.0.weight is F32 [9, 6], expected F32 [8, 6]");
  save_weights(saved.model, bad);
  fails(bad, "6 unexpected (0.bias, 0.weight");
  rewrite(path, bad, "step", {1, 2});
  fails(bad, "step is U64 [2], expected U64 [1]");
  rewrite(path, bad, "loader", {0, 6});
  fails(bad, "counter loader is 6, at most 5 here");
  rewrite(path, bad, "optimizer.steps", {~uint64_t{0}});
  fails(bad, "counter optimizer.steps is 18446744073709551615");
  fails("nowhere", "nowhere: no such file");

  run.load(path);  // the undamaged one still loads
  CHECK(run.bits() == saved.bits());
}

TEST_CASE("a checkpoint cut anywhere changes nothing", "[checkpoint]") {
  TempFolder folder;
  const std::string path = (folder.path() / "x").string(), cut = (folder.path() / "cut").string();
  Run run;
  run.train(1);
  run.save(path);
  run.train(1);
  const auto before = run.bits();
  const std::string whole = read_text(path);
  for (size_t length = 0; length < whole.size(); length += length < 64 ? 1 : 97) {
    write_text(cut, whole.substr(0, length));
    INFO("cut to " << length);
    REQUIRE_THROWS_WITH(run.load(cut), ContainsSubstring("truncated"));
  }
  CHECK(run.bits() == before);
}

TEST_CASE("a checkpoint that cannot be written leaves the old one", "[checkpoint]") {
  TempFolder folder;
  const std::string path = (folder.path() / "x").string();
  Run run;
  run.save(path);
  const std::string before = read_text(path);
  run.train(1);
  fs::create_directories(path + ".part");  // nothing can be written there
  CHECK_THROWS_WITH(run.save(path), ContainsSubstring("cannot be written"));
  CHECK(read_text(path) == before);
}
