// safetensors: an 8-byte little-endian header size, a JSON header, then the tensors' bytes.
// Page: docs/files.md
#pragma once

#include <variant>

#include "io/weights.h"

namespace kindling {

// What a file holds, by name. Reading turns F32, F16, BF16 and F64 into reals and I64, I32 and U8
// into int32 (a value outside int32 is an error); U64 is read as it is (counters of a checkpoint).
using Words = std::vector<uint64_t>;
using FileValue = std::variant<Tensor, Indices, Words>;
using TensorFile = std::map<std::string, FileValue>;

// Errors name the file, the tensor and the reason (truncated, header too large, offsets that
// overlap, leave holes or pass the end, unknown dtype, shape and size that disagree, names that are
// not UTF-8), before anything is allocated from a size found in the file.
TensorFile read_safetensors(const std::string& path);
// Writes F32 (F64 in the double build) for real, I64 for Indices, and U64; whole or not at all.
void write_safetensors(const std::string& path, const TensorFile& file);

// Adds tensors as PREFIX + name. They are handles: copy_tensors writes what they belong to.
void add_tensors(TensorFile& file, const std::string& prefix,
                 const std::vector<NamedTensor>& tensors);
// Reads a file that must have the names of `expected` with the same types and shapes and no others:
// one error lists all that are missing, unexpected or different.
TensorFile read_safetensors(const std::string& path, const TensorFile& expected);
// Copies the elements of every Tensor of `to` from the one of that name in `from`.
void copy_tensors(const TensorFile& from, TensorFile& to);

// Loads the weights and buffers of a module by name. If they do not fit, nothing is changed.
void load_weights(Module& module, const std::string& path);
void save_weights(Module& module, const std::string& path);
// Loads what PyTorch saved, which puts channels first: a convolution's weight is [out, in / groups,
// kh, kw] there, and images are flattened channel by channel.
void load_torch_weights(Module& module, const std::string& path);

}  // namespace kindling
