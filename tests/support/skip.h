// Skipping a test whose tool or data is absent; see docs/contributing.md.
#pragma once
#include <string>

// Marks the running test as skipped and prints the reason; the test then returns:
//   if (!has_program("dot")) return skip("dot is not installed: run make deps-dev");
// With KINDLING_FAIL_ON_SKIP=1 in the environment the test fails instead.
void skip(const std::string& reason);
