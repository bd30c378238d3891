// Each rule of `make check` (tests/check.cpp) is broken once, in a small tree that keeps them all.
#include <algorithm>
#include <cstdio>

#include "support/catch.h"
#include "support/command.h"
#include "support/skip.h"

namespace {

// A repository of a few lines that breaks no rule.
class SmallTree : public TempFolder {
 public:
  SmallTree() {
    write("framework/ORDER", "# comment\nbase/check.h\nops/ops.h\nops/matmul.cpp\nkindling.h\n");
    write("framework/base/check.h", "#pragma once\n#define ENSURE(x) x\n");
    write("framework/ops/ops.h",
          "#pragma once\n"
          "#include \"base/check.h\"\n"
          "Tensor matmul(const Tensor& a, const Tensor& b);\n"
          "Tensor greater(const Tensor& a, const Tensor& b);  // a > b; no gradient\n"
          "// Counts the classes. No gradient.\n"
          "Tensor one_hot(const Indices& index);\n"
          "Indices argmax(const Tensor& x);\n");
    write("framework/ops/matmul.cpp", "#include \"ops/ops.h\"\n");
    write("framework/kindling.h", "#pragma once\n#include \"ops/ops.h\"\n");
    write("tests/f64/op_table.cpp", "Row rows[] = {\n    {\"matmul batched\", 1},\n};\n");
    write("Makefile", "");
    write(".clang-format", read_text(".clang-format"));
  }

  void write(const std::string& file, const std::string& text) { write_text(path() / file, text); }

  void append(const std::string& file, const std::string& text) {
    write(file, read_text(path() / file) + text);
  }

  CommandResult check() const {
    return run_command((build_folder() / "check").string() + " " + path().string());
  }

  // The check must fail, with this line among its output and no other problem.
  void must_report(const std::string& line) const {
    const CommandResult result = check();
    CHECK_THAT(result.output, ContainsSubstring(line));
    CHECK_THAT(result.output, ContainsSubstring(" 1 problem\n"));
    CHECK(result.code == 1);
  }
};

std::string many_lines(int count, const std::string& line) {
  std::string text;
  for (int i = 0; i < count; ++i) text += line + "\n";
  return text;
}

}  // namespace

TEST_CASE("check: a tree that keeps the rules passes") {
  const CommandResult result = SmallTree().check();
  INFO(result.output);
  CHECK(result.code == 0);
  CHECK_THAT(result.output, ContainsSubstring(" 0 problems\n"));
}

TEST_CASE("check: ORDER names every file, and nothing else") {
  SmallTree tree;
  SECTION("a file that ORDER lacks") {
    tree.write("framework/ops/new.cpp", "\n");
    tree.must_report("framework/ORDER: does not name ops/new.cpp");
  }
  SECTION("a file that is missing") {
    tree.append("framework/ORDER", "base/gone.h\nkindling.h\n");
    const std::string output = tree.check().output;
    CHECK_THAT(output,
               ContainsSubstring("framework/ORDER:6: names base/gone.h, which does not exist"));
    CHECK_THAT(output, ContainsSubstring("framework/ORDER:7: names kindling.h twice"));
  }
  SECTION("kindling.h not last") {
    tree.write("framework/base/real.h", "#pragma once\n");
    tree.append("framework/ORDER", "base/real.h\n");
    tree.must_report("framework/ORDER:6: kindling.h must be the last file");
  }
}

TEST_CASE("check: a file includes only files above it in ORDER") {
  SmallTree tree;
  SECTION("downwards") {
    tree.append("framework/base/check.h", "#include \"ops/ops.h\"\n");
    tree.must_report(
        "framework/base/check.h:3: includes ops/ops.h, which is not above it in framework/ORDER");
  }
  SECTION("a file that ORDER lacks") {
    tree.append("framework/ops/matmul.cpp", "#include \"ops/other.h\"\n");
    tree.must_report("framework/ops/matmul.cpp:2: includes ops/other.h, which ORDER lacks");
  }
  SECTION("a .cpp before its header") {
    tree.write("framework/ORDER",
               "base/check.h\nops/matmul.cpp\nops/ops.h\nops/matmul.h\nkindling.h\n");
    tree.write("framework/ops/matmul.cpp", "\n");
    tree.write("framework/ops/matmul.h", "#pragma once\n");
    tree.must_report("framework/ORDER:2: ops/matmul.cpp stands before its header");
  }
}

TEST_CASE("check: a JSON library is included by one .cpp and by no header") {
  SmallTree tree;
  SECTION("a header") {
    const std::string library = GENERATE("CLI/CLI.hpp", "jansson.h", "nlohmann/json.hpp");
    tree.append("framework/base/check.h", "#include <" + library + ">\n");
    tree.must_report("framework/base/check.h:3: a header includes " + library);
  }
  SECTION("two .cpp files") {
    tree.write("framework/ops/matmul.cpp",
               "#include <nlohmann/json.hpp>\n\n#include \"ops/ops.h\"\n");
    tree.write("lessons/01-graph/lesson.cpp", "#include <nlohmann/json.hpp>\n");
    tree.must_report(
        "lessons/01-graph/lesson.cpp:1: includes nlohmann/json.hpp, as does "
        "framework/ops/matmul.cpp");
  }
}

TEST_CASE("check: a file has at most 400 code lines") {
  SmallTree tree;
  SECTION("400, with blank lines and comments, are in order") {
    tree.write("lessons/01-graph/lesson.cpp",
               many_lines(50, "// x") + "\n" + many_lines(400, "int f();"));
    CHECK(tree.check().code == 0);
  }
  SECTION("401 are not") {
    tree.write("lessons/01-graph/lesson.cpp", many_lines(401, "int f();"));
    tree.must_report("lessons/01-graph/lesson.cpp: 401 code lines; a file has at most 400");
  }
}

TEST_CASE("check: the framework keeps its budget, the reference not counted") {
  SmallTree tree;
  // The first line reads `the framework: 11 of 7500 code lines`.
  int used = 0, budget = 0;
  REQUIRE(std::sscanf(tree.check().output.c_str(), "the framework: %d of %d", &used, &budget) == 2);
  const auto fill = [&](const std::string& name) {
    std::string order;
    for (int left = budget - used + 1, i = 0; left > 0; left -= 400, ++i) {
      const std::string file = "kernels" + std::to_string(i) + "/" + name;
      tree.write("framework/" + file, many_lines(std::min(left, 400), "int f();"));
      order += file + "\n";
    }
    tree.write("framework/ORDER", order + read_text(tree.path() / "framework/ORDER"));
  };
  fill("reference.h");
  CHECK(tree.check().code == 0);
  fill("more.h");
  tree.must_report("framework: the framework has " + std::to_string(budget + 1) +
                   " code lines; its budget is " + std::to_string(budget));
}

TEST_CASE("check: an op has a row in the table of gradient checks") {
  SmallTree tree;
  tree.append("framework/ops/ops.h", "Tensor softmax(const Tensor& x);\n");
  tree.must_report("framework/ops/ops.h:8: softmax has no row in tests/f64/op_table.cpp");
}

TEST_CASE("check: lines have at most 100 columns, counted in characters") {
  SmallTree tree;
  SECTION("100 characters of two bytes") {
    std::string line = "// ";
    for (int i = 0; i < 97; ++i) line += "é";
    tree.write("framework/base/check.h", line + "\n");
    CHECK(tree.check().code == 0);
  }
  SECTION("101 columns") {
    // A comment that clang-format cannot break, so that this is the only problem.
    tree.append("framework/base/check.h", "// " + std::string(98, 'x') + "\n");
    tree.must_report("framework/base/check.h:3: 101 columns; a line has at most 100");
  }
}

TEST_CASE("check: no file over 1 MiB, nothing odd at the top") {
  SmallTree tree;
  SECTION("a large file") {
    tree.write("docs/film.gif", std::string((1 << 20) + 1, ' '));
    tree.must_report("docs/film.gif: 1048577 bytes; a file has at most 1 MiB");
  }
  SECTION("an odd file at the top") {
    tree.write("notes.txt", "x");
    tree.must_report("notes.txt: does not belong at the top of the repository");
  }
  SECTION("what git ignores may be there") {
    tree.write("build/large", std::string((1 << 20) + 1, ' '));
    tree.write("datasets/mnist/large", std::string((1 << 20) + 1, ' '));
    CHECK(tree.check().code == 0);
  }
}

TEST_CASE("check: the only macro is ENSURE") {
  SmallTree tree;
  SECTION("another macro") {
    tree.append("framework/ops/matmul.cpp", "#define SQUARE(x) ((x) * (x))\n");
    tree.must_report(
        "framework/ops/matmul.cpp:2: defines the macro SQUARE; the only one is ENSURE");
  }
  SECTION("ENSURE in another file") {
    tree.append("framework/ops/matmul.cpp", "#define ENSURE(x) x\n");
    tree.must_report("framework/ops/matmul.cpp:2: defines the macro ENSURE");
  }
}

TEST_CASE("check: the format is clang-format's") {
  if (!has_program("clang-format-14")) return skip("clang-format-14 is missing: make deps-dev");
  SmallTree tree;
  tree.write("framework/ops/matmul.cpp", "#include \"ops/ops.h\"\nint   f( );\n");
  tree.must_report("framework/ops/matmul.cpp:2: is not formatted");
}
