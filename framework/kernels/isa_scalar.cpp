// The kernels for any machine: what the compiler makes without flags (SSE2 on x86-64). Page:
// docs/kernels.md
#include "kernels/make_table.h"

namespace {

struct Scalar {
  static constexpr const char* name = "scalar";
  using Vec = kindling::real __attribute__((vector_size(16)));
  static constexpr int kRegisters = 16, kTileRows = 4, kTileVectors = 2;
};

}  // namespace

constinit const kindling::Kernels kindling::kernels_scalar = kindling::make_table<Scalar>();
