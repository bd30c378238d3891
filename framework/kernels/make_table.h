// Fills the table of kernels for one instruction set. Page: docs/kernels.md
//
// The file that includes this has defined the set's tag, Isa: its name; Vec, the vector type of a
// register; and kRegisters, how many there are. It lies in an anonymous namespace, so that each
// file has its own.
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
static consteval Kernels make_table(std::index_sequence<U...>, std::index_sequence<B...>,
                                    std::index_sequence<S...>) {
  // clang-format off
  return {
      Isa::name, {unary<Unary(U)>...}, {unary_gradient<Unary(U)>...}, {binary<Binary(B)>...},
      {{binary_gradient<Binary(S), Want::da>...}, {binary_gradient<Binary(S), Want::db>...}},
      where, lerp, dropout_mask, strided_copy, strided_add, reduce_sum, reduce_max,
      sum_of_squares, softmax, softmax_gradient, cross_entropy, cross_entropy_gradient, layer_norm,
      layer_norm_gradient, batch_statistics, batch_norm, batch_norm_gradient, gather_rows,
      scatter_rows, gemm, conv, conv_input_gradient, conv_weight_gradient, max_pool,
      max_pool_gradient, attention, attention_gradient, sgd, adam, rmsprop, fma_chains};
  // clang-format on
}
constexpr Kernels kTable =
    make_table(UpTo<Unary::count_>(), UpTo<Binary::count_>(), UpTo<Binary::add>());

}  // namespace kindling::kernel
