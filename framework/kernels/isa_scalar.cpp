// The kernels for any machine: what the compiler makes without flags (SSE2 on x86-64). Page:
// docs/kernels.md
#include "kernels/types.h"

using Isa = kindling::InstructionSet<16, 16>;

#include "kernels/make_table.h"

constinit const kindling::Kernels kindling::kernels_scalar = kindling::kernel::table_of("scalar");
