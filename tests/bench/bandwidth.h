// Loops that only move memory, in the widest registers an instruction set has: the limit of what
// reads and writes more than it computes. n is a multiple of 64, pointers are aligned to 64 bytes.
#pragma once

#include <cstdint>
#include <string>

namespace kindling::bench {

struct Bandwidth {
  float (*read)(int64_t n, const float* x);                            // their sum
  void (*copy)(int64_t n, const float* x, float* y);                   // y = x
  void (*triad)(int64_t n, const float* x, const float* z, float* y);  // y = x + 3 z
};
const Bandwidth& bandwidth(const std::string& isa);

}  // namespace kindling::bench
