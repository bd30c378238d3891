// The allocator: alignment, reuse, blocks freed by other threads, statistics, poison.
#include "base/memory.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "support/catch.h"
#include "support/skip.h"

using namespace kindling;

namespace {

// Under the address sanitizer nothing is kept for reuse: see memory.cpp.
#ifdef KINDLING_ASAN
constexpr bool kCache = false;
#else
constexpr bool kCache = true;
#endif

const std::vector<size_t> kByteCounts = {0,    1,    63,   64,   65,    1024,    1025,    2048,
                                         2049, 4096, 4097, 9000, 65536, 1 << 20, 3000001, 4 << 20};

struct Handle : Counted {
  explicit Handle(int& alive) : alive_(alive) { ++alive_; }
  ~Handle() override { --alive_; }

 private:
  int& alive_;
};

// Whether such were asked for where the block lies.
bool in_large_pages(const void* block) {
  std::ifstream maps("/proc/self/smaps");
  const auto address = reinterpret_cast<uintptr_t>(block);
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    uintptr_t from = 0, to = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &from, &to) == 2) {
      inside = from <= address && address < to;
    }
    if (inside && line.starts_with("VmFlags:")) return line.find(" hg") != std::string::npos;
  }
  return false;
}

// An emulated system may know none, or not tell.
bool large_pages_exist() {
  void* probe = mmap(nullptr, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  madvise(probe, 4 << 20, MADV_HUGEPAGE);
  const bool told = in_large_pages(probe);
  munmap(probe, 4 << 20);
  return told;
}

}  // namespace

TEST_CASE("blocks are aligned, writable and apart", "[memory]") {
  std::vector<unsigned char*> blocks;
  for (const size_t bytes : kByteCounts) {
    blocks.push_back(static_cast<unsigned char*>(memory::allocate(bytes)));
    REQUIRE(reinterpret_cast<uintptr_t>(blocks.back()) % memory::kAlignment == 0);
    std::memset(blocks.back(), int(blocks.size()), bytes);
  }
  for (size_t i = 0; i < blocks.size(); ++i) {
    const size_t bytes = kByteCounts[i];
    for (size_t at : {size_t{0}, bytes / 2, bytes - 1}) {
      if (bytes > 0) REQUIRE(blocks[i][at] == i + 1);
    }
    memory::release(blocks[i], bytes);
  }
}

TEST_CASE("a freed block serves the next request of its class", "[memory]") {
  if (!kCache) return;
  for (const size_t bytes : kByteCounts) {
    void* first = memory::allocate(bytes);
    memory::release(first, bytes);
    void* second = memory::allocate(bytes);
    CHECK(second == first);
    memory::release(second, bytes);
  }
  // A size of the same class, 6 % smaller at most, takes it too.
  void* first = memory::allocate(100000);
  memory::release(first, 100000);
  void* second = memory::allocate(99000);
  CHECK(second == first);
  memory::release(second, 99000);
}

TEST_CASE("large pages are asked for where much is needed", "[memory]") {
  if (!kCache) return;
  if (!large_pages_exist()) return skip("this system has no large pages");
  void* large = memory::allocate(4 << 20);
  CHECK(in_large_pages(large));
  memory::release(large, 4 << 20);
  std::vector<void*> blocks;  // more than the first arena has, and what others have left
  for (int i = 0; i < 100; ++i) blocks.push_back(memory::allocate(2 << 20));
  CHECK(in_large_pages(blocks.back()));
  for (void* block : blocks) memory::release(block, 2 << 20);
}

// Of a process of its own, which asks for nothing before. (Catch2 v2 runs hidden cases, too, where
// the filter only leaves some out.)
TEST_CASE("the first blocks of a process", "[.][first-blocks]") {
  if (!std::getenv("KINDLING_FIRST_BLOCKS")) return;
  void* small = memory::allocate(100000);
  CHECK(!in_large_pages(small));
  memory::release(small, 100000);
  // Where the system has no whole arena more, of 64 MiB, it may have enough for a block.
  rlim_t pages = 0;  // that are mapped
  std::ifstream("/proc/self/statm") >> pages;
  const rlimit least{pages * rlim_t(sysconf(_SC_PAGESIZE)) + (60 << 20), RLIM_INFINITY};
  REQUIRE(setrlimit(RLIMIT_AS, &least) == 0);
  const int64_t before = memory::stats().live_bytes;
  std::vector<void*> blocks;
  const auto all = [&] {
    while (blocks.size() < 100) blocks.push_back(memory::allocate(1 << 20));
  };
  CHECK_THROWS_AS(all(), Error);
  CHECK(memory::stats().live_bytes - before > 40 << 20);
  for (void* block : blocks) memory::release(block, 1 << 20);
}

TEST_CASE("a small program stays small, and gets the last blocks that there are", "[memory]") {
  if (!kCache) return;
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  CHECK(std::system(("KINDLING_FIRST_BLOCKS=1 '" + self +
                     "' '[first-blocks]' 2>&1 | grep -q '(4 assertions'")
                        .c_str()) == 0);
}

TEST_CASE("a repeated pattern asks the system for nothing more", "[memory]") {
  if (!kCache) return;
  const auto step = [] {
    std::vector<std::pair<void*, size_t>> blocks;
    for (int i = 0; i < 300; ++i) {
      const size_t bytes = kByteCounts[size_t(i) % kByteCounts.size()];
      blocks.push_back({memory::allocate(bytes), bytes});
    }
    for (const auto& [block, bytes] : blocks) memory::release(block, bytes);
  };
  step();
  const auto before = memory::stats();
  for (int i = 0; i < 50; ++i) step();
  CHECK(memory::stats().system_requests == before.system_requests);
  CHECK(memory::stats().live_bytes == before.live_bytes);
  CHECK(memory::stats().cached_bytes == before.cached_bytes);
}

TEST_CASE("blocks that another thread frees come back", "[memory][threads]") {
  for (const size_t bytes : {size_t{64}, size_t{1000}, size_t{20000}}) {
    const auto round = [bytes] {
      std::vector<void*> blocks;
      for (int i = 0; i < 500; ++i) blocks.push_back(memory::allocate(bytes));
      std::thread other([&] {
        for (void* block : blocks) memory::release(block, bytes);
      });
      other.join();
    };
    round();
    const auto before = memory::stats();
    for (int i = 0; i < 30; ++i) round();
    if (kCache) CHECK(memory::stats().system_requests == before.system_requests);
    CHECK(memory::stats().live_bytes == before.live_bytes);
  }
}

TEST_CASE("the statistics follow what is handed out", "[memory]") {
  const auto before = memory::stats();
  constexpr size_t kBytes = 5 << 20;
  memory::reset_peak();
  void* block = memory::allocate(kBytes);
  const auto held = memory::stats();
  CHECK(held.live_bytes >= before.live_bytes + int64_t(kBytes));
  CHECK(held.live_bytes <= before.live_bytes + int64_t(kBytes) * 9 / 8);
  memory::release(block, kBytes);
  const auto after = memory::stats();
  CHECK(after.live_bytes == before.live_bytes);
  CHECK(after.peak_bytes >= held.live_bytes);
  memory::reset_peak();
  CHECK(memory::stats().peak_bytes < held.live_bytes);
  if (kCache) CHECK(after.cached_bytes >= int64_t(kBytes));
}

TEST_CASE("new blocks hold NaN while they are poisoned", "[memory]") {
  for (const size_t bytes : {size_t{400}, size_t{40000}}) {
    memory::poison_new_blocks = true;
    auto* values = static_cast<float*>(memory::allocate(bytes));
    for (size_t i = 0; i < bytes / sizeof(float); ++i) REQUIRE(std::isnan(values[i]));
    values[0] = values[bytes / sizeof(float) - 1] = 1;
    memory::release(values, bytes);
    auto* doubles = static_cast<double*>(memory::allocate(bytes));
    CHECK(std::isnan(doubles[0]));
    CHECK(std::isnan(doubles[bytes / sizeof(double) - 1]));
    memory::release(doubles, bytes);
  }
}

TEST_CASE("an impossible request is refused", "[memory]") {
  CHECK_THROWS_AS(memory::allocate(size_t{1} << 50), Error);
}

TEST_CASE("threads that allocate and pass blocks around never share one", "[memory][threads]") {
  const auto before = memory::stats();
  constexpr int kThreads = 4, kRounds = 3000;
  struct Item {
    uint64_t* block;
    size_t bytes;
    uint64_t mark;
  };
  std::mutex lock;
  std::vector<Item> shared;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> workers;
  for (int t = 0; t < kThreads; ++t) {
    workers.emplace_back([&, t] {
      for (int i = 0; i < kRounds; ++i) {
        const size_t bytes = i % 50 == 0 ? 20000 : size_t(64 + i % 7 * 200);
        const Item mine{static_cast<uint64_t*>(memory::allocate(bytes)), bytes,
                        uint64_t(t) << 32 | uint64_t(i)};
        mine.block[0] = mine.block[bytes / 8 - 1] = mine.mark;
        Item other{};
        {
          std::lock_guard guard(lock);
          shared.push_back(mine);
          if (shared.size() < 100) continue;
          std::swap(shared[size_t(i) % shared.size()], shared.back());
          other = shared.back();
          shared.pop_back();
        }
        if (other.block[0] != other.mark || other.block[other.bytes / 8 - 1] != other.mark) ++wrong;
        memory::release(other.block, other.bytes);
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  for (const Item& item : shared) memory::release(item.block, item.bytes);
  CHECK(wrong == 0);
  CHECK(memory::stats().live_bytes == before.live_bytes);
}

TEST_CASE("threads that empty and fill the shared lists at once never share a block",
          "[memory][threads]") {
  std::atomic<int> ready = 0, wrong = 0;
  std::vector<std::thread> workers;
  for (uint64_t t = 0; t < 4; ++t) {
    workers.emplace_back([&, t] {
      ++ready;
      while (ready < 4) std::this_thread::yield();
      std::vector<uint64_t*> blocks(400);
      for (int round = 0; round < 300; ++round) {
        for (uint64_t*& block : blocks) {
          block = static_cast<uint64_t*>(memory::allocate(64));
          *block = t;
        }
        for (uint64_t* block : blocks) {
          wrong += *block != t;
          memory::release(block, 64);
        }
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  CHECK(wrong == 0);
}

TEST_CASE("the last handle disposes", "[memory]") {
  int alive = 0;
  {
    Ref<Handle> a(Counted::make<Handle>(0, alive));
    CHECK(a->unique());
    {
      const Ref<Handle> b = a;
      CHECK(!a->unique());
      CHECK(b.get() == a.get());
    }
    CHECK(a->unique());
    Ref<Handle> c = std::move(a);
    CHECK(!a);
    CHECK(c->unique());
    const Ref<Handle>& same = c;
    c = same;  // to itself
    CHECK(alive == 1);
    c = Ref<Handle>(Counted::make<Handle>(0, alive));
    CHECK(alive == 1);
  }
  CHECK(alive == 0);
}

TEST_CASE("handles may be copied and dropped by many threads", "[memory][threads]") {
  int alive = 0;
  {
    const Ref<Handle> handle(Counted::make<Handle>(0, alive));
    std::vector<std::thread> workers;
    std::atomic<int> ready = 0;
    for (int t = 0; t < 4; ++t) {
      workers.emplace_back([&] {
        ++ready;
        while (ready < 4) std::this_thread::yield();
        for (int i = 0; i < 100000; ++i) Ref<Handle> copy = handle;
      });
    }
    for (std::thread& worker : workers) worker.join();
    CHECK(handle->unique());
    CHECK(alive == 1);
  }
  CHECK(alive == 0);
}
