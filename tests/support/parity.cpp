// Operations against PyTorch; see parity.h.
#include "support/parity.h"

#include <set>

#include "kernels/dispatch.h"
#include "support/catch.h"
#include "support/golden.h"

using namespace kindling;

namespace {

constexpr double kTolerance = 1e-5;

const Golden& golden() {
  static const Golden file("tests/golden/ops.txt");
  return file;
}

void check_case(const ParityCase& one) {
  const std::string prefix = std::string(one.name) + "/";
  Tensors inputs;
  while (golden().has(prefix + "x" + std::to_string(inputs.size()))) {
    inputs.push_back(golden().tensor(prefix + "x" + std::to_string(inputs.size())));
    inputs.back().set_requires_grad();
  }
  REQUIRE_FALSE(inputs.empty());
  const Tensor y = one.f(inputs);
  CHECK(relative_error(y, golden().tensor(prefix + "y")) < kTolerance);
  y.backward(golden().tensor(prefix + "gy"));
  for (size_t i = 0; i < inputs.size(); ++i) {
    INFO("gradient of input " << i);
    REQUIRE(inputs[i].grad().defined());
    CHECK(relative_error(inputs[i].grad(), golden().tensor(prefix + "gx" + std::to_string(i))) <
          kTolerance);
  }
}

}  // namespace

Indices golden_indices(const char* name) {
  return golden().indices(std::string(name) + "/indices");
}

void check_parity(const std::vector<ParityCase>& cases) {
  std::set<std::string> given, known;
  for (const ParityCase& one : cases) {
    const std::string name = one.name;
    given.insert(name);
    for (const std::string& array : golden().names(name.substr(0, name.find('/') + 1))) {
      known.insert(array.substr(0, array.rfind('/')));
    }
  }
  CHECK(given == known);
  const std::string before = kernels().name;
  for (const std::string& isa : available_isas()) {
    set_isa(isa);
    for (const ParityCase& one : cases) {
      INFO(one.name << " on " << isa);
      check_case(one);
    }
  }
  set_isa(before);
}
