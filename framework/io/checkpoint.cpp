// A checkpoint is a safetensors file: the tensors and counters of a run, by name. Page:
// docs/files.md
#include "io/checkpoint.h"

#include "io/safetensors.h"

namespace kindling {
namespace {

// Every generator of a run, by its name in the file.
std::vector<std::pair<std::string, Random*>> randoms_of(const Training& t) {
  std::vector<std::pair<std::string, Random*>> all;
  if (t.model) {
    for (const auto& [name, random] : Visitor(*t.model).randoms) {
      all.push_back({"model." + name, random});
    }
  }
  for (size_t i = 0; i < t.randoms.size(); ++i) {
    all.push_back({fmt::format("random.{}", i), t.randoms[i]});
  }
  return all;
}

TensorFile contents_of(const Training& t) {
  TensorFile file;
  if (t.model) add_tensors(file, "model.", named_tensors(*t.model));
  if (t.optimizer) add_tensors(file, "optimizer.", t.optimizer->state());
  if (t.ema) add_tensors(file, "ema.", t.ema->shadow());
  file["step"] = Words{uint64_t(t.step)};
  if (t.optimizer) file["optimizer.steps"] = Words{uint64_t(t.optimizer->steps)};
  if (t.loader) {
    const Loader::Position p = t.loader->position();
    file["loader"] = Words{uint64_t(p.epoch), uint64_t(p.batch)};
  }
  for (const auto& [name, random] : randoms_of(t)) {
    const Random::State s = random->state();
    file[name] = Words{s.seed, s.stream, s.used};
  }
  return file;
}

}  // namespace

void save_checkpoint(const std::string& path, const Training& training) {
  write_safetensors(path, contents_of(training));
}

void load_checkpoint(const std::string& path, Training& training) {
  TensorFile own = contents_of(training);
  const TensorFile file = read_safetensors(path, own);
  const auto counter = [&](const char* name, size_t i, int64_t most) {
    const uint64_t saved = std::get<Words>(file.at(name))[i];
    ENSURE(saved <= uint64_t(most), "{}: counter {} is {}, at most {} here", path, name, saved,
           most);
    return int64_t(saved);
  };
  constexpr int64_t kMost = int64_t{1} << 53;
  const int64_t step = counter("step", 0, kMost);
  const int64_t steps = training.optimizer ? counter("optimizer.steps", 0, kMost) : 0;
  Loader::Position position;
  if (Loader* loader = training.loader) {
    position = {counter("loader", 0, kMost), counter("loader", 1, loader->batches())};
  }
  // Everything fits: from here on nothing can fail.
  copy_tensors(file, own);
  training.step = step;
  if (training.optimizer) training.optimizer->steps = steps;
  if (training.loader) training.loader->seek(position);
  for (const auto& [name, random] : randoms_of(training)) {
    const Words& state = std::get<Words>(file.at(name));
    random->restore({state[0], state[1], state[2]});
  }
}

}  // namespace kindling
