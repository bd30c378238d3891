// A checkpoint is a safetensors file: the tensors and counters of a run, by name. Page:
// docs/files.md
#include "io/checkpoint.h"

#include "io/safetensors.h"

namespace kindling {
namespace {

// Every generator of a run, by its name in the file.
std::map<std::string, Random*> randoms_of(const Training& t) {
  std::map<std::string, Random*> all;
  for (size_t i = 0; i < t.randoms.size(); ++i) all[fmt::format("random.{}", i)] = t.randoms[i];
  if (!t.model) return all;
  for (const auto& [name, random] : Visitor(*t.model).randoms) all["model." + name] = random;
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
    const auto [epoch, batch] = t.loader->position();
    file["loader"] = Words{uint64_t(epoch), uint64_t(batch)};
  }
  for (const auto& [name, random] : randoms_of(t)) {
    const auto [seed, stream, used] = random->state();
    file[name] = Words{seed, stream, used};
  }
  return file;
}

}  // namespace

void save_checkpoint(const std::string& path, const Training& t) {
  write_safetensors(path, contents_of(t));
}

void load_checkpoint(const std::string& path, Training& t) {
  TensorFile own = contents_of(t);
  const TensorFile file = read_safetensors(path, own);
  // At most 2^53 by default: counters are also used as doubles, exact up to there.
  const auto counter = [&](const char* name, size_t i = 0, int64_t most = int64_t{1} << 53) {
    const uint64_t n = std::get<Words>(file.at(name))[i];
    ENSURE(n <= uint64_t(most), "{}: counter {} is {}, at most {} here", path, name, n, most);
    return int64_t(n);
  };
  const int64_t step = counter("step"), steps = t.optimizer ? counter("optimizer.steps") : 0;
  Loader::Position position;
  if (t.loader) position = {counter("loader"), counter("loader", 1, t.loader->batches())};
  // Everything fits: from here on nothing can fail.
  copy_tensors(file, own);
  t.step = step;
  if (t.optimizer) t.optimizer->steps = steps;
  if (t.loader) t.loader->seek(position);
  for (const auto& [name, random] : randoms_of(t)) {
    const Words& state = std::get<Words>(file.at(name));
    random->restore({state[0], state[1], state[2]});
  }
}

}  // namespace kindling
