// libxsmm: kernels made at run time for one size, and used as they are meant: for small products,
// or in a loop over blocks of rows where K and N are short.
#include <libxsmm.h>

#include "batch.h"

using namespace kindling::bench;

namespace {

std::string describe() {
  libxsmm_init();
  return std::string("libxsmm ") + LIBXSMM_VERSION + " (" + libxsmm_get_target_arch() + ")";
}

std::vector<Contender> gemm(const Gemm& p) {
  if (p.transpose_a || p.transpose_b || p.K > 288 || p.N > 256) return {};
  // Blocks of rows are a batch that shares B.
  const int rows = p.batch == 1 && p.M % 32 == 0 ? 32 : p.M;
  const int blocks = p.batch == 1 ? p.M / rows : p.batch, flags = LIBXSMM_GEMM_FLAG_NONE;
  const int64_t a = int64_t{rows} * p.K, b = p.batch == 1 ? 0 : int64_t{p.K} * p.N;
  const int64_t c = int64_t{rows} * p.N;
  const float one = 1, zero = 0;
  const auto kernel =
      libxsmm_smmdispatch(p.N, rows, p.K, &p.N, &p.K, &p.N, &one, &zero, &flags, nullptr);
  if (!kernel) return {};
  return {{"libxsmm", [=] {
#pragma omp parallel for schedule(static)
             for (int i = 0; i < blocks; ++i) kernel(p.b + i * b, p.a + i * a, p.c + i * c);
           }}};
}

}  // namespace

const Peer kindling_peer = {describe, gemm, nullptr};
