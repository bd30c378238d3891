// How bright a colour looks, for tests of colour maps.
#pragma once
#include <cmath>

#include "01-graph/chart.h"

// Relative luminance of an sRGB colour (the standard's 2.4-power curve, without its linear foot).
inline double luminance(lesson01::Rgb c) {
  const auto linear = [](uint8_t byte) { return std::pow(byte / 255.0, 2.2); };
  return 0.2126 * linear(c.r) + 0.7152 * linear(c.g) + 0.0722 * linear(c.b);
}
