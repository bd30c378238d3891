// The process of PyTorch: started once, asked line by line.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/race.h"

namespace kindling::bench {
namespace {

// The system's has the system's PyTorch; another one may have a newer.
const char* python() {
  const char* asked = std::getenv("PYTHON");
  return asked ? asked : "/usr/bin/python3";
}
constexpr const char* kScript = "tests/bench/peers/torch_peer.py";

// In the child: becomes the script. `keep`: memory that was freed stays in the process, in large
// pages, which makes PyTorch faster, many times so where tensors have 64 MB or more, and larger.
[[noreturn]] void become_script(const std::vector<std::string>& arguments, bool keep) {
  unpin();
  if (threads() == 1) pin_threads();
  setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
  // Debian's OpenBLAS on OpenMP, if it is there, since the other one ignores the number of threads.
  setenv("LD_LIBRARY_PATH", "/usr/lib/x86_64-linux-gnu/openblas-openmp", 1);
  unsetenv("GLIBC_TUNABLES");
  if (keep) {
    setenv("MALLOC_MMAP_THRESHOLD_", "4294967296", 1);
    setenv("MALLOC_TRIM_THRESHOLD_", "17179869184", 1);
    setenv("MALLOC_TOP_PAD_", "67108864", 1);
    setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1", 1);
  }
  std::vector<std::string> words = {python(), kScript, std::to_string(threads())};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  execvp(words[0].c_str(), pointers.data());
  _exit(127);
}

// Starts the script; what it prints can be read from the result.
FILE* start(const std::vector<std::string>& arguments, bool keep, int* pid, FILE** to) {
  int out[2], in[2];
  ENSURE(pipe(out) == 0 && pipe(in) == 0, "torch: cannot make a pipe");
  *pid = fork();
  ENSURE(*pid >= 0, "torch: cannot start a process");
  if (*pid == 0) {
    dup2(in[0], STDIN_FILENO), dup2(out[1], STDOUT_FILENO);
    for (const int end : {in[0], in[1], out[0], out[1]}) close(end);
    become_script(arguments, keep);
  }
  close(in[0]), close(out[1]);
  *to = fdopen(in[1], "w");
  return fdopen(out[0], "r");
}

}  // namespace

Torch::Torch() {
  signal(SIGPIPE, SIG_IGN);
  from_ = start({}, true, &pid_, &to_);
  version_ = answer();
}

Torch::~Torch() {
  std::fclose(to_), std::fclose(from_);
  waitpid(pid_, nullptr, 0);
}

std::string Torch::answer() {
  char text[256];
  ENSURE(std::fgets(text, sizeof text, from_),
         "torch: {} {} gives no answer; is there a PyTorch for it?", python(), kScript);
  return std::string(text, std::strcspn(text, "\n"));
}

std::string Torch::ask(const std::string& request) {
  fmt::print(to_, "{}\n", request);
  std::fflush(to_);
  return answer();
}

std::vector<Contender> Torch::contenders(const std::string& name) {
  std::vector<Contender> all;
  const std::string variants = ask("variants " + name);
  for (size_t begin = 0; begin < variants.size();) {
    const size_t end = std::min(variants.find(' ', begin), variants.size());
    const std::string variant = variants.substr(begin, end - begin);
    begin = end + 1;
    all.push_back({.name = variant, .run = {}, .slice = [this, name, variant](double seconds) {
                     const std::string ms =
                         ask(fmt::format("run {} {} {}", name, variant, seconds));
                     return std::strtod(ms.c_str(), nullptr) / 1e3;
                   }});
  }
  return all;
}

double Torch::peak_memory(const std::string& model) {
  int pid;
  FILE* to;
  FILE* from = start({"memory", model}, false, &pid, &to);
  double mib = kNone;
  if (std::fscanf(from, "%lf", &mib) != 1) mib = kNone;
  std::fclose(from), std::fclose(to);
  waitpid(pid, nullptr, 0);
  return mib;
}

}  // namespace kindling::bench
