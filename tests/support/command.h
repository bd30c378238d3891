// Running programs and working in a temporary folder, for the tests of lessons and tools.
#pragma once
#include <filesystem>
#include <string>

struct CommandResult {
  int code;            // exit code; 128 + n when killed by signal n
  std::string output;  // stdout and stderr together
};

// Runs a shell command in the current folder (the root of the repository during tests).
CommandResult run_command(const std::string& command);

// Whether a program of this name can be run.
bool has_program(const std::string& name);

// The folder of the built binaries: KINDLING_BUILD, which make sets, or build. So
// build_folder() / "lesson-02-perceptron" is right in every build variant.
std::filesystem::path build_folder();

std::string read_text(const std::filesystem::path& file);

// Writes the file and the folders above it.
void write_text(const std::filesystem::path& file, const std::string& text);

// A new empty folder, removed with all that is in it at the end of the scope.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};
