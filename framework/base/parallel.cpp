// A small pool of threads that wait for a job, spin briefly, then sleep. Page: docs/tensor.md
#include "base/parallel.h"

#include <sched.h>

#include <chrono>
#include <exception>
#include <mutex>
#include <thread>

#include "base/check.h"

namespace kindling {
namespace {

// Looks at it for so many microseconds, then sleeps.
void wait_while_equal(const std::atomic<unsigned>& value, unsigned old, int microseconds) {
  const auto start = std::chrono::steady_clock::now();
  do {
    for (int i = 0; i < 32; ++i) {
      if (value.load(std::memory_order_acquire) != old) return;
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    }
    sched_yield();  // on a busy machine to the one that is waited for
  } while (std::chrono::steady_clock::now() - start < std::chrono::microseconds(microseconds));
  value.wait(old, std::memory_order_acquire);
}

constinit thread_local bool serial = false;  // in a piece, or after run_serially()

struct Job {
  int64_t n = 0, grain = 1;
  const void* body = nullptr;
  Piece piece = nullptr;  // without one, the workers end

  void run(int64_t i) const { piece(body, i, std::min(n, i + grain)); }
};

// The pieces beside each other that a thread begins with: from one job to the next of that size
// it meets the same numbers, which its cache may still have. Then it helps the others.
struct alignas(64) Share {
  std::atomic<int64_t> next = 0;  // first index nobody has taken
  int64_t end = 0;
};

// How many this process may use.
int processors() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

// KINDLING_THREADS, or one for each processor.
int threads_at_start() {
  const char* text = std::getenv("KINDLING_THREADS");
  if (!text) return processors();
  char* end = nullptr;
  const long n = std::strtol(text, &end, 10);
  if (end != text && *end == 0 && n >= 1 && n <= 1024) return int(n);
  throw UsageError(
      fmt::format("KINDLING_THREADS is '{}': set it to a whole number from 1 to 1024", text));
}

struct Pool {
  std::mutex owner;  // held by the thread whose job runs
  const int available = processors();
  std::atomic<int> size = threads_at_start();
  std::vector<std::jthread> workers;  // size - 1 of them, from the first job on
  std::vector<Share> shares;          // of this job, one for each thread
  Job job{};
  alignas(64) std::atomic<unsigned> round = 0;  // counts jobs; a change wakes the workers
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
    workers.clear(), shares.clear();
  }

  void run(const Job& whole) {
    std::unique_lock lock(owner, std::defer_lock);
    if (serial || size == 1 || !lock.try_lock()) {  // a piece of ours, or another thread's job
      for (int64_t i = 0; i < whole.n; i += whole.grain) whole.run(i);
      return;
    }
    if (shares.empty()) shares = std::vector<Share>(size_t(size));
    while (workers.size() + 1 < shares.size()) {
      workers.emplace_back(&Pool::serve, this, round.load(), workers.size() + 1);
    }
    start(whole);
    work(0);
    while (const unsigned left = busy) wait_while_equal(busy, left, spin());
    if (failed) std::rethrow_exception(std::exchange(error, nullptr));
  }

  // Long enough to bridge the gap between two kernels: a thread that sleeps takes about as long to
  // wake, and the others wait for it. Short where others need the processor.
  int spin() const { return size <= available ? 100 : 5; }

  void start(const Job& whole) {
    job = whole, failed = false, busy = unsigned(workers.size());
    const int64_t pieces = (whole.n + whole.grain - 1) / whole.grain, all = int64_t(shares.size());
    for (int64_t t = 0; t < all; ++t) {
      shares[size_t(t)].next = (pieces * t + all - 1) / all * whole.grain;
      shares[size_t(t)].end = std::min(whole.n, (pieces * (t + 1) + all - 1) / all * whole.grain);
    }
    ++round;
    round.notify_all();
  }

  void serve(unsigned last, size_t me) {
    for (;; ++last) {
      wait_while_equal(round, last, spin());
      if (!job.piece) return;
      work(me);
      if (--busy == 0) busy.notify_one();
    }
  }

  // Takes pieces until none is left. Every thread of the job runs this.
  void work(size_t me) {
    serial = true;
    try {
      for (size_t t = 0; t < shares.size(); ++t) {
        Share& share = shares[(me + t) % shares.size()];
        for (int64_t i; (i = share.next.fetch_add(job.grain)) < share.end;) job.run(i);
      }
    } catch (...) {
      for (Share& share : shares) share.next = job.n;  // the pieces not yet begun are dropped
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
