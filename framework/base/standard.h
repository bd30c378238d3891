// What every file stands on: the parts of the standard library that nearly all use, included once
// here so that a file lists only what is particular to it; the number type; and a clock. Page:
// docs/contributing.md
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <numbers>
#include <numeric>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kindling {

// The one floating-point type of the engine: float everywhere; the gradient checks build the same
// sources with double, because a central difference in float is only good to about 1e-3.
#ifdef KINDLING_DOUBLE
using real = double;
#else
using real = float;
#endif

inline double clock_seconds() {  // since some time in the past
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace kindling
