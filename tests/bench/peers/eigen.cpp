// Eigen, compiled for the instructions of this machine.
#include <Eigen/Core>

#include "batch.h"

using namespace kindling::bench;

namespace {

using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Input = Eigen::Map<const RowMajor>;

std::string describe() {
  return "eigen " + std::to_string(EIGEN_WORLD_VERSION) + "." +
         std::to_string(EIGEN_MAJOR_VERSION) + "." + std::to_string(EIGEN_MINOR_VERSION) + " (" +
         Eigen::SimdInstructionSetsInUse() + ")";
}

std::vector<Contender> gemm(const Gemm& p) {
  return {{"eigen", batched(p, [=](const float* a, const float* b, float* c) {
             Eigen::Map<RowMajor> to(c, p.M, p.N);
             const Input A(a, p.transpose_a ? p.K : p.M, p.transpose_a ? p.M : p.K);
             const Input B(b, p.transpose_b ? p.N : p.K, p.transpose_b ? p.K : p.N);
             if (p.transpose_a) {
               to.noalias() = A.transpose() * B;
             } else if (p.transpose_b) {
               to.noalias() = A * B.transpose();
             } else {
               to.noalias() = A * B;
             }
           })}};
}

}  // namespace

const Peer kindling_peer = {describe, gemm, nullptr};
