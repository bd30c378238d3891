// The recorded graph as a drawing: DOT, the language of Graphviz. Page: docs/autograd.md
#pragma once

#include "autograd/node.h"

namespace kindling {

// Names for a drawing: of leaves, and, below the operation, of results ("z = 2.73").
using TensorNames = std::vector<std::pair<Tensor, std::string>>;

// The graph behind `result` in DOT: operations as boxes with the shape of what they give, leaves as
// ellipses with their name or parameter path; inputs without a gradient are left out. Throws when
// there is no graph: before the forward, or after backward, which frees it.
std::string to_dot(const Tensor& result, const TensorNames& names = {});

// Writes PATH.dot and, where the program `dot` is installed and the graph is small enough to look
// at (100 KB of DOT, over 1,000 nodes), PATH.svg. Returns what was written, or why there is no SVG,
// for the caller to print.
std::string draw_graph(const Tensor& result, const std::string& path,
                       const TensorNames& names = {});

}  // namespace kindling
