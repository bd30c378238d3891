// Which instruction set runs, and what is said when it cannot.
#include <cstdlib>
#include <sstream>

#include "base/check.h"
#include "support/command.h"
#include "support/kernels.h"
#include "support/skip.h"

using namespace kindling;

namespace {

// KINDLING_ISA for the length of a scope.
struct Environment {
  explicit Environment(const char* value) { setenv("KINDLING_ISA", value, 1); }
  ~Environment() {
    if (had) {
      setenv("KINDLING_ISA", before.c_str(), 1);
    } else {
      unsetenv("KINDLING_ISA");
    }
  }
  const bool had = std::getenv("KINDLING_ISA") != nullptr;
  const std::string before = had ? std::getenv("KINDLING_ISA") : "";
};

// The program that lists symbols; NM=... where the objects are another machine's.
std::string nm() {
  const char* name = std::getenv("NM");
  return name ? name : "nm";
}

}  // namespace

TEST_CASE("every instruction set can be chosen by name", "[kernels][dispatch]") {
  const std::string before = kernels().name;
  REQUIRE(available_isas().front() == "scalar");
  for (const std::string& name : available_isas()) {
    set_isa(name);
    CHECK(kernels().name == name);
    const Environment environment(name.c_str());
    CHECK(detail::choose_kernels().name == name);
  }
  set_isa(before);
}

TEST_CASE("an unknown instruction set is refused with the names there are", "[kernels][dispatch]") {
  const Kernels* before = &kernels();
  CHECK_THROWS_AS(set_isa("avx1024"), UsageError);
  CHECK_THROWS_WITH(set_isa("avx1024"), ContainsSubstring("'avx1024'") &&
                                            ContainsSubstring("this machine runs scalar") &&
                                            ContainsSubstring("compiled in: scalar"));
  CHECK(&kernels() == before);
  const Environment environment("sse");
  CHECK_THROWS_WITH(detail::choose_kernels(), ContainsSubstring("KINDLING_ISA 'sse'"));
  CHECK(&kernels() == before);
}

TEST_CASE("code for a wide machine is never shared with other files", "[kernels][dispatch]") {
  // The linker keeps one copy of a weak symbol, from any file: it must not be one of these.
  if (!has_program(nm())) return skip(nm() + " is not installed: run make deps");
  for (const std::string& name : available_isas()) {
    const auto object = build_folder() / ("objects/framework/kernels/isa_" + name + ".o");
    if (!std::filesystem::exists(object)) return skip(object.string() + " is not there");
    const CommandResult symbols = run_command(nm() + " " + object.string());
    REQUIRE(symbols.code == 0);
    CHECK_THAT(symbols.output, ContainsSubstring("kernels_" + name));
    std::istringstream lines(symbols.output);
    for (std::string line; std::getline(lines, line);) {
      INFO(line);
      // Two that compilers add for exceptions, which hold no arithmetic.
      if (line.find("__gxx_personality") != std::string::npos) continue;
      if (line.find("__clang_call_terminate") != std::string::npos) continue;
      CHECK(line.find(" W ") == std::string::npos);
      CHECK(line.find(" V ") == std::string::npos);
    }
  }
}

TEST_CASE("an object of an instruction set shows its table and nothing else", "[kernels]") {
  for (const std::string& isa : available_isas()) {
    const auto object = build_folder() / ("objects/framework/kernels/isa_" + isa + ".o");
    const CommandResult names = run_command(nm() + " -g --defined-only " + object.string());
    INFO(names.output);
    REQUIRE(names.code == 0);
    CHECK_THAT(names.output, ContainsSubstring("kernels_" + isa));
    std::istringstream lines(names.output);
    for (std::string line; std::getline(lines, line);) {
      // AddressSanitizer puts a symbol of its own beside the table.
      CHECK(line.find("kernels_" + isa) != std::string::npos);
    }
  }
}

#if defined(__x86_64__) && !defined(KINDLING_ASAN) && !defined(__SANITIZE_THREAD__)
TEST_CASE("a machine of 2008 runs the scalar kernels and refuses the others", "[kernels]") {
  if (!has_program("qemu-x86_64")) return skip("qemu-x86_64 is not installed: run make deps-dev");
  const std::string old = "qemu-x86_64 -cpu Nehalem ";
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  const CommandResult run =
      run_command(old + self +
                  " 'every instruction set can be chosen*,an empty sum*,one NaN reaches its row*'");
  INFO(run.output);
  CHECK(run.code == 0);  // of the file's tests alone the first runs; of all, products as well
  const std::string bench = old + (build_folder() / "bench").string();
  for (const std::string isa : {"avx2", "avx512"}) {
    const CommandResult forced = run_command("BENCH=gemm KINDLING_ISA=" + isa + " " + bench);
    CHECK(forced.code == 2);
    CHECK_THAT(forced.output,
               ContainsSubstring("error: KINDLING_ISA '" + isa + "': this machine runs scalar"));
  }
}
#endif
