// The mutation runner (tests/mutants.cpp) on a small project whose "compiler" is cp and whose tests
// are shell scripts, so that every outcome of a mutant is seen in a second.
#include "support/catch.h"
#include "support/command.h"

namespace {

// answer.txt holds the program; the test named `answer` compares it with 42, and is otherwise told
// by the program's text to pass, to crash or to throw.
class ToyProject : public TempFolder {
 public:
  ToyProject() {
    for (const std::string folder : {"lessons", "datasets", "docs"}) {
      std::filesystem::create_directories(path() / folder);
    }
    write("framework/answer.txt", "one\n42\nthree\n");
    write("tests/test_toy.cpp", "TEST_CASE(\n    \"answer is right\") {}\n");
    write("Makefile",
          "build/only/test_toy: framework/answer.txt tests/toy.sh\n"
          "\t@mkdir -p build/only\n"
          "\t@! grep -q syntax framework/answer.txt\n"
          "\t@cp tests/toy.sh $@ && chmod +x $@ && touch $@\n");
    write(
        "tests/toy.sh",
        "#!/bin/sh\n"
        "grep -q crash framework/answer.txt && kill -SEGV $$\n"
        "grep -q throw framework/answer.txt && { echo 'toy.cpp:1: FAILED:'\n"
        "  echo 'due to unexpected exception with message:'; echo '0 passed, 1 failed'; exit 1; }\n"
        "grep -q 42 framework/answer.txt && { echo '1 passed, 0 failed'; exit 0; }\n"
        "echo 'toy.cpp:1: FAILED:'; echo '0 passed, 1 failed'; exit 1\n");
  }

  void write(const std::string& file, const std::string& text) { write_text(path() / file, text); }

  CommandResult mutate(const std::string& old_text, const std::string& new_text,
                       const std::string& part = "") {
    write("tests/mutants/toy.txt",
          "# comment\nmutant first\nfile framework/answer.txt\ntest answer is right\n- " +
              old_text + "\n+ " + new_text + "\n");
    return run_command("KINDLING_BUILD=build " +
                       std::filesystem::absolute(build_folder() / "mutants").string() + " " +
                       path().string() + " " + part);
  }
};

}  // namespace

TEST_CASE("mutants: one whose test fails by an assertion is killed") {
  ToyProject toy;
  const CommandResult result = toy.mutate("42\n- three", "43\n+ three");
  INFO(result.output);
  CHECK(result.code == 0);
  CHECK_THAT(result.output, ContainsSubstring("killed   first"));
  CHECK_THAT(result.output, ContainsSubstring("1 of 1 killed"));
  CHECK(read_text(toy.path() / "framework/answer.txt") == "one\n42\nthree\n");
}

TEST_CASE("mutants: every other outcome leaves it alive") {
  ToyProject toy;
  const auto [new_text, reason] = GENERATE(table<std::string, std::string>({
      {"four", "survived: 'answer is right' passes"},
      {"syntax", "does not compile"},
      {"crash", "failed, but not by an assertion"},
      {"throw", "failed, but not by an assertion"},
  }));
  const CommandResult result = toy.mutate("three", new_text);
  INFO(result.output);
  CHECK(result.code == 1);
  CHECK_THAT(result.output, ContainsSubstring("ALIVE    first"));
  CHECK_THAT(result.output, ContainsSubstring(reason));
  CHECK_THAT(result.output, ContainsSubstring("0 of 1 killed"));
}

TEST_CASE("mutants: a list that makes no sense is refused before anything is built") {
  ToyProject toy;
  SECTION("the old text is missing") {
    CHECK_THAT(toy.mutate("44", "45").output,
               ContainsSubstring("toy.txt:2: first: the old text stands 0 times in "
                                 "framework/answer.txt"));
  }
  SECTION("the old text stands twice") {
    CHECK_THAT(toy.mutate("e", "f").output, ContainsSubstring("the old text stands 3 times"));
  }
  SECTION("no file has the test") {
    toy.write("tests/test_toy.cpp", "// \"answer is right\"\n");
    CHECK_THAT(toy.mutate("42", "43").output, ContainsSubstring("is in 0 files"));
  }
  SECTION("an unknown word") {
    CHECK_THAT(toy.mutate("42", "43\nfoo bar").output,
               ContainsSubstring("toy.txt:7: unknown word 'foo'"));
  }
  SECTION("the test fails without an edit") {
    toy.write("framework/answer.txt", "one\n41\nthree\n");
    const CommandResult result = toy.mutate("three", "four");
    CHECK(result.code == 1);
    CHECK_THAT(result.output, ContainsSubstring("fails on the unchanged tree"));
  }
}

TEST_CASE("mutants: --check only reads the lists") {
  ToyProject toy;
  CHECK(toy.mutate("42", "43", "--check").output.empty());
  const CommandResult wrong = toy.mutate("44", "45", "--check");
  CHECK(wrong.code == 1);
  CHECK_THAT(wrong.output, ContainsSubstring("the old text stands 0 times"));
}

TEST_CASE("mutants: a part takes its share") {
  ToyProject toy;
  CHECK(toy.mutate("42", "43", "1/2").code == 0);
  CHECK_THAT(toy.mutate("42", "43", "2/2").output, ContainsSubstring("no mutants"));
  CHECK_THAT(toy.mutate("42", "43", "3/2").output, ContainsSubstring("PART is k/n"));
}
