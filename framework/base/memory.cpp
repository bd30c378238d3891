// The caching allocator: a list of free blocks for each class of sizes. Page: docs/tensor.md
#include "base/memory.h"

#include <malloc.h>
#include <sys/mman.h>

#include <bit>
#include <mutex>

#include "base/check.h"

namespace kindling::memory {
namespace {

// Under the address sanitizer every block comes from the system with its exact size, so that a read
// one past the end, or after release, is caught.
#ifdef KINDLING_ASAN
constexpr bool kCache = false;
#else
constexpr bool kCache = true;
#endif

// Size classes: multiples of 64 bytes up to 2 KiB, then sixteen steps per doubling (6 % waste at
// most). A class is an index; its size follows from it.
constexpr size_t class_of(size_t bytes) {
  const size_t last = (std::max(bytes, size_t{1}) - 1) / kAlignment;
  const int shift = std::max(0, int(std::bit_width(last)) - 5);
  return 16 * size_t(shift) + (last >> shift);
}
constexpr size_t class_size(size_t index) {
  const size_t shift = index < 32 ? 0 : index / 16 - 1;
  return (index - 16 * shift + 1) * kAlignment << shift;
}
static_assert(class_size(class_of(1)) == 64 && class_size(class_of(65)) == 128);
static_assert(class_size(class_of(2049)) == 2176 && class_size(class_of(4096)) == 4096);

constexpr size_t kLargest = size_t{1} << 46;
// Blocks up to kSmall are cut from slabs, and all below kLarge from arenas.
constexpr size_t kSmall = 4096, kSlab = size_t{1} << 16, kLarge = size_t{1} << 22;
constexpr size_t kFirstArena = size_t{1} << 24, kArena = size_t{1} << 26;

struct Cache {
  std::mutex mutex;
  char* arena = nullptr;  // what is left of it
  size_t arena_bytes = 0;
  std::array<void*, class_of(kLargest) + 1> free{};  // the first free block of each class
  int64_t live = 0, peak = 0, held = 0, requests = 0;
};
// Has no destructor to run: tensors in static objects may be released after main has returned.
constinit Cache cache;
static_assert(std::is_trivially_destructible_v<Cache>);

// Holds the mutex, unless this process has a single thread (glibc knows): a lock costs 10 ns.
[[gnu::always_inline]] inline std::unique_lock<std::mutex> guard() {
  return __libc_single_threaded ? std::unique_lock<std::mutex>() : std::unique_lock(cache.mutex);
}

void* map(size_t bytes, bool large_pages) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  if (large_pages) madvise(memory, bytes, MADV_HUGEPAGE);  // a system without them has small ones
  return memory;
}

// `bytes` of the arena, or of a new one where too little is left; a mapping of their own if they
// are many, or if the system has no whole arena more. All but the first arena ask for large pages,
// of 2 MiB as a rule: for the many small ones of a large tensor the processor would have to look up
// again and again where they are. A small program stays small.
void* from_arena(size_t bytes) {
  if (bytes >= kLarge) return map(bytes, true);
  if (bytes > cache.arena_bytes) {
    const size_t size = cache.arena == nullptr ? kFirstArena : kArena;
    void* arena = map(size, size == kArena);
    if (arena == nullptr) return map(bytes, false);
    cache.arena = static_cast<char*>(arena), cache.arena_bytes = size;
  }
  cache.arena_bytes -= bytes;
  return std::exchange(cache.arena, cache.arena + bytes);
}

void* from_system(size_t bytes) {
  void* memory = nullptr;
  if (bytes <= kLargest) memory = kCache ? from_arena(bytes) : memalign(kAlignment, bytes);
  ENSURE(memory != nullptr, "memory: the system has no {} bytes left. Try a smaller batch or model",
         bytes);
  cache.held += int64_t(bytes), ++cache.requests;
  return memory;
}

// A free block begins with the address of the next one.
void*& next_of(void* block) { return *static_cast<void**>(block); }
void push(void*& list, void* block) { next_of(block) = std::exchange(list, block); }

// A free block of a class; where there is none, the list is filled from the system first.
void* take(size_t index) {
  void*& list = cache.free[index];
  if (list == nullptr) {
    const size_t size = class_size(index), count = size <= kSmall ? kSlab / size : 1;
    char* slab = static_cast<char*>(from_system(count * size));
    for (size_t i = count; i-- > 0;) push(list, slab + i * size);
  }
  return std::exchange(list, next_of(list));
}

}  // namespace

void* allocate(size_t bytes) {
  const auto lock = guard();
  const bool cached = kCache && bytes <= kLargest;
  void* block = cached ? take(class_of(bytes)) : from_system(std::max(bytes, size_t{1}));
  cache.live += int64_t(bytes);
  cache.peak = std::max(cache.peak, cache.live);
  if (poison_new_blocks) std::memset(block, 0xFF, bytes);  // NaN in every type
  return block;
}

void release(void* block, size_t bytes) {
  const auto lock = guard();
  cache.live -= int64_t(bytes);
  if (kCache) return push(cache.free[class_of(bytes)], block);
  cache.held -= int64_t(bytes);
  std::free(block);
}

Stats stats() {
  const auto lock = guard();
  return {cache.live, cache.peak, cache.held - cache.live, cache.requests};
}

void reset_peak() {
  const auto lock = guard();
  cache.peak = cache.live;
}

}  // namespace kindling::memory
