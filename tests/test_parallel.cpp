// parallel_for: every index once, the same pieces for any number of threads, exceptions, nesting.
#include "base/parallel.h"

#include <array>
#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "support/catch.h"

using namespace kindling;

namespace {

// The number of threads for a test, put back at its end.
struct Threads {
  explicit Threads(int n) { set_threads(n); }
  ~Threads() { set_threads(before); }
  const int before = threads();
};

using Pieces = std::set<std::pair<int64_t, int64_t>>;

Pieces pieces_of(int64_t n, int64_t grain) {
  std::mutex lock;
  Pieces pieces;
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    std::lock_guard guard(lock);
    pieces.insert({begin, end});
  });
  return pieces;
}

}  // namespace

TEST_CASE("every index is visited once", "[parallel][threads]") {
  for (const int count : {1, 2, 4}) {
    const Threads scope(count);
    CHECK(threads() == count);
    for (const int64_t n : {0, 1, 7, 64, 1000}) {
      for (const int64_t grain : {1, 3, 64, 5000}) {
        std::vector<std::atomic<int>> visits(static_cast<size_t>(n));
        parallel_for(n, grain, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) ++visits[size_t(i)];
        });
        INFO(n << " by " << grain << " on " << count);
        REQUIRE(std::all_of(visits.begin(), visits.end(), [](const auto& v) { return v == 1; }));
      }
    }
  }
}

TEST_CASE("the pieces depend on n and grain alone", "[parallel][threads]") {
  const Pieces expected = {{0, 3}, {3, 6}, {6, 9}, {9, 10}};
  for (const int count : {1, 2, 3, 4}) {
    const Threads scope(count);
    CHECK(pieces_of(10, 3) == expected);
    CHECK(pieces_of(10, 10) == Pieces{{0, 10}});
    CHECK(pieces_of(-5, 3).empty());
  }
}

TEST_CASE("several threads work at once", "[parallel][threads]") {
  const Threads scope(3);
  // No piece returns before all three have begun, which one thread could never do.
  std::atomic<int> begun = 0;
  std::mutex lock;
  std::set<std::thread::id> ids;
  parallel_for(3, 1, [&](int64_t, int64_t) {
    ++begun;
    while (begun < 3) std::this_thread::yield();
    std::lock_guard guard(lock);
    ids.insert(std::this_thread::get_id());
  });
  CHECK(ids.size() == 3);
  CHECK(ids.count(std::this_thread::get_id()) == 1);
}

// Waits until `done` says yes, or for a time in which every thread had its turn.
template <class F> bool happens(const F& done) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!done() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  return done();
}

TEST_CASE("each thread begins with its own pieces", "[parallel][threads]") {
  const Threads scope(2);
  const auto main = std::this_thread::get_id();
  for (int job = 0; job < 20; ++job) {
    // Pieces 0 and 2 meet, then 1 and 3, so that neither thread can run ahead.
    std::array<std::atomic<bool>, 4> begun{};
    std::atomic<int> alone = 0, wrong = 0;
    parallel_for(4, 1, [&](int64_t i, int64_t) {
      begun[size_t(i)] = true;
      alone += !happens([&] { return begun[size_t((i + 2) % 4)].load(); });
      wrong += (std::this_thread::get_id() == main) != (i < 2);
    });
    REQUIRE(alone == 0);
    REQUIRE(wrong == 0);
  }
}

TEST_CASE("who has done its own pieces helps the others", "[parallel][threads]") {
  const Threads scope(3);
  for (int64_t slow = 0; slow < 9; ++slow) {  // it waits for all others, those of its thread, too
    std::atomic<int> begun = 0, alone = 0;
    parallel_for(9, 1, [&](int64_t i, int64_t) {
      ++begun;
      if (i == slow) alone += !happens([&] { return begun == 9; });
    });
    INFO("piece " << slow);
    REQUIRE(alone == 0);
  }
}

TEST_CASE("many short jobs one after another", "[parallel][threads]") {
  const Threads scope(4);
  std::atomic<int64_t> sum = 0;
  for (int job = 0; job < 2000; ++job) {
    parallel_for(8, 1, [&](int64_t begin, int64_t) { sum += begin; });
  }
  CHECK(sum == 2000 * 28);
}

TEST_CASE("the number of threads cannot change inside a parallel_for", "[parallel][threads]") {
  const Threads scope(2);
  CHECK_THROWS_WITH(parallel_for(4, 1, [](int64_t, int64_t) { set_threads(1); }),
                    "set_threads: not inside parallel_for");
  CHECK(threads() == 2);
}

TEST_CASE("a nested call runs its pieces in order on the same thread", "[parallel][threads]") {
  const Threads scope(4);
  std::atomic<int> wrong = 0, inner = 0;
  parallel_for(6, 1, [&](int64_t, int64_t) {
    const auto here = std::this_thread::get_id();
    int64_t next = 0;
    parallel_for(10, 2, [&](int64_t begin, int64_t end) {
      if (std::this_thread::get_id() != here || begin != next) ++wrong;
      next = end;
      ++inner;
    });
  });
  CHECK(wrong == 0);
  CHECK(inner == 30);
}

TEST_CASE("the exception of a piece is thrown again and the pool goes on", "[parallel][threads]") {
  for (const int count : {1, 2, 4}) {
    const Threads scope(count);
    for (int repeat = 0; repeat < 20; ++repeat) {
      CHECK_THROWS_WITH(parallel_for(100, 1,
                                     [&](int64_t begin, int64_t) {
                                       if (begin == 37) throw std::runtime_error("piece 37");
                                     }),
                        "piece 37");
      // From a nested call too.
      CHECK_THROWS_WITH(parallel_for(4, 1,
                                     [&](int64_t, int64_t) {
                                       parallel_for(4, 1, [](int64_t, int64_t) {
                                         throw std::runtime_error("inside");
                                       });
                                     }),
                        "inside");
      std::atomic<int> after = 0;
      parallel_for(50, 1, [&](int64_t, int64_t) { ++after; });
      REQUIRE(after == 50);
    }
  }
}

TEST_CASE("after an exception no piece begins", "[parallel][threads]") {
  const Threads scope(2);
  std::atomic<int> ran = 0;
  CHECK_THROWS_WITH(parallel_for(1'000'000, 1,
                                 [&](int64_t begin, int64_t) {
                                   if (begin == 0) throw std::runtime_error("the first");
                                   // Slow enough for the other thread to hear of it.
                                   const auto start = std::chrono::steady_clock::now();
                                   while (std::chrono::steady_clock::now() - start <
                                          std::chrono::microseconds(20)) {
                                   }
                                   ++ran;
                                 }),
                    "the first");
  CHECK(ran < 500'000);
}

TEST_CASE("threads outside the pool share it or do their work alone", "[parallel][threads]") {
  const Threads scope(2);
  std::atomic<int64_t> sum = 0;
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int job = 0; job < 200; ++job) {
        parallel_for(16, 1, [&](int64_t begin, int64_t) { sum += begin; });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(sum == 4 * 200 * 120);
}

TEST_CASE("after run_serially a thread works alone", "[parallel][threads]") {
  const Threads scope(4);
  std::atomic<int> elsewhere = 0;
  std::thread loader([&] {
    run_serially();
    const auto here = std::this_thread::get_id();
    for (int job = 0; job < 5; ++job) {
      parallel_for(8, 1, [&](int64_t, int64_t) {
        elsewhere += std::this_thread::get_id() != here;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));  // others would have the time
      });
    }
  });
  loader.join();
  CHECK(elsewhere == 0);
}

TEST_CASE("set_threads refuses what makes no sense", "[parallel]") {
  const int before = threads();
  CHECK_THROWS_WITH(set_threads(0), "set_threads: 0 is not between 1 and 1024");
  CHECK_THROWS_WITH(set_threads(2000), "set_threads: 2000 is not between 1 and 1024");
  CHECK(threads() == before);
  CHECK_THROWS_AS(parallel_for(10, 0, [](int64_t, int64_t) {}), Error);
}
