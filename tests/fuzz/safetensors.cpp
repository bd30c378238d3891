// Any bytes as a safetensors file: read_safetensors reads them or throws Error, nothing else.
// Run: make fuzz
#include "io/safetensors.h"
#include "fuzz/input_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const InputFile file(bytes, size, "");
  try {
    kindling::read_safetensors(file.path());
  } catch (const kindling::Error&) {
  }
  return 0;
}
