// The kernels for x86-64 with AVX2 and FMA (2013 on). Page: docs/kernels.md
#include "base/standard.h"

namespace {

struct Isa {
  static constexpr const char* name = "avx2";
  using Vec = kindling::real __attribute__((vector_size(32)));
  static constexpr int kRegisters = 16;
};

}  // namespace

#include "kernels/make_table.h"

constinit const kindling::Kernels kindling::kernels_avx2 = kindling::kernel::kTable;
