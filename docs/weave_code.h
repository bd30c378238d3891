// Finds a function, a class or a range of lines in a source file by the text of its first line, so
// that the source needs no marks for it. See docs/weave.cpp.
#pragma once

#include <cctype>

#include "weave_text.h"

namespace weave {

inline bool in_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// The place after the comment or literal that begins at s[i]; i itself when none begins there.
inline size_t skip_literal(const std::string& s, size_t i) {
  const auto after = [&](const std::string& end, size_t from) {
    const size_t found = s.find(end, from);
    return found == std::string::npos ? s.size() : found + end.size();
  };
  if (s.compare(i, 2, "//") == 0) return std::min(s.find('\n', i), s.size());
  if (s.compare(i, 2, "/*") == 0) return after("*/", i + 2);
  if (s.compare(i, 2, "R\"") == 0 && (i == 0 || !in_name(s[i - 1]))) {
    const size_t open = std::min(s.find('(', i), s.size());
    return after(")" + s.substr(i + 2, open - i - 2) + "\"", open);
  }
  const bool separator = s[i] == '\'' && i > 0 && in_name(s[i - 1]);  // 10'000
  if (separator || (s[i] != '"' && s[i] != '\'')) return i;
  size_t end = i + 1;
  while (end < s.size() && s[end] != s[i]) end += s[end] == '\\' ? 2 : 1;
  return std::min(end + 1, s.size());
}

// The place of the last character, a ; or a }, of the declaration or statement that begins at s[i].
inline size_t end_of_code(const std::string& s, size_t i) {
  int depth = 0;
  for (size_t next; i < s.size(); i = next) {
    next = skip_literal(s, i);
    if (next > i) continue;
    next = i + 1;
    if (s[i] == '(' || s[i] == '[' || s[i] == '{') ++depth;
    if (s[i] == ')' || s[i] == ']' || s[i] == '}') --depth;
    if (depth < 0) break;
    if (depth > 0 || (s[i] != ';' && s[i] != '}')) continue;
    if (s[i] == ';') return i;
    // After a } it goes on with an initialiser list, an assignment, an else ... or is complete.
    size_t ahead = next;
    for (size_t before = s.size() + 1; ahead < s.size() && before != ahead;) {
      before = ahead;
      ahead = std::min(s.find_first_not_of(" \t\r\n", ahead), s.size());
      if (ahead < s.size()) ahead = skip_literal(s, ahead);
    }
    const bool more = ahead < s.size() &&
                      (std::string_view(";,{:?.=").find(s[ahead]) != std::string::npos ||
                       s.compare(ahead, 5, "else ") == 0 || s.compare(ahead, 6, "catch ") == 0);
    if (!more) return i;
  }
  fail("no whole declaration or statement begins there");
}

// Lines first .. last of a file, counted from 1.
struct Quote {
  size_t first, last;
  Lines lines;
};

// A line without its indentation and without a template <...> or inline at its head.
inline std::string declaration(const std::string& line) {
  const std::string text = trim(line);
  if (text.rfind("inline ", 0) == 0) return text.substr(7);
  int depth = 0;
  for (size_t i = text.rfind("template <", 0) == 0 ? text.find('<') : text.size(); i < text.size();
       ++i) {
    depth += (text[i] == '<') - (text[i] == '>');
    if (depth == 0) return declaration(text.substr(i + 1));
  }
  return text;
}

// The number (from 0) of the one line that begins with `text`, as above or behind such a head.
inline size_t find_line(const std::string& file, const Lines& lines, const std::string& text) {
  std::vector<size_t> found;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (!text.empty() &&
        (trim(lines[i]).rfind(text, 0) == 0 || declaration(lines[i]).rfind(text, 0) == 0))
      found.push_back(i);
  }
  if (found.empty()) fail("{}: no line begins with \"{}\"", file, text);
  if (found.size() > 1) {
    fail("{}: lines {} and {} both begin with \"{}\": give more of the line", file, found[0] + 1,
         found[1] + 1, text);
  }
  return found[0];
}

// `first` begins the line of a declaration or statement; a template<...> line above belongs to it,
// and the comment above too where `with_comment`. With `last`, the quote ends at the next line that
// begins with it. With neither, it is the whole file.
inline Quote quote_code(const std::string& file, const std::string& first, const std::string& last,
                        bool with_comment) {
  const std::string text = read_file(file);
  const Lines lines = split_lines(text);
  if (lines.empty()) fail("{}: is empty", file);
  size_t begin = 0, end = lines.size() - 1;
  if (!first.empty()) end = begin = find_line(file, lines, first);
  if (!last.empty()) {
    do {
      if (++end >= lines.size())
        fail("{}: no line after \"{}\" begins with \"{}\"", file, first, last);
    } while (trim(lines[end]).rfind(last, 0) != 0);
  } else if (!first.empty()) {
    size_t place = 0;
    for (size_t i = 0; i < begin; ++i) place += lines[i].size() + 1;
    try {
      end = static_cast<size_t>(
          std::count(text.begin(),
                     text.begin() + static_cast<std::ptrdiff_t>(end_of_code(text, place)), '\n'));
    } catch (const Problem& problem) {
      fail("{}:{}: {}", file, begin + 1, problem.what());
    }
    while (begin > 0 && trim(lines[begin - 1]).rfind("template", 0) == 0) --begin;
  }
  while (with_comment && begin > 0 && trim(lines[begin - 1]).rfind("//", 0) == 0) --begin;

  Quote quote{begin + 1, end + 1, {}};
  size_t margin = std::string::npos;
  for (size_t i = begin; i <= end; ++i) {
    if (!trim(lines[i]).empty()) margin = std::min(margin, indentation(lines[i]).size());
  }
  for (size_t i = begin; i <= end; ++i) {
    quote.lines.push_back(trim(lines[i]).empty() ? "" : lines[i].substr(margin));
  }
  return quote;
}

}  // namespace weave
