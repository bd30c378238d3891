// What the Makefile finds by itself.
#include "support/catch.h"
#include "support/command.h"

TEST_CASE("make: a new lesson needs its folder and a line in lessons/index.txt, nothing else") {
  const TempFolder temp;
  const std::string root = temp.path(), build = build_folder();
  // A copy of the tree with the library as it is built here, so that only the new lesson compiles.
  const CommandResult copy = run_command(
      "mkdir -p " + root + "/" + build + "/objects && cp -a Makefile framework lessons " + root +
      " && cp -a " + build + "/objects/framework " + root + "/" + build + "/objects && cp -a " +
      build + "/flags " + build + "/libkindling.a " + root + "/" + build);
  INFO(copy.output);
  REQUIRE(copy.code == 0);
  write_text(temp.path() / "lessons/99-new/lesson.cpp", R"(#include "kindling.h"
int main() { fmt::print("ones add up to {}\n", kindling::sum(kindling::ones({2, 3})).item()); }
)");
  const CommandResult absent = run_command("make -C " + root + " lesson-99");
  CHECK(absent.code == 2);
  CHECK_THAT(absent.output, ContainsSubstring("there is no lesson-99"));

  write_text(temp.path() / "lessons/index.txt",
             read_text("lessons/index.txt") + "99-new\tA lesson that a test has added\n");
  const CommandResult made = run_command("make -C " + root + " lesson-99");
  INFO(made.output);
  CHECK(made.code == 0);
  CHECK_THAT(made.output, ContainsSubstring("ones add up to 6"));
}
