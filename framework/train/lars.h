// LARS, for batches of thousands: each weight moves by a fixed share of its own norm. Page:
// docs/optim.md
#pragma once

#include "optim/optimizer.h"

namespace kindling {

// (1708.03888), in the form of MAE's linear probe (2111.06377, appendix A): g += decay w;
// g *= trust |w| / |g|, unless one of the norms is 0; then steps with momentum as Sgd's. Bias and
// norm parameters take plain momentum steps: no decay, no trust.
struct LarsOptions {
  double rate = 0.1, momentum = 0.9, decay = 0, trust = 0.001;
};

class Lars : public Sgd {
 public:
  Lars(const ParameterGroups& groups, const LarsOptions& options)
      : Sgd(without_decay(groups), {.rate = options.rate, .momentum = options.momentum}),
        trust_(options.trust) {
    for (const ParameterGroup& group : groups) {
      const double decay = group.decay.value_or(options.decay);
      for (const NamedTensor& p : group.parameters) {
        if (!bias_or_norm(p)) weights_.emplace_back(p.tensor, decay);
      }
    }
  }

  // Leaves the gradients of weights scaled.
  void step() override {
    const NoGrad no_grad;
    for (const auto& [weight, decay] : weights_) {
      Leaf* leaf = leaf_of(weight);
      if (leaf == nullptr || !leaf->gradient.defined()) continue;
      const Tensor g = leaf->gradient + weight * decay;
      const double w_norm = norm(weight), g_norm = norm(g);
      leaf->gradient = w_norm == 0 || g_norm == 0 ? g : g * (trust_ * w_norm / g_norm);
    }
    Sgd::step();
  }

 private:
  static double norm(const Tensor& x) {
    return std::sqrt(kernels().sum_of_squares(std::array{x.values()}));
  }
  static ParameterGroups without_decay(ParameterGroups groups) {
    for (ParameterGroup& group : groups) group.decay = 0;
    return groups;
  }

  std::vector<std::pair<Tensor, double>> weights_;  // and the decay of each
  double trust_;
};

}  // namespace kindling
