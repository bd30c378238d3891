// The training loop that lesson 02 writes out in full, for the lessons after it. Page:
// docs/02-perceptron.md
#pragma once

#include "io/checkpoint.h"
#include "train/clip.h"
#include "train/progress.h"
#include "train/report.h"
#include "train/schedule.h"

namespace kindling {

struct TrainerOptions {
  Schedule schedule = constant_schedule();  // factor of the optimizer's rate, per step
  double clip_norm = 0;                     // 0: no clipping
  Ema* ema = nullptr;                       // updated after every step
  std::vector<Random*> randoms = {};        // what the loss draws from: kept in checkpoints
};

// The loss of a batch: one number with a graph behind it.
using Loss = std::function<Tensor(const Batch& batch)>;

// --epochs x batches of: schedule, forward, backward, clip, step, zero_grad. Shows progress, writes
// about 200 lines of metrics.csv (step, epoch, rate, and the loss averaged since the line before),
// writes checkpoint.safetensors after every epoch and on Ctrl-C (then throws Interrupted), and goes
// on from it with --resume. --graph draws the first step. Throws when a loss is not finite.
void fit(Module& model, Optimizer& optimizer, const Dataset& train, const Loss& loss_of,
         const Cli& cli, Report& report, const TrainerOptions& options = {});

}  // namespace kindling
