// Averaged weights, which are often better than the last ones. Page: docs/optim.md
#pragma once

#include "kernels/dispatch.h"
#include "nn/module.h"

namespace kindling {

// Averages of a module's parameters and buffers: average = decay average + (1 - decay) value.
class Ema {
 public:
  Ema(Module& module, double decay)  // starts as a copy; 0 <= decay < 1
      : values_(named_tensors(module)), shadow_(values_), decay_(decay) {
    ENSURE(decay >= 0 && decay < 1, "ema: decay {} must be at least 0 and below 1", decay);
    for (NamedTensor& s : shadow_) s.tensor = s.tensor.clone();
  }

  void update() {  // after optimizer.step()
    for (size_t i = 0; i < values_.size(); ++i) {
      Tensor& average = shadow_[i].tensor;
      const real* value = values_[i].tensor.data();
      kernels().lerp(average.size(), average.mutable_data(), value, real(1 - decay_));
    }
  }

  // Exchanges the module's values with the averages; a second call exchanges them back.
  void swap() {
    for (size_t i = 0; i < values_.size(); ++i) {
      Tensor &value = values_[i].tensor, &average = shadow_[i].tensor;
      std::swap_ranges(value.mutable_data(), value.mutable_data() + value.size(),
                       average.mutable_data());
    }
  }

  const std::vector<NamedTensor>& shadow() const { return shadow_; }

 private:
  std::vector<NamedTensor> values_, shadow_;
  double decay_;
};

}  // namespace kindling
