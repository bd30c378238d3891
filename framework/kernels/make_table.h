// Fills the table of kernels for one instruction set. Page: docs/kernels.md
//
// A tag has: name; Vec, the vector type of a register; kRegisters, how many there are; and the tile
// of the matrix product, kTileRows by kTileVectors.
#pragma once

#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "kernels/optimizer.h"
#include "kernels/rows.h"

namespace kindling {

// Which of them exist depends on the machine and the build: see dispatch.cpp.
extern const Kernels kernels_scalar, kernels_avx2, kernels_avx512;

namespace kernel {

// Whether the functions' ids are 0 .. n-1, each once.
template <class... F> consteval bool name_all(size_t n) {
  std::array<int, sizeof...(F)> times{};
  (++times[size_t(F::id)], ...);
  return times.size() == n && std::ranges::count(times, 1) == std::ssize(times);
}

template <class Isa, class... F> consteval void fill_unary(Kernels& k, std::tuple<F...>*) {
  static_assert(name_all<F...>(size_t(Unary::count_)));
  ((k.unary[size_t(F::id)] = unary_value<Isa, F>), ...);
  ((k.unary_gradient[size_t(F::id)] = unary_gradient<Isa, F>), ...);
}

template <class Isa, class... F, class... G>
consteval void fill_binary(Kernels& k, std::tuple<F...>*, std::tuple<G...>*) {
  static_assert(name_all<F..., G...>(size_t(Binary::count_)));
  ((k.binary[size_t(F::id)] = binary_value<Isa, F>), ...);
  ((k.binary[size_t(G::id)] = binary_value<Isa, G>), ...);
  ((k.binary_gradient_a[size_t(F::id)] = binary_gradient_a<Isa, F>), ...);
  ((k.binary_gradient_b[size_t(F::id)] = binary_gradient_b<Isa, F>), ...);
}

}  // namespace kernel

template <class Isa> consteval Kernels make_table() {
  using Binaries = kernel::BinaryFunctions<Isa>;
  Kernels k{};
  k.name = Isa::name;
  kernel::fill_unary<Isa>(k, static_cast<typename kernel::UnaryFunctions<Isa>::All*>(nullptr));
  kernel::fill_binary<Isa>(k, static_cast<typename Binaries::Smooth*>(nullptr),
                           static_cast<typename Binaries::Comparisons*>(nullptr));
  k.where = kernel::where<Isa>;
  k.sum_of_two = kernel::sum_of_two<Isa>;
  k.dropout_mask = kernel::dropout_mask<Isa>;
  k.reduce_sum = kernel::reduce_sum<Isa>;
  k.reduce_max = kernel::reduce_max<Isa>;
  k.repeat = kernel::repeat<Isa>;
  k.sum_of_squares = kernel::sum_of_squares<Isa>;
  k.logsumexp = kernel::logsumexp<Isa>;
  k.softmax = kernel::softmax<Isa>;
  k.softmax_gradient = kernel::softmax_gradient<Isa>;
  k.log_softmax = kernel::log_softmax<Isa>;
  k.log_softmax_gradient = kernel::log_softmax_gradient<Isa>;
  k.cross_entropy = kernel::cross_entropy<Isa>;
  k.cross_entropy_gradient = kernel::cross_entropy_gradient<Isa>;
  k.layer_norm = kernel::layer_norm<Isa>;
  k.layer_norm_gradient = kernel::layer_norm_gradient<Isa>;
  k.gather_rows = kernel::gather_rows<Isa>;
  k.scatter_rows = kernel::scatter_rows<Isa>;
  k.strided_copy = kernel::strided_copy<Isa>;
  k.strided_add = kernel::strided_add<Isa>;
  k.gemm = kernel::gemm<Isa>;
  k.fma_chains = kernel::fma_chains<Isa>;
  k.sgd = kernel::sgd<Isa>;
  k.adam = kernel::adam<Isa>;
  k.rmsprop = kernel::rmsprop<Isa>;
  k.lerp = kernel::lerp<Isa>;
  k.scale = kernel::scale<Isa>;
  return k;
}

}  // namespace kindling
