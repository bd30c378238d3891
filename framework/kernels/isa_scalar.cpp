// The kernels for any machine: what the compiler makes without flags (SSE2 on x86-64). Page:
// docs/kernels.md
#include "base/standard.h"

namespace {

struct Isa {
  static constexpr const char* name = "scalar";
  using Vec = kindling::real __attribute__((vector_size(16)));
  static constexpr int kRegisters = 16;
};

}  // namespace

#include "kernels/make_table.h"

constinit const kindling::Kernels kindling::kernels_scalar = kindling::kernel::kTable;
