// The training loop. Page: docs/02-perceptron.md
#include "train/trainer.h"

#include "io/graphviz.h"

namespace kindling {

void fit(Module& model, Optimizer& optimizer, const Dataset& train, const Loss& loss_of,
         const Cli& cli, Report& report, const TrainerOptions& options) {
  const SharedOptions& shared = cli.shared;
  Loader loader(train, {.batch = shared.batch, .seed = shared.seed});
  Training state{&model, &optimizer, &loader, options.ema, options.randoms};
  const std::string checkpoint = report.path("checkpoint.safetensors");
  if (!shared.resume.empty()) load_checkpoint(checkpoint, state);
  const std::vector<NamedTensor> weights = parameters(model);
  const double base_rate = optimizer.rate;
  const int64_t steps = shared.epochs * loader.batches();
  const int64_t steps_per_line = std::max<int64_t>(1, steps / 200);
  double loss_sum = 0, losses = 0;

  model.train();
  Progress progress("training", steps - state.step);
  while (loader.position().epoch < shared.epochs) {
    const auto epoch = double(loader.position().epoch + 1);
    while (const auto batch = loader.next()) {
      optimizer.rate = base_rate * options.schedule(state.step);
      const Tensor loss = loss_of(*batch);
      const auto value = double(loss.item());
      ENSURE(std::isfinite(value),
             "training: the loss is not finite at step {} of epoch {}. Try a smaller --lr",
             state.step, epoch);
      if (shared.graph && state.step == 0) progress.say(draw_graph(loss, report.path("graph")));
      loss.backward();
      if (options.clip_norm > 0) clip_gradients(weights, options.clip_norm);
      optimizer.step();
      optimizer.zero_grad();
      if (options.ema) options.ema->update();
      ++state.step;

      progress.step(batch->x.dim(0), value);
      loss_sum += value, ++losses;
      if (state.step % steps_per_line == 0) {
        const double mean = std::exchange(loss_sum, 0) / std::exchange(losses, 0);
        const double step = double(state.step), rate = optimizer.rate;
        report.metrics({{"step", step}, {"epoch", epoch}, {"rate", rate}, {"loss", mean}});
      }
      if (interrupted()) break;
    }
    save_checkpoint(checkpoint, state);
    if (interrupted()) {
      throw Interrupted(
          fmt::format("interrupted at step {}; the same options with --resume {} go on from there",
                      state.step, report.folder()));
    }
  }
  optimizer.rate = base_rate;
}

}  // namespace kindling
