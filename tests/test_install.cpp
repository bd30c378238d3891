// `make install`, and a program outside the repository that uses what it put in place.
#include <cmath>
#include <cstdio>
#include <sstream>

#include "support/catch.h"
#include "support/command.h"

namespace {

// Variables of the make that runs the tests, such as CXX=clang++ and SAN=address.
std::string variable(const char* name, const std::string& otherwise) {
  const char* value = std::getenv(name);
  return value && *value ? value : otherwise;
}

}  // namespace

TEST_CASE("install: a program with one include builds by pkg-config and learns XOR") {
  const TempFolder temp;
  const std::string prefix = temp.path() / "kindling";
  const CommandResult install = run_command("make install PREFIX=" + prefix);
  INFO(install.output);
  REQUIRE(install.code == 0);
  CHECK_THAT(read_text("docs/00-start.md"), ContainsSubstring("make install PREFIX="));

  write_text(temp.path() / "xor.cpp", read_text("tests/install/xor.cpp"));
  const std::string sanitizer = variable("SAN", "");
  const CommandResult build =
      run_command("cd " + temp.path().string() + " && export PKG_CONFIG_PATH=" + prefix +
                  "/lib/pkgconfig && " + variable("CXX", "c++") + " -std=c++20 " +
                  (sanitizer.empty() ? "" : "-fsanitize=undefined," + sanitizer) +
                  " xor.cpp $(pkg-config --cflags --libs kindling) -o xor");
  INFO(build.output);
  REQUIRE(build.code == 0);

  const CommandResult run = run_command(temp.path() / "xor");
  REQUIRE(run.code == 0);
  std::istringstream lines(run.output), recorded(read_text("tests/install/xor.txt"));
  std::string line, expected;
  int count = 0;
  while (std::getline(lines, line) && std::getline(recorded, expected)) {
    INFO(line << "   recorded: " << expected);
    double a = 0, b = 0, p = 0, q = 0;
    REQUIRE(std::sscanf(line.c_str(), "%lf xor %lf = %lf", &a, &b, &p) == 3);
    REQUIRE(std::sscanf(expected.c_str(), "%*f xor %*f = %lf", &q) == 1);
    CHECK(std::fabs(p - (a != b)) < 0.1);
    // Instruction sets may round the last of the three printed decimals differently.
    CHECK(std::fabs(p - q) < 0.0015);
    ++count;
  }
  CHECK(count == 4);
}
