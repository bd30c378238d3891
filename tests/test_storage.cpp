// Tests of Storage in framework/tensor/tensor: alignment, sharing, versions.
#include "tensor/tensor.h"

#include "support/catch.h"

using namespace kindling;

TEST_CASE("a storage's elements are aligned and its own", "[storage]") {
  for (size_t bytes :
       {size_t{0}, size_t{1}, size_t{4}, size_t{32}, size_t{33}, size_t{100}, size_t{1} << 20}) {
    const int64_t before = memory::stats().live_bytes;
    const Ref<Storage> storage = Storage::create<char>(int64_t(bytes));
    // Up to 32 bytes share the cache line of the header.
    CHECK(reinterpret_cast<uintptr_t>(storage->data) % (bytes <= 32 ? 32 : 64) == 0);
    std::memset(storage->data, 1, bytes);  // the address sanitizer looks on
    const auto taken = size_t(memory::stats().live_bytes - before);
    CHECK(taken == sizeof(Storage) + (bytes <= 32 ? 0 : 32) + bytes);
  }
}

TEST_CASE("a storage counts its writers", "[storage]") {
  const Ref<Storage> storage = Storage::create<char>(8);
  CHECK(storage->version == 0);
  ++storage->version;
  ++storage->version;
  CHECK(storage->version == 2);

  Tensor t({2});
  const uint32_t before = t.storage()->version;
  (void)t.data();
  (void)t.values();
  CHECK(t.storage()->version == before);
  t.mutable_data()[0] = 1;
  CHECK(t.storage()->version == before + 1);
}

TEST_CASE("a storage is given back with its last handle", "[storage]") {
  const int64_t before = memory::stats().live_bytes;
  {
    Ref<Storage> a = Storage::create<char>(1000);
    CHECK(a->unique());
    const Ref<Storage> b = a;
    CHECK_FALSE(a->unique());
    CHECK(memory::stats().live_bytes >= before + 1000);
    a = Ref<Storage>();
    CHECK_FALSE(a);
    CHECK(b->unique());
    CHECK(memory::stats().live_bytes >= before + 1000);
  }
  CHECK(memory::stats().live_bytes == before);
}
