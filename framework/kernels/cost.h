// What a kernel costs: floating-point operations and bytes it has to move. Page: docs/autograd.md
#pragma once

#include "base/standard.h"

namespace kindling {

struct Cost {
  int64_t flops = 0;
  int64_t bytes = 0;
};

// Where kernels add what they do; null unless somebody measures (autograd/profile.h).
extern constinit thread_local Cost* running_cost;

inline void count_cost(int64_t flops, int64_t bytes) {
  if (running_cost) running_cost->flops += flops, running_cost->bytes += bytes;
}

}  // namespace kindling
