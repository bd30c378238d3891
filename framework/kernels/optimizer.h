// One step of an optimizer over all parameters: w the weights of one, g their gradient. Formulas
// and sources stand at the options, in types.h. Page: docs/optim.md
#pragma once

#include "kernels/rows.h"

namespace kindling::kernel {

static void sgd(std::span<const ParameterStep> all, const SgdOptions& options) {
  const real momentum = real(options.momentum);
  for_arrays(all, 6, 5, [=, nesterov = options.nesterov](const ParameterStep& p, Sum&) {
    const real rate = real(p.rate), decay = real(p.decay);
    return [=, w = p.w, g = p.g, velocity = p.state[0]](int64_t i, auto part) {
      const Vec before = part.load(w + i);
      Vec step = part.load(g + i) + decay * before;
      if (momentum != 0) {
        const Vec v = momentum * part.load(velocity + i) + step;
        part.store(velocity + i, v);
        step = nesterov ? step + momentum * v : v;
      }
      part.store(w + i, before - rate * step);
    };
  });
}

static void adam(std::span<const ParameterStep> all, const AdamOptions& options) {
  const double beta1 = options.beta1, beta2 = options.beta2;
  const real take1 = real(1 - beta1), keep2 = real(beta2), take2 = real(1 - beta2);
  const real epsilon = real(options.epsilon);
  for_arrays(all, 14, 7, [=](const ParameterStep& p, Sum&) {
    const double correction1 = options.bias_correction ? 1 - std::pow(beta1, double(p.t)) : 1;
    const double correction2 = options.bias_correction ? 1 - std::pow(beta2, double(p.t)) : 1;
    const real rate = real(p.rate / correction1), unbias = real(1 / std::sqrt(correction2));
    const real shrink = real(options.decoupled ? 1 - p.rate * p.decay : 1);
    const real decay = real(options.decoupled ? 0 : p.decay);
    return [=, w = p.w, g = p.g, m = p.state[0], v = p.state[1]](int64_t i, auto part) {
      const Vec before = part.load(w + i), gradient = part.load(g + i) + decay * before;
      Vec mean = part.load(m + i);
      mean += take1 * (gradient - mean);
      const Vec square = keep2 * part.load(v + i) + take2 * gradient * gradient;
      part.store(m + i, mean), part.store(v + i, square);
      part.store(w + i, shrink * before - rate * mean / (sqrt(square) * unbias + epsilon));
    };
  });
}

static void rmsprop(std::span<const ParameterStep> all, const RmsPropOptions& options) {
  const real keep = real(options.alpha), take = real(1 - options.alpha);
  const real momentum = real(options.momentum), epsilon = real(options.epsilon);
  const real inside = options.epsilon_inside_root ? epsilon : 0, outside = epsilon - inside;
  for_arrays(all, 10, 7, [=](const ParameterStep& p, Sum&) {
    const real rate = real(p.rate), decay = real(p.decay);
    return [=, w = p.w, g = p.g, s = p.state[0], v = p.state[1]](int64_t i, auto part) {
      const Vec before = part.load(w + i), gradient = part.load(g + i) + decay * before;
      const Vec square = keep * part.load(s + i) + take * gradient * gradient;
      part.store(s + i, square);
      Vec step = gradient / (sqrt(square + inside) + outside);
      if (momentum != 0) {
        step = momentum * part.load(v + i) + step;
        part.store(v + i, step);
      }
      part.store(w + i, before - rate * step);
    };
  });
}

}  // namespace kindling::kernel
