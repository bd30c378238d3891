// Optimizers as obvious loops; see reference.h. Page: docs/optim.md
#include "kernels/reference.h"

namespace kindling::reference {

void sgd(std::span<const ParameterStep> all, const SgdOptions& options) {
  for (const ParameterStep& p : all) {
    for (int64_t i = 0; i < p.n; ++i) {
      double direction = p.g[i] + p.decay * p.w[i];
      if (options.momentum != 0) {
        const double v = options.momentum * p.state[0][i] + direction;
        p.state[0][i] = real(v);
        direction = options.nesterov ? direction + options.momentum * v : v;
      }
      p.w[i] = real(p.w[i] - p.rate * direction);
    }
  }
}

void adam(std::span<const ParameterStep> all, const AdamOptions& options) {
  const double beta1 = options.beta1, beta2 = options.beta2;
  for (const ParameterStep& p : all) {
    for (int64_t i = 0; i < p.n; ++i) {
      const double gradient = options.decoupled ? double(p.g[i]) : p.g[i] + p.decay * p.w[i];
      const double mean = beta1 * p.state[0][i] + (1 - beta1) * gradient;
      const double square = beta2 * p.state[1][i] + (1 - beta2) * gradient * gradient;
      p.state[0][i] = real(mean), p.state[1][i] = real(square);
      double mean_now = mean, square_now = square;
      if (options.bias_correction) {
        mean_now /= 1 - std::pow(beta1, double(p.t));
        square_now /= 1 - std::pow(beta2, double(p.t));
      }
      const double decay = options.decoupled ? p.decay * p.w[i] : 0;
      const double direction = mean_now / (std::sqrt(square_now) + options.epsilon) + decay;
      p.w[i] = real(p.w[i] - p.rate * direction);
    }
  }
}

void rmsprop(std::span<const ParameterStep> all, const RmsPropOptions& options) {
  for (const ParameterStep& p : all) {
    for (int64_t i = 0; i < p.n; ++i) {
      const double gradient = p.g[i] + p.decay * p.w[i];
      const double square =
          options.alpha * p.state[0][i] + (1 - options.alpha) * gradient * gradient;
      p.state[0][i] = real(square);
      double direction =
          gradient / (options.epsilon_inside_root ? std::sqrt(square + options.epsilon)
                                                  : std::sqrt(square) + options.epsilon);
      if (options.momentum != 0) {
        direction += options.momentum * p.state[1][i];
        p.state[1][i] = real(direction);
      }
      p.w[i] = real(p.w[i] - p.rate * direction);
    }
  }
}

void lerp(int64_t n, real* w, const real* target, real t) {
  for (int64_t i = 0; i < n; ++i) w[i] += t * (target[i] - w[i]);
}

}  // namespace kindling::reference
