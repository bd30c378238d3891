// Walking the graph backwards. The calls a reader makes are members of Tensor: set_requires_grad,
// grad, zero_grad and backward are defined in backward.cpp. Page: docs/autograd.md
#pragma once

#include <functional>

#include "autograd/node.h"

namespace kindling {

// Called for every node a backward of this thread visits, with the gradient of the node's result,
// before the node passes it on: lesson 01 steps through a graph with it. Null switches it off.
using Visit = std::function<void(const Node& node, const Tensor& gradient)>;
void on_backward_visit(Visit visit);

// Module parameters that a backward of this thread gave a gradient while no optimizer owned them;
// empties the list. Optimizers ask once, on their first step.
std::vector<Ref<Leaf>> take_unowned_parameters();

}  // namespace kindling
