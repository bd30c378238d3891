// Which instruction set runs: chosen once, by the first call of a kernel. Page: docs/kernels.md
#pragma once

#include "kernels/table.h"

namespace kindling {

namespace detail {
extern constinit const Kernels* chosen_kernels;
const Kernels& choose_kernels();
}  // namespace detail

// The kernels of the widest instruction set this machine has; KINDLING_ISA=NAME overrides it.
inline const Kernels& kernels() {
  return detail::chosen_kernels ? *detail::chosen_kernels : detail::choose_kernels();
}

// Names of the sets that are compiled in and run here, the narrowest first: "scalar", "avx2", ...
std::vector<std::string> available_isas();
// Switches to one of them (lessons: --isa NAME). Throws UsageError with the names there are.
void set_isa(const std::string& name);

}  // namespace kindling
