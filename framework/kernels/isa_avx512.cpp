// The kernels for x86-64 with AVX-512 F, BW, DQ and VL (2017 on). Page: docs/kernels.md
#include "kernels/types.h"

using Isa = kindling::InstructionSet<64, 32>;

#include "kernels/make_table.h"

constinit const kindling::Kernels kindling::kernels_avx512 = kindling::kernel::table_of("avx512");
