// The kernels for 64-bit ARM with NEON, which every such processor has. Page: docs/kernels.md
#include "kernels/types.h"

using Isa = kindling::InstructionSet<16, 32>;

#include "kernels/make_table.h"

constinit const kindling::Kernels kindling::kernels_neon = kindling::kernel::table_of("neon");
