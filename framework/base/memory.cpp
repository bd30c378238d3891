// The caching allocator. Freed blocks go to a list per size class: small ones (to 4 KiB) first to a
// list of the thread that freed them, which needs no lock, in exchange with the shared lists behind
// a mutex. Page: docs/tensor.md
#include "base/memory.h"

#include <bit>
#include <cstdlib>
#include <mutex>

#include "base/check.h"

namespace kindling::memory {
namespace {

// Under the address sanitizer every block comes from malloc with its exact size, so that a read one
// past the end, or after release, is caught.
#ifdef KINDLING_ASAN
constexpr bool kCache = false;
#else
constexpr bool kCache = true;
#endif

// Size classes: multiples of 64 bytes up to 1 KiB, then eight steps per doubling (12.5 % waste at
// most). A class is an index; its size follows from it.
constexpr int class_of(size_t bytes) {
  const size_t last = (std::max(bytes, size_t{1}) - 1) / kAlignment;
  const int shift = std::max(0, int(std::bit_width(last)) - 4);
  return 8 * shift + int(last >> shift);
}
constexpr size_t class_size(int index) {
  const int shift = std::max(0, index / 8 - 1);
  return (size_t(index - 8 * shift) + 1) * kAlignment << shift;
}
static_assert(class_size(class_of(1)) == 64 && class_size(class_of(65)) == 128);
static_assert(class_size(class_of(1025)) == 1152 && class_size(class_of(4096)) == 4096);

constexpr size_t kLargest = size_t{1} << 46;
constexpr int kClasses = class_of(kLargest) + 1, kSmallClasses = class_of(4096) + 1;
// Small blocks move between a thread and the shared lists this many at once: 128 KiB of them.
constexpr int batch_of(int index) { return int((size_t{1} << 17) / class_size(index)); }

struct Block {
  Block* next;
};
struct List {
  Block* head = nullptr;
  int count = 0;
  void push(void* memory) { head = new (memory) Block{head}, ++count; }
  Block* pop() { return --count, std::exchange(head, head->next); }
};

struct Shared {
  std::mutex lock;
  std::array<List, kClasses> lists;
  std::atomic<int64_t> live = 0, peak = 0, held = 0, requests = 0;
};
// Has no destructor to run: tensors in static objects may be released after main has returned.
constinit Shared shared;
static_assert(std::is_trivially_destructible_v<Shared>);

void* from_system(size_t bytes) {
  void* memory = nullptr;
  if (posix_memalign(&memory, kAlignment, bytes) != 0) {
    throw Error(
        fmt::format("memory: the system has no {} bytes left. Try a smaller --batch", bytes));
  }
  shared.held += int64_t(bytes), ++shared.requests;
  return memory;
}

void move_blocks(List& from, List& to, int count) {
  for (; count > 0 && from.count > 0; --count) to.push(from.pop());
}

// What a thread keeps of each small class; handed over when the thread ends.
struct Local {
  std::array<List, kSmallClasses> lists;
  ~Local();
};
constinit thread_local Local* local = nullptr;
constinit thread_local bool local_ended = false;

Local::~Local() {
  local = nullptr, local_ended = true;
  std::lock_guard guard(shared.lock);
  for (size_t i = 0; i < lists.size(); ++i) {
    move_blocks(lists[i], shared.lists[i], lists[i].count);
  }
}

// The calling thread's list of a small class; null for large ones, and where the thread has none.
List* local_list(int index) {
  return index < kSmallClasses && local ? &local->lists[size_t(index)] : nullptr;
}

void give_thread_its_lists() {
  if (local || local_ended) return;
  static thread_local Local the_one;
  local = &the_one;
}

[[gnu::noinline]] void* take_shared(int index) {
  ENSURE(index < kClasses, "memory: more bytes are asked for than any machine has");
  give_thread_its_lists();
  List* mine = local_list(index);
  std::lock_guard guard(shared.lock);
  List& list = shared.lists[size_t(index)];
  const size_t size = class_size(index);
  const int batch = batch_of(index);
  if (list.count == 0 && mine == nullptr) return from_system(size);
  if (list.count == 0) {  // a slab of small blocks
    char* slab = static_cast<char*>(from_system(size_t(batch) * size));
    for (int i = batch; i-- > 0;) list.push(slab + size_t(i) * size);
  }
  if (mine) move_blocks(list, *mine, batch - 1);
  return (list.count > 0 ? list : *mine).pop();
}

[[gnu::noinline]] void give_shared(void* block, int index) {
  give_thread_its_lists();
  std::lock_guard guard(shared.lock);
  if (List* mine = local_list(index))
    move_blocks(*mine, shared.lists[size_t(index)], batch_of(index));
  shared.lists[size_t(index)].push(block);
}

std::atomic<bool> poison = false;

}  // namespace

void* allocate(size_t bytes) {
  void* block = nullptr;
  if (kCache) {
    const int index = class_of(bytes);
    List* mine = local_list(index);
    block = mine && mine->count > 0 ? mine->pop() : take_shared(index);
  } else {
    block = from_system(std::max(bytes, size_t{1}));
  }
  const int64_t live = add_relaxed(shared.live, int64_t(bytes));
  if (live > shared.peak.load(std::memory_order_relaxed)) shared.peak = live;
  if (poison.load(std::memory_order_relaxed)) std::memset(block, 0xFF, bytes);  // NaN in every type
  return block;
}

void release(void* block, size_t bytes) {
  add_relaxed(shared.live, -int64_t(bytes));
  if (kCache) {
    const int index = class_of(bytes);
    List* mine = local_list(index);
    if (mine && mine->count < 2 * batch_of(index)) return mine->push(block);
    return give_shared(block, index);
  }
  shared.held -= int64_t(bytes);
  std::free(block);
}

Stats stats() { return {shared.live, shared.peak, shared.held - shared.live, shared.requests}; }

void reset_peak() { shared.peak = shared.live.load(); }

void trim() {
  std::lock_guard guard(shared.lock);
  for (int i = kSmallClasses; i < kClasses; ++i) {  // small blocks are parts of slabs
    for (List& list = shared.lists[size_t(i)]; list.count > 0;) {
      std::free(list.pop());
      shared.held -= int64_t(class_size(i));
    }
  }
}

void poison_new_blocks(bool on) { poison = on; }

}  // namespace kindling::memory
