// Optimizers: which parameter is moved by which kernel, with which options.
// The rules and their options stand in kernels/types.h, the loops in kernels/optimizer.h. Formulas
// are those of PyTorch's documentation unless a paper is named, so that the numbers agree. Page:
// docs/optim.md
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
  ParameterGroups(Module& module) : vector{{parameters(module)}} {}
};

// The weights of a module, and its bias and norm parameters, without decay.
inline ParameterGroups decay_groups(Module& module) {
  ParameterGroup weights{parameters(module)}, others{weights.parameters, 0.0};
  std::erase_if(weights.parameters, bias_or_norm);
  std::erase_if(others.parameters, std::not_fn(bias_or_norm));
  return {weights, others};
}

// Owns parameters: their gradients move them, and no other optimizer may have them. Frozen
// parameters of a group are left out.
class Optimizer {
 public:
  virtual ~Optimizer() = default;

  double rate;        // learning rate; schedules write it
  int64_t steps = 0;  // taken so far

  // Updates every parameter that has a gradient. The first step throws, naming it, if a module
  // parameter got a gradient since this was constructed but belongs to no optimizer.
  virtual void step() {
    if (!checked_) check_owned();
    ++steps;
    std::vector<ParameterStep> moved;
    moved.reserve(slots_.size());
    for (Slot& slot : slots_) {
      if (!slot.leaf->gradient.defined()) continue;
      slot.step.t = steps, slot.step.rate = rate * slot.rate_scale;
      slot.step.w = slot.weight.mutable_data();
      slot.step.g = slot.leaf->gradient.data();
      moved.push_back(slot.step);
    }
    move_(moved);
  }

  void zero_grad() {
    for (Slot& slot : slots_) slot.leaf->gradient = Tensor();
  }

  // What a checkpoint keeps besides `steps`: tensors such as "momentum.0.weight", at first zero.
  const std::vector<NamedTensor>& state() const { return state_; }

 protected:
  // Each parameter gets a tensor of its shape for each name, and is moved by the rule, one of the
  // kernels. Without momentum nothing is remembered of it. Throws if a parameter already has an
  // optimizer.
  template <class Options>
  Optimizer(const ParameterGroups& groups, const Options& options, std::vector<std::string> names,
            void (*Kernels::*rule)(std::span<const ParameterStep>, const Options&))
      : rate(options.rate), move_([=](const auto& all) { (kernels().*rule)(all, options); }) {
    if constexpr (requires { options.momentum; }) {
      if (options.momentum == 0) std::erase(names, "momentum");
    }
    for (const ParameterGroup& group : groups) {
      const double decay = group.decay.value_or(options.decay);
      for (const NamedTensor& p : group.parameters) own(p, decay, group.rate_scale, names);
    }
    ENSURE(!slots_.empty(), "optimizer: there is no parameter to train");
    take_unowned_parameters();  // gradients from before are not this optimizer's concern
  }

 private:
  // One parameter and what the kernel is handed of it; n, decay and state stay as they were made.
  struct Slot {
    Tensor weight;
    std::unique_ptr<Leaf, void (*)(Leaf*)> leaf;  // of `weight`; takes its mark away in the end
    double rate_scale;
    ParameterStep step;
  };

  void own(const NamedTensor& p, double decay, double rate_scale,
           const std::vector<std::string>& names) {
    Leaf* leaf = leaf_of(p.tensor);
    if (leaf == nullptr) return;  // frozen
    ENSURE(!leaf->owned, "optimizer: parameter {} {} already belongs to an optimizer", p.name,
           p.tensor.shape());
    leaf->owned = true;
    slots_.push_back({p.tensor, {leaf, [](Leaf* l) { l->owned = false; }}, rate_scale, {}});
    ParameterStep& step = slots_.back().step;
    step.n = p.tensor.size(), step.decay = decay;
    for (size_t i = 0; i < names.size(); ++i) {
      state_.push_back({names[i] + "." + p.name, zeros(p.tensor.shape()), Kind::other});
      step.state[i] = state_.back().tensor.mutable_data();
    }
  }

  void check_owned() {
    const std::vector<Ref<Leaf>> unowned = take_unowned_parameters();
    ENSURE(unowned.empty(),
           "optimizer: parameter {} {}{} got a gradient but belongs to no optimizer. Give it to "
           "one, or freeze it with set_requires_grad(module, false)",
           unowned[0]->name.empty() ? "(unnamed)" : unowned[0]->name, unowned[0]->shape,
           unowned.size() > 1 ? fmt::format(" (and {} more)", unowned.size() - 1) : "");
    checked_ = true;
  }

  std::vector<Slot> slots_;
  std::vector<NamedTensor> state_;
  std::function<void(const std::vector<ParameterStep>&)> move_;
  bool checked_ = false;  // for parameters without an optimizer
};

struct Sgd : Optimizer {
  Sgd(const ParameterGroups& groups, const SgdOptions& options)
      : Optimizer(groups, options, {"momentum"}, &Kernels::sgd) {
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
      : Optimizer(groups, options, {"mean_square", "momentum"}, &Kernels::rmsprop) {}
};

}  // namespace kindling
