// What every part of weave needs: errors, files as lines, words, Markdown. See docs/weave.cpp.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weave {

// Something is wrong with a marker or with what it names; weave.cpp adds the page and the line.
struct Problem : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Problem(fmt::format(format, std::forward<Args>(args)...));
}

using Lines = std::vector<std::string>;

inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (!in.good() && !in.eof()) fail("{}: cannot be read", path);
  return text;
}

// "a\nb\n" and "a\nb" are both two lines.
inline Lines split_lines(const std::string& text) {
  Lines lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

inline Lines read_lines(const std::string& path) { return split_lines(read_file(path)); }

inline std::string trim(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

inline std::string indentation(const std::string& line) {
  return line.substr(0, std::min(line.find_first_not_of(" \t"), line.size()));
}

// A marker's words. One with spaces stands in "quotes", where \" is a quotation mark.
struct Word {
  std::string text;
  bool quoted;
};
inline std::vector<Word> split_words(const std::string& text) {
  std::vector<Word> words;
  for (size_t i = 0; i < text.size();) {
    if (text[i] == ' ') {
      ++i;
      continue;
    }
    Word word{"", text[i] == '"'};
    if (word.quoted) ++i;
    const char end = word.quoted ? '"' : ' ';
    for (; i < text.size() && text[i] != end; ++i) {
      if (word.quoted && text[i] == '\\' && i + 1 < text.size()) ++i;
      word.text += text[i];
    }
    if (word.quoted && i++ >= text.size()) fail("a quotation mark is not closed");
    words.push_back(word);
  }
  return words;
}

// Text as it must be written in a Markdown paragraph or table cell; `code` in it stays code.
inline std::string markdown(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '|' || c == '*') out += '\\';
    out += c == '<' ? "&lt;" : std::string(1, c);
  }
  return out;
}

// The run of ` or ~ that opens a block of code on this line; empty when none does.
inline std::string fence_of(const std::string& line) {
  const std::string text = trim(line);
  const size_t size = std::min(text.find_first_not_of(text.substr(0, 1)), text.size());
  return size >= 3 && (text[0] == '`' || text[0] == '~') ? text.substr(0, size) : "";
}

// Whether `line` ends the block that `fence` opened.
inline bool closes(const std::string& line, const std::string& fence) {
  const std::string text = trim(line);
  return text == fence_of(line) && text.rfind(fence, 0) == 0;
}

// A block of code, within a fence that is longer than any in it.
inline Lines fenced(const Lines& lines, const std::string& language) {
  std::string fence = "```";
  for (const std::string& line : lines) {
    if (fence_of(line).size() >= fence.size()) fence = std::string(fence_of(line).size() + 1, '`');
  }
  Lines out = {fence + language};
  out.insert(out.end(), lines.begin(), lines.end());
  out.push_back(fence);
  return out;
}

}  // namespace weave
