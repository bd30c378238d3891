// Tensors as text, for people. Page: docs/tensor.md
#pragma once

#include "tensor/tensor.h"

namespace kindling {

// As NumPy prints: "[[1.  2. ]\n [3.  4.5]]": nested brackets, columns aligned, at most `precision`
// digits after the point and scientific notation where the range needs it; above 1,000 elements
// only the first and last three of each dimension, with "..." between.
std::string to_string(const Tensor& tensor, int precision = 4);
std::string to_string(const Indices& indices);

}  // namespace kindling
