// The main of the test binaries: runs Catch2 and closes with one plain line,
// `123 passed, 0 failed` or `123 passed, 0 failed, 2 skipped`. See docs/contributing.md.
#include <cstdlib>
#include <iostream>

#include "base/memory.h"
#include "support/catch.h"
#include "support/skip.h"

#if __has_include(<catch2/catch_all.hpp>)
using ListenerBase = Catch::EventListenerBase;
#else
using ListenerBase = Catch::TestEventListenerBase;
#endif

namespace {

struct Count {
  int passed = 0, failed = 0, skipped = 0;
  bool test_is_skipped = false, ran = false;
};
Count count;

struct CountingListener : ListenerBase {
  using ListenerBase::ListenerBase;

  void testRunStarting(const Catch::TestRunInfo&) override { count.ran = true; }

  void testCaseStarting(const Catch::TestCaseInfo&) override { count.test_is_skipped = false; }

  void testCaseEnded(const Catch::TestCaseStats& test) override {
    if (test.totals.testCases.failed > 0) {
      ++count.failed;
    } else if (count.test_is_skipped) {
      ++count.skipped;
    } else {
      ++count.passed;
    }
  }
};
CATCH_REGISTER_LISTENER(CountingListener)

}  // namespace

void skip(const std::string& reason) {
  const char* strict = std::getenv("KINDLING_FAIL_ON_SKIP");
  if (strict && std::string(strict) == "1") FAIL("skipped: " << reason);
  count.test_is_skipped = true;
  std::cout << "skipped: " << Catch::getResultCapture().getCurrentTestName() << ": " << reason
            << std::endl;
}

int main(int argc, char** argv) {
  // A value read before it is written shows as NaN in the result.
  kindling::memory::poison_new_blocks = true;
  int code = Catch::Session().run(argc, argv);
  if (!count.ran) return code;  // --help, --list-tests or a usage error
  std::cout << count.passed << " passed, " << count.failed << " failed";
  if (count.skipped > 0) std::cout << ", " << count.skipped << " skipped";
  std::cout << std::endl;
  // A filter that matches nothing must not look like success.
  if (code == 0 && count.passed + count.failed + count.skipped == 0) return 1;
  return code;
}
