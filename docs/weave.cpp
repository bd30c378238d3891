// weave keeps the pages true: what stands between two markers of a Markdown page is written by this
// program from the sources, the recorded runs and the pictures. Page: docs/contributing.md
//
// clang-format off
//
//   weave [FILES]           writes the pages again (all of them when no file is named)
//   weave --check [FILES]   changes nothing, says what differs, exit code 1 if anything does
//
// It runs in the root of the repository, and paths in markers begin there. A marker is a comment
// alone on its line; the generated lines follow, up to the closing one:
//
//   <!-- weave KIND WORDS -->
//   <!-- /weave -->
//
//   code FILE "first line"                  the function, class or statement that begins so
//   code FILE "first line" with comment     and the comment above it
//   code FILE lines "first" .. "last"       from one line to the next that begins with "last"
//   code FILE                               all of it
//   output FILE [from "text"] [to "text"]   a recorded output, from and to the lines with these
//                                           texts
//   options NN-name                         what the lesson prints for --help
//   table FILE COLUMN[:FORMAT] ... [by COLUMN] [COLUMN=VALUE ...]
//                                           rows of a record file; `by` gives mean ± deviation of
//                                           each group of rows; COLUMN~TEXT and COLUMN!~TEXT keep
//                                           rows that have the text there, and that have not
//   lessons                                 lessons/index.txt with results and minutes
//   picture FILE ["what it shows"]          a picture, which must exist and be under 200 KB
//   ops                                     every function of framework/ops/ops.h
//   order                                   framework/ORDER with what each file is, and its lines
//   menu                                    what `make help` prints
//
// Within a line, <!-- v FILE COLUMN STATISTIC [FORMAT] [COLUMN=VALUE ...] -->..<!-- /v --> is one
// number from a record file: mean geomean sd min max median n sum first last band; .1 is one
// decimal.
// Markers in blocks of code and in `code` are left alone.
//
// The result of a lesson in the table of lessons is given by a line of
// lessons/NN-name/experiments.txt:
//   # headline EXPERIMENT COLUMN FORMAT TEXT WITH {} FOR THE MEAN
// clang-format on
#include "weave_kinds.h"

namespace weave {
namespace {

class Page {
 public:
  explicit Page(const std::string& path)
      : path_(path), old_(read_file(path)), in_(split_lines(old_)) {}

  // Makes the new text, the errors and the differences.
  void weave() {
    std::string fence;
    for (row_ = 0; row_ < in_.size(); ++row_) {
      const std::string& line = in_[row_];
      if (!fence.empty()) {
        if (closes(line, fence)) fence.clear();
        out_.push_back(line);
      } else if (fence = fence_of(line); !fence.empty()) {
        out_.push_back(line);
      } else if (trim(line).rfind("<!-- weave", 0) == 0) {
        if (!block()) return;
      } else {
        const bool stray = trim(line).rfind("<!-- /weave", 0) == 0;
        if (stray) report(errors_, "closes a marker that is not open");
        out_.push_back(inline_values(line));
      }
    }
  }

  const Lines& errors() const { return errors_; }            // wrong markers
  const Lines& differences() const { return differences_; }  // right ones that are out of date
  std::string text() const {
    const std::string end = !old_.empty() && old_.back() == '\n' ? "\n" : "";
    return fmt::format("{}", fmt::join(out_, "\n")) + end;
  }
  bool changed() const { return text() != old_; }

 private:
  void report(Lines& list, const std::string& what) const {
    list.push_back(fmt::format("{}:{}: {}", path_, row_ + 1, what));
  }

  // The lines of a marker and of what it encloses; false when it has no end.
  bool block() {
    const std::string marker = trim(in_[row_]);
    size_t end = row_ + 1;
    std::string fence;
    for (; end < in_.size(); ++end) {
      const std::string line = trim(in_[end]);
      if (!fence.empty()) {
        if (closes(line, fence)) fence.clear();
      } else if (fence = fence_of(line); fence.empty()) {
        if (line == "<!-- /weave -->" || line.rfind("<!-- weave", 0) == 0) break;
      }
    }
    if (end == in_.size() || trim(in_[end]) != "<!-- /weave -->") {
      report(errors_, "the marker is not closed by <!-- /weave -->");
      return false;
    }
    const Lines before(in_.begin() + static_cast<std::ptrdiff_t>(row_) + 1,
                       in_.begin() + static_cast<std::ptrdiff_t>(end));
    Woven woven{before, ""};
    try {
      const size_t close = marker.find("-->");
      if (close + 3 != marker.size()) fail("the marker must end with --> on its line");
      woven = weave_block(split_words(marker.substr(10, close - 10)), path_);
      woven.lines = split_lines(fmt::format("{}", fmt::join(woven.lines, "\n")));
      for (std::string& line : woven.lines) {
        if (!line.empty()) line = indentation(in_[row_]) + line;
      }
      if (woven.lines != before)
        report(differences_, "differs from " + woven.origin + ": run make docs");
    } catch (const std::exception& problem) {
      report(errors_, problem.what());
    }
    out_.push_back(in_[row_]);
    out_.insert(out_.end(), woven.lines.begin(), woven.lines.end());
    out_.push_back(in_[end]);
    row_ = end;
    return true;
  }

  // Whether a place of a line stands between `...`.
  static bool in_code(const std::string& line, size_t place) {
    return std::count(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(place), '`') % 2;
  }

  // The line with the numbers of its <!-- v ... -->old<!-- /v --> made new.
  std::string inline_values(const std::string& line) {
    static const std::string kOpen = "<!-- v ", kClose = "<!-- /v -->";
    std::string out;
    size_t at = 0;
    for (size_t open; (open = line.find(kOpen, at)) != std::string::npos;) {
      const size_t from = line.find("-->", open), close = line.find(kClose, open);
      const bool quoted = in_code(line, open);
      const bool closed = close != std::string::npos && from < close;
      if (quoted || !closed || line.find(kOpen, open + 1) < close) {
        if (!quoted) report(errors_, "the marker is not closed by <!-- /v -->");
        out += line.substr(at, open + kOpen.size() - at);
        at = open + kOpen.size();
        continue;
      }
      const std::string words = line.substr(open + kOpen.size(), from - open - kOpen.size());
      std::string now = line.substr(from + 3, close - from - 3);
      try {
        const std::string right = value(split_words(words));
        constexpr auto message = "says {} where {} gives {}: run make docs";
        if (right != now) report(differences_, fmt::format(message, now, trim(words), right));
        now = right;
      } catch (const Problem& problem) {
        report(errors_, problem.what());
      }
      out += line.substr(at, from + 3 - at) + now + kClose;
      at = close + kClose.size();
    }
    const size_t stray = line.find(kClose, at);
    if (stray != std::string::npos && !in_code(line, stray)) {
      report(errors_, "closes a marker that is not open");
    }
    return out + line.substr(at);
  }

  std::string path_, old_;
  Lines in_, out_, errors_, differences_;
  size_t row_ = 0;
};

Lines all_pages() {
  Lines pages;
  for (const char* file : {"README.md", "datasets/README.md"}) {
    if (fs::exists(file)) pages.push_back(file);
  }
  for (const char* folder : {"docs", "lessons"}) {
    if (!fs::exists(folder)) continue;
    const bool pages_of_lessons = folder[0] == 'l';
    for (const auto& entry : fs::directory_iterator(folder)) {
      const fs::path page = pages_of_lessons ? entry.path() / "README.md" : entry.path();
      if (page.extension() == ".md" && fs::exists(page)) pages.push_back(page.generic_string());
    }
  }
  std::sort(pages.begin(), pages.end());
  return pages;
}

void write_file(const std::string& path, const std::string& text) {
  const std::string part = path + ".part";
  std::ofstream out(part, std::ios::binary);
  out << text;
  out.close();
  std::error_code problem;
  if (out) fs::rename(part, path, problem);
  if (out && !problem) return;
  fs::remove(part, problem);
  fail("{}: cannot be written", path);
}

int run(bool check, const Lines& files) {
  int bad = 0;
  for (const std::string& file : files) {
    try {
      Page page(file);
      page.weave();
      Lines messages = page.errors();
      if (check) {
        messages.insert(messages.end(), page.differences().begin(), page.differences().end());
      }
      for (const std::string& message : messages) fmt::print(stderr, "{}\n", message);
      const bool wrong = !page.errors().empty();
      if (wrong || (check && page.changed())) ++bad;
      if (check || wrong || !page.changed()) continue;
      write_file(file, page.text());
      fmt::print("{}: written again\n", file);
    } catch (const Problem& problem) {
      fmt::print(stderr, "{}\n", problem.what());
      ++bad;
    }
  }
  if (bad == 0)
    fmt::print("pages that agree with the code and the recorded runs: {}\n", files.size());
  return bad > 0;
}

}  // namespace
}  // namespace weave

int main(int count, char** arguments) {
  bool check = false;
  weave::Lines files;
  for (int i = 1; i < count; ++i) {
    const std::string argument = arguments[i];
    if (argument == "--check")
      check = true;
    else if (argument[0] == '-')
      return fmt::print(stderr, "usage: weave [--check] [FILES]\n"), 2;
    else
      files.push_back(argument);
  }
  return weave::run(check, files.empty() ? weave::all_pages() : files);
}
