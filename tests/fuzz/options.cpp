// Any words as a lesson's command line, one word a line: parse accepts them, answers --help, or
// throws UsageError, nothing else, and a number it accepted is in its range. Run: make fuzz
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "base/check.h"
#include "train/cli.h"

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  return std::freopen("/dev/null", "w", stdout) ? 0 : 1;  // --help prints there
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  std::istringstream lines(std::string(bytes, bytes + size));
  std::vector<std::string> words = {"lesson"};
  for (std::string line; std::getline(lines, line);) words.push_back(line.c_str());
  std::vector<const char*> argv;
  for (const std::string& word : words) argv.push_back(word.c_str());

  kindling::Cli cli("00-fuzz", "Any words.");
  cli.shared.epochs = 1, cli.shared.batch = 1, cli.shared.lr = 1;
  int64_t width = 1;
  double decay = 0;
  std::string part = "all";
  bool plain = false;
  cli.option("--width", width, "a number");
  cli.option("--decay", decay, "a real number");
  cli.choice("--part", part, {"all", "first"}, "one of two");
  cli.option("--plain", plain, "a flag");
  cli.data_choice({"auto", "mnist"});
  try {
    cli.parse(static_cast<int>(argv.size()), argv.data());
    cli.changed();
    cli.settings();
  } catch (const kindling::UsageError&) {
  }
  const kindling::SharedOptions& shared = cli.shared;
  const bool whole_right = width >= 0 && shared.epochs >= 0 && shared.batch >= 1;
  if (!whole_right || !(decay >= 0) || !(shared.lr >= 0) || std::isinf(decay)) std::abort();
  return 0;
}
