// Tests of framework/io/graphviz: what is drawn, once, and how it is written.
#include "io/graphviz.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <regex>

#include "autograd/node.h"
#include "base/check.h"
#include "nn/layers.h"
#include "ops/ops.h"
#include "support/catch.h"
#include "support/command.h"
#include "support/skip.h"

using namespace kindling;
namespace fs = std::filesystem;

namespace {

// Ids replaced by their order: "n5 -> n7" becomes "n1 -> n2" whatever was recorded before.
std::string renumbered(const std::string& dot) {
  std::vector<int> ids;
  const std::regex id("\\bn(\\d+)");
  for (std::sregex_iterator i(dot.begin(), dot.end(), id), end; i != end; ++i) {
    ids.push_back(std::stoi((*i)[1]));
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  std::string text = dot;
  for (size_t i = 0; i < ids.size(); ++i) {
    text = std::regex_replace(text, std::regex(fmt::format("\\bn{}\\b", ids[i])),
                              fmt::format("N{}", i + 1));
  }
  return text;
}

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

Tensor leaf(const Shape& shape) {
  Tensor x = ones(shape);
  return x.set_requires_grad();
}

}  // namespace

TEST_CASE("graphviz: operations, leaves and edges from inputs to results", "[graphviz]") {
  const Tensor x = leaf({}), y = leaf({2});
  const Tensor s = sin(x), z = mul(s, y);
  const std::string dot = renumbered(to_dot(z, {{x, "x = 1"}}));
  CHECK_THAT(dot, Catch::Matchers::StartsWith("digraph kindling {\n"));
  CHECK_THAT(dot, Catch::Matchers::EndsWith("}\n"));
  CHECK_THAT(dot, ContainsSubstring("  N1 [label=\"x = 1\", shape=ellipse"));
  CHECK_THAT(dot, ContainsSubstring("  N2 [label=\"leaf\\n[2]\", shape=ellipse"));
  CHECK_THAT(dot, ContainsSubstring("  N3 [label=\"sin\"];\n"));
  CHECK_THAT(dot, ContainsSubstring("  N4 [label=\"mul\\n[2]\"];\n"));
  CHECK_THAT(dot, ContainsSubstring("  N1 -> N3;\n"));
  CHECK_THAT(dot, ContainsSubstring("  N3 -> N4;\n"));
  CHECK_THAT(dot, ContainsSubstring("  N2 -> N4;\n"));
  CHECK(count(dot, " -> ") == 3);
}

TEST_CASE("graphviz: a value used twice is drawn once, with both edges", "[graphviz]") {
  const Tensor x = leaf({});
  const Tensor u = square(x);
  const std::string dot = to_dot(u + sin(u));
  CHECK(count(dot, "label=\"square\"") == 1);
  CHECK(count(dot, "label=\"leaf\"") == 1);
  CHECK(count(dot, " -> ") == 4);
  CHECK(count(to_dot(mul(x, x)), " -> ") == 2);
}

TEST_CASE("graphviz: parameters have their path, results a name below", "[graphviz]") {
  Random random(1);
  Sequential model{Linear(3, 2, random), Activation(relu), Linear(2, 1, random)};
  parameters(model);  // gives the leaves their names
  const Tensor output = model(ones({5, 3}));
  const std::string dot = to_dot(output, {{output, "z \"3\" \\"}});
  for (const char* name : {"0.weight\\n[2, 3]", "0.bias\\n[2]", "2.weight\\n[1, 2]"}) {
    CHECK_THAT(dot, ContainsSubstring(fmt::format("[label=\"{}\", shape=ellipse", name)));
  }
  CHECK_THAT(dot, ContainsSubstring("\\n[5, 1]\\nz \\\"3\\\" \\\\\"];\n"));
}

TEST_CASE("graphviz: a chain of 200,000 nodes needs no recursion", "[graphviz]") {
  const Tensor w = leaf({});
  Tensor y = w;
  for (int i = 0; i < 200000; ++i) y = neg(y);
  CHECK(count(to_dot(y), " -> ") == 200000);
}

TEST_CASE("graphviz: without a graph it says why", "[graphviz]") {
  CHECK_THROWS_WITH(to_dot(ones({2})), ContainsSubstring("none of its inputs requires a gradient"));
  const Tensor y = square(leaf({}));
  y.backward();
  CHECK_THROWS_WITH(to_dot(y), ContainsSubstring("backward has used and freed it"));
}

TEST_CASE("graphviz: draw_graph writes DOT and, with dot, SVG", "[graphviz]") {
  if (!has_program("dot")) return skip("dot is not installed: run make deps-dev");
  const TempFolder folder;
  const std::string path = (folder.path() / "a graph; $(with) odd name").string();
  const Tensor y = square(leaf({}));
  CHECK(draw_graph(y, path, {{y, "y < 2 & more"}}) == path + ".svg");
  CHECK(read_text(path + ".dot") == to_dot(y, {{y, "y < 2 & more"}}));
  const std::string svg = read_text(path + ".svg");
  CHECK_THAT(svg, ContainsSubstring("<svg"));
  CHECK_THAT(svg, ContainsSubstring("y &lt; 2 &amp; more"));
  CHECK_THAT(svg, Catch::Matchers::EndsWith("</svg>\n"));
}

TEST_CASE("graphviz: draw_graph without dot says what is missing", "[graphviz]") {
  const TempFolder folder;
  const std::string path = (folder.path() / "graph").string(), before = std::getenv("PATH");
  setenv("PATH", folder.path().c_str(), 1);
  const std::string said = draw_graph(square(leaf({})), path);
  setenv("PATH", before.c_str(), 1);
  CHECK(said == path + ".dot (no SVG: that needs the program dot of graphviz)");
  CHECK(fs::exists(path + ".dot"));
  CHECK_FALSE(fs::exists(path + ".svg"));
}

TEST_CASE("graphviz: a graph too large to look at is written as DOT alone", "[graphviz]") {
  const TempFolder folder;
  const std::string path = (folder.path() / "graph").string();
  Tensor y = leaf({});
  for (int i = 0; i < 3000; ++i) y = neg(y);
  CHECK(draw_graph(y, path) == path + ".dot (no SVG: the graph is too large to look at)");
  CHECK_THROWS_WITH(draw_graph(y, (folder.path() / "none" / "graph").string()),
                    ContainsSubstring("cannot be written"));
}
