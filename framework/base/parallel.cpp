// A small pool of threads that wait for a job, spin briefly, then sleep. Page: docs/tensor.md
#include "base/parallel.h"

#include <sched.h>

#include <exception>
#include <mutex>
#include <thread>

#include "base/check.h"

namespace kindling {
namespace {

// Spins for some 20 µs, which bridges the gap between two kernels without a system call.
void wait_while_equal(const std::atomic<unsigned>& value, unsigned old) {
  for (int i = 0; i < 1000 && value.load(std::memory_order_acquire) == old; ++i) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  value.wait(old, std::memory_order_acquire);
}

constinit thread_local bool serial = false;  // in a piece, or after run_serially()

struct Job {
  int64_t n, grain;
  const void* body;
  Piece piece;  // null ends the workers

  void run(int64_t i) const { piece(body, i, std::min(n, i + grain)); }
};

// KINDLING_THREADS, or the processors this process may use.
int threads_at_start() {
  cpu_set_t set;
  const int available = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  const char* text = std::getenv("KINDLING_THREADS");
  if (!text) return available;
  char* end = nullptr;
  const long n = std::strtol(text, &end, 10);
  if (end != text && *end == 0 && n >= 1 && n <= 1024) return int(n);
  throw UsageError(
      fmt::format("KINDLING_THREADS is '{}': set it to a whole number from 1 to 1024", text));
}

struct Pool {
  std::mutex owner;  // held by the thread whose job runs
  std::atomic<int> size = threads_at_start();
  std::vector<std::jthread> workers;  // size - 1 of them, from the first job on
  Job job{};
  alignas(64) std::atomic<unsigned> round = 0;  // counts jobs; a change wakes the workers
  alignas(64) std::atomic<int64_t> next = 0;    // first index nobody has taken
  alignas(64) std::atomic<unsigned> busy = 0;   // workers still inside the job
  std::atomic<bool> failed = false;
  std::exception_ptr error;  // the first one

  ~Pool() { resize(1); }

  void resize(int n) {
    ENSURE(n >= 1 && n <= 1024, "set_threads: {} is not between 1 and 1024", n);
    ENSURE(!serial, "set_threads: not inside parallel_for");
    const std::lock_guard lock(owner);
    size = n;
    start({});
    workers.clear();
  }

  void run(const Job& whole) {
    std::unique_lock lock(owner, std::defer_lock);
    if (serial || size == 1 || !lock.try_lock()) {  // a piece of ours, or another thread's job
      for (int64_t i = 0; i < whole.n; i += whole.grain) whole.run(i);
      return;
    }
    while (int(workers.size()) < size - 1) workers.emplace_back(&Pool::serve, this, round.load());
    start(whole);
    work();
    while (const unsigned left = busy) wait_while_equal(busy, left);
    if (failed) std::rethrow_exception(std::exchange(error, nullptr));
  }

  void start(const Job& whole) {
    job = whole, next = 0, failed = false, busy = unsigned(workers.size());
    ++round;
    round.notify_all();
  }

  void serve(unsigned last) {
    for (;; ++last) {
      wait_while_equal(round, last);
      if (!job.piece) return;
      work();
      if (--busy == 0) busy.notify_one();
    }
  }

  // Takes pieces until none is left. Every thread of the job runs this.
  void work() {
    serial = true;
    try {
      for (int64_t i; (i = next.fetch_add(job.grain)) < job.n;) job.run(i);
    } catch (...) {
      next = job.n;  // the pieces not yet begun are dropped
      if (!failed.exchange(true)) error = std::current_exception();
    }
    serial = false;
  }
};

Pool& pool() {
  static Pool the_pool;
  return the_pool;
}

}  // namespace

int threads() { return pool().size; }
void set_threads(int n) { pool().resize(n); }
int threads_here() { return serial ? 1 : threads(); }
void run_serially() { serial = true; }

void run_pieces(int64_t n, int64_t grain, const void* body, Piece piece) {
  ENSURE(grain >= 1, "parallel_for: grain {} must be at least 1", grain);
  pool().run({n, grain, body, piece});
}

}  // namespace kindling
