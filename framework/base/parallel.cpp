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
  detail::Piece piece;  // null ends the workers

  void run(int64_t i) const { piece(body, i, std::min(n, i + grain)); }
};

class Pool {
 public:
  explicit Pool(int size) : size_(size) {}
  ~Pool() { resize(1); }

  int size() const { return size_; }
  void resize(int size) {
    const std::lock_guard lock(owner_);
    size_ = size;
    start({});
    for (std::thread& worker : workers_) worker.join();
    workers_.clear();
  }

  void run(const Job& job) {
    std::unique_lock lock(owner_, std::defer_lock);
    if (serial || size_ == 1 || !lock.try_lock()) {  // a piece of ours, or another thread's job
      for (int64_t i = 0; i < job.n; i += job.grain) job.run(i);
      return;
    }
    while (int(workers_.size()) < size_ - 1) {
      workers_.emplace_back(&Pool::serve, this, round_.load());
    }
    start(job);
    work();
    while (const unsigned left = busy_) wait_while_equal(busy_, left);
    if (failed_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  void start(const Job& job) {
    job_ = job, next_ = 0, failed_ = false, busy_ = unsigned(workers_.size());
    ++round_;
    round_.notify_all();
  }

  void serve(unsigned round) {
    for (;; ++round) {
      wait_while_equal(round_, round);
      if (!job_.piece) return;
      work();
      if (--busy_ == 0) busy_.notify_one();
    }
  }

  // Takes pieces until none is left. Every thread of the job runs this.
  void work() {
    serial = true;
    try {
      for (int64_t i; (i = next_.fetch_add(job_.grain)) < job_.n;) job_.run(i);
    } catch (...) {
      next_ = job_.n;  // the pieces not yet begun are dropped
      if (!failed_.exchange(true)) error_ = std::current_exception();
    }
    serial = false;
  }

  std::mutex owner_;  // held by the thread whose job runs
  std::atomic<int> size_;
  std::vector<std::thread> workers_;
  Job job_{};
  alignas(64) std::atomic<unsigned> round_ = 0;  // counts jobs; a change wakes the workers
  alignas(64) std::atomic<int64_t> next_ = 0;    // first index nobody has taken
  alignas(64) std::atomic<unsigned> busy_ = 0;   // workers still inside the job
  std::atomic<bool> failed_ = false;
  std::exception_ptr error_;  // the first one
};

int threads_at_start() {
  cpu_set_t set;
  const int available = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  const char* text = std::getenv("KINDLING_THREADS");
  if (text == nullptr) return available;
  char* end = nullptr;
  const long n = std::strtol(text, &end, 10);
  ENSURE(end != text && *end == 0 && n >= 1 && n <= 1024,
         "KINDLING_THREADS is '{}': set it to a whole number from 1 to 1024", text);
  return int(n);
}

Pool& pool() {
  static Pool the_pool(threads_at_start());
  return the_pool;
}

}  // namespace

int threads() { return pool().size(); }

void set_threads(int n) {
  ENSURE(n >= 1 && n <= 1024, "set_threads: {} is not between 1 and 1024", n);
  pool().resize(n);
}

void run_serially() { serial = true; }

void detail::run_pieces(int64_t n, int64_t grain, const void* body, Piece piece) {
  ENSURE(grain >= 1, "parallel_for: grain {} must be at least 1", grain);
  pool().run({n, grain, body, piece});
}

}  // namespace kindling
