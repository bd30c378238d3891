// Reading idx files with zlib. Page: docs/data.md
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

}  // namespace

IdxFile read_idx(const std::string& path) {
  const std::string found = fs::is_regular_file(path) ? path : path + ".gz";
  if (!fs::is_regular_file(found)) {
    throw DataMissing(fmt::format("{0}: no such file, and no {0}.gz", path));
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

}  // namespace kindling
