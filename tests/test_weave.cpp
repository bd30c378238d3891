// Tests of docs/weave: every kind of marker and every way to get one wrong, on small trees.
#include <sys/stat.h>

#include <filesystem>

#include "support/catch.h"
#include "support/command.h"

namespace fs = std::filesystem;

namespace {

const char* const kSource = R"--(// A small file.
#include <string>

// Adds.
// Shape [n].
int add(int a, int b) {
  const char brace = '{';      // not a brace: }
  const char* text = "\"}{";   /* } */
  const char* raw = R"x(}")}"}}} )x";
  return a + b + 1'000 + text[0] + raw[0] + brace;
}

template <class T>
struct Pair : Base {
  Pair()
      : first{1}, second{2} {
    first = {};
  }
  T first, second;
};

int declared(int a,
             int b);

const int table[] = {1, 2,
                     3};

  if (a) {
    one();
  } else {
    two();
  }
  three(four,
        five) ;
)--";

const char* const kRuns =
    "# recorded on two cores\n"
    "experiment\tseed\tisa\taccuracy\tseconds\n"
    "a\t1\tavx2\t1\t60\n"
    "a\t2\tavx2\t2\t60\n"
    "a\t3\tavx512\t3\t120\n"
    "b\t4\tavx512\t4\t60\n"
    "b\t5\tavx512\t10\t60\n";

// A tree of files with a page, and the program run in it.
class Tree {
 public:
  Tree() : weave_(fs::absolute(build_folder() / "weave")) {
    write("source.cpp", kSource);
    write("runs.tsv", kRuns);
  }
  void write(const std::string& file, const std::string& text) {
    write_text(folder_.path() / file, text);
  }
  std::string read(const std::string& file) const { return read_text(folder_.path() / file); }
  const fs::path& path() const { return folder_.path(); }
  CommandResult run(const std::string& arguments = "") const {
    return run_command("cd '" + folder_.path().string() + "' && unset KINDLING_BUILD; '" +
                       weave_.string() + "' " + arguments);
  }

  // What stands between the marker and its end after a run, of docs/page.md.
  std::string woven(const std::string& marker) {
    const std::string open = "text\n<!-- weave " + marker + " -->\n",
                      close = "<!-- /weave -->\nmore\n";
    write("docs/page.md", open + "old\n" + close);
    const CommandResult result = run();
    INFO(result.output);
    CHECK(result.code == 0);
    const std::string page = read("docs/page.md");
    REQUIRE(page.substr(0, open.size()) == open);
    REQUIRE(page.substr(page.size() - close.size()) == close);
    CHECK(run("--check").code == 0);  // a second time there is nothing to do
    return page.substr(open.size(), page.size() - open.size() - close.size());
  }

  // The message for a page with these lines; nothing may be written.
  std::string error(const std::string& page) {
    write("docs/page.md", page);
    const CommandResult result = run();
    CHECK(result.code == 1);
    CHECK(read("docs/page.md") == page);
    CHECK(run("--check").output == result.output);
    return result.output;
  }
  std::string marker_error(const std::string& marker) {
    return error("<!-- weave " + marker + " -->\n<!-- /weave -->\n");
  }
  std::string value(const std::string& words) {
    write("docs/page.md", "It has <!-- v " + words + " -->?<!-- /v -->.");
    const CommandResult result = run();
    INFO(result.output);
    CHECK(result.code == 0);
    const std::string page = read("docs/page.md");
    const size_t begin = page.find("-->") + 3;
    CHECK(page.substr(0, begin) == "It has <!-- v " + words + " -->");
    return page.substr(begin, page.find("<!-- /v") - begin);
  }

 private:
  TempFolder folder_;
  fs::path weave_;
};

// A quote of lines first .. last of source.cpp.
std::string quoted(const std::string& lines, int first, int last) {
  const auto number = [](int n) { return std::to_string(n); };
  return "[`source.cpp`, line " + number(first) + "](../source.cpp#L" + number(first) + "-L" +
         number(last) + ")\n\n```cpp\n" + lines + "```\n";
}

}  // namespace

TEST_CASE("weave quotes a function by its first line", "[weave]") {
  Tree tree;
  const std::string add = tree.woven("code source.cpp \"int add(\"");
  CHECK_THAT(add, ContainsSubstring("](../source.cpp#L6-L11)"));
  CHECK_THAT(add, ContainsSubstring("```cpp\nint add(int a, int b) {\n"));
  CHECK_THAT(add, ContainsSubstring("raw[0] + brace;\n}\n```\n"));
  CHECK_THAT(tree.woven("code source.cpp \"int add(\" with comment"),
             ContainsSubstring("```cpp\n// Adds.\n// Shape [n].\nint add("));
  const std::string constructor = "Pair()\n    : first{1}, second{2} {\n  first = {};\n}\n";
  CHECK(tree.woven("code source.cpp \"Pair()\"") == quoted(constructor, 15, 18));
  CHECK_THAT(tree.woven("code source.cpp \"struct Pair\""),
             ContainsSubstring("#L13-L20)\n\n```cpp\ntemplate <class T>\nstruct Pair : Base {\n"));
  CHECK(tree.woven("code source.cpp \"int declared\"") ==
        quoted("int declared(int a,\n             int b);\n", 22, 23));
  CHECK(tree.woven("code source.cpp \"const int table\"") ==
        quoted("const int table[] = {1, 2,\n                     3};\n", 25, 26));
  CHECK(tree.woven("code source.cpp \"if (a)\"") ==
        quoted("if (a) {\n  one();\n} else {\n  two();\n}\n", 28, 32));
  CHECK(tree.woven("code source.cpp \"three(\"") == quoted("three(four,\n      five) ;\n", 33, 34));
}

TEST_CASE("weave quotes lines and whole files", "[weave]") {
  Tree tree;
  CHECK(tree.woven("code source.cpp lines \"T first\" .. \"int declared\"") ==
        quoted("  T first, second;\n};\n\nint declared(int a,\n", 19, 22));
  tree.write("train.py", "print('```')\n");
  CHECK(tree.woven("code train.py") ==
        "[`train.py`, line 1](../train.py#L1-L1)\n\n```python\nprint('```')\n```\n");
  tree.write("page.txt", "```\ncode\n```\n<!-- /weave -->\n");
  CHECK(tree.woven("output page.txt") == "````text\n```\ncode\n```\n<!-- /weave -->\n````\n");
}

TEST_CASE("weave says why a quote cannot be made", "[weave]") {
  Tree tree;
  const auto error = [&](const std::string& words) { return tree.marker_error("code " + words); };
  CHECK(error("source.cpp \"int sub(\"") ==
        "docs/page.md:1: source.cpp: no line begins with \"int sub(\"\n");
  CHECK_THAT(error("source.cpp \"const char*\""),
             ContainsSubstring("source.cpp: lines 8 and 9 both begin with \"const char*\""));
  CHECK(error("missing.cpp \"int\"") == "docs/page.md:1: missing.cpp: cannot be read\n");
  CHECK_THAT(error("source.cpp lines \"int add\" .. \"int sub\""),
             ContainsSubstring("no line after \"int add\" begins with \"int sub\""));
  CHECK_THAT(error("source.cpp lines \"int add\""), ContainsSubstring("expected: code FILE lines"));
  CHECK_THAT(error("source.cpp \"int add(\" with commment"),
             ContainsSubstring("code: \"with\" is not understood here"));
  CHECK_THAT(error("source.cpp \"int add("), ContainsSubstring("a quotation mark is not closed"));
  CHECK_THAT(error("source.cpp \"five)"), ContainsSubstring("a quotation mark is not closed"));
  CHECK_THAT(error("source.cpp \"five)\""),
             ContainsSubstring("source.cpp:34: no whole declaration or statement begins there"));
  tree.write("open.cpp", "int f() {\n");
  CHECK_THAT(error("open.cpp \"int f\""), ContainsSubstring("open.cpp:1: no whole declaration"));
  tree.write("empty.cpp", "");
  CHECK_THAT(error("empty.cpp"), ContainsSubstring("empty.cpp: is empty"));
  CHECK_THAT(tree.marker_error("code"), ContainsSubstring("code: names nothing"));
}

TEST_CASE("weave quotes recorded output", "[weave]") {
  Tree tree;
  tree.write("quick.txt", "one\ntwo\nthree\nfour\n");
  CHECK(tree.woven("output quick.txt") == "```text\none\ntwo\nthree\nfour\n```\n");
  CHECK(tree.woven("output quick.txt from \"w\" to \"ee\"") == "```text\ntwo\nthree\n```\n");
  CHECK(tree.woven("output quick.txt to two") == "```text\none\ntwo\n```\n");
  CHECK_THAT(tree.marker_error("output quick.txt from five"),
             ContainsSubstring("quick.txt: no line has \"five\" in it"));
  CHECK_THAT(tree.marker_error("output quick.txt until two"),
             ContainsSubstring("expected: output FILE [from \"text\"] [to \"text\"]"));
}

TEST_CASE("weave runs a lesson for its options and make for its menu", "[weave]") {
  Tree tree;
  CHECK_THAT(tree.marker_error("options 01-graph"),
             ContainsSubstring("build/lesson-01-graph: is not built. Run: make lessons"));
  const fs::path lesson = tree.path() / "build" / "lesson-01-graph";
  tree.write("build/lesson-01-graph", "#!/bin/sh\n[ \"$1\" = --help ] && echo options\n");
  REQUIRE(chmod(lesson.c_str(), 0755) == 0);
  CHECK(tree.woven("options 01-graph") == "```text\noptions\n```\n");
  tree.write("build/lesson-01-graph", "#!/bin/sh\nexit 3\n");
  CHECK_THAT(tree.marker_error("options 01-graph"), ContainsSubstring("--help: exit code 3"));

  tree.write("Makefile", "help:\n\t@echo; echo '  make help   this menu'\n");
  CHECK(tree.woven("menu") == "```text\n  make help   this menu\n```\n");
  CHECK_THAT(tree.marker_error("menu please"), ContainsSubstring("menu: takes no further words"));
}

TEST_CASE("weave computes numbers from records", "[weave]") {
  Tree tree;
  CHECK(tree.value("runs.tsv accuracy mean .1") == "4.0");
  CHECK(tree.value("runs.tsv accuracy sd .4") == "3.5355");  // sqrt(50 / 4)
  CHECK(tree.value("runs.tsv accuracy min .0") == "1");
  CHECK(tree.value("runs.tsv accuracy max .0") == "10");
  CHECK(tree.value("runs.tsv accuracy median .1") == "3.0");
  CHECK(tree.value("runs.tsv accuracy median .1 experiment=b") == "7.0");
  CHECK(tree.value("runs.tsv accuracy median .1 experiment~b") == "7.0");
  CHECK(tree.value("runs.tsv accuracy n experiment!~b") == "3");
  CHECK(tree.value("runs.tsv accuracy n experiment!=b") == "3");
  CHECK(tree.value("runs.tsv accuracy geomean .3 isa=avx2") == "1.414");  // of 1 and 2
  CHECK(tree.value("runs.tsv accuracy n") == "5");
  CHECK(tree.value("runs.tsv seconds sum .0") == "360");
  CHECK(tree.value("runs.tsv accuracy first .2") == "1.00");
  CHECK(tree.value("runs.tsv isa first") == "avx2");
  CHECK(tree.value("runs.tsv isa last") == "avx512");
  CHECK(tree.value("runs.tsv accuracy last .1e") == "1.0e+01");
  // 4 -+ t 3.5355 sqrt(1 + 1/5) with t(0.995, 4) = 4.6041 of the tables: -+ 17.8313
  CHECK(tree.value("runs.tsv accuracy band .2") == "-13.83–21.83");
  // Two runs: t(0.995, 1) = 63.657, so 1.5 -+ 63.657 0.70711 sqrt(1.5) = 55.129
  CHECK(tree.value("runs.tsv accuracy band .2 isa=avx2") == "-53.63–56.63");
  CHECK(tree.value("runs.tsv seconds band:0.3 .1 experiment=b") == "59.7–60.3");
  CHECK(tree.value("runs.tsv accuracy mean .1 isa=avx512 experiment=a") == "3.0");
}

TEST_CASE("weave puts numbers in the middle of sentences and tables", "[weave]") {
  Tree tree;
  const std::string mean = "<!-- v runs.tsv accuracy mean .1 -->", n = "<!-- v runs.tsv seed n -->";
  const std::string end = "<!-- /v -->";
  tree.write("README.md", "From " + mean + end + " of " + n + "12" + end + " runs.\n\n| " + mean +
                              "x" + end + " | `" + n + "` |\n\n```\n" + n + "\n```\n");
  CHECK(tree.run().code == 0);
  CHECK(tree.read("README.md") == "From " + mean + "4.0" + end + " of " + n + "5" + end +
                                      " runs.\n\n| " + mean + "4.0" + end + " | `" + n +
                                      "` |\n\n```\n" + n + "\n```\n");
}

TEST_CASE("weave says what is wrong with a record or a number", "[weave]") {
  Tree tree;
  const auto error = [&](const std::string& words) {
    return tree.error("a\nb <!-- v " + words + " -->1<!-- /v --> c\n");
  };
  CHECK(error("runs.tsv loss mean .1") ==
        "docs/page.md:2: runs.tsv: has no column \"loss\", only: experiment, seed, isa, accuracy, "
        "seconds\n");
  CHECK_THAT(error("runs.tsv isa mean .1"),
             ContainsSubstring("holds \"avx2\", which is no number"));
  CHECK_THAT(error("runs.tsv accuracy mode .1"), ContainsSubstring("unknown statistic \"mode\""));
  CHECK_THAT(error("runs.tsv accuracy bandage .1"),
             ContainsSubstring("unknown statistic \"bandage\""));
  CHECK_THAT(error("runs.tsv accuracy mean"), ContainsSubstring("\"\" is not a number format"));
  CHECK_THAT(error("runs.tsv accuracy mean 1f"),
             ContainsSubstring("\"1f\" is not a number format"));
  CHECK_THAT(error("runs.tsv accuracy mean .x"),
             ContainsSubstring("\".x\" is not a number format"));
  CHECK_THAT(error("runs.tsv accuracy sd .1 seed=1"), ContainsSubstring("needs at least 2 rows"));
  CHECK_THAT(error("runs.tsv accuracy mean .1 seed=9"),
             ContainsSubstring("no row is left by seed=9"));
  CHECK_THAT(error("runs.tsv accuracy"), ContainsSubstring("expected: v FILE COLUMN STATISTIC"));
  CHECK_THAT(error("missing.tsv accuracy mean .1"),
             ContainsSubstring("missing.tsv: cannot be read"));
  tree.write("runs.tsv", "a\tb\n# c\n1\t2\n1\n");
  CHECK_THAT(error("runs.tsv a mean .1"),
             ContainsSubstring("runs.tsv:4: has 1 cells for 2 columns"));
}

TEST_CASE("weave makes tables of records", "[weave]") {
  Tree tree;
  CHECK(tree.woven("table runs.tsv seed isa accuracy:.1 experiment=a") ==
        "| seed | isa | accuracy |\n| --- | --- | ---: |\n"
        "| 1 | avx2 | 1.0 |\n| 2 | avx2 | 2.0 |\n| 3 | avx512 | 3.0 |\n");
  CHECK(tree.woven("table runs.tsv accuracy:.1 seconds:.0 by experiment") ==
        "| experiment | accuracy | seconds | runs |\n| --- | ---: | ---: | ---: |\n"
        "| a | 2.0 ± 1.0 | 80 ± 35 | 3 |\n| b | 7.0 ± 4.2 | 60 ± 0 | 2 |\n");
  CHECK_THAT(tree.marker_error("table runs.tsv isa by experiment"),
             ContainsSubstring("\"isa\" differs between runs of one experiment: give it a format"));
  CHECK_THAT(tree.marker_error("table runs.tsv"), ContainsSubstring("expected: table FILE COLUMN"));
}

TEST_CASE("weave lists lessons with results and minutes", "[weave]") {
  Tree tree;
  tree.write("lessons/index.txt", "# order\n01-graph\tscalars to tensors\n");
  tree.write("lessons/01-graph/experiments.txt",
             "# experiments\n# headline quick accuracy .1 {} of 5 | all\nquick  1-5\n");
  tree.write("lessons/01-graph/records/quick.tsv", kRuns);
  CHECK(tree.woven("lessons") ==
        "| lesson | | result | minutes |\n| --- | --- | --- | ---: |\n"
        "| [01-graph](01-graph.md) | scalars to tensors | 4.0 of 5 \\| all | 1.2 |\n");
  tree.write("lessons/01-graph/experiments.txt", "# headline quick accuracy .1 good\n");
  CHECK_THAT(tree.marker_error("lessons"),
             ContainsSubstring("the headline has no {} for the number"));
  tree.write("lessons/01-graph/experiments.txt", "quick  1-5\n");
  CHECK_THAT(tree.marker_error("lessons"),
             ContainsSubstring("lessons/01-graph/experiments.txt: has no line `# headline"));
}

TEST_CASE("weave links pictures that exist and are small", "[weave]") {
  Tree tree;
  tree.write("docs/pictures/a.png", "png");
  CHECK(tree.woven("picture docs/pictures/a.png") == "![a](pictures/a.png)\n");
  CHECK(tree.woven("picture docs/pictures/a.png \"the boundary\"") ==
        "![the boundary](pictures/a.png)\n");
  CHECK_THAT(tree.marker_error("picture docs/pictures/b.png"),
             ContainsSubstring("docs/pictures/b.png: there is no such picture"));
  tree.write("docs/pictures/b.png", std::string(200'001, 'x'));
  CHECK_THAT(tree.marker_error("picture docs/pictures/b.png"),
             ContainsSubstring("has 200001 bytes; a picture may have 200000"));
}

TEST_CASE("weave lists operations and the reading order", "[weave]") {
  Tree tree;
  tree.write(
      "framework/ops/ops.h",
      "// Every function. Page: docs/ops.md\n#pragma once\n\nnamespace kindling {\n\n"
      "// ---- Arithmetic -----\n// All of them broadcast.\n\n"
      "Tensor add(const Tensor& a);  // a < b\n"
      "// Reads `two`\n// lines.\nTensor sum(const Tensor& x,\n           int axis = -1);\n\n"
      "// What it\n// takes.\nstruct Options {\n  int a = 1;\n  int b;\n};\n"
      "// ---- Operators ----\n\n"
      "inline Tensor operator*(const Tensor& a) { return mul(a); }\n\n}  // namespace\n");
  CHECK(tree.woven("ops") ==
        "### Arithmetic\n\nAll of them broadcast.\n\n| function | |\n| --- | --- |\n"
        "| `Tensor add(const Tensor& a)` | a &lt; b |\n"
        "| `Tensor sum(const Tensor& x, int axis = -1)` | Reads `two` lines. |\n"
        "| `struct Options { int a = 1; int b; }` | What it takes. |\n\n"
        "### Operators\n\n| function | |\n| --- | --- |\n| `Tensor operator*(const Tensor& a)` |  "
        "|\n\n"
        "All of them are declared in [`framework/ops/ops.h`](../framework/ops/ops.h).\n");
  tree.write("framework/ops/ops.h", "Tensor add(const Tensor& a);\n");
  CHECK_THAT(tree.marker_error("ops"), ContainsSubstring("framework/ops/ops.h: has no sections"));

  tree.write("framework/ORDER", "# first to last\nbase/real.h   # the type\nbase/check.h\n");
  tree.write("framework/base/real.h",
             "// The number type. Page: docs/tensor.md\n\nusing real = float;\n");
  tree.write("framework/base/check.h",
             "// Errors: one class\n// per code. And more.\nint a;\n// b\nint c;\n");
  CHECK(tree.woven("order") ==
        "| file | what it is | code lines |\n| --- | --- | ---: |\n"
        "| [base/real.h](../framework/base/real.h) | The number type | 1 |\n"
        "| [base/check.h](../framework/base/check.h) | Errors: one class per code | 2 |\n"
        "| all |  | 3 |\n");
  tree.write("framework/ORDER", "base/missing.h\n");
  CHECK_THAT(tree.marker_error("order"),
             ContainsSubstring("framework/base/missing.h: cannot be read"));
}

TEST_CASE("weave refuses markers that are unknown, open or stray", "[weave]") {
  Tree tree;
  CHECK(tree.error("a\n<!-- weave cod source.cpp -->\n<!-- /weave -->\n") ==
        "docs/page.md:2: unknown marker \"cod\"\n");
  const std::string open = "the marker is not closed by <!-- /weave -->\n";
  CHECK(tree.error("<!-- weave menu -->\ntext\n") == "docs/page.md:1: " + open);
  CHECK(tree.error("<!-- weave menu -->\n<!-- weave ops -->\n<!-- /weave -->\n") ==
        "docs/page.md:1: " + open);
  CHECK(tree.error("<!-- weave menu -->\n```\n<!-- /weave -->\n```\n") ==
        "docs/page.md:1: " + open);
  CHECK(tree.error("<!-- weave menu --> x\n<!-- /weave -->\n") ==
        "docs/page.md:1: the marker must end with --> on its line\n");
  CHECK(tree.error("<!-- weave menu\n<!-- /weave -->\n") ==
        "docs/page.md:1: the marker must end with --> on its line\n");
  CHECK(tree.error("text\n<!-- /weave -->\n") ==
        "docs/page.md:2: closes a marker that is not open\n");
  CHECK(tree.error("a <!-- v runs.tsv seed n --> b\n") ==
        "docs/page.md:1: the marker is not closed by <!-- /v -->\n");
  CHECK_THAT(tree.error("<!-- v runs.tsv seed n -->1 <!-- v runs.tsv seed n -->5<!-- /v -->\n"),
             ContainsSubstring("docs/page.md:1: the marker is not closed by <!-- /v -->\n"));
  CHECK(tree.error("5<!-- /v -->\n") == "docs/page.md:1: closes a marker that is not open\n");
  // Every error of a page is told, not the first alone.
  CHECK(tree.error("<!-- /weave -->\n<!-- weave x -->\n<!-- /weave -->\n") ==
        "docs/page.md:1: closes a marker that is not open\ndocs/page.md:2: unknown marker \"x\"\n");
}

TEST_CASE("weave leaves markers in code and all other text alone", "[weave]") {
  Tree tree;
  const std::string page =
      "~~~\n<!-- weave nonsense -->\n<!-- weave nonsense -->\n```\n~~~\n````md\n```\n<!-- /weave "
      "-->\n```\n````\n"
      "<!-- a comment -->\n\ttext  \r\n`<!-- v x -->` and `<!-- /v -->`\n\nlast line without an "
      "end";
  tree.write("docs/page.md", page);
  const CommandResult result = tree.run();
  CHECK(result.output == "pages that agree with the code and the recorded runs: 1\n");
  CHECK(result.code == 0);
  CHECK(tree.read("docs/page.md") == page);
}

TEST_CASE("weave keeps the indentation of a marker in a list", "[weave]") {
  Tree tree;
  tree.write("a.txt", "x\n\ny\n");
  tree.write("docs/page.md", "- a\n  <!-- weave output a.txt -->\n  <!-- /weave -->\n");
  CHECK(tree.run().code == 0);
  CHECK(tree.read("docs/page.md") ==
        "- a\n  <!-- weave output a.txt -->\n  ```text\n  x\n\n  y\n  ```\n  <!-- /weave -->\n");
  CHECK(tree.run("--check").code == 0);
}

TEST_CASE("weave --check says what differs and writes nothing", "[weave]") {
  Tree tree;
  const std::string page =
      "<!-- weave code source.cpp \"int declared\" -->\nold\n<!-- /weave -->\n"
      "<!-- v runs.tsv accuracy mean .1 -->3.9<!-- /v -->\n";
  tree.write("docs/page.md", page);
  tree.write("README.md", "no markers\n");
  const CommandResult result = tree.run("--check");
  CHECK(result.code == 1);
  CHECK(result.output ==
        "docs/page.md:1: differs from source.cpp lines 22–23: run make docs\n"
        "docs/page.md:4: says 3.9 where runs.tsv accuracy mean .1 gives 4.0: run make docs\n");
  CHECK(tree.read("docs/page.md") == page);
  CHECK(tree.run("--check README.md").code == 0);  // only the named page

  CHECK(tree.run().output ==
        "docs/page.md: written again\npages that agree with the code and the recorded runs: 2\n");
  CHECK(tree.run("--check").code == 0);
  tree.write("source.cpp", "\n" + std::string(kSource));  // the code has moved by a line
  CHECK_THAT(tree.run("--check").output, ContainsSubstring("differs from source.cpp lines 23–24"));
}

TEST_CASE("weave finds the pages and refuses unknown options", "[weave]") {
  Tree tree;
  for (const char* page : {"README.md", "docs/b.md", "docs/a.md", "datasets/README.md",
                           "lessons/01-graph/README.md", "lessons/01-graph/notes.md", "other.md"}) {
    tree.write(page, "<!-- /weave -->\n");
  }
  const std::string message = ":1: closes a marker that is not open\n";
  std::string expected;
  for (const char* page : {"README.md", "datasets/README.md", "docs/a.md", "docs/b.md",
                           "lessons/01-graph/README.md"}) {
    expected += page + message;
  }
  CHECK(tree.run().output == expected);
  CHECK(tree.run("--chek").code == 2);
  CHECK(tree.run("--chek").output == "usage: weave [--check] [FILES]\n");
  CHECK(tree.run("missing.md").output == "missing.md: cannot be read\n");
  CHECK(tree.run("missing.md").code == 1);
}

TEST_CASE("weave leaves the page whole when it cannot be written", "[weave]") {
  Tree tree;
  const std::string page = "<!-- v runs.tsv seed n -->?<!-- /v -->\n";
  tree.write("docs/page.md", page);
  // Every byte written to /dev/full fails as on a full disk.
  fs::create_symlink("/dev/full", tree.path() / "docs" / "page.md.part");
  const CommandResult result = tree.run();
  CHECK(result.code == 1);
  CHECK(result.output == "docs/page.md: cannot be written\n");
  CHECK_FALSE(fs::is_symlink(tree.path() / "docs" / "page.md.part"));
  REQUIRE_FALSE(fs::is_symlink(tree.path() / "docs" / "page.md"));
  CHECK(tree.read("docs/page.md") == page);
}
