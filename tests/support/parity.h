// Operations against the results that PyTorch gave, which tests/golden/ops.py wrote to ops.txt.
#pragma once

#include <functional>
#include <vector>

#include "ops/ops.h"

using Tensors = std::vector<kindling::Tensor>;

// What PyTorch computed as `name` ("add/row"), as a function of the inputs x0, x1, ...
struct ParityCase {
  const char* name;
  std::function<kindling::Tensor(const Tensors&)> f;
};

// The array NAME/indices of a case.
kindling::Indices golden_indices(const char* name);

// Compares, on every instruction set of this machine, the result of each case and the gradients of
// its inputs with PyTorch's: max|a - b| / max|b| must be below 1e-5 for each. (A float keeps 6e-8
// of a number, sums have up to 50 terms here, and a vector exp may be 2 units off.) Fails the
// running test with the case and the error; fails, too, when ops.txt has a case of these operations
// that is not given, so that none is forgotten.
void check_parity(const std::vector<ParityCase>& cases);
