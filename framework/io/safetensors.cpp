// The safetensors format, read with suspicion and written in one step. Page: docs/files.md
#include "io/safetensors.h"

#include <fmt/format.h>

#include <bit>
#include <filesystem>
#include <fstream>
#include <list>
#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"

namespace kindling {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr uint64_t kMostHeader = 100'000'000;  // bytes; the limit of the format's own library
constexpr const char* kMetadata = "__metadata__";

const std::map<std::string, size_t> kElementBytes = {
    {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"F64", 8}, {"I64", 8}, {"I32", 4}, {"U8", 1}, {"U64", 8}};

// ---- Reading: the header ------------------------------------------------------------------------

// What the header says of one tensor; begin and end are byte offsets after the header.
struct Entry {
  std::string where;  // FILE: tensor "NAME"
  std::string name, dtype;
  Shape shape;
  uint64_t begin, end;
};

json parse_header(const std::string& path, const std::string& text) {
  std::set<std::string> names;
  const auto watch = [&](int depth, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::key && depth == 1) {
      ENSURE(names.insert(parsed).second, "{}: the name {} appears twice", path, parsed.dump());
    }
    return true;
  };
  try {
    json header = json::parse(text, watch);
    ENSURE(header.is_object(), "{}: its header is not a JSON object", path);
    return header;
  } catch (const json::parse_error& e) {
    throw Error(fmt::format("{}: its header is not JSON in UTF-8 (byte {} of it)", path, e.byte));
  } catch (const json::exception&) {
    throw Error(fmt::format("{}: its header holds a number that is too large", path));
  }
}

Entry parse_entry(const std::string& path, const std::string& name, const json& value) {
  Entry entry{fmt::format("{}: tensor {}", path, json(name).dump()), name, {}, {}, 0, 0};
  const auto whole_numbers = [&](const char* key) {
    const bool listed = value.is_object() && value.contains(key) && value[key].is_array();
    ENSURE(listed && std::ranges::all_of(value[key], &json::is_number_unsigned),
           "{}: its {} is not a list of whole numbers", entry.where, key);
    return value[key].get<std::vector<uint64_t>>();
  };
  const std::vector<uint64_t> offsets = whole_numbers("data_offsets"),
                              sizes = whole_numbers("shape");
  ENSURE(offsets.size() == 2 && offsets[0] <= offsets[1], "{}: its data_offsets are no range",
         entry.where);
  entry.begin = offsets[0], entry.end = offsets[1];

  ENSURE(value.contains("dtype") && value["dtype"].is_string(), "{}: it has no dtype", entry.where);
  entry.dtype = value["dtype"];
  const auto known = kElementBytes.find(entry.dtype);
  ENSURE(known != kElementBytes.end(),
         "{}: dtype {} is not read; F32 F16 BF16 F64 I64 I32 U8 U64 are", entry.where,
         value["dtype"].dump());

  try {
    std::vector<int64_t> signed_sizes;
    for (uint64_t size : sizes) {
      ENSURE(size <= uint64_t(std::numeric_limits<int64_t>::max()), "shape: too many elements");
      signed_sizes.push_back(int64_t(size));
    }
    entry.shape = Shape(signed_sizes);
  } catch (const Error& e) {
    throw Error(entry.where + ": " + e.what());
  }
  // Shape holds at most 2^59 elements, so this product cannot overflow.
  const uint64_t needed = uint64_t(entry.shape.elements()) * known->second;
  ENSURE(entry.end - entry.begin == needed, "{}: {} {} takes {} bytes, its data_offsets give {}",
         entry.where, entry.dtype, entry.shape, needed, entry.end - entry.begin);
  return entry;
}

// Tensors must lie one after another and fill the file.
void ensure_contiguous(const std::string& path, const std::vector<Entry>& entries, uint64_t bytes) {
  uint64_t end = 0;
  for (const Entry& entry : entries) {
    ENSURE(entry.begin >= end, "{}: it overlaps the tensor before it (byte {} is used twice)",
           entry.where, entry.begin);
    ENSURE(entry.begin == end, "{}: a hole of {} bytes lies before it", entry.where,
           entry.begin - end);
    ENSURE(entry.end <= bytes,
           "{}: truncated: it ends at byte {}, the file has {} after its header", entry.where,
           entry.end, bytes);
    end = entry.end;
  }
  ENSURE(end == bytes, "{}: too long: {} bytes after the last tensor", path, bytes - end);
}

// ---- Reading: the elements ----------------------------------------------------------------------

float from_half(uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const float size = exponent == 31  ? (fraction ? NAN : INFINITY)
                     : exponent == 0 ? std::ldexp(float(fraction), -24)
                                     : std::ldexp(float(1024 + fraction), exponent - 25);
  return bits >> 15 ? -size : size;
}

float from_bfloat(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

template <class From, class To, class Convert>
void convert(const std::vector<char>& bytes, To* to, const Convert& f) {
  for (size_t i = 0; i < bytes.size(); i += sizeof(From)) {
    From value;
    std::memcpy(&value, bytes.data() + i, sizeof value);
    *to++ = To(f(value));
  }
}

Tensor reals(const Entry& entry, const std::vector<char>& bytes) {
  Tensor result(entry.shape);
  real* to = result.mutable_data();
  if (entry.dtype == "F32") convert<float>(bytes, to, [](float x) { return x; });
  if (entry.dtype == "F16") convert<uint16_t>(bytes, to, from_half);
  if (entry.dtype == "BF16") convert<uint16_t>(bytes, to, from_bfloat);
  if (entry.dtype == "F64") {
    convert<double>(bytes, to, [&](double x) {
      ENSURE(!std::isfinite(x) || std::abs(x) <= double(std::numeric_limits<real>::max()),
             "{}: {} is too large for float", entry.where, x);
      return x;
    });
  }
  return result;
}

Indices whole_numbers(const Entry& entry, const std::vector<char>& bytes) {
  Indices result(entry.shape);
  int32_t* to = result.mutable_data();
  if (entry.dtype == "I32") convert<int32_t>(bytes, to, [](int32_t n) { return n; });
  if (entry.dtype == "U8") convert<uint8_t>(bytes, to, [](uint8_t n) { return n; });
  if (entry.dtype == "I64") {
    convert<int64_t>(bytes, to, [&](int64_t n) {
      ENSURE(n == int32_t(n), "{}: {} does not fit 32 bits", entry.where, n);
      return n;
    });
  }
  return result;
}

FileTensor read_tensor(std::ifstream& in, uint64_t data_begin, const Entry& entry) {
  std::vector<char> bytes(size_t(entry.end - entry.begin));
  in.seekg(std::streamoff(data_begin + entry.begin));
  in.read(bytes.data(), std::streamsize(bytes.size()));
  ENSURE(in, "{}: its bytes cannot be read", entry.where);
  if (entry.dtype == "U64") {
    std::vector<uint64_t> counters(bytes.size() / 8);
    std::memcpy(counters.data(), bytes.data(), bytes.size());
    return {entry.name, counters};
  }
  if (entry.dtype[0] == 'I' || entry.dtype == "U8")
    return {entry.name, whole_numbers(entry, bytes)};
  return {entry.name, reals(entry, bytes)};
}

// ---- Writing ------------------------------------------------------------------------------------

struct Bytes {
  const char* dtype;
  Shape shape;
  std::string_view data;
};

template <class T> std::string_view bytes_of(const T* data, size_t count) {
  return {reinterpret_cast<const char*>(data), count * sizeof(T)};
}

// One tensor as it is written; `buffer` keeps the elements that had to be converted.
Bytes written(const FileTensor& tensor, std::vector<int64_t>& buffer) {
  if (const auto* t = std::get_if<Tensor>(&tensor.value)) {
    return {sizeof(real) == 8 ? "F64" : "F32", t->shape(), bytes_of(t->data(), size_t(t->size()))};
  }
  if (const auto* counters = std::get_if<std::vector<uint64_t>>(&tensor.value)) {
    return {"U64", {int64_t(counters->size())}, bytes_of(counters->data(), counters->size())};
  }
  const auto& indices = std::get<Indices>(tensor.value);
  buffer.assign(indices.values().begin(), indices.values().end());
  return {"I64", indices.shape(), bytes_of(buffer.data(), buffer.size())};
}

std::string kind_and_shape(const FileTensor& tensor) {
  if (const auto* t = std::get_if<Tensor>(&tensor.value)) return t->shape().str();
  if (const auto* i = std::get_if<Indices>(&tensor.value))
    return "whole numbers " + i->shape().str();
  return fmt::format("U64 [{}]", std::get<std::vector<uint64_t>>(tensor.value).size());
}

// "missing a, b, c", with long lists cut short.
void list(std::vector<std::string>& problems, const std::string& what,
          const std::vector<std::string>& names) {
  constexpr size_t kMostNames = 8;
  if (names.empty()) return;
  const auto shown = std::span(names).first(std::min(names.size(), kMostNames));
  std::string text = fmt::format("{} {}", what, fmt::join(shown, ", "));
  if (shown.size() < names.size()) text += fmt::format(" and {} more", names.size() - shown.size());
  problems.push_back(text);
}

TensorFile contents_of(Module& module) {
  TensorFile file;
  for (const NamedTensor& t : named_tensors(module)) file.tensors.push_back({t.name, t.tensor});
  return file;
}

}  // namespace

const FileTensor* TensorFile::find(const std::string& name) const {
  const auto found = std::ranges::find(tensors, name, &FileTensor::name);
  return found == tensors.end() ? nullptr : &*found;
}

TensorFile read_safetensors(const std::string& path) {
  ENSURE(fs::is_regular_file(path), "{}: no such file", path);
  std::ifstream in(path, std::ios::binary);
  const uint64_t size = fs::file_size(path);
  uint64_t header_size = 0;
  in.read(reinterpret_cast<char*>(&header_size), 8);
  ENSURE(in, "{}: truncated: {} bytes are not even a header size, or it cannot be read", path,
         size);
  ENSURE(header_size <= kMostHeader && header_size <= size - 8,
         "{}: truncated or no safetensors file: a header of {} bytes in a file of {}", path,
         header_size, size);
  std::string text(size_t(header_size), '\0');
  in.read(text.data(), std::streamsize(header_size));
  ENSURE(in, "{}: its header cannot be read", path);

  TensorFile file;
  std::vector<Entry> entries;
  const json header = parse_header(path, text);
  for (const auto& [name, value] : header.items()) {
    if (name != kMetadata) {
      entries.push_back(parse_entry(path, name, value));
      continue;
    }
    ENSURE(value.is_object() && std::ranges::all_of(value, &json::is_string),
           "{}: its {} is not a list of names and texts", path, kMetadata);
    file.metadata = value.get<std::map<std::string, std::string>>();
  }
  std::ranges::sort(entries, {}, [](const Entry& e) { return std::pair(e.begin, e.end); });
  const uint64_t data_begin = 8 + header_size;
  ensure_contiguous(path, entries, size - data_begin);
  for (const Entry& entry : entries) file.tensors.push_back(read_tensor(in, data_begin, entry));
  return file;
}

void write_safetensors(const std::string& path, const TensorFile& file) {
  json header = json::object();
  if (!file.metadata.empty()) header[kMetadata] = file.metadata;
  uint64_t end = 0;
  std::vector<std::string_view> pieces(2);  // the header's size, the header, then the tensors
  std::list<std::vector<int64_t>> buffers;
  for (const FileTensor& tensor : file.tensors) {
    ENSURE(!header.contains(tensor.name) && tensor.name != kMetadata,
           "{}: two tensors are named {}, or it is a reserved name", path, tensor.name);
    const Bytes bytes = written(tensor, buffers.emplace_back());
    const uint64_t begin = std::exchange(end, end + bytes.data.size());
    header[tensor.name] = {{"dtype", bytes.dtype},
                           {"shape", std::vector<int64_t>(bytes.shape.begin(), bytes.shape.end())},
                           {"data_offsets", {begin, end}}};
    pieces.push_back(bytes.data);
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const json::exception&) {
    throw Error(fmt::format("{}: a name in it is not UTF-8", path));
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the tensors begin at a multiple of 8
  const uint64_t header_size = text.size();
  pieces[0] = bytes_of(&header_size, 1), pieces[1] = text;
  write_file(path, pieces);
}

void ensure_fits(const std::string& path, const TensorFile& file, const TensorFile& expected) {
  std::vector<std::string> missing, unexpected, different, problems;
  for (const FileTensor& wanted : expected.tensors) {
    const FileTensor* found = file.find(wanted.name);
    if (found == nullptr) {
      missing.push_back(wanted.name);
    } else if (kind_and_shape(*found) != kind_and_shape(wanted)) {
      different.push_back(fmt::format("{} is {}, expected {}", wanted.name, kind_and_shape(*found),
                                      kind_and_shape(wanted)));
    }
  }
  for (const FileTensor& held : file.tensors) {
    if (expected.find(held.name) == nullptr) unexpected.push_back(held.name);
  }
  list(problems, "missing", missing);
  list(problems, "unexpected", unexpected);
  list(problems, "different:", different);
  ENSURE(problems.empty(), "{}: does not fit: {}", path, fmt::join(problems, "; "));
}

void load_weights(Module& module, const std::string& path) {
  const TensorFile file = read_safetensors(path);
  ensure_fits(path, file, contents_of(module));
  for (NamedTensor& t : named_tensors(module)) {
    copy_into(t.tensor, std::get<Tensor>(file.find(t.name)->value));
  }
}

void save_weights(Module& module, const std::string& path) {
  write_safetensors(path, contents_of(module));
}

}  // namespace kindling
