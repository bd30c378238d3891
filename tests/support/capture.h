// What the process writes to stdout or stderr, kept as text: for tests of what a reader sees.
#pragma once
#include <unistd.h>

#include <cstdio>
#include <stdexcept>
#include <string>

class Capture {
 public:
  // Until text() is called, or to the end of the scope, `descriptor` leads into a file.
  explicit Capture(int descriptor = STDOUT_FILENO)
      : descriptor_(descriptor), file_(std::tmpfile()), before_(dup(descriptor)) {
    if (!file_ || before_ < 0) throw std::runtime_error("capture: cannot make a temporary file");
    std::fflush(nullptr);
    dup2(fileno(file_), descriptor_);
  }
  ~Capture() {
    const std::string all = text();
    // Catch2 reports a failure where the test's own output goes: pass it on.
    if (all.find("FAILED:") != std::string::npos) std::fputs(all.c_str(), stdout);
    std::fclose(file_);
  }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  std::string text() {
    stop();
    std::rewind(file_);
    std::string all;
    char part[4096];
    while (const size_t n = std::fread(part, 1, sizeof part, file_)) all.append(part, n);
    return all;
  }

 private:
  void stop() {
    if (before_ < 0) return;
    std::fflush(nullptr);
    dup2(before_, descriptor_);
    close(before_);
    before_ = -1;
  }

  int descriptor_;
  FILE* file_;
  int before_;
};
