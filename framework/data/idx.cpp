// Reading idx files with zlib, and the two sets that come as such files. Page: docs/data.md
#include "data/idx.h"

#include <zlib.h>

#include <filesystem>

namespace kindling {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostBytes = (size_t{1} << 31) - 1;  // no set comes near; stops a crafted .gz

// The next bytes of a file, compressed or not (zlib looks at the first ones): `size`, or fewer
// where it ends. Room is made piece by piece, as the file is found to hold them, and never because
// of a size in a header.
std::vector<uint8_t> next_bytes(gzFile file, size_t size, const std::string& path) {
  std::vector<uint8_t> bytes;
  for (int got = 1; got > 0 && bytes.size() < size;) {
    const size_t held = bytes.size(), piece = std::min(size - held, size_t{1} << 20);
    bytes.resize(held + piece);
    got = gzread(file, &bytes[held], unsigned(piece));
    int code = Z_OK;
    const char* reason = gzerror(file, &code);
    ENSURE(got >= 0 && code != Z_BUF_ERROR, "{}: damaged or truncated ({})", path, reason);
    bytes.resize(held + size_t(got));
  }
  return bytes;
}

const std::vector<std::string> kDigits = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
const std::vector<std::string> kClothes = {"T-shirt", "trouser", "pullover", "dress", "coat",
                                           "sandal",  "shirt",   "sneaker",  "bag",   "ankle boot"};

// The first folder that holds anything; if none does, the one where the set should be.
std::string folder_of(const std::string& name) {
  const char* data = std::getenv("KINDLING_DATA");
  const std::string first = fmt::format("{}/{}", data ? data : "datasets", name);
  for (const std::string& folder : {first, "datasets/" + name, "/usr/share/datasets/" + name}) {
    if (fs::is_directory(folder) && !fs::is_empty(folder)) return folder;
  }
  return first;
}

}  // namespace

IdxFile read_idx(const std::string& path) {
  const std::string found = fs::is_regular_file(path) ? path : path + ".gz";
  if (!fs::is_regular_file(found)) {
    throw DataMissing(fmt::format("{}.gz not found in {}", fs::path(path).filename().string(),
                                  fs::path(path).parent_path().string()));
  }
  const std::unique_ptr<gzFile_s, decltype(&gzclose)> file(gzopen(found.c_str(), "rb"), gzclose);
  ENSURE(file, "{}: cannot be opened", found);
  const auto read = [&](size_t size) { return next_bytes(file.get(), size, found); };

  const std::vector<uint8_t> magic = read(4);
  ENSURE(magic.size() == 4, "{}: truncated: shorter than its header", found);
  ENSURE(magic[0] == 0 && magic[1] == 0 && magic[2] == 8,
         "{}: not an idx file of unsigned bytes: it begins {:02x} {:02x} {:02x}, not 00 00 08",
         found, magic[0], magic[1], magic[2]);
  const size_t rank = magic[3];
  ENSURE(rank >= 1 && rank <= 4, "{}: {} dimensions; 1 to 4 are read", found, rank);
  const std::vector<uint8_t> header = read(4 * rank);
  ENSURE(header.size() == 4 * rank, "{}: truncated: shorter than its header", found);
  std::vector<int64_t> sizes;
  double asked = 1;
  for (const uint8_t* b = header.data(); sizes.size() < rank; b += 4) {
    sizes.push_back(int64_t{b[0]} << 24 | b[1] << 16 | b[2] << 8 | b[3]);
    asked *= double(std::max<int64_t>(sizes.back(), 1));
  }
  ENSURE(asked <= kMostBytes, "{}: its header asks for more than {} bytes", found, kMostBytes);
  const Shape shape(sizes);
  const size_t needed = size_t(shape.elements());
  std::vector<uint8_t> bytes = read(needed);
  ENSURE(bytes.size() == needed, "{}: truncated: {} needs {} bytes, the file holds {}", found,
         shape, needed, bytes.size());
  ENSURE(read(1).empty(), "{}: too long: bytes after the {} of {}", found, needed, shape);
  return {shape, std::move(bytes)};
}

ImageData load_mnist(const std::string& name, const std::string& folder) {
  const bool fashion = name == "fashion-mnist";
  ENSURE(fashion || name == "mnist", "load_mnist: '{}' is neither mnist nor fashion-mnist", name);
  const std::string where = folder.empty() ? folder_of(name) : folder;
  const auto load = [&](const std::string& part) {
    IdxFile images = read_idx(fmt::format("{}/{}-images-idx3-ubyte", where, part));
    const IdxFile labels = read_idx(fmt::format("{}/{}-labels-idx1-ubyte", where, part));
    ENSURE(
        images.shape.rank() == 3 && labels.shape == Shape{images.shape[0]} && labels.shape[0] > 0,
        "{}: the {} files in {} do not fit: images {}, labels {}", name, part, where, images.shape,
        labels.shape);
    return ImageSet({.name = name,
                     .image = {images.shape[1], images.shape[2], 1},
                     .bytes = std::move(images.bytes),
                     .labels = {labels.bytes.begin(), labels.bytes.end()},
                     .classes = fashion ? kClothes : kDigits});
  };
  const auto remedy = fmt::format(". Run: make data-{}   ({} MB)", name, fashion ? 30 : 12);
  try {
    ImageSet train = load("train"), test = load("t10k");
    return scaled(std::move(train), std::move(test));
  } catch (const DataMissing& e) {
    throw DataMissing(name + ": " + e.what() + remedy);
  } catch (const Error& e) {
    throw Error(e.what() + remedy);
  }
}

}  // namespace kindling
