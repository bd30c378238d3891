// Tests of framework/io/print: the same text as NumPy's (golden/print.txt).
#include "io/print.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "support/catch.h"

using namespace kindling;

namespace {

struct Case {
  std::string description, expected, printed;
};

Case parse_case(const std::string& line) {
  std::istringstream words(line.substr(2));
  std::string kind, word;
  int precision = 0;
  words >> kind >> precision;
  std::vector<int64_t> sizes;
  while (words >> word && word != ":") sizes.push_back(std::stoll(word));
  const Shape shape{std::span<const int64_t>(sizes)};
  Tensor reals(shape);
  Indices wholes(shape);
  for (int64_t i = 0; i < shape.elements(); ++i) {
    words >> word;
    if (kind == "real") reals.mutable_data()[i] = std::strtof(word.c_str(), nullptr);
    if (kind == "whole") wholes.mutable_data()[i] = std::stoi(word);
  }
  return {line.substr(0, 60), "", kind == "real" ? to_string(reals, precision) : to_string(wholes)};
}

std::vector<Case> cases() {
  std::ifstream file("tests/golden/print.txt");
  std::vector<Case> all;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("#")) continue;
    if (line.starts_with("> ")) {
      all.push_back(parse_case(line));
    } else {
      all.back().expected += (all.back().expected.empty() ? "" : "\n") + line;
    }
  }
  return all;
}

}  // namespace

TEST_CASE("tensors and indices print as in NumPy", "[print]") {
  const std::vector<Case> all = cases();
  REQUIRE(all.size() == 42);
  for (const Case& c : all) {
    INFO(c.description);
    CHECK(c.printed == c.expected);
  }
}

TEST_CASE("a scalar prints without brackets", "[print]") {
  CHECK(to_string(scalar(2.5)) == "2.5");
  CHECK(to_string(scalar(3)) == "3.");
  CHECK(to_string(Indices(Shape{}, std::vector<int32_t>{7})) == "7");
}

TEST_CASE("an undefined tensor is not printed", "[print]") {
  CHECK_THROWS_WITH(to_string(Tensor()), ContainsSubstring("undefined"));
}
