// Gradients against central differences. Only the double build can be this strict: in float a
// difference is good to about 1e-3. Page: docs/autograd.md
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ops/ops.h"

using Tensors = std::vector<kindling::Tensor>;
using Function = std::function<kindling::Tensor(const Tensors&)>;

// Checks the gradients of f at these inputs. With a random R the number L = sum(f(x) R) depends on
// every element of f, so one backward tests the whole of it. For each input, dL/dx from backward is
// compared with (L(x + h v) - L(x - h v)) / 2h along random directions v, and for inputs of up to
// 64 elements along each element. Returns what is wrong, with both sides, or an empty text when
// max|a - b| / max|b| is at most 1e-6 everywhere. A gradient that is zero on both sides is a
// failure too: such a row would test nothing. f must give the same result for the same inputs.
std::string gradient_problems(const Function& f, const Tensors& inputs, kindling::Random& random);
