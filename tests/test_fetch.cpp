// datasets/fetch: where it looks, what it deletes and what it leaves. The official address is
// replaced by a folder (file://), so nothing is downloaded.
#include "support/catch.h"
#include "support/command.h"
#include "support/skip.h"

namespace fs = std::filesystem;

namespace {

const fs::path kDebianFolder = "/usr/share/datasets/fashion-mnist";

CommandResult fetch(const std::string& environment, const fs::path& folder) {
  return run_command(environment + " datasets/fetch fashion-mnist " + folder.string());
}

int count_files(const fs::path& folder) {
  return static_cast<int>(
      std::distance(fs::recursive_directory_iterator(folder), fs::recursive_directory_iterator()));
}

}  // namespace

TEST_CASE("fetch: an unknown set is a usage error") {
  const CommandResult result = run_command("datasets/fetch nothing");
  CHECK(result.code == 2);
  CHECK_THAT(result.output, ContainsSubstring("no data set 'nothing'; there are: fashion-mnist"));
  const CommandResult bare = run_command("datasets/fetch");
  CHECK(bare.code == 2);
  CHECK_THAT(bare.output, ContainsSubstring("usage: datasets/fetch NAME"));
}

TEST_CASE("fetch: the official address, then the files that are there") {
  if (!has_program("curl")) return skip("curl is missing: make deps");
  if (!fs::exists(kDebianFolder)) return skip("the Debian package is missing: make deps");
  TempFolder temp;
  const fs::path folder = temp.path() / "set";
  const CommandResult first = fetch("KINDLING_SOURCE_URL=file://" + kDebianFolder.string(), folder);
  INFO(first.output);
  CHECK(first.code == 0);
  CHECK_THAT(first.output, ContainsSubstring("downloading from file://"));
  CHECK(count_files(folder) == 4);

  const CommandResult second = fetch("KINDLING_SOURCE_URL=file:///nowhere", folder);
  CHECK(second.code == 0);
  CHECK_THAT(second.output, ContainsSubstring("already in "));

  // A damaged file is named, deleted and fetched again.
  write_text(folder / "t10k-labels-idx1-ubyte.gz", "not gzip");
  const CommandResult third = fetch("KINDLING_SOURCE_URL=file://" + kDebianFolder.string(), folder);
  CHECK(third.code == 0);
  CHECK_THAT(third.output, ContainsSubstring("t10k-labels-idx1-ubyte.gz is not the expected file"));
  CHECK(fs::file_size(folder / "t10k-labels-idx1-ubyte.gz") > 1000);
}

TEST_CASE("fetch: a source with a wrong file leaves nothing behind") {
  if (!has_program("curl")) return skip("curl is missing: make deps");
  if (!fs::exists(kDebianFolder)) return skip("the Debian package is missing: make deps");
  TempFolder temp;
  const fs::path source = temp.path() / "source", folder = temp.path() / "set";
  fs::copy(kDebianFolder, source);
  SECTION("altered") {
    run_command("echo changed | gzip >" + (source / "t10k-labels-idx1-ubyte.gz").string());
    const CommandResult result = fetch("KINDLING_SOURCE_URL=file://" + source.string(), folder);
    INFO(result.output);
    CHECK(result.code == 1);
    CHECK_THAT(result.output, ContainsSubstring("its sha256 differs"));
    CHECK_THAT(result.output, ContainsSubstring("no source worked"));
  }
  SECTION("missing") {
    fs::remove(source / "t10k-labels-idx1-ubyte.gz");
    CHECK(fetch("KINDLING_SOURCE_URL=file://" + source.string(), folder).code == 1);
  }
  CHECK(count_files(folder) == 0);
}

TEST_CASE("fetch: the Debian package") {
  if (!fs::exists(kDebianFolder)) return skip("the Debian package is missing: make deps");
  TempFolder temp;
  const CommandResult result = fetch("", temp.path() / "set");
  CHECK(result.code == 0);
  CHECK_THAT(result.output, ContainsSubstring("copying from " + kDebianFolder.string()));
  CHECK(count_files(temp.path() / "set") == 4);
}

TEST_CASE("fetch: the photograph comes as it is, not packed, and a wrong one is not kept") {
  if (!has_program("curl")) return skip("curl is missing: make deps");
  TempFolder temp;
  const fs::path source = temp.path() / "source", folder = temp.path() / "photograph";
  write_text(source / "chelsea.png", "not the cat");
  const CommandResult result = run_command("KINDLING_SOURCE_URL=file://" + source.string() +
                                           " datasets/fetch photograph " + folder.string());
  INFO(result.output);
  CHECK(result.code == 1);
  CHECK_THAT(result.output, ContainsSubstring("chelsea.png is not the expected file"));
  CHECK(count_files(folder) == 0);
}
