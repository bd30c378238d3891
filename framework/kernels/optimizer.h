// One step of an optimizer over one parameter: w the weights, g their gradient. Formulas and
// sources stand at the options, in types.h. Page: docs/optim.md
#pragma once

#include "kernels/rows.h"

namespace kindling::kernel {

// sgd and lars: g = scale (g + decay w), which goes into the velocity if there is momentum.
// Not inlined, so that a bias has the same bits with either.
[[gnu::noinline]] static void descend(const ParameterStep& p, real scale, real decay, real momentum,
                                      bool nesterov) {
  const real rate = real(p.rate);
  for_elements(p.n, 7, 5, [=, w = p.w, g = p.g, velocity = p.state[0]](int64_t i) {
    real step = scale * (g[i] + decay * w[i]);
    if (momentum != 0) {
      const real v = velocity[i] = momentum * velocity[i] + step;
      step = nesterov ? step + momentum * v : v;
    }
    w[i] -= rate * step;
  });
}

static void sgd(const ParameterStep& p, const SgdOptions& options) {
  descend(p, 1, real(p.decay), real(options.momentum), options.nesterov);
}

static void lars(const ParameterStep& p, const LarsOptions& options) {
  const real momentum = real(options.momentum);
  if (p.bias_or_norm) return descend(p, 1, 0, momentum, false);
  const double w_norm = std::sqrt(sum_of_squares(p.n, p.w));
  const double g_norm = std::sqrt(total(p.n, [decay = p.decay, w = p.w, g = p.g](int64_t i) {
    return std::pow(double(g[i]) + decay * double(w[i]), 2);
  }));
  const double trust = w_norm > 0 && g_norm > 0 ? options.trust * w_norm / g_norm : 1;
  descend(p, real(trust), real(p.decay), momentum, false);
}

static void adam(const ParameterStep& p, const AdamOptions& options) {
  const double beta1 = options.beta1, beta2 = options.beta2;
  const double correction1 = options.bias_correction ? 1 - std::pow(beta1, double(p.t)) : 1;
  const double correction2 = options.bias_correction ? 1 - std::pow(beta2, double(p.t)) : 1;
  const real rate = real(p.rate / correction1), unbias = real(1 / std::sqrt(correction2));
  const real take1 = real(1 - beta1), keep2 = real(beta2), take2 = real(1 - beta2);
  const real shrink = real(options.decoupled ? 1 - p.rate * p.decay : 1);
  const real decay = real(options.decoupled ? 0 : p.decay), epsilon = real(options.epsilon);
  for_elements(p.n, 14, 7, [=, w = p.w, g = p.g, m = p.state[0], v = p.state[1]](int64_t i) {
    const real gradient = g[i] + decay * w[i];
    m[i] += take1 * (gradient - m[i]);
    v[i] = keep2 * v[i] + take2 * gradient * gradient;
    w[i] = shrink * w[i] - rate * m[i] / (std::sqrt(v[i]) * unbias + epsilon);
  });
}

static void rmsprop(const ParameterStep& p, const RmsPropOptions& options) {
  const real rate = real(p.rate), decay = real(p.decay), momentum = real(options.momentum);
  const real keep = real(options.alpha), take = real(1 - options.alpha);
  const real epsilon = real(options.epsilon);
  const real inside = options.epsilon_inside_root ? epsilon : 0, outside = epsilon - inside;
  for_elements(p.n, 10, 7, [=, w = p.w, g = p.g, s = p.state[0], v = p.state[1]](int64_t i) {
    const real gradient = g[i] + decay * w[i];
    s[i] = keep * s[i] + take * gradient * gradient;
    real step = gradient / (std::sqrt(s[i] + inside) + outside);
    if (momentum != 0) step = v[i] = momentum * v[i] + step;
    w[i] -= rate * step;
  });
}

}  // namespace kindling::kernel
