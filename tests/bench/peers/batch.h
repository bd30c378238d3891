// For peers without batches of their own.
#pragma once

#include "peer.h"

namespace kindling::bench {

// multiply(a, b, c) once, or for each of a batch, which the threads share.
template <class Multiply> std::function<void()> batched(const Gemm& p, const Multiply& multiply) {
  return [=] {
    if (p.batch == 1) return multiply(p.a, p.b, p.c);
    const int64_t a = int64_t{p.M} * p.K, b = int64_t{p.K} * p.N, c = int64_t{p.M} * p.N;
#pragma omp parallel for schedule(static)
    for (int i = 0; i < p.batch; ++i) multiply(p.a + i * a, p.b + i * b, p.c + i * c);
  };
}

}  // namespace kindling::bench
