// The parts of the standard library that nearly every file uses, included once here so that a file
// lists only what is particular to it. Page: docs/contributing.md
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>
