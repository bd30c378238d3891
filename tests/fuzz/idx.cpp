// Any bytes as an idx file, plain and as .gz: read_idx reads them or throws Error, nothing else.
// Run: make fuzz
#include "data/idx.h"
#include "fuzz/input_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const bool compressed = size > 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
  const InputFile file(bytes, size, compressed ? ".gz" : "");
  try {
    kindling::read_idx(file.path());
  } catch (const kindling::Error&) {
  }
  return 0;
}
