// Optimizers, gradient clipping and averaged weights. Formulas are those of PyTorch's documentation
// unless a paper is named, so that the numbers agree. Page: docs/optim.md
#pragma once

#include <functional>

#include "autograd/node.h"
#include "kernels/dispatch.h"
#include "nn/module.h"

namespace kindling {

// Parameters that share options.
struct ParameterGroup {
  std::vector<NamedTensor> parameters;
  std::optional<double> decay = {};  // weight decay, instead of the optimizer's
  double rate_scale = 1;             // multiplies the optimizer's rate
};

// What an optimizer moves: groups, {first, second}, or a module. A module gives two: its weights,
// and its bias and norm parameters, without decay.
struct ParameterGroups : std::vector<ParameterGroup> {
  using vector::vector;
  ParameterGroups(Module& module);
};

// Owns parameters: their gradients move them, and no other optimizer may have them. Frozen
// parameters of a group are left out.
class Optimizer {
 public:
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  // Updates every parameter that has a gradient. The first step throws, naming it, if a module
  // parameter got a gradient since this was constructed but belongs to no optimizer.
  void step();
  void zero_grad();
  // What a checkpoint keeps besides `steps`: tensors such as "momentum.0.weight", at first zero.
  std::vector<NamedTensor> state() const;

  double rate;        // learning rate; schedules write it
  int64_t steps = 0;  // taken so far

 protected:
  using Names = std::vector<std::string>;
  // Each parameter gets a tensor of its shape for each of `state`, and is moved by the rule, one of
  // the kernels. Throws if a parameter already has an optimizer.
  template <class Options>
  Optimizer(const ParameterGroups& groups, const Options& options, Names state,
            void (*Kernels::*rule)(const ParameterStep&, const Options&))
      : rate(options.rate),
        state_names_(std::move(state)),
        move_([=](const ParameterStep& p) { (kernels().*rule)(p, options); }) {
    own(groups, options.decay);
  }
  // Without momentum nothing is remembered of it.
  static Names with_momentum(Names state, double momentum) {
    if (momentum != 0) state.push_back("momentum");
    return state;
  }

 private:
  void own(const ParameterGroups& groups, double decay);

  // One parameter, the options of its group and what is remembered of it.
  struct Slot {
    struct Disown {
      void operator()(Leaf* leaf) const { leaf->owned = false; }
    };
    NamedTensor parameter;
    std::unique_ptr<Leaf, Disown> owner;  // of the mark, not of the leaf, which `parameter` keeps
    double decay, rate_scale;
    std::vector<Tensor> state;
  };
  std::vector<Slot> slots_;
  Names state_names_;
  std::function<void(const ParameterStep&)> move_;
  bool checked_ = false;  // for parameters without an optimizer
};

// The rules stand at the options, in kernels/types.h.
struct Sgd : Optimizer {
  Sgd(const ParameterGroups& groups, const SgdOptions& options)
      : Optimizer(groups, options, with_momentum({}, options.momentum), &Kernels::sgd) {
    ENSURE(!options.nesterov || options.momentum > 0,
           "sgd: nesterov needs momentum above 0, not {}", options.momentum);
  }
};

struct Adam : Optimizer {  // and AdamW
  Adam(const ParameterGroups& groups, const AdamOptions& options)
      : Optimizer(groups, options, {"first_moment", "second_moment"}, &Kernels::adam) {}
};

struct RmsProp : Optimizer {
  RmsProp(const ParameterGroups& groups, const RmsPropOptions& options)
      : Optimizer(groups, options, with_momentum({"mean_square"}, options.momentum),
                  &Kernels::rmsprop) {}
};

struct Lars : Optimizer {
  Lars(const ParameterGroups& groups, const LarsOptions& options)
      : Optimizer(groups, options, {"momentum"}, &Kernels::lars) {}
};

// Scales all gradients by max_norm / (norm + 1e-6) when their common norm is above max_norm
// (1211.5063, section 3.2); returns the norm before. Throws, naming the parameter, when a gradient
// is not finite, and then none was changed.
double clip_gradients(const std::vector<NamedTensor>& parameters, double max_norm);

// Averages of a module's parameters and buffers: average = decay average + (1 - decay) value.
class Ema {
 public:
  Ema(Module& module, double decay);  // starts as a copy; 0 <= decay < 1
  void update();                      // after optimizer.step()
  // Exchanges the module's values with the averages; a second call exchanges them back.
  void swap();
  const std::vector<NamedTensor>& shadow() const { return shadow_; }

 private:
  std::vector<NamedTensor> values_, shadow_;
  double decay_;
};

}  // namespace kindling
