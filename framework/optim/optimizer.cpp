// Optimizers: the kernels (kernels/optimizer.h) hold the loops over elements, this file says which
// parameter gets which options. Page: docs/optim.md
#include "optim/optimizer.h"

#include "autograd/backward.h"

namespace kindling {
namespace {

bool bias_or_norm(const NamedTensor& p) { return p.kind == Kind::bias || p.kind == Kind::norm; }

void check_owned(const std::vector<Ref<Leaf>>& unowned) {
  if (unowned.empty()) return;
  const Leaf& first = *unowned.front();
  throw Error(fmt::format(
      "optimizer: parameter {} {}{} got a gradient but belongs to no optimizer. Give it to one, or "
      "freeze it with set_requires_grad(module, false)",
      first.name.empty() ? "(unnamed)" : first.name, first.shape,
      unowned.size() > 1 ? fmt::format(" (and {} more)", unowned.size() - 1) : ""));
}

}  // namespace

ParameterGroups::ParameterGroups(Module& module) : vector(2) {
  at(1).decay = 0;
  for (const NamedTensor& p : kindling::parameters(module)) {
    at(bias_or_norm(p) ? 1 : 0).parameters.push_back(p);
  }
}

// ---- What all optimizers share ------------------------------------------------------------------

void Optimizer::own(const ParameterGroups& groups, double decay) {
  for (const ParameterGroup& group : groups) {
    for (const NamedTensor& p : group.parameters) {
      Leaf* leaf = leaf_of(p.tensor);
      if (leaf == nullptr) continue;  // frozen
      ENSURE(!leaf->owned, "optimizer: parameter {} {} already belongs to an optimizer", p.name,
             p.tensor.shape());
      leaf->owned = true;
      Slot& slot = slots_.emplace_back();
      slot.parameter = p;
      slot.owner.reset(leaf);
      slot.decay = group.decay.value_or(decay);
      slot.rate_scale = group.rate_scale;
      for (size_t i = 0; i < state_names_.size(); ++i)
        slot.state.push_back(zeros(p.tensor.shape()));
    }
  }
  ENSURE(!slots_.empty(), "optimizer: there is no parameter to train");
  take_unowned_parameters();  // gradients from before are not this optimizer's concern
}

void Optimizer::step() {
  if (!checked_) check_owned(take_unowned_parameters());
  checked_ = true;
  ++steps;
  for (Slot& slot : slots_) {
    if (!slot.owner->gradient.defined()) continue;
    Tensor& w = slot.parameter.tensor;
    ParameterStep p{w.size(),
                    w.mutable_data(),
                    slot.owner->gradient.data(),
                    {},
                    steps,
                    rate * slot.rate_scale,
                    slot.decay,
                    bias_or_norm(slot.parameter)};
    for (size_t i = 0; i < slot.state.size(); ++i) p.state[i] = slot.state[i].mutable_data();
    move_(p);
  }
}

void Optimizer::zero_grad() {
  for (Slot& slot : slots_) slot.owner->gradient = Tensor();
}

std::vector<NamedTensor> Optimizer::state() const {
  std::vector<NamedTensor> all;
  for (const Slot& slot : slots_) {
    for (size_t i = 0; i < state_names_.size(); ++i) {
      all.push_back({state_names_[i] + "." + slot.parameter.name, slot.state[i], Kind::other});
    }
  }
  return all;
}

// ---- Clipping and averaging ---------------------------------------------------------------------

double clip_gradients(const std::vector<NamedTensor>& parameters, double max_norm) {
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

Ema::Ema(Module& module, double decay)
    : values_(named_tensors(module)), shadow_(values_), decay_(decay) {
  ENSURE(decay >= 0 && decay < 1, "ema: decay {} must be at least 0 and below 1", decay);
  for (NamedTensor& s : shadow_) s.tensor = s.tensor.clone();
}

void Ema::update() {
  for (size_t i = 0; i < values_.size(); ++i) {
    Tensor& average = shadow_[i].tensor;
    kernels().lerp(average.size(), average.mutable_data(), values_[i].tensor.data(),
                   real(1 - decay_));
  }
}

void Ema::swap() {
  for (size_t i = 0; i < values_.size(); ++i) {
    const Tensor value = values_[i].tensor.clone();
    copy_into(values_[i].tensor, shadow_[i].tensor);
    copy_into(shadow_[i].tensor, value);
  }
}

}  // namespace kindling
