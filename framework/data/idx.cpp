// Reading idx files with zlib, and the two sets that come as such files. Page: docs/data.md
#include "data/idx.h"

#include <zlib.h>

#include <cstdlib>
#include <filesystem>

namespace kindling {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostBytes = (size_t{1} << 31) - 1;  // no set comes near; stops a crafted .gz

// A file being read, compressed or not: zlib looks at its first bytes.
class GzReader {
 public:
  explicit GzReader(const std::string& path) : path_(path), file_(gzopen(path.c_str(), "rb")) {
    ENSURE(file_, "{}: cannot be opened", path);
  }

  // Up to n bytes; fewer only at the end of the file.
  size_t read(uint8_t* to, size_t n) {
    size_t done = 0;
    while (done < n) {
      const int got = gzread(file_.get(), to + done, unsigned(std::min(n - done, kPiece)));
      int code = Z_OK;
      const char* reason = gzerror(file_.get(), &code);
      ENSURE(got >= 0 && code != Z_BUF_ERROR, "{}: damaged or truncated ({}). Fetch it again",
             path_, code == Z_ERRNO ? "cannot be read" : reason);
      if (got == 0) break;
      done += size_t(got);
    }
    return done;
  }

  // n bytes at the end of `bytes`, which grows only as the file is found to hold them.
  size_t append(std::vector<uint8_t>& bytes, size_t n) {
    size_t done = 0;
    while (done < n) {
      const size_t piece = std::min(n - done, kPiece), before = bytes.size();
      bytes.resize(before + piece);
      const size_t got = read(bytes.data() + before, piece);
      bytes.resize(before + got);
      done += got;
      if (got < piece) break;
    }
    return done;
  }

 private:
  static constexpr size_t kPiece = size_t{1} << 20;
  struct Close {
    void operator()(gzFile file) const { gzclose(file); }
  };
  std::string path_;
  std::unique_ptr<gzFile_s, Close> file_;
};

// path, or path.gz, or nothing.
std::string plain_or_gz(const std::string& path) {
  for (const std::string& candidate : {path, path + ".gz"}) {
    if (fs::is_regular_file(candidate)) return candidate;
  }
  return "";
}

}  // namespace

IdxFile read_idx(const std::string& path) {
  const std::string found = plain_or_gz(path);
  ENSURE(!found.empty(), "{}: no such file, and no {}.gz", path, path);
  GzReader file(found);

  std::array<uint8_t, 4> magic{};
  ENSURE(file.read(magic.data(), 4) == 4, "{}: truncated: shorter than its header", found);
  ENSURE(magic[0] == 0 && magic[1] == 0, "{}: not an idx file: it begins {:02x} {:02x}, not 00 00",
         found, magic[0], magic[1]);
  ENSURE(magic[2] == 8, "{}: element type {:#04x} is not 0x08, unsigned bytes", found, magic[2]);
  ENSURE(magic[3] >= 1 && magic[3] <= 4, "{}: {} dimensions; 1 to 4 are read", found, magic[3]);

  std::vector<int64_t> sizes;
  size_t expected = 1;
  for (int i = 0; i < magic[3]; ++i) {
    std::array<uint8_t, 4> b{};
    ENSURE(file.read(b.data(), 4) == 4, "{}: truncated: shorter than its header", found);
    const size_t size = size_t{b[0]} << 24 | size_t{b[1]} << 16 | size_t{b[2]} << 8 | b[3];
    ENSURE(size <= kMostBytes && (size == 0 || expected <= kMostBytes / size),
           "{}: its header asks for more than {} bytes", found, kMostBytes);
    expected *= size;
    sizes.push_back(int64_t(size));
  }

  IdxFile result{Shape(sizes), {}};
  const size_t held = file.append(result.bytes, expected);
  ENSURE(held == expected, "{}: truncated: {} needs {} bytes, the file holds {}. Fetch it again",
         found, result.shape, expected, held);
  uint8_t more = 0;
  ENSURE(file.read(&more, 1) == 0, "{}: too long: bytes after the {} of {}", found, expected,
         result.shape);
  return result;
}

namespace {

struct Known {
  std::string name, megabytes, debian;  // debian: folder of the package
  std::vector<std::string> classes;
};

const std::vector<Known>& known_sets() {
  static const std::vector<Known> sets = {
      {"mnist", "12 MB", "", {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}},
      {"fashion-mnist",
       "30 MB",
       "/usr/share/datasets/fashion-mnist",
       {"T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
        "ankle boot"}}};
  return sets;
}

// The first folder that holds any of the files; if none does, the one where they should be.
std::string folder_of(const Known& set) {
  std::vector<std::string> folders = {"datasets/" + set.name};
  if (const char* data = std::getenv("KINDLING_DATA")) {
    folders.insert(folders.begin(), std::string(data) + "/" + set.name);
  }
  for (const std::string& folder : folders) {
    for (const char* part : {"train", "t10k"}) {
      for (const char* kind : {"-images-idx3-ubyte", "-labels-idx1-ubyte"}) {
        if (!plain_or_gz(folder + "/" + part + kind).empty()) return folder;
      }
    }
  }
  return fs::is_directory(set.debian) ? set.debian : folders.front();
}

ImageSet load_part(const Known& set, const std::string& folder, const std::string& part) {
  const auto read = [&](const std::string& file) {
    if (plain_or_gz(folder + "/" + file).empty()) {
      throw DataMissing(fmt::format("{}: {}.gz not found in {}. Run: make data-{}   ({})", set.name,
                                    file, folder, set.name, set.megabytes));
    }
    return read_idx(folder + "/" + file);
  };
  IdxFile images = read(part + "-images-idx3-ubyte");
  const IdxFile labels = read(part + "-labels-idx1-ubyte");
  ENSURE(images.shape.rank() == 3 && labels.shape.rank() == 1 && labels.shape[0] > 0 &&
             images.shape[0] == labels.shape[0],
         "{}: the {} files in {} do not fit: images {}, labels {}", set.name, part, folder,
         images.shape, labels.shape);
  return ImageSet(set.name, {images.shape[1], images.shape[2], 1}, std::move(images.bytes),
                  {labels.bytes.begin(), labels.bytes.end()}, set.classes);
}

}  // namespace

ImageData load_mnist(const std::string& name, const std::string& folder) {
  const auto set = std::ranges::find(known_sets(), name, &Known::name);
  ENSURE(set != known_sets().end(), "load_mnist: '{}' is neither mnist nor fashion-mnist", name);
  const std::string where = folder.empty() ? folder_of(*set) : folder;
  ImageSet train = load_part(*set, where, "train"), test = load_part(*set, where, "t10k");
  return scaled(std::move(train), std::move(test));
}

}  // namespace kindling
