// The kinds of markers: each function makes the lines that one kind asks for. They are listed at
// the head of docs/weave.cpp.
#pragma once

#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "weave_code.h"
#include "weave_records.h"

namespace weave {

namespace fs = std::filesystem;
inline constexpr uintmax_t kPictureBytes = 200'000;  // what a page may ask a reader to load at once

// What a marker asks for: the lines, and where they come from, for the message when they differ.
struct Woven {
  Lines lines;
  std::string origin;
};

using Words = std::vector<Word>;

// The path that a link on `page` must give for a file of the repository.
inline std::string link_to(const std::string& file, const fs::path& page) {
  return fs::path(file).lexically_relative(page.parent_path()).generic_string();
}

inline std::string output_of(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) fail("{}: cannot be run", command);
  std::string output;
  char part[4096];
  while (const size_t n = fread(part, 1, sizeof part, pipe)) output.append(part, n);
  const int status = pclose(pipe);
  if (status != 0) fail("{}: exit code {}", command, WIFEXITED(status) ? WEXITSTATUS(status) : 128);
  return output;
}

inline bool is(const Words& words, size_t i, const char* text) {
  return i < words.size() && !words[i].quoted && words[i].text == text;
}

// --- The kinds of markers. words[0] is the kind.

inline Woven code(const Words& words, const fs::path& page) {
  const std::string& file = words[1].text;
  std::string first, last;
  size_t i = 2;
  if (is(words, i, "lines")) {
    if (words.size() < 6 || !is(words, 4, ".."))
      fail("expected: code FILE lines \"first\" .. \"last\"");
    first = words[3].text, last = words[5].text;
    i = 6;
  } else if (i < words.size() && words[i].quoted) {
    first = words[i++].text;
  }
  const bool with_comment = is(words, i, "with") && is(words, i + 1, "comment");
  if (with_comment) i += 2;
  if (i < words.size()) fail("code: \"{}\" is not understood here", words[i].text);

  const Quote quote = quote_code(file, first, last, with_comment);
  const std::string extension = fs::path(file).extension().string();
  const std::string language = extension == ".cpp" || extension == ".h" ? "cpp"
                               : extension == ".py"                     ? "python"
                               : extension.empty()                      ? "sh"
                                                                        : "text";
  Lines lines = {fmt::format("[`{}`, line {}]({}#L{}-L{})", file, quote.first, link_to(file, page),
                             quote.first, quote.last),
                 ""};
  const Lines block = fenced(quote.lines, language);
  lines.insert(lines.end(), block.begin(), block.end());
  return {lines, fmt::format("{} lines {}–{}", file, quote.first, quote.last)};
}

inline Woven output(const Words& words, const fs::path&) {
  const std::string& file = words[1].text;
  const Lines all = read_lines(file);
  size_t begin = 0, end = all.size();
  for (size_t i = 2; i < words.size(); i += 2) {
    const bool from = is(words, i, "from");
    if ((!from && !is(words, i, "to")) || i + 1 >= words.size()) {
      fail("expected: output FILE [from \"text\"] [to \"text\"]");
    }
    size_t found = begin;
    while (found < all.size() && all[found].find(words[i + 1].text) == std::string::npos) ++found;
    if (found == all.size()) fail("{}: no line has \"{}\" in it", file, words[i + 1].text);
    (from ? begin : end) = from ? found : found + 1;
  }
  if (begin == end) fail("{}: is empty", file);
  return {fenced({all.begin() + static_cast<std::ptrdiff_t>(begin),
                  all.begin() + static_cast<std::ptrdiff_t>(end)},
                 "text"),
          fmt::format("{} lines {}–{}", file, begin + 1, end)};
}

inline Woven options(const Words& words, const fs::path&) {
  const char* build = std::getenv("KINDLING_BUILD");
  const std::string binary = fmt::format("{}/lesson-{}", build ? build : "build", words[1].text);
  if (!fs::exists(binary)) fail("{}: is not built. Run: make lessons", binary);
  return {fenced(split_lines(output_of("'" + binary + "' --help")), "text"), binary + " --help"};
}

inline Woven menu(const Words&, const fs::path&) {
  // Without make's own variables, which would tell this make that it is part of another.
  const char* command = "env -u MAKEFLAGS -u MAKELEVEL make -s help";
  Lines lines = split_lines(output_of(command));
  while (!lines.empty() && lines.front().empty()) lines.erase(lines.begin());
  return {fenced(lines, "text"), "the menu of the Makefile"};
}

inline Woven picture(const Words& words, const fs::path& page) {
  const std::string& file = words[1].text;
  if (!fs::exists(file)) fail("{}: there is no such picture", file);
  if (fs::file_size(file) > kPictureBytes) {
    fail("{}: has {} bytes; a picture may have {}", file, fs::file_size(file), kPictureBytes);
  }
  const std::string shown = words.size() > 2 ? words[2].text : fs::path(file).stem().string();
  return {{fmt::format("![{}]({})", shown, link_to(file, page))}, file};
}

inline std::string table_row(const Lines& cells) {
  return fmt::format("| {} |", fmt::join(cells, " | "));
}

inline Woven table(const Words& words, const fs::path&) {
  struct Column {
    std::string name, format;
  };
  std::vector<Column> columns;
  std::string by;
  Lines filters;
  for (size_t i = 2; i < words.size(); ++i) {
    const std::string& word = words[i].text;
    const size_t colon = word.rfind(':');
    if (is(words, i, "by") && i + 1 < words.size())
      by = words[++i].text;
    else if (word.find_first_of("=~") != std::string::npos)
      filters.push_back(word);
    else if (colon == std::string::npos)
      columns.push_back({word, ""});
    else
      columns.push_back({word.substr(0, colon), word.substr(colon + 1)});
  }
  if (columns.empty())
    fail("expected: table FILE COLUMN[:FORMAT] ... [by COLUMN] [COLUMN=VALUE ...]");

  const Records all = read_records(words[1].text, filters);
  std::vector<Records> groups;  // one for each row of the table
  for (const Lines& row : all.rows) {
    auto group = groups.end();
    if (!by.empty()) {
      const size_t c = all.column(by);
      group = std::find_if(groups.begin(), groups.end(),
                           [&](const Records& g) { return g.rows[0][c] == row[c]; });
    }
    if (group == groups.end())
      groups.push_back({all.file, all.columns, {row}});
    else
      group->rows.push_back(row);
  }
  if (!by.empty()) columns.insert(columns.begin(), {by, ""});

  Lines head, rule;
  for (const Column& column : columns) {
    head.push_back(markdown(column.name));
    std::replace(head.back().begin(), head.back().end(), '_', ' ');
    rule.push_back(column.format.empty() ? "---" : "---:");
  }
  if (!by.empty()) head.push_back("runs"), rule.push_back("---:");
  Woven woven{{table_row(head), table_row(rule)}, all.file};
  for (const Records& group : groups) {
    Lines cells;
    for (const Column& column : columns) {
      const size_t c = all.column(column.name);
      std::string cell = group.rows[0][c];
      for (const Lines& row : group.rows) {
        if (column.format.empty() && row[c] != cell) {
          fail("{}: \"{}\" differs between runs of one {}: give it a format", all.file, column.name,
               by);
        }
      }
      if (!column.format.empty()) cell = statistic(group, column.name, "mean", column.format);
      if (!column.format.empty() && group.rows.size() > 1) {
        cell += " ± " + statistic(group, column.name, "sd", column.format);
      }
      cells.push_back(markdown(cell));
    }
    if (!by.empty()) cells.push_back(fmt::format("{}", group.rows.size()));
    woven.lines.push_back(table_row(cells));
  }
  return woven;
}

inline Woven lessons(const Words&, const fs::path& page) {
  Woven woven{{"| lesson | | result | minutes |", "| --- | --- | --- | ---: |"},
              "the recorded runs"};
  for (const std::string& line : read_lines("lessons/index.txt")) {
    if (line.empty() || line[0] == '#') continue;
    const size_t end = std::min(line.find_first_of(" \t"), line.size());
    const std::string name = line.substr(0, end),
                      experiments = "lessons/" + name + "/experiments.txt";
    std::string result, minutes;
    for (const std::string& headline : read_lines(experiments)) {
      const Words words = split_words(headline);
      if (words.size() < 6 || !is(words, 0, "#") || !is(words, 1, "headline")) continue;
      const Records records =
          read_records(fmt::format("lessons/{}/records/{}.tsv", name, words[2].text), {});
      for (size_t i = 5; i < words.size(); ++i) result += (i > 5 ? " " : "") + words[i].text;
      const size_t hole = result.find("{}");
      if (hole == std::string::npos)
        fail("{}: the headline has no {{}} for the number", experiments);
      result.replace(hole, 2, statistic(records, words[3].text, "mean", words[4].text));
      minutes = format_number(std::max(0.1, mean(numbers(records, "seconds")) / 60), ".1");
      break;
    }
    if (result.empty()) {
      fail("{}: has no line `# headline EXPERIMENT COLUMN FORMAT TEXT WITH {{}}`", experiments);
    }
    woven.lines.push_back(
        table_row({fmt::format("[{}]({})", name, link_to("docs/" + name + ".md", page)),
                   markdown(trim(line.substr(end))), markdown(result), minutes}));
  }
  return woven;
}

inline bool is_comment(const std::string& line) { return trim(line).rfind("//", 0) == 0; }

inline bool is_code(const std::string& line) { return !trim(line).empty() && !is_comment(line); }

// The text of a line that is a comment.
inline std::string comment_text(const std::string& line) { return trim(trim(line).substr(2)); }

inline Woven ops(const Words&, const fs::path& page) {
  const std::string file = "framework/ops/ops.h";
  const Lines lines = read_lines(file);
  Woven woven{{}, file};
  bool rows = false;     // whether a table has begun in this section
  bool in_body = false;  // of an inline function, whose lines are passed over
  std::string comment, declaration;
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string line = trim(lines[i]);
    if (in_body) {
      in_body = line != "}";
    } else if (line.rfind("// ----", 0) == 0) {
      const std::string title = line.substr(7, line.find_last_not_of('-') - 6);
      woven.lines.insert(woven.lines.end(), {"", "### " + trim(title), ""});
      rows = false;
      comment.clear();
    } else if (is_comment(line)) {
      comment += (comment.empty() ? "" : " ") + comment_text(line);
    } else if (line.empty()) {  // a comment that stands alone is about the section
      if (!comment.empty() && !woven.lines.empty())
        woven.lines.insert(woven.lines.end(), {markdown(comment), ""});
      comment.clear();
    } else if (!woven.lines.empty() && (line[0] != '}' || !declaration.empty())) {
      const size_t slashes = std::min(line.find("//"), line.size());
      declaration += (declaration.empty() ? "" : " ") + trim(line.substr(0, slashes));
      if (slashes < line.size())
        comment += (comment.empty() ? "" : " ") + comment_text(line.substr(slashes));
      const size_t body = declaration.find(") {");
      const bool options = declaration.rfind("struct ", 0) == 0;  // they end with their brace
      if (options ? line != "};" : declaration.back() != ';' && body == std::string::npos) continue;
      in_body = declaration.back() == '{';
      declaration.resize(body == std::string::npos ? declaration.size() - 1 : body + 1);
      if (declaration.rfind("inline ", 0) == 0) declaration.erase(0, 7);
      if (!rows) woven.lines.insert(woven.lines.end(), {"| function | |", "| --- | --- |"});
      rows = true;
      woven.lines.push_back(table_row({"`" + declaration + "`", markdown(comment)}));
      comment.clear(), declaration.clear();
    }
  }
  if (woven.lines.empty()) fail("{}: has no sections `// ---- Name ----`", file);
  woven.lines.erase(woven.lines.begin());
  woven.lines.push_back(
      fmt::format("\nAll of them are declared in [`{}`]({}).", file, link_to(file, page)));
  return woven;
}

inline Woven order(const Words&, const fs::path& page) {
  Woven woven{{"| file | what it is | code lines |", "| --- | --- | ---: |"}, "framework/ORDER"};
  std::ptrdiff_t total = 0;
  for (const std::string& entry : read_lines("framework/ORDER")) {
    const std::string name = trim(entry.substr(0, entry.find('#')));
    if (name.empty()) continue;
    const std::string file = "framework/" + name;
    const Lines lines = read_lines(file);
    std::string about;  // the first sentence of the comment that opens the file
    for (size_t i = 0; i < lines.size() && is_comment(lines[i]); ++i) {
      about += (about.empty() ? "" : " ") + comment_text(lines[i]);
    }
    about = about.substr(0, about.find(" Page: "));
    about = about.substr(0, about.find(". "));
    if (!about.empty() && about.back() == '.') about.pop_back();
    const auto count = std::count_if(lines.begin(), lines.end(), is_code);
    total += count;
    woven.lines.push_back(table_row({fmt::format("[{}]({})", name, link_to(file, page)),
                                     markdown(about), fmt::format("{}", count)}));
  }
  woven.lines.push_back(table_row({"all", "", fmt::format("{}", total)}));
  return woven;
}

inline Woven weave_block(const Words& words, const fs::path& page) {
  struct Kind {
    const char* name;
    bool takes_words;
    Woven (*make)(const Words&, const fs::path&);
  };
  static constexpr Kind kKinds[] = {
      {"code", true, code},   {"output", true, output},   {"options", true, options},
      {"table", true, table}, {"picture", true, picture}, {"lessons", false, lessons},
      {"ops", false, ops},    {"order", false, order},    {"menu", false, menu}};
  for (const Kind& kind : kKinds) {
    if (!is(words, 0, kind.name)) continue;
    if (kind.takes_words && words.size() < 2) fail("{}: names nothing", kind.name);
    if (!kind.takes_words && words.size() > 1) fail("{}: takes no further words", kind.name);
    return kind.make(words, page);
  }
  fail("unknown marker \"{}\"", words.empty() ? "" : words[0].text);
}

inline std::string value(const Words& words) {
  if (words.size() < 3) fail("expected: v FILE COLUMN STATISTIC [FORMAT] [COLUMN=VALUE ...]");
  std::string format;
  Lines filters;
  for (size_t i = 3; i < words.size(); ++i) {
    if (words[i].text.find_first_of("=~") != std::string::npos)
      filters.push_back(words[i].text);
    else
      format = words[i].text;
  }
  return statistic(read_records(words[0].text, filters), words[1].text, words[2].text, format);
}

}  // namespace weave
