// Turns, medians, processors; see race.h.
#include "bench/race.h"

#include <dlfcn.h>
#include <fmt/core.h>

#include <filesystem>
#include <thread>

#include "bench/bandwidth.h"

namespace kindling::bench {
namespace {

constexpr double kSlice = 0.010;  // seconds of calls in each turn
// Threads of a peer go on waiting for work in a loop: OpenMP's take 3 ms of their processor for
// that, so what comes next is not timed before they have gone to sleep.
constexpr double kSettle = 0.010;
constexpr int64_t kPeakFlops = 384 * 40'000;   // of a thread
constexpr double kQuiet = 0.9, kShare = 0.95;  // of the best peak; of the processors' time
constexpr int kTries = 4;

// Calls f(n) on each thread once, with 0 on this one. Every piece waits for the others, so each
// thread has one.
template <class F> void on_each_thread(const F& f) {
  const auto main = std::this_thread::get_id();
  std::atomic<int> arrived = 0, worker = 0;
  parallel_for(threads(), 1, [&](int64_t, int64_t) {
    ++arrived;
    while (arrived < threads()) std::this_thread::yield();
    f(std::this_thread::get_id() == main ? 0 : ++worker);
  });
}

// Of all our threads. Each reads its own clock, since of a thread that runs elsewhere the system
// knows only what it had at the last tick, some milliseconds ago.
double processor_seconds() {
  std::atomic<double> sum = 0;
  on_each_thread([&](int) {
    timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    sum += double(time.tv_sec) + double(time.tv_nsec) * 1e-9;
  });
  return sum;
}

// Mean seconds of a call, over `seconds` or one call; and what part of its processors' time the
// contender `peak` got meanwhile.
struct Slice {
  double seconds, share = 1;
};

Slice slice(const Contender& contender, double seconds) {
  if (contender.slice) return {contender.slice(seconds)};
  double start = clock_seconds();
  int64_t warm = 0, calls = 0;
  do contender.run(), ++warm;
  while (clock_seconds() - start < kSettle);
  // A look at the clock costs, too: one for each 20 µs.
  const int64_t group = std::max(int64_t{1}, int64_t(double(warm) * 20e-6 / kSettle));
  const bool peak = contender.name == "peak";
  const double used = peak ? processor_seconds() : 0;
  start = clock_seconds();
  do {
    for (int64_t i = 0; i < group; ++i) contender.run();
    calls += group;
  } while (clock_seconds() - start < seconds);
  const double all = clock_seconds() - start;
  return {all / double(calls), peak ? (processor_seconds() - used) / all / threads() : 1};
}

double median(std::vector<double> v) {
  std::ranges::sort(v);
  const size_t n = v.size();
  return (v[n / 2] + v[(n - 1) / 2]) / 2;
}

struct Turns {
  std::vector<double> seconds;  // of each contender: the median of the rounds
  double share = 1;             // of its processors' time that the contender `peak` got
};

Turns take_turns(const std::vector<Contender>& contenders, int rounds) {
  std::vector<std::vector<double>> seconds(contenders.size());
  std::vector<double> shares;
  const double start = clock_seconds();
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < contenders.size(); ++i) {
      const Slice now = slice(contenders[i], kSlice);
      seconds[i].push_back(now.seconds);
      if (contenders[i].name == "peak") shares.push_back(now.share);
    }
    if (round == 0 && clock_seconds() - start > 1) rounds = std::min(rounds, 5);  // a slow row
  }
  Turns turns{.seconds = {}, .share = median(shares)};
  for (const auto& all : seconds) turns.seconds.push_back(median(all));
  return turns;
}

void pin(const std::vector<int>& to) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int processor : to) CPU_SET(size_t(processor), &set);
  sched_setaffinity(0, sizeof set, &set);
}

// What is favourable to each peer, as far as it is known; read when a library is loaded, and by
// the process of PyTorch.
void set_environment() {
  const auto set = [](const char* name, const std::string& value) {
    value.empty() ? unsetenv(name) : setenv(name, value.c_str(), 1);
  };
  const bool narrow = narrow_isa(), avx512 = available_isas().back() == "avx512";
  set("OMP_NUM_THREADS", std::to_string(threads()));
  set("OMP_PROC_BIND", threads() > 1 ? "true" : "");  // a thread for each processor
  // OpenBLAS finds the best kernels itself, unless something is left here from before.
  set("OPENBLAS_CORETYPE", narrow ? "Haswell" : "");
  set("OPENBLAS_L2_SIZE", "");
  set("ONEDNN_MAX_CPU_ISA", narrow ? "AVX2" : "");
  // BLIS 0.9 takes a processor it does not know for one without vectors; 0 stands for AVX-512.
  set("BLIS_ARCH_TYPE", avx512 ? "0" : "");
  set("ATEN_CPU_CAPABILITY", narrow ? "avx2" : avx512 ? "avx512" : "");
}

}  // namespace

std::string isa() { return kernels().name; }
bool narrow_isa() { return isa() != available_isas().back(); }

const std::vector<int>& processors() {
  static const std::vector<int> all = [] {
    std::vector<int> found;
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    for (int i = 0; i < CPU_SETSIZE; ++i) {
      if (CPU_ISSET(size_t(i), &set)) found.push_back(i);
    }
    return found;
  }();
  return all;
}

void pin_threads() {
  if (threads() == 1) return pin({processors().back()});
  // This thread gets the first processor, as OpenMP has it.
  on_each_thread([](int n) { pin({processors()[size_t(n)]}); });
}

void unpin() { pin(processors()); }

double peak_memory() {
  const std::string status = read_file("/proc/self/status");
  return std::strtod(status.c_str() + status.find("VmHWM:") + 6, nullptr) / 1024;
}

double peak_flops() { return double(kPeakFlops * threads()); }

Contender peak_contender() {
  return {"peak", [] {
            parallel_for(threads(), 1, [](int64_t, int64_t) {
              [[maybe_unused]] static volatile real sink;
              sink = kernels().fma_chains(kPeakFlops);
            });
          }};
}

Contender copy_contender(int64_t bytes) {
  const int64_t n = bytes / 8;
  const int64_t grain = std::max(int64_t{1} << 14, (n / threads() + 63) / 64 * 64);
  return {"copy", [n, grain, from = noise({n}, 1), to = noise({n}, 2)]() mutable {
            parallel_for(n, grain, [&, y = to.mutable_data()](int64_t begin, int64_t end) {
              bandwidth(isa()).copy(end - begin, from.data() + begin, y + begin);
            });
          }};
}

Bench::Bench(const Options& options) : options_(options) {
  processors();  // before anything is pinned
  set_environment();
  pin_threads();
  best_peak_ = take_turns({peak_contender()}, options_.rounds).seconds[0];
}

void Bench::race(Row row, const std::function<void(const std::string&)>& check) {
  if (row.contenders.empty()) return;
  for (const Contender& contender : row.contenders) {
    if (!check) break;
    contender.run();
    if (contender.fetch) contender.fetch();
    check(row.name + ": " + contender.name);
  }
  const size_t peak_at = row.contenders.size(), copy_at = peak_at + 1;
  row.contenders.push_back(peak_contender());
  // A multiple of 64 floats, and no more than it takes to be out of every cache.
  const int64_t copied = std::clamp(int64_t(row.work) / 512 * 512, int64_t{512}, int64_t{1} << 29);
  if (row.limit == Row::copy) row.contenders.push_back(copy_contender(copied));
  Turns turns;
  bool quiet = false;
  for (int tries = 0; tries < kTries && !quiet; ++tries) {
    Turns now = take_turns(row.contenders, options_.rounds);
    const double peak = now.seconds[peak_at];
    best_peak_ = std::min(best_peak_, peak);
    quiet = peak * kQuiet <= best_peak_ && now.share >= kShare;
    if (quiet || tries == 0 || peak < turns.seconds[peak_at]) turns = std::move(now);
  }
  const std::vector<double>& seconds = turns.seconds;

  Line line{.kind = row.kind, .name = row.name, .threads = threads(), .isa = isa()};
  line.unit = row.unit;
  for (size_t i = 0; i < peak_at; ++i) {
    const Contender& contender = row.contenders[i];
    if (contender.name == "ours") {
      line.ours_ms = seconds[i] * 1e3;
    } else if (contender.counts && !(line.peer_ms <= seconds[i] * 1e3)) {
      line.peer_ms = seconds[i] * 1e3, line.best_peer = contender.name;
    }
  }
  line.rate = row.work / line.ours_ms / 1e6;
  if (row.limit == Row::peak) {
    line.limit_pct = 100 * line.rate * 1e9 * seconds[peak_at] / peak_flops();
  } else if (row.limit == Row::copy) {
    line.limit_pct = 100 * line.rate * 1e9 * seconds[copy_at] / double(copied);
  }
  print(line, quiet);
  for (size_t i = 0; i < peak_at; ++i) {
    if (row.contenders[i].name != row.twin) continue;
    Line twin = line;
    twin.kind += "_same", twin.best_peer = row.twin, twin.peer_ms = seconds[i] * 1e3;
    print(twin, quiet);
  }
  if (!quiet) {
    fmt::print("# noisy, not kept: {}: peak at {:.0f} % of its best, with {:.0f} % of the time\n",
               line.name, 100 * best_peak_ / seconds[peak_at], 100 * turns.share);
  }
  if (line.best_peer == "-") return;
  fmt::print("#   ms:");
  for (size_t i = 0; i < seconds.size(); ++i) {
    fmt::print(" {} {:.5g}", row.contenders[i].name, seconds[i] * 1e3);
  }
  fmt::print("\n");
}

void Bench::print(const Line& line, bool keep) {
  fmt::print("{}", line.text());
  std::fflush(stdout);
  part_.push_back(line), ++printed_;
  keep ? quiet_.push_back(line) : void(++noisy_);
}

void Bench::end_part() {
  std::map<std::string, std::vector<Line>> kinds;
  for (const Line& line : part_) kinds[line.kind].push_back(line);
  for (const auto& [kind, lines] : kinds) fmt::print("{}", summary(lines));
  if (noisy_ > 0) fmt::print("# {} of {} lines were noisy\n", noisy_, part_.size());
  part_.clear(), noisy_ = 0;
}

const std::vector<const Peer*>& Bench::plugins() {
  if (plugins_) return *plugins_;
  plugins_.emplace();
  if (!options_.peers) return *plugins_;
  const auto folder = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "peers";
  unpin();  // libraries see where their threads may run
  for (const char* name : {"blas", "eigen", "libxsmm", "onednn"}) {
    const std::string file = folder / (name + std::string(".so"));
    void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    const void* peer = handle ? dlsym(handle, "kindling_peer") : nullptr;
    if (peer) plugins_->push_back(static_cast<const Peer*>(peer));
    fmt::print("# peer: {}\n", peer ? plugins_->back()->describe() : fmt::format("no {}", name));
  }
  pin_threads();
  return *plugins_;
}

std::vector<Contender> Bench::peers(const Gemm& problem) {
  std::vector<Contender> all;
  for (const Peer* peer : plugins()) {
    for (Contender& contender : peer->gemm(problem)) {
      // The others cannot be held to narrower instructions.
      if (!narrow_isa() || contender.name == "openblas") all.push_back(std::move(contender));
    }
  }
  return all;
}

std::vector<Contender> Bench::peers(const Convolution& problem) {
  std::vector<Contender> all;
  for (const Peer* peer : plugins()) {
    if (peer->convolution) std::ranges::move(peer->convolution(problem), std::back_inserter(all));
  }
  return all;
}

Torch* Bench::torch() {
  if (!torch_) {
    torch_.emplace();
    if (!options_.peers) return nullptr;
    try {
      *torch_ = std::make_unique<Torch>();
      fmt::print("# peer: {}\n", (*torch_)->version());
    } catch (const Error& error) {
      fmt::print("# peer: no torch: {}\n", error.what());
    }
  }
  return torch_->get();
}

}  // namespace kindling::bench
