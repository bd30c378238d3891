// Errors: one class per exit code, and ENSURE, the only macro of the project. Page:
// docs/contributing.md
#pragma once

#include "base/standard.h"

#include <fmt/format.h>

#include <stdexcept>

namespace kindling {

// Something was asked that cannot be done: wrong shapes, a damaged file, a misuse. Exit code 1.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The command line makes no sense. Exit code 2.
struct UsageError : Error {
  using Error::Error;
};

// A data set is not on this machine; the message says which command fetches it. Exit code 4.
struct DataMissing : Error {
  using Error::Error;
};

// The reader pressed Ctrl-C; a checkpoint has been written by then. Exit code 130.
struct Interrupted : Error {
  using Error::Error;
};

// "a, b, c", for messages. (fmt::join compiles a second's worth of templates wherever it is used.)
inline std::string joined(std::span<const std::string> words, const std::string& between = ", ") {
  std::string text;
  for (const std::string& word : words) text += between + word;
  return words.empty() ? text : text.substr(between.size());
}

}  // namespace kindling

// ENSURE(condition, "op: what is wrong: {} against {}", a, b) throws Error with the formatted text.
#define ENSURE(condition, ...) \
  ((condition) ? void() : throw ::kindling::Error(::fmt::format(__VA_ARGS__)))
