// The table of kernels: every loop over elements that an operation runs, once for each instruction
// set, and which table is used. A kernel shares its work between threads itself (parallel_for) and
// adds its cost to running_cost. Page: docs/kernels.md
#pragma once

#include "kernels/reference.h"

namespace kindling {

struct Kernels {
  const char* name;  // of the instruction set

  using UnaryGradient = void (*)(int64_t n, const real* gy, const real* x, const real* y, real* gx,
                                 real p, real q);  // gx = gy f'(x); gx may be gy
  using BinaryValue = void (*)(const Broadcast& walk, const real* a, const real* b, real* y);
  using BinaryGradient = void (*)(const Broadcast& walk, const real* gy, const real* a,
                                  const real* b, real* g);  // g = gy df/da (or db), shape of y
  std::array<UnaryValue, size_t(Unary::count_)> unary;
  std::array<UnaryGradient, size_t(Unary::count_)> unary_gradient;
  std::array<BinaryValue, size_t(Binary::count_)> binary;
  std::array<BinaryGradient, size_t(Binary::add)> binary_gradient[2];  // by a and by b

  // The others are called as their twins, which say what they give.
  decltype(&reference::where) where;
  decltype(&reference::lerp) lerp;
  decltype(&reference::dropout_mask) dropout_mask;
  decltype(&reference::strided_copy) strided_copy;
  decltype(&reference::strided_add) strided_add;
  decltype(&reference::reduce_sum) reduce_sum;
  decltype(&reference::reduce_max) reduce_max;
  decltype(&reference::sum_of_squares) sum_of_squares;
  decltype(&reference::softmax) softmax;
  decltype(&reference::softmax_gradient) softmax_gradient;
  decltype(&reference::cross_entropy) cross_entropy;
  decltype(&reference::cross_entropy_gradient) cross_entropy_gradient;
  decltype(&reference::layer_norm) layer_norm;
  decltype(&reference::layer_norm_gradient) layer_norm_gradient;
  decltype(&reference::batch_statistics) batch_statistics;
  decltype(&reference::batch_norm) batch_norm;
  decltype(&reference::batch_norm_gradient) batch_norm_gradient;
  decltype(&reference::gather_rows) gather_rows;
  decltype(&reference::scatter_rows) scatter_rows;
  decltype(&reference::gemm) gemm;
  decltype(&reference::conv) conv;
  decltype(&reference::conv_input_gradient) conv_input_gradient;
  decltype(&reference::conv_weight_gradient) conv_weight_gradient;
  decltype(&reference::max_pool) max_pool;
  decltype(&reference::max_pool_gradient) max_pool_gradient;
  decltype(&reference::attention) attention;
  decltype(&reference::attention_gradient) attention_gradient;
  decltype(&reference::sgd) sgd;
  decltype(&reference::adam) adam;
  decltype(&reference::rmsprop) rmsprop;

  // Multiply-adds that wait for nothing: what a core can do at best. Does `flops` operations, a
  // multiple of 384 = 2 x 12 chains x the widest vector; use the result, or they are left out.
  real (*fma_chains)(int64_t flops);
};

// Which of them are compiled in depends on the machine and the build: see dispatch.cpp.
extern const Kernels kernels_scalar, kernels_avx2, kernels_avx512, kernels_neon;

namespace detail {
extern constinit std::atomic<const Kernels*> chosen_kernels;
const Kernels& choose_kernels();
}  // namespace detail

// The kernels of the widest instruction set this machine has; KINDLING_ISA=NAME overrides it.
inline const Kernels& kernels() {
  const Kernels* chosen = detail::chosen_kernels.load(std::memory_order_relaxed);
  return chosen ? *chosen : detail::choose_kernels();
}

// Names of the sets that are compiled in and run here, the narrowest first: "scalar", "avx2", ...
std::vector<std::string> available_isas();
// Switches to one of them (lessons: --isa NAME). Throws UsageError with the names there are.
void set_isa(const std::string& name);

}  // namespace kindling
