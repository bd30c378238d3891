// Drawing the graph: a walk over its edges, and the program `dot`. Page: docs/autograd.md
#include "autograd/graphviz.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cstdio>
#include <fstream>
#include <set>

#include "autograd/node.h"

namespace kindling {
namespace {

constexpr size_t kLargest = 100'000;  // bytes of DOT for an SVG: dot takes minutes for more

// A node: a leaf with its name or parameter path, an operation with its name in the code; below it
// the shape, and the name of a result.
std::string drawn(const Node& node, std::string name) {
  std::string label = node.op;
  if (node.leaf()) {
    const std::string& path = static_cast<const Leaf&>(node).name;
    label = std::exchange(name, "");
    if (label.empty()) label = path.empty() ? "leaf" : path;
  }
  if (node.shape.rank() > 0) label += fmt::format("\n{}", node.shape);
  if (!name.empty()) label += '\n' + name;
  // DOT reads a backslash as the start of an escape and a quote as the end of the text.
  std::string escaped;
  for (const char c : label) {
    if (c == '"' || c == '\\') escaped += '\\';
    c == '\n' ? escaped += "\\n" : escaped += c;
  }
  return fmt::format(
      "  n{} [label=\"{}\"{}];\n", node.id, escaped,
      node.leaf() ? ", shape=ellipse, fillcolor=\"#ffe8c8\", color=\"#d98c21\"" : "");
}

// Runs `dot` without a shell; false when it is not installed or fails.
bool run_dot(std::string dot_file, const std::string& svg_file) {
  std::string program = "dot", format = "-Tsvg", output = "-o" + svg_file;
  char* argv[] = {program.data(), format.data(), output.data(), dot_file.data(), nullptr};
  pid_t child = 0;
  int status = 0;
  return posix_spawnp(&child, "dot", nullptr, nullptr, argv, environ) == 0 &&
         waitpid(child, &status, 0) == child && status == 0;
}

}  // namespace

std::string to_dot(const Tensor& result, const TensorNames& names) {
  Node* const root = node_of(result);
  ENSURE(root && !root->used, "to_dot: there is no graph behind this tensor: {}",
         root ? "backward has used and freed it; draw it before"
              : "none of its inputs requires a gradient, or it was computed under NoGrad");
  std::string text =
      "digraph kindling {\n  rankdir=LR;\n  bgcolor=\"white\";\n"
      "  node [shape=box, style=\"rounded,filled\", fillcolor=\"#dcebf7\", color=\"#3b76a8\", "
      "fontname=\"Helvetica,Arial,sans-serif\", fontsize=11, margin=\"0.12,0.06\"];\n"
      "  edge [color=\"#606060\", arrowsize=0.7];\n";
  std::vector<Node*> waiting = {root};
  std::set<const Node*> seen = {root};
  while (!waiting.empty()) {
    Node& node = *waiting.back();
    waiting.pop_back();
    std::string name;
    for (const auto& [tensor, its_name] : names) {
      if (node_of(tensor) == &node) name = its_name;
    }
    text += drawn(node, name);
    for (const Edge& edge : node.edges()) {
      if (!edge.node) continue;
      text += fmt::format("  n{} -> n{};\n", edge.node->id, node.id);
      if (seen.insert(edge.node.get()).second) waiting.push_back(edge.node.get());
    }
  }
  return text + "}\n";
}

std::string draw_graph(const Tensor& result, const std::string& path, const TensorNames& names) {
  const std::string text = to_dot(result, names);
  const std::string dot_file = path + ".dot", svg_file = path + ".svg";
  std::ofstream out(dot_file);
  out << text << std::flush;
  ENSURE(out, "draw_graph: cannot write {}", dot_file);
  if (text.size() > kLargest) return dot_file + " (no SVG: the graph is too large to look at)";
  if (run_dot(dot_file, svg_file)) return svg_file;
  std::remove(svg_file.c_str());
  return dot_file + " (no SVG: that needs the program dot of graphviz)";
}

}  // namespace kindling
