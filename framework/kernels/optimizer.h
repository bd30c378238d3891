// One step of an optimizer over one parameter: w the weights, g their gradient. Formulas and
// sources stand at the options, in types.h. Page: docs/optim.md
#pragma once

#include "kernels/rows.h"

namespace kindling::kernel {

template <class Isa> void sgd(const ParameterStep& p, const SgdOptions& options) {
  const real rate = real(p.rate), decay = real(p.decay), momentum = real(options.momentum);
  const bool nesterov = options.nesterov;
  for_elements<Isa>(p.n, 6, 5, [=, w = p.w, g = p.g, velocity = p.state[0]](int64_t i) {
    real step = g[i] + decay * w[i];
    if (momentum != 0) {
      const real v = velocity[i] = momentum * velocity[i] + step;
      step = nesterov ? step + momentum * v : v;
    }
    w[i] -= rate * step;
  });
}

template <class Isa> void adam(const ParameterStep& p, const AdamOptions& options) {
  const double beta1 = options.beta1, beta2 = options.beta2;
  const double correction1 = options.bias_correction ? 1 - std::pow(beta1, double(p.t)) : 1;
  const double correction2 = options.bias_correction ? 1 - std::pow(beta2, double(p.t)) : 1;
  const real rate = real(p.rate / correction1), unbias = real(1 / std::sqrt(correction2));
  const real take1 = real(1 - beta1), keep2 = real(beta2), take2 = real(1 - beta2);
  const real shrink = real(options.decoupled ? 1 - p.rate * p.decay : 1);
  const real decay = real(options.decoupled ? 0 : p.decay), epsilon = real(options.epsilon);
  for_elements<Isa>(p.n, 14, 7, [=, w = p.w, g = p.g, m = p.state[0], v = p.state[1]](int64_t i) {
    const real gradient = g[i] + decay * w[i];
    m[i] += take1 * (gradient - m[i]);
    v[i] = keep2 * v[i] + take2 * gradient * gradient;
    w[i] = shrink * w[i] - rate * m[i] / (std::sqrt(v[i]) * unbias + epsilon);
  });
}

template <class Isa> void rmsprop(const ParameterStep& p, const RmsPropOptions& options) {
  const real rate = real(p.rate), decay = real(p.decay), momentum = real(options.momentum);
  const real keep = real(options.alpha), take = real(1 - options.alpha);
  const real epsilon = real(options.epsilon);
  const real inside = options.epsilon_inside_root ? epsilon : 0, outside = epsilon - inside;
  for_elements<Isa>(p.n, 10, 7, [=, w = p.w, g = p.g, s = p.state[0], v = p.state[1]](int64_t i) {
    const real gradient = g[i] + decay * w[i];
    s[i] = keep * s[i] + take * gradient * gradient;
    real step = gradient / (std::sqrt(s[i] + inside) + outside);
    if (momentum != 0) step = v[i] = momentum * v[i] + step;
    w[i] -= rate * step;
  });
}

template <class Isa> void lars(const ParameterStep& p, const LarsOptions& options) {
  const real rate = real(p.rate), momentum = real(options.momentum);
  const real decay = real(p.bias_or_norm ? 0 : p.decay);
  const auto gradient = [=, w = p.w, g = p.g](int64_t i) { return double(g[i] + decay * w[i]); };
  const double w_norm = std::sqrt(sum_of_squares<Isa>(p.n, p.w));
  const double g_norm =
      std::sqrt(total<Isa>(p.n, [=](int64_t i) { return gradient(i) * gradient(i); }));
  const bool scaled = !p.bias_or_norm && w_norm > 0 && g_norm > 0;
  const double trust = scaled ? options.trust * w_norm / g_norm : 1;
  for_elements<Isa>(p.n, 8, 5, [=, w = p.w, velocity = p.state[0]](int64_t i) {
    velocity[i] = momentum * velocity[i] + real(trust * gradient(i));
    w[i] -= rate * velocity[i];
  });
}

}  // namespace kindling::kernel
