// `make check`: the rules of the project that a program can check. Page: docs/contributing.md
//
// Usage: check [ROOT]. Prints one line for each problem, FILE:LINE: what is wrong, and exits with 1
// when there is one. Each rule below is a function; tests/test_check.cpp breaks each rule once.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

namespace fs = std::filesystem;

namespace {

constexpr int kFileBudget = 400;        // code lines in one file of framework/ and lessons/
constexpr int kFrameworkBudget = 7500;  // code lines in framework/
constexpr int kEngineBudget = 5000;     // code lines in the folders of kEngine
constexpr size_t kColumns = 100;
constexpr uintmax_t kFileBytes = 1 << 20;
const std::set<std::string> kEngine = {"base", "kernels", "tensor", "autograd",
                                       "ops",  "nn",      "optim"};
const std::set<std::string> kTopLevel = {"framework", "lessons",  "datasets", "tests",
                                         "docs",      "Makefile", "README.md"};
const std::set<std::string> kIgnored = {".git", "build", "out"};  // at the top level
const std::string kClangFormat = "clang-format-14";  // other versions format differently

struct Source {
  std::string path;                // from the root: framework/ops/ops.h
  std::vector<std::string> lines;  // lines[0] is line 1
};

struct Include {
  size_t line;
  char kind;  // " or <
  std::string path;
};

std::vector<std::string> problems;

void problem(const std::string& path, size_t line, const std::string& what) {
  problems.push_back(path + (line ? ":" + std::to_string(line) : "") + ": " + what);
}

bool starts_with(const std::string& text, const std::string& start) {
  return text.compare(0, start.size(), start) == 0;
}

std::vector<std::string> read_lines(const fs::path& file) {
  std::vector<std::string> lines;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// All files below the root, as paths from it, without what git ignores.
std::vector<std::string> list_files(const fs::path& root) {
  std::vector<std::string> files;
  auto entry = fs::recursive_directory_iterator(root);
  for (; entry != fs::recursive_directory_iterator(); ++entry) {
    const fs::path path = fs::relative(entry->path(), root);
    const bool data_set = entry->is_directory() && path.parent_path() == "datasets";
    if (kIgnored.count(path.string()) || data_set) {
      entry.disable_recursion_pending();
    } else if (entry->is_regular_file()) {
      files.push_back(path.generic_string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<Include> includes_of(const Source& source) {
  static const std::regex pattern(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"])");
  std::vector<Include> found;
  for (size_t i = 0; i < source.lines.size(); ++i) {
    std::smatch match;
    if (!std::regex_search(source.lines[i], match, pattern)) continue;
    found.push_back({i + 1, *match[1].first, match[2]});
  }
  return found;
}

int code_lines(const Source& source) {
  int count = 0;
  for (const std::string& line : source.lines) {
    const size_t begin = line.find_first_not_of(" \t");
    if (begin != std::string::npos && line.compare(begin, 2, "//") != 0) ++count;
  }
  return count;
}

// framework/ORDER names every file once, headers before their .cpp, kindling.h last; a file
// includes only files above it.
void check_order(const fs::path& root, const std::vector<Source>& sources) {
  const std::string order_file = "framework/ORDER";
  std::map<std::string, size_t> place;  // path from framework/ -> line of ORDER
  std::string last;
  const std::vector<std::string> lines = read_lines(root / order_file);
  for (size_t i = 0; i < lines.size(); ++i) {
    std::istringstream words(lines[i].substr(0, lines[i].find('#')));
    if (!(words >> last)) continue;
    if (!place.emplace(last, i + 1).second) problem(order_file, i + 1, "names " + last + " twice");
    if (!fs::exists(root / "framework" / last)) {
      problem(order_file, i + 1, "names " + last + ", which does not exist");
    }
  }
  if (last != "kindling.h") problem(order_file, lines.size(), "kindling.h must be the last file");

  for (const Source& source : sources) {
    if (!starts_with(source.path, "framework/")) continue;
    const std::string path = source.path.substr(std::string("framework/").size());
    if (!place.count(path)) {
      problem(order_file, 0, "does not name " + path);
      continue;
    }
    const std::string header = fs::path(path).replace_extension(".h").generic_string();
    if (place.count(header) && place[header] > place[path]) {
      problem(order_file, place[path], path + " stands before its header");
    }
    for (const Include& include : includes_of(source)) {
      // Ours in angle brackets would pass for the system's.
      if (include.kind != '"' && !fs::exists(root / "framework" / include.path)) continue;
      if (!place.count(include.path)) {
        problem(source.path, include.line, "includes " + include.path + ", which ORDER lacks");
      } else if (place[include.path] >= place[path]) {
        problem(source.path, include.line,
                "includes " + include.path + ", which is not above it in framework/ORDER");
      }
    }
  }
}

// A library for JSON or options is a detail of one .cpp, and no header makes others compile it.
void check_heavy_includes(const std::vector<Source>& sources) {
  for (const std::string library : {"CLI/", "jansson", "nlohmann/"}) {
    std::string first;
    for (const Source& source : sources) {
      const bool ours =
          starts_with(source.path, "framework/") || starts_with(source.path, "lessons/");
      if (!ours) continue;
      for (const Include& include : includes_of(source)) {
        if (!starts_with(include.path, library)) continue;
        if (fs::path(source.path).extension() == ".h") {
          problem(source.path, include.line, "a header includes " + include.path);
        } else if (!first.empty() && first != source.path) {
          problem(source.path, include.line, "includes " + include.path + ", as does " + first);
        } else {
          first = source.path;
        }
      }
    }
  }
}

// The whole is a weekend's reading and a file a sitting's.
void check_budgets(const std::vector<Source>& sources) {
  int framework = 0, engine = 0;
  for (const Source& source : sources) {
    const bool in_framework = starts_with(source.path, "framework/");
    if (!in_framework && !starts_with(source.path, "lessons/")) continue;
    const int count = code_lines(source);
    if (count > kFileBudget) {
      problem(
          source.path, 0,
          std::to_string(count) + " code lines; a file has at most " + std::to_string(kFileBudget));
    }
    if (!in_framework || starts_with(fs::path(source.path).filename(), "reference")) continue;
    framework += count;
    const fs::path folder = fs::path(source.path).parent_path().filename();
    if (kEngine.count(folder.string())) engine += count;
  }
  for (const auto& [name, count, budget] :
       {std::tuple{"the framework", framework, kFrameworkBudget},
        std::tuple{"the engine", engine, kEngineBudget}}) {
    std::cout << name << ": " << count << " of " << budget << " code lines\n";
    if (count <= budget) continue;
    problem("framework", 0,
            std::string(name) + " has " + std::to_string(count) + " code lines; its budget is " +
                std::to_string(budget));
  }
}

// Every operation of framework/ops/ops.h has a row in the table of gradient checks, whose name is
// the operation's up to the first space or parenthesis. Exempt is what returns Indices, and a
// function whose own comment (on its line or directly above) says "no gradient".
void check_op_rows(const std::vector<Source>& sources) {
  const std::string ops_file = "framework/ops/ops.h", table_file = "tests/f64/op_table.cpp";
  static const std::regex row(R"re(\{\s*"(\w+))re");
  static const std::regex op(R"(^(?:inline )?(?:Tensor|[\w:]+<Tensor>) (\w+)\()");
  static const std::regex no_gradient("no gradient", std::regex::icase);
  std::set<std::string> rows;
  for (const Source& source : sources) {
    if (source.path != table_file) continue;
    std::string text;
    for (const std::string& line : source.lines) text += line + "\n";
    for (std::sregex_iterator i(text.begin(), text.end(), row), end; i != end; ++i) {
      rows.insert((*i)[1]);
    }
  }
  for (const Source& source : sources) {
    if (source.path != ops_file) continue;
    std::string comment;  // the comment lines directly above
    for (size_t i = 0; i < source.lines.size(); ++i) {
      const std::string& line = source.lines[i];
      std::smatch match;
      if (starts_with(line, "//")) {
        comment += line;
        continue;
      }
      const bool exempt = std::regex_search(comment + line, no_gradient);
      comment.clear();
      if (!std::regex_search(line, match, op) || exempt || rows.count(match[1])) continue;
      problem(ops_file, i + 1, match[1].str() + " has no row in " + table_file);
    }
  }
}

// A line fits the page; the only macro is ENSURE.
void check_lines(const std::vector<Source>& sources) {
  static const std::regex define(R"(^\s*#\s*define\s+(\w+))");
  for (const Source& source : sources) {
    for (size_t i = 0; i < source.lines.size(); ++i) {
      const std::string& line = source.lines[i];
      const auto columns = static_cast<size_t>(std::count_if(
          line.begin(), line.end(), [](char c) { return (c & 0xC0) != 0x80; }));  // not UTF-8 tails
      if (columns > kColumns) {
        problem(
            source.path, i + 1,
            std::to_string(columns) + " columns; a line has at most " + std::to_string(kColumns));
      }
      std::smatch match;
      if (std::regex_search(line, match, define) &&
          !(match[1] == "ENSURE" && source.path == "framework/base/check.h")) {
        problem(source.path, i + 1,
                "defines the macro " + match[1].str() + "; the only one is ENSURE");
      }
    }
  }
}

// Nothing stands at the top but what the design names, and no file is large.
void check_tree(const fs::path& root, const std::vector<std::string>& files) {
  for (const fs::directory_entry& entry : fs::directory_iterator(root)) {
    const std::string name = entry.path().filename().string();
    if (name[0] == '.' || kTopLevel.count(name) || kIgnored.count(name)) continue;
    problem(name, 0, "does not belong at the top of the repository");
  }
  for (const std::string& file : files) {
    const uintmax_t bytes = fs::file_size(root / file);
    if (bytes > kFileBytes) {
      problem(file, 0, std::to_string(bytes) + " bytes; a file has at most 1 MiB");
    }
  }
}

// clang-format agrees with every C++ file.
void check_format(const fs::path& root, const std::vector<Source>& sources) {
  if (std::system(("command -v " + kClangFormat + " >/dev/null").c_str()) != 0) {
    std::cout << "format: skipped, " << kClangFormat << " is not installed\n";
    if (std::getenv("KINDLING_FAIL_ON_SKIP")) problem(kClangFormat, 0, "is not installed");
    return;
  }
  std::string command = "cd '" + root.string() + "' && " + kClangFormat + " --dry-run 2>&1";
  for (const Source& source : sources) command += " '" + source.path + "'";
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return problem(kClangFormat, 0, "cannot be run");
  std::string output;
  char buffer[4096];
  while (size_t n = fread(buffer, 1, sizeof buffer, pipe)) output.append(buffer, n);
  if (pclose(pipe) != 0) problem(kClangFormat, 0, "failed: " + output);

  static const std::regex warning(R"(^(.+?):(\d+):\d+: warning)");
  std::set<std::string> seen;  // the first difference of a file is enough
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (!std::regex_search(line, match, warning) || !seen.insert(match[1]).second) continue;
    problem(match[1], std::stoul(match[2]),
            "is not formatted. Run: " + kClangFormat + " -i " + match[1].str());
  }
}

}  // namespace

int main(int argc, char** argv) {
  const fs::path root = argc > 1 ? argv[1] : ".";
  const std::vector<std::string> files = list_files(root);
  std::vector<Source> sources;
  for (const std::string& file : files) {
    const fs::path extension = fs::path(file).extension();
    if (extension == ".h" || extension == ".cpp")
      sources.push_back({file, read_lines(root / file)});
  }

  check_order(root, sources);
  check_heavy_includes(sources);
  check_budgets(sources);
  check_op_rows(sources);
  check_lines(sources);
  check_tree(root, files);
  check_format(root, sources);

  for (const std::string& line : problems) std::cout << line << "\n";
  std::cout << "check: " << sources.size() << " source files, " << problems.size()
            << (problems.size() == 1 ? " problem\n" : " problems\n");
  return problems.empty() ? 0 : 1;
}
