// Optimizers: the kernels (kernels/optimizer.h) hold the loops over elements, this file says which
// parameter gets which constants. Page: docs/optim.md
#include "optim/optimizer.h"

#include "autograd/node.h"
#include "kernels/dispatch.h"

namespace kindling {
namespace {

bool bias_or_norm(const NamedTensor& p) { return p.kind == Kind::bias || p.kind == Kind::norm; }

std::vector<ParameterGroup> one_group(Module& module) {
  return {ParameterGroup{parameters(module)}};
}

std::vector<std::string> with_momentum(std::vector<std::string> state, double momentum) {
  if (momentum != 0) state.push_back("momentum");
  return state;
}

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

std::vector<ParameterGroup> decay_groups(Module& module, double decay) {
  std::vector<NamedTensor> weights = parameters(module);
  const auto others = std::stable_partition(weights.begin(), weights.end(),
                                            [](const auto& p) { return !bias_or_norm(p); });
  const std::vector<NamedTensor> undecayed(others, weights.end());
  weights.erase(others, weights.end());
  return {{weights, decay}, {undecayed, 0.0}};
}

// ---- What all optimizers share ------------------------------------------------------------------

Optimizer::Optimizer(const std::vector<ParameterGroup>& groups, double base_rate, double decay,
                     std::vector<std::string> state)
    : rate(base_rate), state_names_(std::move(state)) {
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
  ++steps_;
  prepare();
  for (Slot& slot : slots_) {
    const Tensor& gradient = slot.owner->gradient;
    if (gradient.defined()) update(slot, gradient.data(), rate * slot.rate_scale);
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

// ---- The update rules ---------------------------------------------------------------------------

Sgd::Sgd(Module& module, const SgdOptions& options) : Sgd(one_group(module), options) {}

Sgd::Sgd(const std::vector<ParameterGroup>& groups, const SgdOptions& options)
    : Optimizer(groups, options.rate, options.decay, with_momentum({}, options.momentum)),
      options_(options) {
  ENSURE(!options.nesterov || options.momentum > 0, "sgd: nesterov needs momentum above 0, not {}",
         options.momentum);
}

void Sgd::update(Slot& slot, const real* gradient, double slot_rate) {
  Tensor& w = slot.parameter.tensor;
  real* velocity = options_.momentum != 0 ? slot.state[0].mutable_data() : nullptr;
  SgdStep constants{};
  constants.rate = slot_rate;
  constants.momentum = options_.momentum;
  constants.decay = slot.decay;
  constants.nesterov = options_.nesterov;
  kernels().sgd(w.size(), w.mutable_data(), gradient, velocity, constants);
}

Adam::Adam(Module& module, const AdamOptions& options)
    : Adam(options.decoupled ? decay_groups(module, options.decay) : one_group(module), options) {}

Adam::Adam(const std::vector<ParameterGroup>& groups, const AdamOptions& options)
    : Optimizer(groups, options.rate, options.decay, {"first_moment", "second_moment"}),
      options_(options) {}

void Adam::prepare() {
  if (!options_.bias_correction) return;
  correction1_ = 1 - std::pow(options_.beta1, double(steps_));
  correction2_ = 1 - std::pow(options_.beta2, double(steps_));
}

void Adam::update(Slot& slot, const real* gradient, double slot_rate) {
  Tensor& w = slot.parameter.tensor;
  AdamStep constants{};
  constants.rate = slot_rate;
  constants.beta1 = options_.beta1;
  constants.beta2 = options_.beta2;
  constants.epsilon = options_.epsilon;
  constants.correction1 = correction1_;
  constants.correction2 = correction2_;
  (options_.decoupled ? constants.decay : constants.l2) = slot.decay;
  kernels().adam(w.size(), w.mutable_data(), gradient, slot.state[0].mutable_data(),
                 slot.state[1].mutable_data(), constants);
}

RmsProp::RmsProp(Module& module, const RmsPropOptions& options)
    : RmsProp(one_group(module), options) {}

RmsProp::RmsProp(const std::vector<ParameterGroup>& groups, const RmsPropOptions& options)
    : Optimizer(groups, options.rate, options.decay,
                with_momentum({"mean_square"}, options.momentum)),
      options_(options) {}

void RmsProp::update(Slot& slot, const real* gradient, double slot_rate) {
  Tensor& w = slot.parameter.tensor;
  real* velocity = options_.momentum != 0 ? slot.state[1].mutable_data() : nullptr;
  RmsPropStep constants{};
  constants.rate = slot_rate;
  constants.alpha = options_.alpha;
  constants.epsilon = options_.epsilon;
  constants.momentum = options_.momentum;
  constants.decay = slot.decay;
  constants.epsilon_inside = options_.epsilon_inside_root;
  kernels().rmsprop(w.size(), w.mutable_data(), gradient, slot.state[0].mutable_data(), velocity,
                    constants);
}

Lars::Lars(Module& module, const LarsOptions& options)
    : Optimizer(one_group(module), options.rate, options.decay, {"momentum"}), options_(options) {
  int64_t largest = 0;
  for (const Slot& slot : slots()) largest = std::max(largest, slot.parameter.tensor.size());
  scaled_ = Tensor({largest});
}

void Lars::update(Slot& slot, const real* gradient, double slot_rate) {
  const Kernels& k = kernels();
  Tensor& w = slot.parameter.tensor;
  const int64_t n = w.size();
  if (!bias_or_norm(slot.parameter)) {
    real* scaled = scaled_.mutable_data();
    k.unary[size_t(Unary::affine)](n, w.data(), scaled, real(slot.decay), 0);
    k.sum_of_two(n, scaled, gradient, scaled);
    const double w_norm = std::sqrt(k.sum_of_squares(n, w.data()));
    const double g_norm = std::sqrt(k.sum_of_squares(n, scaled));
    if (w_norm > 0 && g_norm > 0) k.scale(n, scaled, real(options_.trust * w_norm / g_norm));
    gradient = scaled;
  }
  SgdStep constants{};
  constants.rate = slot_rate;
  constants.momentum = options_.momentum;
  k.sgd(n, w.mutable_data(), gradient, slot.state[0].mutable_data(), constants);
}

// ---- Clipping and averaging ---------------------------------------------------------------------

double clip_gradients(const std::vector<NamedTensor>& parameters, double max_norm) {
  ENSURE(max_norm > 0, "clip_gradients: max_norm must be above 0, not {}", max_norm);
  double squares = 0;
  for (const NamedTensor& p : parameters) {
    const Leaf* leaf = leaf_of(p.tensor);
    if (leaf == nullptr || !leaf->gradient.defined()) continue;
    const double sum = kernels().sum_of_squares(p.tensor.size(), leaf->gradient.data());
    ENSURE(std::isfinite(sum), "clip_gradients: the gradient of {} {} is not finite", p.name,
           p.tensor.shape());
    squares += sum;
  }
  const double norm = std::sqrt(squares), factor = max_norm / (norm + 1e-6);
  if (factor >= 1) return norm;
  for (const NamedTensor& p : parameters) {
    Leaf* leaf = leaf_of(p.tensor);
    if (leaf == nullptr || !leaf->gradient.defined()) continue;
    kernels().scale(p.tensor.size(), leaf->gradient.mutable_data(), real(factor));
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
