// Reading idx files with zlib, and the two sets that come as such files. Page: docs/data.md
#include "data/idx.h"

#include <zlib.h>

#include <filesystem>

namespace kindling {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostBytes = (size_t{1} << 31) - 1;  // no set comes near; stops a crafted .gz

// A file, compressed or not (zlib looks at the first bytes), and what has been read of it. Room is
// made piece by piece, as the file is found to hold them, and never because of a size in a header.
struct GzFile {
  std::string path;
  std::unique_ptr<gzFile_s, decltype(&gzclose)> file = {gzopen(path.c_str(), "rb"), gzclose};
  std::vector<uint8_t> bytes = {};

  // Whether the file has `size` bytes; then they are there.
  bool read_to(size_t size) {
    ENSURE(file, "{}: cannot be opened", path);
    for (size_t held; (held = bytes.size()) < size;) {
      const size_t piece = std::min(size - held, size_t{1} << 20);
      bytes.resize(held + piece);
      const int got = gzread(file.get(), &bytes[held], unsigned(piece));
      int code = Z_OK;
      const char* reason = gzerror(file.get(), &code);
      ENSURE(got >= 0 && code != Z_BUF_ERROR, "{}: damaged or truncated ({})", path, reason);
      bytes.resize(held + size_t(got));
      if (got == 0) return false;
    }
    return true;
  }
};

}  // namespace

IdxFile read_idx(const std::string& path) {
  const std::string found = fs::is_regular_file(path) ? path : path + ".gz";
  if (!fs::is_regular_file(found)) {
    throw DataMissing(fmt::format("{0}: no such file, and no {0}.gz", path));
  }
  GzFile file{found};
  std::vector<uint8_t>& bytes = file.bytes;
  const auto ensure_header = [&](size_t size) {
    ENSURE(file.read_to(size), "{}: truncated: shorter than its header", found);
  };
  ensure_header(4);
  ENSURE(bytes[0] == 0 && bytes[1] == 0 && bytes[2] == 8,
         "{}: not an idx file of unsigned bytes: it begins {:02x} {:02x} {:02x}, not 00 00 08",
         found, bytes[0], bytes[1], bytes[2]);
  ENSURE(bytes[3] >= 1 && bytes[3] <= 4, "{}: {} dimensions; 1 to 4 are read", found, bytes[3]);
  const size_t header = 4 + 4 * size_t{bytes[3]};
  ensure_header(header);
  std::vector<int64_t> sizes;
  double asked = 1;
  for (const uint8_t* b = &bytes[4]; b < &bytes[header]; b += 4) {
    sizes.push_back(int64_t{b[0]} << 24 | b[1] << 16 | b[2] << 8 | b[3]);
    asked *= double(std::max<int64_t>(sizes.back(), 1));
  }
  ENSURE(asked <= kMostBytes, "{}: its header asks for more than {} bytes", found, kMostBytes);
  const Shape shape(sizes);
  const size_t needed = size_t(shape.elements());
  ENSURE(file.read_to(header + needed), "{}: truncated: {} needs {} bytes, the file holds {}",
         found, shape, needed, bytes.size() - header);
  ENSURE(!file.read_to(header + needed + 1), "{}: too long: bytes after the {} of {}", found,
         needed, shape);
  bytes.erase(bytes.begin(), bytes.begin() + int64_t(header));
  return {shape, std::move(bytes)};
}

namespace {

struct Known {
  std::string name, megabytes;
  std::vector<std::string> classes;
};
const std::vector<Known> kKnown = {
    {"mnist", "12 MB", {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}},
    {"fashion-mnist",
     "30 MB",
     {"T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
      "ankle boot"}}};

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

ImageData load_mnist(const std::string& name, const std::string& folder) {
  const auto set = std::ranges::find(kKnown, name, &Known::name);
  ENSURE(set != kKnown.end(), "load_mnist: '{}' is neither mnist nor fashion-mnist", name);
  const std::string where = folder.empty() ? folder_of(name) : folder;
  const auto remedy = fmt::format(". Run: make data-{}   ({})", name, set->megabytes);
  const auto read = [&](const std::string& file) {
    try {
      return read_idx(where + "/" + file);
    } catch (const DataMissing&) {
      throw DataMissing(fmt::format("{}: {}.gz not found in {}{}", name, file, where, remedy));
    }
  };
  const auto load = [&](const std::string& part) {
    IdxFile images = read(part + "-images-idx3-ubyte");
    const IdxFile labels = read(part + "-labels-idx1-ubyte");
    ENSURE(images.shape.rank() == 3 && labels.shape.rank() == 1 && labels.shape[0] > 0 &&
               images.shape[0] == labels.shape[0],
           "{}: the {} files in {} do not fit: images {}, labels {}", name, part, where,
           images.shape, labels.shape);
    return ImageSet(name, {images.shape[1], images.shape[2], 1}, std::move(images.bytes),
                    {labels.bytes.begin(), labels.bytes.end()}, set->classes);
  };
  try {
    ImageSet train = load("train"), test = load("t10k");
    return scaled(std::move(train), std::move(test));
  } catch (const DataMissing&) {
    throw;
  } catch (const Error& e) {
    throw Error(e.what() + remedy);
  }
}

}  // namespace kindling
