// The kernels for any machine: what the compiler makes without flags (SSE2 on x86-64). Page:
// docs/kernels.md
#include "kernels/make_table.h"

namespace kindling {
namespace {

struct Scalar {
  static constexpr const char* name = "scalar";
  using Vec = real __attribute__((vector_size(16)));
  static constexpr int kRegisters = 16, kTileRows = 4, kTileVectors = 2;
};

}  // namespace

constinit const Kernels kernels_scalar = make_table<Scalar>();

}  // namespace kindling
