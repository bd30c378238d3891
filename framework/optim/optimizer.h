// Optimizers, gradient clipping and averaged weights. Formulas are those of PyTorch's documentation
// unless a paper is named, so that the numbers agree. Page: docs/optim.md
#pragma once

#include "autograd/node.h"
#include "nn/module.h"

namespace kindling {

// Parameters that share options.
struct ParameterGroup {
  std::vector<NamedTensor> parameters;
  std::optional<double> decay = {};  // weight decay, instead of the optimizer's
  double rate_scale = 1;             // multiplies the optimizer's rate
};

// Two groups: with `decay` for weights, without for bias and norm parameters.
std::vector<ParameterGroup> decay_groups(Module& module, double decay);

// Owns parameters: their gradients move them, and no other optimizer may have them. Frozen
// parameters of a group are left out.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  // Updates every parameter that has a gradient. The first step throws, naming it, if a module
  // parameter got a gradient since this was constructed but belongs to no optimizer.
  void step();
  void zero_grad();

  double rate;  // learning rate; schedules write it

  int64_t steps() const { return steps_; }
  void set_steps(int64_t steps) { steps_ = steps; }
  // What a checkpoint keeps besides: tensors such as "momentum.0.weight", zero at construction.
  std::vector<NamedTensor> state() const;

 protected:
  // Each parameter gets one tensor of its shape for each name of `state`. Throws if a parameter
  // already has an optimizer.
  Optimizer(const std::vector<ParameterGroup>& groups, double rate, double decay,
            std::vector<std::string> state);

  // One parameter, the options of its group and its state.
  struct Slot {
    struct Disown {
      void operator()(Leaf* leaf) const { leaf->owned = false; }
    };
    NamedTensor parameter;
    std::unique_ptr<Leaf, Disown> owner;  // of the mark, not of the leaf, which `parameter` keeps
    double decay, rate_scale;
    std::vector<Tensor> state;
  };
  const std::vector<Slot>& slots() const { return slots_; }

  // Called once a step before any update; steps_ is 1 in the first.
  virtual void prepare() {}
  // Moves one parameter by its gradient; `slot_rate` is the rate times the group's scale.
  virtual void update(Slot& slot, const real* gradient, double slot_rate) = 0;

  int64_t steps_ = 0;

 private:
  std::vector<Slot> slots_;
  std::vector<std::string> state_names_;
  bool checked_ = false;  // for parameters without an optimizer
};

// g += decay w;  v = momentum v + g;  w -= rate v, or, Nesterov, w -= rate (g + momentum v).
struct SgdOptions {
  double rate = 0.01, momentum = 0, decay = 0;
  bool nesterov = false;
};
class Sgd : public Optimizer {
 public:
  Sgd(Module& module, const SgdOptions& options);
  Sgd(const std::vector<ParameterGroup>& groups, const SgdOptions& options);

 private:
  void update(Slot& slot, const real* gradient, double slot_rate) override;
  SgdOptions options_;
};

// m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
// w -= rate m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon), t the number of the step.
// Adam (1412.6980) adds decay w to g; AdamW (1711.05101), the default, takes rate decay w from w.
struct AdamOptions {
  double rate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, decay = 0;
  bool decoupled = true;        // AdamW
  bool bias_correction = true;  // false: without the two 1 - beta^t, as BERT was trained
};
class Adam : public Optimizer {
 public:
  // With a module and decoupled decay: bias and norm parameters are not decayed (decay_groups).
  Adam(Module& module, const AdamOptions& options);
  Adam(const std::vector<ParameterGroup>& groups, const AdamOptions& options);

 private:
  void prepare() override;
  void update(Slot& slot, const real* gradient, double slot_rate) override;
  AdamOptions options_;
  double correction1_ = 1, correction2_ = 1;
};

// g += decay w;  s = alpha s + (1 - alpha) g^2;
// v = momentum v + g / (sqrt(s) + epsilon);  w -= rate v.
struct RmsPropOptions {
  double rate = 0.01, alpha = 0.99, epsilon = 1e-8, momentum = 0, decay = 0;
  bool epsilon_inside_root = false;  // TensorFlow's sqrt(s + epsilon), as EfficientNet was trained
};
class RmsProp : public Optimizer {
 public:
  RmsProp(Module& module, const RmsPropOptions& options);
  RmsProp(const std::vector<ParameterGroup>& groups, const RmsPropOptions& options);

 private:
  void update(Slot& slot, const real* gradient, double slot_rate) override;
  RmsPropOptions options_;
};

// LARS (1708.03888), in the form of MAE's linear probe (2111.06377, appendix A): g += decay w;
// g *= trust |w| / |g|, unless one of the norms is 0; then steps with momentum as Sgd's. Bias and
// norm parameters take plain momentum steps: no decay, no trust.
struct LarsOptions {
  double rate = 0.1, momentum = 0.9, decay = 0, trust = 0.001;
};
class Lars : public Optimizer {
 public:
  Lars(Module& module, const LarsOptions& options);

 private:
  void update(Slot& slot, const real* gradient, double slot_rate) override;
  LarsOptions options_;
  Tensor scaled_;  // room for the scaled gradient of the largest parameter
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
