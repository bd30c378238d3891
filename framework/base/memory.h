// The allocator under every tensor and graph node: 64-byte aligned blocks that are kept when freed,
// so that after the first training steps the system is asked for nothing. Page: docs/tensor.md
#pragma once

#include "base/standard.h"

#include <sys/single_threaded.h>

namespace kindling {
namespace memory {

inline constexpr size_t kAlignment = 64;

// A block of at least `bytes` bytes, aligned to 64. Throws Error when the system has no more.
void* allocate(size_t bytes);
// Gives a block back; `bytes` is what allocate was asked for. Any thread may do it.
void release(void* block, size_t bytes);

struct Stats {
  int64_t live_bytes;       // asked for and not given back
  int64_t peak_bytes;       // the most live_bytes has been since reset_peak()
  int64_t cached_bytes;     // taken and held for reuse, and lost to rounding up
  int64_t system_requests;  // times memory was taken that no block had had before
};
Stats stats();
void reset_peak();

// Fills every block handed out from now on with NaN, so that a test sees a read before a write.
inline std::atomic<bool> poison_new_blocks = false;

}  // namespace memory

// Base of what is shared by counted handles: storages, graph nodes.
class Counted {
 public:
  // A new T with `room` bytes of memory behind it, in one block, which dispose() gives back. To be
  // put into a Ref.
  template <class T, class... Args> static T* make(size_t room, Args&&... args) {
    T* object = ::new (memory::allocate(sizeof(T) + room)) T(std::forward<Args>(args)...);
    object->bytes_ = sizeof(T) + room;
    return object;
  }

  void retain() { count(1, std::memory_order_relaxed); }
  void drop() {
    if (count(-1, std::memory_order_acq_rel) == 0) dispose();
  }
  bool unique() const { return count_.load(std::memory_order_acquire) == 1; }

 protected:
  static void* operator new(size_t) = delete;  // make() alone knows the size of the block
  virtual ~Counted() = default;
  virtual void dispose() {  // the last handle is gone
    const size_t bytes = bytes_;
    this->~Counted();
    memory::release(this, bytes);
  }

 private:
  // The new number of handles. While a process has a single thread (glibc knows) this needs no
  // locked instruction, which would cost 20 cycles several times per graph node.
  int count(int change, std::memory_order order) {
    if (!__libc_single_threaded) return count_.fetch_add(change, order) + change;
    const int now = count_.load(std::memory_order_relaxed) + change;
    count_.store(now, std::memory_order_relaxed);
    return now;
  }

  size_t bytes_ = 0;  // of the block
  std::atomic<int> count_ = 0;
};

// A counted handle: copying shares, the last one disposes.
template <class T> class Ref {
 public:
  Ref() = default;
  explicit Ref(T* object) : object_(object) {
    if (object_) object_->retain();
  }
  Ref(const Ref& other) : Ref(other.object_) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_) object_->drop();
  }

  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  T* object_ = nullptr;
};

}  // namespace kindling
