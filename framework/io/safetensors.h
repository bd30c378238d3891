// safetensors: an 8-byte little-endian header size, a JSON header, then the tensors' bytes.
// Page: docs/files.md
#pragma once

#include <map>
#include <variant>

#include "nn/module.h"

namespace kindling {

// One tensor of a file. Reading turns F32, F16, BF16 and F64 into reals and I64, I32 and U8 into
// int32 (a value outside int32 is an error); U64 is read as it is (counters of a checkpoint).
struct FileTensor {
  std::string name;
  std::variant<Tensor, Indices, std::vector<uint64_t>> value;
};
struct TensorFile {
  std::vector<FileTensor> tensors;              // in the order of their bytes
  std::map<std::string, std::string> metadata;  // the header's "__metadata__"

  const FileTensor* find(const std::string& name) const;  // null if there is none
};

// Errors name the file, the tensor and the reason (truncated, header too large, offsets that
// overlap, leave holes or pass the end, unknown dtype, shape and size that disagree, names that are
// not UTF-8 or appear twice), before anything is allocated from a size found in the file.
TensorFile read_safetensors(const std::string& path);
// Writes F32 (F64 in the double build) for real, I64 for Indices, and U64; to a temporary file that
// is synced and renamed.
void write_safetensors(const std::string& path, const TensorFile& file);

// Throws unless `file`, read from `path`, holds the names of `expected` with the same types and
// shapes and no others: one error lists all that are missing, unexpected or different.
void ensure_fits(const std::string& path, const TensorFile& file, const TensorFile& expected);

// Loads the weights and buffers of a module by name. If ensure_fits throws, nothing was changed.
void load_weights(Module& module, const std::string& path);
void save_weights(Module& module, const std::string& path);

}  // namespace kindling
