// `make mutants`: applies small wrong edits, one at a time, and sees a named test fail for each.
// Page: docs/contributing.md
//
// Usage: mutants [PART] [ROOT]. PART = 2/6 takes every sixth mutant, beginning with the second;
// --check in its place only reads the lists.
// tests/mutants/*.txt hold blocks like this one; lines outside blocks may be empty or begin with #:
//
//     mutant matmul: the gradient of b forgets the transpose
//     file framework/ops/matmul.cpp
//     test matmul backward                  its name, or a tag; * stands for anything
//     in tests/test_matmul.cpp              optional: the test's file, found by the name otherwise
//     lesson 02-perceptron                  optional: the test runs this lesson's binary,
//     tool check                            or this tool's
//     isa avx512                            optional: the instruction set whose kernels are built
//                                           with the edit and tested, in place of scalar
//     - view(a).t()                         the old text, one or more lines
//     + view(a)                             the new text
//
// A test in tests/f64 runs in the double build (`binary f64` says so where a name stands in both).
// The old text must stand in the file exactly once. A mutant is killed when it compiles and its
// test then fails by an assertion: a crash, an exception that the test does not expect, or a test
// without end is not enough.
//
// Nothing is changed in the checkout. Each of two workers has a copy of the tree under
// $KINDLING_BUILD/mutant-trees, in which make builds only what hangs on an edit.
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace fs = std::filesystem;

namespace {

constexpr size_t kWorkers = 2;
constexpr int kTestSeconds = 180;  // a test that runs longer has no end

struct Mutant {
  std::string name, file, test, in, binary, lesson, tool, isa = "scalar", old_text, new_text, where;
};

struct Result {
  int code;
  std::string output;
};

std::string read_text(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + file.string());
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void write_text(const fs::path& file, const std::string& text) {
  std::ofstream out(file, std::ios::binary);
  out << text;
  if (!out.flush()) throw std::runtime_error("cannot write " + file.string());
}

std::string shell_quoted(const std::string& text) {
  std::string result = "'";
  for (char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

// Runs a shell command in a folder.
Result run(const fs::path& folder, const std::string& command) {
  const std::string line = "cd " + shell_quoted(folder.string()) + " && ( " + command + " ) 2>&1";
  FILE* pipe = popen(line.c_str(), "r");
  if (!pipe) throw std::runtime_error("cannot start: " + command);
  std::string output;
  char buffer[4096];
  while (size_t n = fread(buffer, 1, sizeof buffer, pipe)) output.append(buffer, n);
  const int status = pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), output};
}

size_t count_of(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// ---- The lists ----------------------------------------------------------------------------------

void read_list(const fs::path& list, std::vector<Mutant>& mutants) {
  std::ifstream in(list);
  Mutant* mutant = nullptr;
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    const std::string where = list.filename().string() + ":" + std::to_string(number);
    const std::string word = line.substr(0, line.find(' '));
    const std::string rest = line.size() > word.size() ? line.substr(word.size() + 1) : "";
    if (line.empty() || line[0] == '#') continue;
    if (word == "mutant") {
      mutant = &mutants.emplace_back();
      mutant->name = rest;
      mutant->where = where;
      continue;
    }
    if (!mutant) throw std::runtime_error(where + ": stands before the first mutant");
    const std::map<std::string, std::string Mutant::*> fields = {
        {"file", &Mutant::file},     {"test", &Mutant::test},     {"in", &Mutant::in},
        {"binary", &Mutant::binary}, {"lesson", &Mutant::lesson}, {"tool", &Mutant::tool},
        {"isa", &Mutant::isa},       {"-", &Mutant::old_text},    {"+", &Mutant::new_text}};
    const auto field = fields.find(word);
    if (field == fields.end()) throw std::runtime_error(where + ": unknown word '" + word + "'");
    std::string& value = mutant->*field->second;
    const bool more = (word == "-" || word == "+") && !value.empty();
    value = more ? value + "\n" + rest : rest;
  }
}

// Whether the text has TEST_CASE("<start>, on one line or two.
bool has_test(const std::string& text, const std::string& start) {
  const std::string macro = "TEST_CASE(";
  for (size_t at = 0; (at = text.find('"' + start, at)) != std::string::npos; ++at) {
    const size_t before = text.find_last_not_of(" \n", at - 1) + 1;
    if (before >= macro.size() && text.compare(before - macro.size(), macro.size(), macro) == 0) {
      return true;
    }
  }
  return false;
}

// The file under tests/ that holds the mutant's test.
std::string find_test(const fs::path& root, const Mutant& mutant) {
  const std::string name = mutant.test.substr(0, mutant.test.find('*'));
  std::vector<std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(root / "tests")) {
    if (entry.path().extension() != ".cpp" || !has_test(read_text(entry.path()), name)) continue;
    const std::string path = fs::relative(entry.path(), root).generic_string();
    if (mutant.binary != "f64" || path.rfind("tests/f64/", 0) == 0) found.push_back(path);
  }
  if (found.size() == 1) return found[0];
  throw std::runtime_error(mutant.where + ": the test '" + mutant.test + "' is in " +
                           std::to_string(found.size()) +
                           " files; name the file by `in tests/...`");
}

std::vector<Mutant> read_mutants(const fs::path& root) {
  std::vector<fs::path> lists;
  for (const auto& entry : fs::directory_iterator(root / "tests/mutants")) {
    if (entry.path().extension() == ".txt") lists.push_back(entry.path());
  }
  std::sort(lists.begin(), lists.end());
  std::vector<Mutant> mutants;
  for (const fs::path& list : lists) read_list(list, mutants);

  std::set<std::string> names;
  for (Mutant& mutant : mutants) {
    const auto fail = [&](const std::string& what) {
      throw std::runtime_error(mutant.where + ": " + mutant.name + ": " + what);
    };
    if (!names.insert(mutant.name).second) fail("this name is used twice");
    if (mutant.file.empty() || mutant.test.empty() || mutant.old_text.empty()) {
      fail("needs the lines file, test and -");
    }
    const size_t matches = count_of(read_text(root / mutant.file), mutant.old_text);
    if (matches != 1) {
      fail("the old text stands " + std::to_string(matches) + " times in " + mutant.file);
    }
    if (mutant.in.empty()) mutant.in = find_test(root, mutant);
  }
  return mutants;
}

// ---- Building and testing -----------------------------------------------------------------------

// The binary that holds a mutant's test: those of its file, or all of the double build.
std::string test_binary(const Mutant& mutant) {
  if (mutant.in.rfind("tests/f64/", 0) == 0) return "build/f64/tests";
  const fs::path file = fs::path(mutant.in).lexically_relative("tests").replace_extension();
  return "build/only/" + file.generic_string();
}

// What make is to build for a mutant: that binary and what its test runs.
std::vector<std::string> targets_of(const Mutant& mutant) {
  std::vector<std::string> targets = {test_binary(mutant)};
  if (!mutant.lesson.empty()) targets.push_back("build/lesson-" + mutant.lesson);
  if (!mutant.tool.empty()) targets.push_back("build/" + mutant.tool);
  return targets;
}

bool is_double(const std::string& target) { return target.rfind("build/f64/", 0) == 0; }

template <class Targets>
Result build(const fs::path& tree, const Targets& targets, const std::string& options) {
  // -O1 compiles in half the time. A wrong edit may cause a warning, and make's own variables must
  // not leak in from the make above.
  std::string command =
      "env -u MAKEFLAGS -u MAKELEVEL -u CXXFLAGS -u CXX -u SAN -u REAL make BUILD=build OPT=-O1 " +
      options;
  if (is_double(*targets.begin())) command += " REAL=double";
  for (const std::string& target : targets) command += " " + target;
  return run(tree, command);
}

// Make's options -o ("this one is new enough") for the objects of the library that the linker,
// whose map names what it takes, takes nothing from: compiling them after each edit of a header
// that they include would be most of the time. (An edit that is the first to use such an object
// would be linked to an old one; none is.) Kernels are compiled for one instruction set of several.
std::string not_needed(const fs::path& tree, const std::vector<std::string>& targets,
                       const std::string& isa) {
  const fs::path objects = tree / (is_double(targets[0]) ? "build/f64" : "build") / "objects";
  std::string maps, options;
  if (!fs::exists(objects)) return options;
  for (const std::string& target : targets) maps += read_text(tree / (target + ".map"));
  for (const auto& entry : fs::recursive_directory_iterator(objects / "framework")) {
    const fs::path& object = entry.path();
    const std::string member = "libkindling.a(" + object.filename().string() + ")";
    const std::string stem = object.stem().string();
    const bool other = stem.rfind("isa_", 0) == 0 && stem != "isa_" + isa;
    if (object.extension() != ".o" || (!other && count_of(maps, member) > 0)) continue;
    options += " -o " + fs::relative(object, tree).generic_string();
  }
  return options;
}

Result run_test(const fs::path& tree, const Mutant& mutant) {
  std::string filter;  // a comma separates filters, unless it is escaped
  for (char c : mutant.test) filter += c == ',' ? std::string("\\,") : std::string(1, c);
  const bool kernel = mutant.file.rfind("framework/kernels/", 0) == 0;
  return run(tree, "KINDLING_BUILD=build " + (kernel ? "KINDLING_ISA=" + mutant.isa + " " : "") +
                       "timeout " + std::to_string(kTestSeconds) + " " + test_binary(mutant) + " " +
                       shell_quoted(filter));
}

// Whether the run came to its closing line with an assertion that failed; an exception that the
// test does not expect is reported as FAILED too, but it is no assertion.
bool failed_by_assertion(const Result& result) {
  const size_t failed = count_of(result.output, ": FAILED:");
  const size_t thrown = count_of(result.output, "due to unexpected exception");
  return result.code != 0 && failed > thrown && count_of(result.output, " passed, ") > 0;
}

std::string last_lines(const std::string& text, size_t count) {
  size_t at = text.size();
  while (count > 0 && at > 0 && at != std::string::npos) {
    at = text.rfind('\n', at - 1);
    --count;
  }
  return at == std::string::npos ? text : text.substr(at);
}

// What became of one mutant: "" when it was killed, else the reason why not.
std::string try_mutant(const fs::path& tree, const Mutant& mutant) {
  const std::string original = read_text(tree / mutant.file);
  std::string changed = original;
  changed.replace(changed.find(mutant.old_text), mutant.old_text.size(), mutant.new_text);
  write_text(tree / mutant.file, changed);
  std::string reason;
  const std::vector<std::string> targets = targets_of(mutant);
  const Result built = build(tree, targets, "-j1" + not_needed(tree, targets, mutant.isa));
  if (built.code != 0) {
    reason = "does not compile:" + last_lines(built.output, 8);
  } else {
    const Result result = run_test(tree, mutant);
    if (result.code == 0) {
      reason = "survived: '" + mutant.test + "' passes";
    } else if (!failed_by_assertion(result)) {
      // 124 is what timeout returns.
      reason = result.code == 124
                   ? "the test did not end"
                   : "failed, but not by an assertion:" + last_lines(result.output, 12);
    }
  }
  write_text(tree / mutant.file, original);
  // Scalar kernels are made again whenever they are old; others must not keep the wrong edit.
  if (mutant.isa != "scalar") build(tree, targets, "-j1" + not_needed(tree, targets, mutant.isa));
  return reason;
}

// cp -a keeps the times of files, so that make in a copy sees what is already built.
void copy_tree(const fs::path& from, const fs::path& to, const std::set<std::string>& without) {
  fs::create_directories(to);
  std::string names;
  for (const auto& entry : fs::directory_iterator(from)) {
    const std::string name = entry.path().filename().string();
    if (!without.count(name)) names += " " + shell_quoted(name);
  }
  const Result copied = run(from, "cp -a" + names + " " + shell_quoted(fs::absolute(to).string()));
  if (copied.code != 0) throw std::runtime_error("cannot copy the tree: " + copied.output);
}

// Every named test must pass before anything is changed.
void check_baseline(const fs::path& tree, const std::vector<Mutant>& mutants) {
  std::map<bool, std::set<std::string>> targets;  // of the double build, and of the other
  for (const Mutant& mutant : mutants) {
    for (const std::string& target : targets_of(mutant)) targets[is_double(target)].insert(target);
  }
  for (const auto& [doubles, all] : targets) {
    const Result built =
        build(tree, all, "LDFLAGS='-Wl,-Map=$@.map' -j" + std::to_string(kWorkers));
    if (built.code == 0) continue;
    throw std::runtime_error("the unchanged tree does not build:" + last_lines(built.output, 20));
  }
  std::set<std::string> done;
  for (const Mutant& mutant : mutants) {
    if (!done.insert(mutant.in + mutant.test + mutant.isa).second) continue;
    const Result result = run_test(tree, mutant);
    if (result.code != 0) {
      throw std::runtime_error("'" + mutant.test +
                               "' fails on the unchanged tree:" + last_lines(result.output, 20));
    }
  }
}

int run_all(const std::vector<Mutant>& mutants, const fs::path& root) {
  const char* build_folder = std::getenv("KINDLING_BUILD");
  const fs::path base = root / (build_folder ? build_folder : "build") / "mutant-trees";
  std::vector<fs::path> trees;
  for (size_t worker = 0; worker < kWorkers; ++worker) {
    trees.push_back(base / std::to_string(worker));
  }
  fs::remove_all(base);
  std::cout << mutants.size() << " mutants; first their tests on the unchanged tree" << std::endl;
  copy_tree(root, trees[0], {".git", "out", "build"});
  check_baseline(trees[0], mutants);
  for (size_t worker = 1; worker < kWorkers; ++worker) copy_tree(trees[0], trees[worker], {});

  // A worker takes all mutants of a file, since an edit and its undoing both compile that file.
  std::map<std::string, std::vector<const Mutant*>> by_file;
  for (const Mutant& mutant : mutants) by_file[mutant.file].push_back(&mutant);
  std::vector<std::vector<const Mutant*>> queue;
  for (auto& [file, list] : by_file) queue.push_back(list);
  std::sort(queue.begin(), queue.end(),
            [](const auto& a, const auto& b) { return a.size() > b.size(); });

  std::atomic<size_t> next = 0, killed = 0;
  std::mutex printing;
  const auto work = [&](const fs::path& tree) {
    for (size_t i; (i = next++) < queue.size();) {
      for (const Mutant* mutant : queue[i]) {
        std::string reason;
        try {
          reason = try_mutant(tree, *mutant);
        } catch (const std::exception& error) {
          reason = error.what();
        }
        killed += reason.empty();
        const std::scoped_lock lock(printing);
        std::cout << (reason.empty() ? "killed   " : "ALIVE    ") << mutant->name << " ("
                  << mutant->file << ")" << (reason.empty() ? "" : "\n         " + reason)
                  << std::endl;
      }
    }
  };
  std::vector<std::thread> workers;
  for (const fs::path& tree : trees) workers.emplace_back(work, tree);
  for (std::thread& worker : workers) worker.join();
  std::cout << killed << " of " << mutants.size() << " killed" << std::endl;
  return killed == mutants.size() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    size_t part = 1, parts = 1;
    fs::path root = ".";
    bool only_check = false;
    for (int i = 1; i < argc; ++i) {
      if (argv[i] == std::string("--check"))
        only_check = true;
      else if (std::sscanf(argv[i], "%zu/%zu", &part, &parts) != 2)
        root = argv[i];
    }
    if (part < 1 || part > parts) throw std::runtime_error("PART is k/n with 1 <= k <= n");
    const std::vector<Mutant> all = read_mutants(root);
    if (only_check) return 0;
    std::vector<Mutant> mutants;
    for (size_t i = part - 1; i < all.size(); i += parts) mutants.push_back(all[i]);
    if (mutants.empty()) throw std::runtime_error("no mutants in tests/mutants/*.txt");
    return run_all(mutants, root);
  } catch (const std::exception& error) {
    std::cerr << "mutants: " << error.what() << std::endl;
    return 1;
  }
}
