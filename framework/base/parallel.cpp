// A small pool of threads that wait for a job, spin briefly, then sleep. Page: docs/tensor.md
#include "base/parallel.h"

#include <sched.h>

#include <atomic>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>

#include "base/check.h"

namespace kindling {
namespace {

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// A wait of this many rounds (some 20 µs) bridges the gap between two kernels without a system
// call.
constexpr int kSpins = 1000;

template <class Integer> void wait_while_equal(const std::atomic<Integer>& value, Integer old) {
  for (int i = 0; i < kSpins; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    relax();
  }
  while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
}

thread_local bool inside_parallel = false;

class Pool {
 public:
  ~Pool() { stop(); }

  void resize(int n) {
    std::lock_guard lock(owner_);
    if (n != size_) stop();
    size_ = n;
  }

  int size() const { return size_; }

  void run(int64_t n, int64_t grain, const void* body, detail::Piece piece) {
    // Another thread's job, or a piece of our own: do the pieces here, in order.
    std::unique_lock lock(owner_, std::defer_lock);
    if (inside_parallel || size_ == 1 || !lock.try_lock()) {
      for (int64_t i = 0; i < n; i += grain) piece(body, i, std::min(n, i + grain));
      return;
    }
    start();
    n_ = n, grain_ = grain, body_ = body, piece_ = piece;
    error_ = nullptr;
    next_.store(0, std::memory_order_relaxed);
    busy_.store(int(workers_.size()), std::memory_order_relaxed);
    job_.fetch_add(1, std::memory_order_release);
    job_.notify_all();
    work();
    for (int left = busy_.load(std::memory_order_acquire); left != 0;
         left = busy_.load(std::memory_order_acquire)) {
      wait_while_equal(busy_, left);
    }
    if (error_) std::rethrow_exception(error_);
  }

 private:
  void start() {
    while (int(workers_.size()) < size_ - 1) {
      workers_.emplace_back([this, seen = job_.load()]() mutable {
        while (true) {
          wait_while_equal(job_, seen);
          ++seen;
          if (stopping_.load(std::memory_order_acquire)) return;
          work();
          if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) busy_.notify_one();
        }
      });
    }
  }

  void stop() {
    stopping_.store(true, std::memory_order_release);
    job_.fetch_add(1, std::memory_order_release);
    job_.notify_all();
    for (std::thread& worker : workers_) worker.join();
    workers_.clear();
    stopping_.store(false, std::memory_order_release);
  }

  // Takes pieces until none is left. Every thread of the job runs this.
  void work() {
    inside_parallel = true;  // pieces that call parallel_for run it serially
    try {
      for (int64_t i = next_.fetch_add(grain_); i < n_; i = next_.fetch_add(grain_)) {
        piece_(body_, i, std::min(n_, i + grain_));
      }
    } catch (...) {
      next_.store(n_);  // the pieces not yet begun are dropped
      std::lock_guard lock(error_lock_);
      if (!error_) error_ = std::current_exception();
    }
    inside_parallel = false;
  }

  std::mutex owner_;  // held by the thread whose job runs
  std::atomic<int> size_ = 1;
  std::vector<std::thread> workers_;
  std::atomic<bool> stopping_ = false;
  alignas(64) std::atomic<uint32_t> job_ = 0;  // counts jobs; a change wakes the workers
  alignas(64) std::atomic<int64_t> next_ = 0;  // first index nobody has taken
  alignas(64) std::atomic<int> busy_ = 0;      // workers still inside the job
  int64_t n_ = 0, grain_ = 0;
  const void* body_ = nullptr;
  detail::Piece piece_ = nullptr;
  std::mutex error_lock_;
  std::exception_ptr error_;
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
  static Pool the_pool;
  static const bool sized = (the_pool.resize(threads_at_start()), true);
  (void)sized;
  return the_pool;
}

}  // namespace

int threads() { return pool().size(); }

void set_threads(int n) {
  ENSURE(n >= 1 && n <= 1024, "set_threads: {} is not between 1 and 1024", n);
  pool().resize(n);
}

void run_serially() { inside_parallel = true; }

void detail::run_pieces(int64_t n, int64_t grain, const void* body, Piece piece) {
  ENSURE(grain >= 1, "parallel_for: grain {} must be at least 1", grain);
  pool().run(n, grain, body, piece);
}

}  // namespace kindling
