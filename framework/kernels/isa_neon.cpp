// The kernels for 64-bit ARM with NEON, which every such processor has. Page: docs/kernels.md
#include "base/standard.h"

namespace {

struct Isa {
  static constexpr const char* name = "neon";
  using Vec = kindling::real __attribute__((vector_size(16)));
  static constexpr int kRegisters = 32;
};

}  // namespace

#include "kernels/make_table.h"

constinit const kindling::Kernels kindling::kernels_neon = kindling::kernel::kTable;
