// Lesson 01: its graph of numbers, its gradient check, and its runs with and without mistakes.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <sstream>

#include "01-graph/exercise.h"
#include "01-graph/fit.h"
#include "01-graph/gradient_check.h"
#include "01-graph/scalar.h"
#include "support/catch.h"
#include "support/command.h"
#include "support/skip.h"

using namespace lesson01;
namespace fs = std::filesystem;

namespace {

CommandResult run_lesson(const TempFolder& out, const std::string& options) {
  return run_command((build_folder() / "lesson-01-graph").string() + " --quick --no-color --out " +
                     out.path().string() + " " + options);
}

// The one run folder under `out`.
fs::path run_folder(const TempFolder& out) {
  std::vector<fs::path> runs;
  for (const auto& entry : fs::directory_iterator(out.path() / "01-graph")) {
    if (entry.is_directory()) runs.push_back(entry.path());
  }
  REQUIRE(runs.size() == 1);
  return runs[0];
}

int count(const std::string& text, const std::string& part) {
  int n = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++n;
  return n;
}

}  // namespace

TEST_CASE("lesson 01: the graph of numbers differentiates every operation") {
  const double x = 1.3, y = 0.7;
  const Scalar sx = x, sy = y;
  const auto gradients = [&](const Scalar& z) {
    Scalar(sx).zero_gradient();
    Scalar(sy).zero_gradient();
    backward(z);
    return std::pair(sx.gradient(), sy.gradient());
  };
  CHECK(gradients(sx + sy) == std::pair(1.0, 1.0));
  CHECK(gradients(sx - sy) == std::pair(1.0, -1.0));
  CHECK(gradients(sx * sy) == std::pair(y, x));
  CHECK(gradients(sx / sy) == std::pair(1 / y, -x / (y * y)));
  CHECK(gradients(sin(sx)) == std::pair(std::cos(x), 0.0));
  CHECK(gradients(exp(sx)) == std::pair(std::exp(x), 0.0));
  CHECK((sx / sy).value() == x / y);
}

TEST_CASE("lesson 01: gradients of leaves add up over uses and over backward calls") {
  const Scalar x = 3;
  const Scalar twice = x + x;
  backward(twice);
  CHECK(x.gradient() == 2);
  backward(x * 5);
  CHECK(x.gradient() == 7);
  backward(twice);  // the nodes between keep nothing of the first walk
  CHECK(x.gradient() == 9);
}

TEST_CASE("lesson 01: every node is passed once, after all that use it") {
  // 40 doublings are 2^40 paths: a walk that follows paths would not come back.
  const Scalar x = 1;
  Scalar y = x;
  for (int i = 0; i < 40; ++i) y = y + y;
  uint64_t last_id = std::numeric_limits<uint64_t>::max();
  int crossings = 0;
  backward(y, Order::youngest_first, [&](const Node& from, double, const Edge&, double) {
    CHECK(from.id <= last_id);
    last_id = from.id;
    ++crossings;
  });
  CHECK(x.gradient() == std::pow(2.0, 40));
  CHECK(crossings == 80);
}

TEST_CASE("lesson 01: the wrong order loses the second path of a diamond") {
  const Scalar x = 3, u = x * x;
  backward(u + sin(u), Order::as_found);
  CHECK(x.gradient() == 6);  // 2 x of the first path; (1 + cos 9) 6 = 0.533 would be right
}

TEST_CASE("lesson 01: differences have the errors that the page names") {
  const auto cube = [](double x) { return x * x * x; };
  // (1 + h)^3 - (1 - h)^3 over 2 h is 3 + h^2; from one side 3 + 3 h + h^2. Rounding is near 1e-15.
  CHECK(central_difference(cube, 1.0, 0.1) == Approx(3.01).epsilon(1e-12));
  CHECK(one_sided_difference(cube, 1.0, 0.1) == Approx(3.31).epsilon(1e-12));
  CHECK(relative_error(1, 1.1) == Approx(0.1 / 1.1));
  CHECK(relative_error(-1, 1) == 2);
  CHECK(std::isinf(relative_error(0, 0)));  // two zeros prove nothing
}

TEST_CASE("lesson 01: the gradient check passes right slopes and finds wrong ones") {
  const std::vector<double> points = {0.3, 0.7, 1.1};
  CHECK(check_gradient({"softplus", softplus}, points, 1e-5) < 1e-8);
  CHECK(check_gradient({"swish", swish_to_repair}, points, 1e-5) > 0.1);
  const auto off_by_little = [](const Scalar& x) {
    return Scalar("sin", std::sin(x.value()), {{x, [] { return 1.0; }}});  // right at 0 only
  };
  CHECK(check_gradient({"sin", off_by_little}, {1e-9}, 1e-5) < 1e-8);
  CHECK(check_gradient({"sin", off_by_little}, {0.3, 1e-9}, 1e-5) > 0.01);
}

TEST_CASE("lesson 01: the exercise fails until its slope is repaired") {
  const TempFolder temp;
  const std::string wrong = "[x] { return sigmoid(x.value()); };";
  const std::string right =
      "[x] { const double s = sigmoid(x.value()); return s + x.value() * s * (1 - s); };";
  std::string text = read_text("lessons/01-graph/exercise.h");
  REQUIRE(count(text, wrong) == 1);
  text.replace(text.find(wrong), wrong.size(), right);
  write_text(temp.path() / "repaired/01-graph/exercise.h", text);
  write_text(temp.path() / "main.cpp",
             "#include \"01-graph/exercise.h\"\n"
             "#include \"01-graph/gradient_check.h\"\n"
             "int main() {\n"
             "  return lesson01::check_gradient({\"swish\", lesson01::swish_to_repair},\n"
             "                                  {0.3, 0.7, 1.1}, 1e-5) < 1e-8 ? 0 : 3;\n"
             "}\n");
  const std::string folder = temp.path();
  const auto build_and_run = [&](const std::string& includes) {
    const CommandResult build = run_command("c++ -std=c++20 " + includes + " " + folder +
                                            "/main.cpp -o " + folder + "/main");
    INFO(build.output);
    REQUIRE(build.code == 0);
    return run_command(folder + "/main").code;
  };
  CHECK(build_and_run("-Ilessons") == 3);
  CHECK(build_and_run("-I" + folder + "/repaired -Ilessons") == 0);
}

TEST_CASE("lesson 01: least squares has no slope left") {
  const Points points = sine_points(64);
  REQUIRE(points.x.size() == 64);
  CHECK(points.x.front() == -points.x.back());
  const Solution best = least_squares(points);
  const Scalar a = best.a, b = best.b;
  backward(mean_squared_error(a, b, points));
  // Sums of 64 products of numbers up to 1: 64 roundings of 1e-16.
  CHECK(std::fabs(a.gradient()) < 1e-13);
  CHECK(std::fabs(b.gradient()) < 1e-13);
}

TEST_CASE("lesson 01: the run without mistakes passes and writes what the page shows") {
  const TempFolder out;
  const CommandResult run = run_lesson(out, "");
  INFO(run.output);
  CHECK(run.code == 0);
  CHECK_THAT(run.output, ContainsSubstring("PASS 11 of 11 claims hold. Next: make lesson-02"));
  CHECK_THAT(run.output, !ContainsSubstring("WRONG"));
  // The five edges of z = (x + y) sin x, in the order of the walk.
  CHECK_THAT(run.output, ContainsSubstring("5 mul         1.0000    0.9093     0.9093   3 add\n"));
  CHECK_THAT(run.output, ContainsSubstring("4 sin         3.0000   -0.4161    -1.2484   1 leaf\n"));
  CHECK_THAT(run.output, ContainsSubstring("dz/dx     -0.3391431  -0.3391431  -0.33914"));
  CHECK_THAT(run.output, ContainsSubstring("200000"));

  const fs::path folder = run_folder(out);
  for (const char* picture : {"gradient-check.svg", "fit.svg"}) {
    const std::string svg = read_text(folder / picture);
    CHECK(svg.rfind("<svg", 0) == 0);
    CHECK_THAT(svg, ContainsSubstring("</svg>"));
  }
  const std::string metrics = read_text(folder / "metrics.csv");
  CHECK(count(metrics, "\n") == 402);  // the header and steps 0 to 400
  CHECK(fs::exists(folder / "config.json"));
}

TEST_CASE("lesson 01: the graph is drawn in well-formed DOT") {
  const TempFolder out;
  REQUIRE(run_lesson(out, "--graph").code == 0);
  const fs::path folder = run_folder(out);
  const std::string dot = read_text(folder / "graph.dot");
  CHECK(dot.rfind("digraph", 0) == 0);
  CHECK_THAT(dot, ContainsSubstring("x = 2"));
  CHECK(count(dot, "->") == 5);
  CHECK(fs::exists(folder / "loss.dot"));
  if (!has_program("dot")) return skip("dot is not installed: run make deps-dev");
  const CommandResult plain = run_command("dot -Tplain " + (folder / "graph.dot").string());
  CHECK(plain.code == 0);
  CHECK(count(plain.output, "\nnode ") == 5);
  CHECK(count(plain.output, "\nedge ") == 5);
  CHECK_THAT(read_text(folder / "graph.svg"), ContainsSubstring("</svg>"));
}

TEST_CASE("lesson 01: every mistake shows its symptom and exits with 3") {
  struct Mistake {
    const char *name, *symptom, *claim;
  };
  const Mistake mistake = GENERATE(
      Mistake{"wrong-gradient", "<- wrong", "all 9 gradients agree"},
      Mistake{"no-topological-order", "dz/dx = 6.0000, by hand 0.5332", "a value used twice"},
      Mistake{"overwritten-input", "mul: input 0 was changed after it was recorded",
              "backward finds the inputs"},
      Mistake{"no-zero-grad", "the least squares, solved for", "arrives at the least squares"});
  const TempFolder out;
  const CommandResult run = run_lesson(out, std::string("--bug ") + mistake.name);
  INFO(run.output);
  CHECK(run.code == 3);
  CHECK_THAT(run.output, ContainsSubstring(mistake.symptom));
  // One claim is wrong, and it is the one that the mistake is about.
  std::istringstream lines(run.output);
  int wrong = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("WRONG") == std::string::npos) continue;
    ++wrong;
    CHECK_THAT(line, ContainsSubstring(mistake.claim));
  }
  CHECK(wrong == 1);
  CHECK_THAT(run.output, ContainsSubstring("FAIL 10 of 11 claims hold"));
}

TEST_CASE("lesson 01: the scalar engine is silently wrong where tensors refuse") {
  const TempFolder out;
  CHECK_THAT(run_lesson(out, "--bug overwritten-input").output,
             ContainsSubstring("dz/dv = 100 by scalars; tensors refuse"));
}

TEST_CASE("lesson 01: options that spoil or make no sense") {
  const TempFolder out;
  CHECK(run_lesson(out, "--lr 0").code == 3);
  CHECK(run_lesson(out, "--epochs 5").code == 3);
  CHECK(run_lesson(out, "--no-such-option").code == 2);
  CHECK(run_lesson(out, "--bug no-such-bug").code == 2);
}
