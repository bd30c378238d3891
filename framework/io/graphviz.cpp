// Drawing the graph. Page: docs/autograd.md
#include "io/graphviz.h"

#include "io/file.h"

namespace kindling {

std::string to_dot(const Tensor& result, const TensorNames& names) {
  const Node* root = node_of(result);
  ENSURE(root && !root->used, "to_dot: there is no graph behind this tensor: {}",
         root ? "backward has used and freed it; draw it before"
              : "none of its inputs requires a gradient, or it was computed under NoGrad");
  std::string text =
      "digraph kindling {\n  rankdir=LR;\n  bgcolor=\"white\";\n"
      "  node [shape=box, style=\"rounded,filled\", fillcolor=\"#dcebf7\", color=\"#3b76a8\", "
      "fontname=\"Helvetica,Arial,sans-serif\", fontsize=11, margin=\"0.12,0.06\"];\n"
      "  edge [color=\"#606060\", arrowsize=0.7];\n";
  std::map<uint64_t, const Node*, std::greater<>> nodes = {{root->id, root}};
  for (const auto& [id, node] : nodes) {  // which grows: inputs have lower ids, so they come later
    const Leaf* leaf = node->leaf() ? static_cast<const Leaf*>(node) : nullptr;
    std::string title = leaf && !leaf->name.empty() ? leaf->name : node->op;
    std::string below = node->shape.rank() > 0 ? "\n" + node->shape.str() : "";
    for (const auto& [tensor, name] : names) {
      if (node_of(tensor) == node) leaf ? title = name : below += "\n" + name;
    }
    // {:?} escapes quotes, backslashes and line ends as DOT wants it.
    text += fmt::format("  n{} [label={:?}{}];\n", id, title + below,
                        leaf ? ", shape=ellipse, fillcolor=\"#ffe8c8\", color=\"#d98c21\"" : "");
    for (const Edge& edge : node->edges) {
      if (!edge.node) continue;
      text += fmt::format("  n{} -> n{};\n", edge.node->id, id);
      nodes.emplace(edge.node->id, edge.node.get());
    }
  }
  return text + "}\n";
}

std::string draw_graph(const Tensor& result, const std::string& path, const TensorNames& names) {
  constexpr size_t kLargest = 100'000;  // bytes of DOT for an SVG: dot takes minutes for more
  const std::string text = to_dot(result, names), dot = path + ".dot", svg = path + ".svg";
  write_file(dot, text);
  if (text.size() > kLargest) return dot + " (no SVG: the graph is too large to look at)";
  // The shell takes what a variable holds as it is, whatever characters are in it.
  setenv("KINDLING_GRAPH", path.c_str(), 1);
  const char* command = "dot -Tsvg -o \"$KINDLING_GRAPH.svg\" \"$KINDLING_GRAPH.dot\" 2>/dev/null";
  if (std::system(command) == 0) return svg;
  std::remove(svg.c_str());
  return dot + " (no SVG: that needs the program dot of graphviz)";
}

}  // namespace kindling
