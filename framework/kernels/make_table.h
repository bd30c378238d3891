// Fills the table of kernels for one instruction set. Page: docs/kernels.md
//
// The file that includes this has named the set's tag, Isa (types.h).
#pragma once

#include "kernels/attention.h"
#include "kernels/batch_norm.h"
#include "kernels/conv.h"
#include "kernels/dispatch.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "kernels/optimizer.h"
#include "kernels/pool.h"
#include "kernels/rows.h"

namespace kindling::kernel {

template <auto count> using UpTo = std::make_index_sequence<size_t(count)>;

// In the order of the table; U, B and S count its functions of one and two numbers, and slopes.
template <size_t... U, size_t... B, size_t... S>
static consteval Kernels make_table(const char* name, std::index_sequence<U...>,
                                    std::index_sequence<B...>, std::index_sequence<S...>) {
  // clang-format off
  return {
      name, {unary<Unary(U)>...}, {unary_gradient<Unary(U)>...}, {binary<Binary(B)>...},
      {{binary_gradient<Binary(S), Want::da>...}, {binary_gradient<Binary(S), Want::db>...}},
      where, lerp, dropout_mask, strided_copy, strided_add, reduce_sum, reduce_max,
      sum_of_squares, softmax, softmax_gradient, cross_entropy, cross_entropy_gradient, layer_norm,
      layer_norm_gradient, batch_statistics, batch_norm, batch_norm_gradient, gather_rows,
      scatter_rows, gemm, conv, conv_input_gradient, conv_weight_gradient, max_pool,
      max_pool_gradient, attention, attention_gradient, sgd, adam, rmsprop, fma_chains};
  // clang-format on
}
static consteval Kernels table_of(const char* name) {
  return make_table(name, UpTo<Unary::count_>(), UpTo<Binary::count_>(), UpTo<Binary::add>());
}

}  // namespace kindling::kernel
