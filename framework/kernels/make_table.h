// Fills the table of kernels for one instruction set. Page: docs/kernels.md
//
// A tag has: name; Vec, the vector type of a register; kRegisters, how many there are; and the tile
// of the matrix product, kTileRows by kTileVectors.
#pragma once

#include "kernels/dispatch.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "kernels/optimizer.h"
#include "kernels/rows.h"

namespace kindling {

// Which of them exist depends on the machine and the build: see dispatch.cpp.
extern const Kernels kernels_scalar, kernels_avx2, kernels_avx512;

namespace kernel {

template <auto count> using UpTo = std::make_index_sequence<size_t(count)>;

// In the order of the table; U, B and S count its functions of one and two numbers, and slopes.
template <class Isa, size_t... U, size_t... B, size_t... S>
consteval Kernels make_table(std::index_sequence<U...>, std::index_sequence<B...>,
                             std::index_sequence<S...>) {
  // clang-format off
  return {
      Isa::name, {unary<Isa, Unary(U)>...}, {unary_gradient<Isa, Unary(U)>...},
      {binary<Isa, Binary(B)>...}, {{binary_gradient<Isa, Binary(S), Want::da>...},
      {binary_gradient<Isa, Binary(S), Want::db>...}}, where<Isa>, lerp<Isa>, scale<Isa>,
      dropout_mask<Isa>, strided_copy<Isa>, strided_add<Isa>, reduce_sum<Isa>, reduce_max<Isa>,
      sum_of_squares<Isa>, softmax<Isa>, softmax_gradient<Isa>, cross_entropy<Isa>,
      cross_entropy_gradient<Isa>, layer_norm<Isa>, layer_norm_gradient<Isa>, gather_rows<Isa>,
      scatter_rows<Isa>, gemm<Isa>, sgd<Isa>, adam<Isa>, rmsprop<Isa>, lars<Isa>, fma_chains<Isa>};
  // clang-format on
}

}  // namespace kernel

template <class Isa> consteval Kernels make_table() {
  using namespace kernel;
  return make_table<Isa>(UpTo<Unary::count_>(), UpTo<Binary::count_>(), UpTo<Binary::add>());
}

}  // namespace kindling
