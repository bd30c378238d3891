// Optimizers, gradient clipping and averaged weights: which parameter is moved by which kernel,
// with which options. The rules and their options stand in kernels/types.h, the loops in
// kernels/optimizer.h. Formulas are those of PyTorch's documentation unless a paper is named, so
// that the numbers agree. Page: docs/optim.md
#pragma once

#include "autograd/node.h"
#include "kernels/dispatch.h"
#include "nn/module.h"

namespace kindling {

inline bool bias_or_norm(const NamedTensor& p) {
  return p.kind == Kind::bias || p.kind == Kind::norm;
}

// Parameters that share options.
struct ParameterGroup {
  std::vector<NamedTensor> parameters;
  std::optional<double> decay = {};  // weight decay, instead of the optimizer's
  double rate_scale = 1;             // multiplies the optimizer's rate
};

// What an optimizer moves: groups, {first, second}, or all parameters of a module as one.
struct ParameterGroups : std::vector<ParameterGroup> {
  using vector::vector;
  ParameterGroups(Module& module) : vector(1) { at(0).parameters = parameters(module); }
};

// The weights of a module, and its bias and norm parameters, without decay.
inline ParameterGroups decay_groups(Module& module) {
  ParameterGroups groups(2);
  groups[1].decay = 0;
  for (const NamedTensor& p : parameters(module)) {
    groups[bias_or_norm(p) ? 1 : 0].parameters.push_back(p);
  }
  return groups;
}

// Owns parameters: their gradients move them, and no other optimizer may have them. Frozen
// parameters of a group are left out.
class Optimizer {
 public:
  double rate;        // learning rate; schedules write it
  int64_t steps = 0;  // taken so far

  // Updates every parameter that has a gradient. The first step throws, naming it, if a module
  // parameter got a gradient since this was constructed but belongs to no optimizer.
  void step() {
    if (!checked_) check_owned(take_unowned_parameters());
    checked_ = true;
    ++steps;
    for (Slot& slot : slots_) {
      if (!slot.owner->gradient.defined()) continue;
      Tensor& w = slot.parameter.tensor;
      ParameterStep p{.n = w.size(),
                      .t = steps,
                      .w = w.mutable_data(),
                      .g = slot.owner->gradient.data(),
                      .rate = rate * slot.rate_scale,
                      .decay = slot.decay,
                      .bias_or_norm = bias_or_norm(slot.parameter)};
      for (size_t i = 0; i < slot.state.size(); ++i) p.state[i] = slot.state[i].mutable_data();
      move_(p);
    }
  }

  void zero_grad() {
    for (Slot& slot : slots_) slot.owner->gradient = Tensor();
  }

  // What a checkpoint keeps besides `steps`: tensors such as "momentum.0.weight", at first zero.
  std::vector<NamedTensor> state() const {
    std::vector<NamedTensor> all;
    for (const Slot& slot : slots_) {
      for (size_t i = 0; i < slot.state.size(); ++i) {
        all.push_back({state_names_[i] + "." + slot.parameter.name, slot.state[i], Kind::other});
      }
    }
    return all;
  }

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
    for (const ParameterGroup& group : groups) {
      for (const NamedTensor& p : group.parameters)
        own(p, group.decay.value_or(options.decay), group.rate_scale);
    }
    ENSURE(!slots_.empty(), "optimizer: there is no parameter to train");
    take_unowned_parameters();  // gradients from before are not this optimizer's concern
  }

  // Without momentum nothing is remembered of it.
  static Names with_momentum(Names state, double momentum) {
    if (momentum != 0) state.push_back("momentum");
    return state;
  }

 private:
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

  void own(const NamedTensor& p, double decay, double rate_scale) {
    Leaf* leaf = leaf_of(p.tensor);
    if (leaf == nullptr) return;  // frozen
    ENSURE(!leaf->owned, "optimizer: parameter {} {} already belongs to an optimizer", p.name,
           p.tensor.shape());
    leaf->owned = true;
    slots_.push_back({p, std::unique_ptr<Leaf, Slot::Disown>(leaf), decay, rate_scale, {}});
    for (size_t i = 0; i < state_names_.size(); ++i)
      slots_.back().state.push_back(zeros(p.tensor.shape()));
  }

  static void check_owned(const std::vector<Ref<Leaf>>& unowned) {
    if (unowned.empty()) return;
    const Leaf& first = *unowned.front();
    throw Error(fmt::format(
        "optimizer: parameter {} {}{} got a gradient but belongs to no optimizer. Give it to one, "
        "or freeze it with set_requires_grad(module, false)",
        first.name.empty() ? "(unnamed)" : first.name, first.shape,
        unowned.size() > 1 ? fmt::format(" (and {} more)", unowned.size() - 1) : ""));
  }

  std::vector<Slot> slots_;
  Names state_names_;
  std::function<void(const ParameterStep&)> move_;
  bool checked_ = false;  // for parameters without an optimizer
};

struct Sgd : Optimizer {
  Sgd(const ParameterGroups& groups, const SgdOptions& options)
      : Optimizer(groups, options, with_momentum({}, options.momentum), &Kernels::sgd) {
    ENSURE(!options.nesterov || options.momentum > 0,
           "sgd: nesterov needs momentum above 0, not {}", options.momentum);
  }
};

struct Adam : Optimizer {
  Adam(const ParameterGroups& groups, const AdamOptions& options)
      : Optimizer(groups, options, {"first_moment", "second_moment"}, &Kernels::adam) {}
  // AdamW leaves the bias and norm parameters of a module undecayed.
  Adam(Module& module, const AdamOptions& options)
      : Adam(options.decoupled ? decay_groups(module) : ParameterGroups(module), options) {}
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
inline double clip_gradients(const std::vector<NamedTensor>& parameters, double max_norm) {
  ENSURE(max_norm > 0, "clip_gradients: max_norm must be above 0, not {}", max_norm);
  std::vector<Tensor> gradients;
  double squares = 0;
  for (const NamedTensor& p : parameters) {
    const Leaf* leaf = leaf_of(p.tensor);
    if (leaf == nullptr || !leaf->gradient.defined()) continue;
    gradients.push_back(leaf->gradient);
    squares += kernels().sum_of_squares(p.tensor.size(), leaf->gradient.data());
    ENSURE(std::isfinite(squares), "clip_gradients: the gradient of {} {} is not finite", p.name,
           p.tensor.shape());
  }
  const double norm = std::sqrt(squares), factor = max_norm / (norm + 1e-6);
  if (factor < 1) {
    for (Tensor& g : gradients) kernels().scale(g.size(), g.mutable_data(), real(factor));
  }
  return norm;
}

// Averages of a module's parameters and buffers: average = decay average + (1 - decay) value.
class Ema {
 public:
  Ema(Module& module, double decay)  // starts as a copy; 0 <= decay < 1
      : values_(named_tensors(module)), shadow_(values_), decay_(decay) {
    ENSURE(decay >= 0 && decay < 1, "ema: decay {} must be at least 0 and below 1", decay);
    for (NamedTensor& s : shadow_) s.tensor = s.tensor.clone();
  }

  void update() {  // after optimizer.step()
    for (size_t i = 0; i < values_.size(); ++i) {
      Tensor& average = shadow_[i].tensor;
      const real* value = values_[i].tensor.data();
      kernels().lerp(average.size(), average.mutable_data(), value, real(1 - decay_));
    }
  }

  // Exchanges the module's values with the averages; a second call exchanges them back.
  void swap() {
    for (size_t i = 0; i < values_.size(); ++i) {
      const Tensor value = values_[i].tensor.clone();
      copy_into(values_[i].tensor, shadow_[i].tensor);
      copy_into(shadow_[i].tensor, value);
    }
  }

  const std::vector<NamedTensor>& shadow() const { return shadow_; }

 private:
  std::vector<NamedTensor> values_, shadow_;
  double decay_;
};

}  // namespace kindling
