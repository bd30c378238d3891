// Storage: a counted block of elements that knows how often it was written. Page: docs/tensor.md
#pragma once

#include "base/memory.h"

namespace kindling {

// Header and elements are one block. The elements begin at its byte 64, so at a multiple of 64; up
// to 32 bytes of them (a number, a small bias) begin at byte 32 and share the header's cache line.
class Storage final : public Counted {
 public:
  // Room for `bytes` bytes, not initialised.
  static Ref<Storage> create(size_t bytes) {
    const size_t gap = bytes <= 32 ? 0 : 32;
    return Ref<Storage>(make<Storage>(gap + bytes, gap));
  }
  explicit Storage(size_t gap) : data_(reinterpret_cast<char*>(this + 1) + gap) {}

  void* data() const { return data_; }

  // Raised by every mutable access; backward compares it with what was recorded.
  uint32_t version() const { return version_; }
  void written() { ++version_; }

 private:
  uint32_t version_ = 0;
  void* const data_;
};
static_assert(sizeof(Storage) == 32, "the elements begin behind the header");

}  // namespace kindling
