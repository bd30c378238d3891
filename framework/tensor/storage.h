// Storage: a counted block of elements that knows how often it was written. Page: docs/tensor.md
#pragma once

#include <new>

#include "base/memory.h"

namespace kindling {

// Header and elements are one block. The elements begin at its byte 64, so at a multiple of 64; up
// to 32 bytes of them (a number, a small bias) begin at byte 32 and share the header's cache line.
class Storage final : public Counted {
 public:
  // Room for `bytes` bytes, not initialised.
  static Ref<Storage> create(size_t bytes) {
    return Ref<Storage>(new (memory::allocate(header(bytes) + bytes)) Storage(bytes));
  }

  void* data() { return reinterpret_cast<char*>(this) + header(bytes_); }
  const void* data() const { return reinterpret_cast<const char*>(this) + header(bytes_); }
  size_t bytes() const { return bytes_; }

  // Raised by every mutable access; backward compares it with what was recorded.
  uint32_t version() const { return version_; }
  void written() { ++version_; }

 private:
  static constexpr size_t header(size_t bytes) { return bytes <= 32 ? 32 : memory::kAlignment; }

  explicit Storage(size_t bytes) : bytes_(bytes) {}
  ~Storage() override = default;
  void dispose() const override {
    auto* self = const_cast<Storage*>(this);
    const size_t bytes = header(bytes_) + bytes_;
    self->~Storage();
    memory::release(self, bytes);
  }

  uint32_t version_ = 0;
  size_t bytes_;
};
static_assert(sizeof(Storage) <= 32, "the header must fit before the elements");

}  // namespace kindling
