// Tests of framework/base/file: whole or not at all.
#include "io/file.h"

#include <filesystem>

#include "support/catch.h"
#include "support/command.h"
#include "support/skip.h"

using namespace kindling;
namespace fs = std::filesystem;

TEST_CASE("a file is written whole and read whole", "[file]") {
  TempFolder folder;
  const std::string path = (folder.path() / "x").string();
  const std::string zeros("a\0b\n", 4), large(100000, 'x');
  write_file(path, zeros);
  CHECK(read_file(path) == zeros);
  write_file(path, {zeros, "", large, "end"});
  CHECK(read_file(path) == zeros + large + "end");
  write_file(path, "");
  CHECK(fs::exists(path));
  CHECK(read_file(path).empty());
  CHECK(read_file(path + ".other").empty());
  CHECK_FALSE(fs::exists(path + ".part"));
}

TEST_CASE("a write that fails leaves the old file and nothing else", "[file]") {
  TempFolder folder;
  const std::string path = (folder.path() / "x").string();
  CHECK_THROWS_WITH(write_file("nowhere/x", "new"),
                    Equals("nowhere/x: cannot be written: No such file or directory"));

  // A folder in the place of the file: the rename fails after everything was written.
  fs::create_directories(path + "/inside");
  CHECK_THROWS_WITH(write_file(path, "new"), Equals(path + ": cannot be written: Is a directory"));
  CHECK_FALSE(fs::exists(path + ".part"));
  CHECK(fs::exists(path + "/inside"));

  const std::string other = (folder.path() / "y").string();
  write_file(other, "old");
  fs::create_directories(other + ".part");  // nothing can be written there
  CHECK_THROWS_WITH(write_file(other, "new"), ContainsSubstring("cannot be written"));
  CHECK(read_file(other) == "old");
}

TEST_CASE("a full disk is noticed while writing", "[file]") {
  if (!fs::exists("/dev/full")) return skip("this system has no /dev/full");
  TempFolder folder;
  const std::string path = (folder.path() / "x").string(), large(1 << 20, 'x');
  for (const std::string& bytes : {std::string("new"), large}) {
    fs::create_symlink("/dev/full", path + ".part");
    CHECK_THROWS_WITH(write_file(path, {bytes, ""}),
                      Equals(path + ": cannot be written: No space left on device"));
    CHECK_FALSE(fs::exists(path));
    CHECK_FALSE(fs::is_symlink(path + ".part"));
  }
}
