// One step of an optimizer over one parameter: w the weights, g their gradient, the rest what the
// optimizer remembers. Formulas as PyTorch has them. Page: docs/ops.md
#pragma once

#include "kernels/walk.h"

namespace kindling::kernel {

// v = momentum v + (1 - dampening) g, at first v = g;  w -= rate v, or with Nesterov's look ahead
// rate (g + momentum v) (Sutskever et al., ICML 2013). velocity may be null without momentum.
template <class Isa>
void sgd(int64_t n, real* w, const real* g, real* velocity, const SgdStep& step) {
  count_cost(6 * n, bytes_of(5 * n));
  parallel_for(n, kGrain, [=](int64_t begin, int64_t end) {
    const real rate = real(step.rate), momentum = real(step.momentum), decay = real(step.decay);
    const bool first = step.first;
    if (momentum == 0) {
      for (int64_t i = begin; i < end; ++i) w[i] -= rate * (g[i] + decay * w[i]);
      return;
    }
    const real take = real(first ? 1 : 1 - step.dampening);
    const real from_gradient = step.nesterov ? 1 : 0, from_velocity = step.nesterov ? momentum : 1;
    for (int64_t i = begin; i < end; ++i) {
      const real gradient = g[i] + decay * w[i];
      const real v = (first ? 0 : momentum * velocity[i]) + take * gradient;
      velocity[i] = v;
      w[i] -= rate * (from_gradient * gradient + from_velocity * v);
    }
  });
}

// Adam (1412.6980, algorithm 1); with decay AdamW (1711.05101, algorithm 2).
template <class Isa>
void adam(int64_t n, real* w, const real* g, real* m, real* v, const AdamStep& step) {
  count_cost(14 * n, bytes_of(7 * n));
  const real rate = real(step.rate / step.correction1), epsilon = real(step.epsilon);
  const real shrink = real(1 - step.rate * step.decay), l2 = real(step.l2);
  const real take1 = real(1 - step.beta1), keep2 = real(step.beta2), take2 = real(1 - step.beta2);
  const real unbias = real(1 / std::sqrt(step.correction2));
  parallel_for(n, kGrain, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const real gradient = g[i] + l2 * w[i];
      const real mean = m[i] + take1 * (gradient - m[i]);
      const real square = keep2 * v[i] + take2 * gradient * gradient;
      m[i] = mean, v[i] = square;
      w[i] = shrink * w[i] - rate * mean / (std::sqrt(square) * unbias + epsilon);
    }
  });
}

// v = alpha v + (1 - alpha) g^2;  w -= rate g / (sqrt(v) + epsilon), through a velocity when there
// is momentum (Tieleman and Hinton, lecture 6.5, 2012). velocity may be null without momentum.
template <class Isa>
void rmsprop(int64_t n, real* w, const real* g, real* v, real* velocity, const RmsPropStep& step) {
  count_cost(10 * n, bytes_of(7 * n));
  parallel_for(n, kGrain, [=](int64_t begin, int64_t end) {
    const real rate = real(step.rate), decay = real(step.decay), momentum = real(step.momentum);
    const real keep = real(step.alpha), take = real(1 - step.alpha), epsilon = real(step.epsilon);
    const real inside = step.epsilon_inside ? epsilon : 0, outside = epsilon - inside;
    for (int64_t i = begin; i < end; ++i) {
      const real gradient = g[i] + decay * w[i];
      const real square = keep * v[i] + take * gradient * gradient;
      v[i] = square;
      real direction = gradient / (std::sqrt(square + inside) + outside);
      if (momentum != 0) {
        direction = velocity[i] = momentum * velocity[i] + direction;
      }
      w[i] -= rate * direction;
    }
  });
}

template <class Isa> void lerp(int64_t n, real* w, const real* target, real t) {
  count_cost(3 * n, bytes_of(3 * n));
  parallel_for(n, kGrain, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) w[i] += t * (target[i] - w[i]);
  });
}

template <class Isa> void scale(int64_t n, real* x, real factor) {
  count_cost(n, bytes_of(2 * n));
  parallel_for(n, kGrain, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) x[i] *= factor;
  });
}

}  // namespace kindling::kernel
