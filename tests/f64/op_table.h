// What a row of the op table is made of: an operation and how its inputs are drawn.
#pragma once

#include <vector>

#include "f64/gradcheck.h"

// Draws one input at random.
struct Draw {
  kindling::Shape shape;
  double low = -2, high = 2;
  std::vector<double> kinks = {};  // elements stay kGap away from these
  int lattice = -1;                // 0, 1: distinct elements, of two interleaved lattices

  kindling::Tensor operator()(kindling::Random& random) const;
};

// A difference is taken over 2e-5, so a kink or a tie that is this far away is never crossed.
inline constexpr double kGap = 1e-2;

inline Draw any(const kindling::Shape& shape) { return {shape}; }
inline Draw positive(const kindling::Shape& shape) { return {shape, 0.5, 2}; }
inline Draw away_from(const std::vector<double>& kinks, const kindling::Shape& shape) {
  return {shape, -2, 2, kinks};
}
// No two elements are nearer than 0.04; nor are those of an `even` and an `odd` input.
inline Draw even(const kindling::Shape& shape) { return {shape, 0, 0, {}, 0}; }
inline Draw odd(const kindling::Shape& shape) { return {shape, 0, 0, {}, 1}; }

// The first word of the name is the operation: `make check` wants one row for each.
struct Row {
  const char* name;
  std::vector<Draw> inputs;
  Function f;
};

// Fails the running test for each row whose gradients are wrong, printing both sides.
void check_row(const Row& row);
