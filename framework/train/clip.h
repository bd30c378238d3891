// Gradient clipping. Page: docs/optim.md
#pragma once

#include "autograd/node.h"
#include "kernels/dispatch.h"
#include "nn/module.h"

namespace kindling {

// Scales all gradients by max_norm / (norm + 1e-6) when their common norm is above max_norm
// (1211.5063, section 3.2); returns the norm before. Throws, naming the parameter, when a gradient
// is not finite, and then none was changed.
inline double clip_gradients(const std::vector<NamedTensor>& parameters, double max_norm) {
  ENSURE(max_norm > 0, "clip_gradients: max_norm must be above 0, not {}", max_norm);
  std::vector<NamedTensor> gradients;
  std::vector<std::span<const real>> arrays;
  for (const NamedTensor& p : parameters) {
    const Leaf* leaf = leaf_of(p.tensor);
    if (leaf == nullptr || !leaf->gradient.defined()) continue;
    gradients.push_back({p.name, leaf->gradient, p.kind});
    arrays.push_back(leaf->gradient.values());
  }
  const double squares = kernels().sum_of_squares(arrays);
  for (const NamedTensor& g : gradients) {
    ENSURE(std::isfinite(squares) ||
               std::isfinite(kernels().sum_of_squares(std::array{g.tensor.values()})),
           "clip_gradients: the gradient of {} {} is not finite", g.name, g.tensor.shape());
  }
  const double norm = std::sqrt(squares), factor = max_norm / (norm + 1e-6);
  if (factor < 1) {
    for (NamedTensor& g : gradients) {
      real* x = g.tensor.mutable_data();
      kernels().unary[size_t(Unary::affine)](g.tensor.size(), x, x, real(factor), 0);
    }
  }
  return norm;
}

}  // namespace kindling
