// Checkpoints: everything a run needs to go on bit for bit. Page: docs/files.md
#pragma once

#include "data/loader.h"
#include "optim/optimizer.h"
#include "train/ema.h"

namespace kindling {

// What a checkpoint holds; null parts are left out. Restoring needs the same parts and names.
struct Training {
  Module* model = nullptr;
  Optimizer* optimizer = nullptr;
  Loader* loader = nullptr;
  Ema* ema = nullptr;
  std::vector<Random*> randoms = {};
  int64_t step = 0;
};

// Written to a temporary file, synced, renamed: an interrupted write leaves the old one.
void save_checkpoint(const std::string& path, const Training& t);
// All or nothing: a damaged or foreign file throws and changes nothing.
void load_checkpoint(const std::string& path, Training& t);

}  // namespace kindling
