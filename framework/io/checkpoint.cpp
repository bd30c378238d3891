// A checkpoint is a safetensors file: the tensors and counters of a run, by name. Page:
// docs/files.md
#include "io/checkpoint.h"

#include <functional>

#include "io/safetensors.h"

namespace kindling {
namespace {

constexpr uint64_t kAny = std::numeric_limits<uint64_t>::max();
constexpr uint64_t kWhole = std::numeric_limits<int64_t>::max();

// Whole numbers of a run: how to read them, the largest that make sense, how to set them.
struct Counters {
  std::string name;
  std::vector<uint64_t> values, largest;
  std::function<void(const std::vector<uint64_t>&)> restore;
};

std::vector<Counters> counters_of(Training& t) {
  std::vector<Counters> all;
  const auto add_random = [&](const std::string& name, Random& random) {
    const Random::State s = random.state();
    all.push_back({name, {s.seed, s.stream, s.used}, {kAny, kAny, kAny}, [&random](const auto& v) {
                     random.restore({v[0], v[1], v[2]});
                   }});
  };
  all.push_back(
      {"step", {uint64_t(t.step)}, {kWhole}, [&t](const auto& v) { t.step = int64_t(v[0]); }});
  if (t.optimizer) {
    all.push_back(
        {"optimizer.steps", {uint64_t(t.optimizer->steps)}, {kWhole}, [&t](const auto& v) {
           t.optimizer->steps = int64_t(v[0]);
         }});
  }
  if (t.loader) {
    const Loader::Position p = t.loader->position();
    all.push_back({"loader",
                   {uint64_t(p.epoch), uint64_t(p.batch)},
                   {kWhole, uint64_t(t.loader->batches())},
                   [&t](const auto& v) {
                     t.loader->seek({int64_t(v[0]), int64_t(v[1])});
                   }});
  }
  if (t.model) {
    for (const NamedRandom& r : named_randoms(*t.model)) add_random("model." + r.name, *r.random);
  }
  for (size_t i = 0; i < t.randoms.size(); ++i) {
    add_random(fmt::format("random.{}", i), *t.randoms[i]);
  }
  return all;
}

std::vector<NamedTensor> tensors_of(const Training& t) {
  std::vector<NamedTensor> all;
  const auto add = [&](const std::string& prefix, const std::vector<NamedTensor>& tensors) {
    for (const NamedTensor& n : tensors) all.push_back({prefix + n.name, n.tensor, n.kind});
  };
  if (t.model) add("model.", named_tensors(*t.model));
  if (t.optimizer) add("optimizer.", t.optimizer->state());
  if (t.ema) add("ema.", t.ema->shadow());
  return all;
}

TensorFile contents_of(Training& t) {
  TensorFile file;
  for (const NamedTensor& n : tensors_of(t)) file.tensors.push_back({n.name, n.tensor});
  for (const Counters& c : counters_of(t)) file.tensors.push_back({c.name, c.values});
  return file;
}

}  // namespace

void save_checkpoint(const std::string& path, const Training& training) {
  Training parts = training;
  write_safetensors(path, contents_of(parts));
}

void load_checkpoint(const std::string& path, Training& training) {
  const TensorFile file = read_safetensors(path);
  ensure_fits(path, file, contents_of(training));
  const auto saved = [&](const Counters& c) -> const std::vector<uint64_t>& {
    return std::get<std::vector<uint64_t>>(file.find(c.name)->value);
  };
  const std::vector<Counters> counters = counters_of(training);
  for (const Counters& c : counters) {
    for (size_t i = 0; i < c.values.size(); ++i) {
      ENSURE(saved(c)[i] <= c.largest[i], "{}: counter {} is {}, at most {} here", path, c.name,
             saved(c)[i], c.largest[i]);
    }
  }
  // Everything fits: from here on nothing can fail.
  for (NamedTensor& t : tensors_of(training)) {
    copy_into(t.tensor, std::get<Tensor>(file.find(t.name)->value));
  }
  for (const Counters& c : counters) c.restore(saved(c));
}

}  // namespace kindling
