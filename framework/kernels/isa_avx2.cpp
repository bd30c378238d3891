// The kernels for x86-64 with AVX2 and FMA (2013 on). Page: docs/kernels.md
#include "kernels/types.h"

using Isa = kindling::InstructionSet<32, 16>;

#include "kernels/make_table.h"

constinit const kindling::Kernels kindling::kernels_avx2 = kindling::kernel::table_of("avx2");
