// The kernels for x86-64 with AVX-512 F, BW, DQ and VL (2017 on). Page: docs/kernels.md
#include "base/standard.h"

namespace {

struct Isa {
  static constexpr const char* name = "avx512";
  using Vec = kindling::real __attribute__((vector_size(64)));
  static constexpr int kRegisters = 32;
};

}  // namespace

#include "kernels/make_table.h"

constinit const kindling::Kernels kindling::kernels_avx512 = kindling::kernel::kTable;
