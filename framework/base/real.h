// The one floating-point type of the engine. Page: docs/tensor.md
#pragma once

#include "base/standard.h"

namespace kindling {

// float everywhere; the gradient checks build the same sources with double, because a central
// difference in float is only good to about 1e-3.
#ifdef KINDLING_DOUBLE
using real = double;
#else
using real = float;
#endif

}  // namespace kindling
