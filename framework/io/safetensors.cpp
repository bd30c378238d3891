// The safetensors format, read with suspicion and written in one step. Page: docs/files.md
#include "io/safetensors.h"

#include <jansson.h>

#include <bit>
#include <filesystem>
#include <fstream>
#include <list>

#include "io/file.h"

namespace kindling {
namespace {

using Json = std::unique_ptr<json_t, decltype(&json_decref)>;

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

// ---- Reading ------------------------------------------------------------------------------------

constexpr const char* kMetadata = "__metadata__";  // texts that are no tensor: skipped

struct F16 {
  uint16_t bits;
  operator float() const {
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    const float size = exponent == 31  ? (fraction ? NAN : INFINITY)
                       : exponent == 0 ? std::ldexp(float(fraction), -24)
                                       : std::ldexp(float(1024 + fraction), exponent - 25);
    return bits >> 15 ? -size : size;
  }
};

struct BF16 {
  uint16_t bits;
  operator float() const { return std::bit_cast<float>(uint32_t{bits} << 16); }
};

constexpr uint64_t kMostHeader = 100'000'000;  // bytes, as in the reference implementation

template <class T> std::vector<T> read(std::istream& in, size_t count) {
  std::vector<T> values(count);
  in.read(reinterpret_cast<char*>(values.data()), std::streamsize(count * sizeof(T)));
  ENSURE(in, "truncated, or it cannot be read");
  return values;
}

template <class To> To narrowed(double x) {
  using Limits = std::numeric_limits<To>;
  ENSURE(!std::isfinite(x) || (x >= Limits::lowest() && x <= Limits::max()), "{} does not fit {}",
         x, std::is_integral_v<To> ? "32 bits" : "float");
  return To(x);
}

// The next bytes of the file: numbers of type From, as the Value that holds them here.
template <class Value, class From> FileValue read_as(std::istream& in, const Shape& shape) {
  Value result(shape);
  auto* to = result.mutable_data();
  for (From x : read<From>(in, size_t(shape.elements()))) {
    *to++ = narrowed<std::remove_reference_t<decltype(*to)>>(double(x));
  }
  return result;
}
FileValue read_words(std::istream& in, const Shape& shape) {
  return read<uint64_t>(in, size_t(shape.elements()));
}

struct Dtype {
  std::string name;
  uint64_t bytes;  // of an element
  FileValue (*read)(std::istream&, const Shape&);
};
const std::vector<Dtype> kDtypes = {
    {"F32", 4, read_as<Tensor, float>},    {"F16", 2, read_as<Tensor, F16>},
    {"BF16", 2, read_as<Tensor, BF16>},    {"F64", 8, read_as<Tensor, double>},
    {"I64", 8, read_as<Indices, int64_t>}, {"I32", 4, read_as<Indices, int32_t>},
    {"U8", 1, read_as<Indices, uint8_t>},  {"U64", 8, read_words}};

// What the header says of one tensor; begin and end are byte offsets after the header.
struct Entry {
  std::string name;
  const Dtype* dtype;
  Shape shape;
  uint64_t begin, end;
};

// How an error in a tensor begins.
std::string about(const std::string& name) { return fmt::format("tensor {:?}: ", name); }

Entry parse_entry(const std::string& name, json_t* value) {
  json_int_t begin = 0, end = 0;
  ENSURE(json_unpack(value, "{s:[II!]}", "data_offsets", &begin, &end) == 0 && begin >= 0 &&
             begin <= end,
         "its data_offsets are no range of bytes");
  const json_t* const list = json_object_get(value, "shape");
  std::vector<int64_t> sizes;
  for (size_t i = 0; i < json_array_size(list); ++i) {
    const json_t* const size = json_array_get(list, i);
    sizes.push_back(json_is_integer(size) ? json_integer_value(size) : -1);
  }
  ENSURE(json_is_array(list) && std::ranges::all_of(sizes, [](int64_t n) { return n >= 0; }),
         "its shape is not a list of whole numbers");
  const json_t* const type = json_object_get(value, "dtype");
  ENSURE(json_is_string(type), "it has no dtype");
  const auto dtype = std::ranges::find(kDtypes, json_string_value(type), &Dtype::name);
  ENSURE(dtype != kDtypes.end(), "dtype {:?} is not read; F32 F16 BF16 F64 I64 I32 U8 U64 are",
         json_string_value(type));
  const Shape shape(sizes);
  // Shape holds at most 2^59 elements, so this product cannot overflow.
  const uint64_t needed = uint64_t(shape.elements()) * dtype->bytes, given = uint64_t(end - begin);
  ENSURE(given == needed, "{} {} takes {} bytes, its data_offsets give {}", dtype->name, shape,
         needed, given);
  return {name, &*dtype, shape, uint64_t(begin), uint64_t(end)};
}

// `where` is about() the tensor that is being looked at, and empty when it is none.
TensorFile read_checked(std::istream& in, uint64_t size, std::string& where) {
  const uint64_t header_size = read<uint64_t>(in, 1)[0];
  ENSURE(header_size >= 2 && header_size <= kMostHeader && header_size <= size - 8,
         "truncated or no safetensors file: a header of {} bytes in a file of {}", header_size,
         size);
  const std::vector<char> text = read<char>(in, header_size);
  json_error_t error{};
  const Json header(json_loadb(text.data(), text.size(), JSON_REJECT_DUPLICATES, &error),
                    json_decref);
  const std::string_view why = header ? "it is a list" : error.text;
  // The place is shown by the last of what was read, escaped.
  const size_t at = std::min(size_t(error.position), text.size()), last = std::min<size_t>(at, 80);
  ENSURE(json_is_object(header.get()),
         "its header is not a JSON object in UTF-8: {} at byte {}, after {:?}",
         why.substr(0, why.find(" near")), at, std::string_view(&text[at - last], last));
  std::vector<Entry> entries;
  for (void* i = json_object_iter(header.get()); i; i = json_object_iter_next(header.get(), i)) {
    const std::string name = json_object_iter_key(i);
    where = about(name);
    if (name != kMetadata) entries.push_back(parse_entry(name, json_object_iter_value(i)));
  }
  std::ranges::sort(entries, {}, [](const Entry& e) { return std::pair(e.begin, e.end); });

  // Tensors must lie one after another and fill the file. Room for them is made after that.
  uint64_t end = 0;
  const uint64_t bytes = size - 8 - header_size;
  for (const Entry& entry : entries) {
    where = about(entry.name);
    ENSURE(entry.begin == end, "it begins at byte {}, the tensor before it ends at {}: {}",
           entry.begin, end, entry.begin < end ? "they overlap" : "a hole");
    ENSURE(entry.end <= bytes, "truncated: it ends at byte {}, the file has {} after its header",
           entry.end, bytes);
    end = entry.end;
  }
  where.clear();
  ENSURE(end == bytes, "too long: {} bytes after the last tensor", bytes - end);
  TensorFile file;
  for (const Entry& entry : entries) {
    where = about(entry.name);
    file[entry.name] = entry.dtype->read(in, entry.shape);
  }
  return file;
}

// ---- Writing ------------------------------------------------------------------------------------

// How the values of a file are written, by their place in the variant.
constexpr std::array<const char*, 3> kWritten = {sizeof(real) == 8 ? "F64" : "F32", "I64", "U64"};

Shape shape_of(const FileValue& value) {
  if (const auto* words = std::get_if<Words>(&value)) return {int64_t(words->size())};
  const auto* tensor = std::get_if<Tensor>(&value);
  return tensor ? tensor->shape() : std::get<Indices>(value).shape();
}

template <class T> std::string_view bytes_of(std::span<const T> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

// `buffer` keeps the elements that have to be converted.
std::string_view bytes_of(const FileValue& value, std::vector<int64_t>& buffer) {
  if (const auto* tensor = std::get_if<Tensor>(&value)) return bytes_of(tensor->values());
  if (const auto* words = std::get_if<Words>(&value)) return bytes_of<uint64_t>(*words);
  const auto values = std::get<Indices>(value).values();
  buffer.assign(values.begin(), values.end());
  return bytes_of<int64_t>(buffer);
}

Descriptions describe(const TensorFile& file) {
  Descriptions all;
  for (const auto& [name, value] : file) {
    all[name] = fmt::format("{} {}", kWritten[value.index()], shape_of(value));
  }
  return all;
}

}  // namespace

TensorFile read_safetensors(const std::string& path) {
  ENSURE(std::filesystem::is_regular_file(path), "{}: no such file", path);
  std::ifstream in(path, std::ios::binary);
  std::string where;
  try {
    return read_checked(in, std::filesystem::file_size(path), where);
  } catch (const Error& e) {
    throw Error(path + ": " + where + e.what());
  }
}

void write_safetensors(const std::string& path, const TensorFile& file) {
  const Json header(json_object(), json_decref);
  uint64_t end = 0;
  std::vector<std::string_view> pieces(2);  // the header's size, the header, then the tensors
  std::list<std::vector<int64_t>> buffers;
  for (const auto& [name, value] : file) {
    ENSURE(name != kMetadata, "{}: a tensor is named {}, which is reserved", path, name);
    ENSURE(name.find('\0') == name.npos, "{}: a tensor's name holds a zero byte", path);
    pieces.push_back(bytes_of(value, buffers.emplace_back()));
    const uint64_t begin = std::exchange(end, end + pieces.back().size());
    json_t* const shape = json_array();
    for (int64_t n : shape_of(value)) json_array_append_new(shape, json_integer(n));
    json_t* const entry =
        json_pack("{s:[I,I],s:s,s:o}", "data_offsets", json_int_t(begin), json_int_t(end), "dtype",
                  kWritten[value.index()], "shape", shape);
    ENSURE(json_object_set_new(header.get(), name.c_str(), entry) == 0,
           "{}: a name in it is not UTF-8", path);
  }
  std::string text(json_dumpb(header.get(), nullptr, 0, JSON_COMPACT), ' ');
  json_dumpb(header.get(), text.data(), text.size(), JSON_COMPACT);
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the tensors begin at a multiple of 8
  const uint64_t header_size = text.size();
  pieces[0] = bytes_of(std::span(&header_size, 1)), pieces[1] = text;
  write_file(path, pieces);
}

void add_tensors(TensorFile& file, const std::string& prefix,
                 const std::vector<NamedTensor>& tensors) {
  for (const NamedTensor& t : tensors) {
    const bool added = file.emplace(prefix + t.name, t.tensor).second;
    ENSURE(added, "safetensors: two tensors are named {}{}", prefix, t.name);
  }
}

TensorFile read_safetensors(const std::string& path, const TensorFile& expected) {
  TensorFile file = read_safetensors(path);
  ensure_same_tensors(path, describe(file), describe(expected));
  return file;
}

void copy_tensors(const TensorFile& from, TensorFile& to) {
  for (auto& [name, value] : to) {
    if (auto* t = std::get_if<Tensor>(&value)) copy_into(*t, std::get<Tensor>(from.at(name)));
  }
}

void load_weights(Module& module, const std::string& path) {
  TensorFile own;
  add_tensors(own, "", named_tensors(module));
  copy_tensors(read_safetensors(path, own), own);
}

void save_weights(Module& module, const std::string& path) {
  TensorFile own;
  add_tensors(own, "", named_tensors(module));
  write_safetensors(path, own);
}

void load_torch_weights(Module& module, const std::string& path) {
  const std::vector<NamedTensor> tensors = named_tensors(module);
  const auto conv = [](const NamedTensor& t) {
    return t.kind == Kind::conv || t.kind == Kind::depthwise;
  };
  TensorFile own, expected;
  add_tensors(own, "", tensors);
  expected = own;
  for (const NamedTensor& t : tensors) {
    if (conv(t)) expected[t.name] = permute(t.tensor.detach(), {0, 3, 1, 2});
  }
  TensorFile file = read_safetensors(path);
  for (const NamedTensor& t : tensors) {
    const auto found = file.find(t.name);  // BatchNorm counts its batches in whole numbers there
    if (t.kind != Kind::buffer || found == file.end()) continue;
    const auto* count = std::get_if<Indices>(&found->second);
    if (count) found->second = Tensor(count->shape(), count->values());
  }
  ensure_same_tensors(path, describe(file), describe(expected));
  for (const NamedTensor& t : tensors) {
    const int64_t channels = conv(t) ? t.tensor.dim(-1) : t.channels;
    if (!conv(t) && channels == 1) continue;
    Tensor& from = std::get<Tensor>(file.at(t.name));  // [out, channels, places]
    from = transpose(reshape(from, {t.tensor.dim(0), channels, -1})).viewed_as(t.tensor.shape());
  }
  copy_tensors(file, own);
}

}  // namespace kindling
