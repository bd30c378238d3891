// Tests of framework/data/idx, reading plain and compressed files and every kind of damage, and of
// lesson 02's mnist.h: where the sets are looked for.
#include "data/idx.h"

#include <zlib.h>

#include <cstdlib>
#include <filesystem>

#include "02-perceptron/mnist.h"
#include "support/catch.h"
#include "support/command.h"
#include "support/skip.h"

using namespace kindling;
using lesson02::load_mnist;
namespace fs = std::filesystem;

namespace {

// The bytes of an idx file with these sizes; elements count up from `first`.
std::string idx_bytes(const std::vector<uint32_t>& sizes, int first = 0) {
  std::string text = {0, 0, 8, char(sizes.size())};
  size_t n = 1;
  for (uint32_t size : sizes) {
    for (int shift : {24, 16, 8, 0}) text += char(size >> shift & 255);
    n *= size;
  }
  for (size_t i = 0; i < n; ++i) text += char(size_t(first) + i);
  return text;
}

std::string gzip(const std::string& text) {
  TempFolder folder;
  const std::string path = (folder.path() / "x.gz").string();
  gzFile file = gzopen(path.c_str(), "wb");
  REQUIRE(gzwrite(file, text.data(), unsigned(text.size())) == int(text.size()));
  REQUIRE(gzclose(file) == Z_OK);
  return read_text(path);
}

// The message of the error that reading a file with these bytes gives; "" when there is none.
std::string error_of(const std::string& bytes, const std::string& name = "file") {
  TempFolder folder;
  write_text(folder.path() / name, bytes);
  try {
    read_idx((folder.path() / "file").string());
  } catch (const Error& e) {
    CHECK_THAT(e.what(), ContainsSubstring((folder.path() / name).string()));
    return e.what();
  }
  return "";
}

// The four files of a set: images of 3x2, labels 0, 1, ...
void write_set(const fs::path& folder, int train, int test) {
  const auto write = [&](const std::string& part, int n) {
    write_text(folder / (part + "-images-idx3-ubyte"), idx_bytes({uint32_t(n), 3, 2}));
    write_text(folder / (part + "-labels-idx1-ubyte.gz"), gzip(idx_bytes({uint32_t(n)})));
  };
  write("train", train);
  write("t10k", test);
}

// Sets KINDLING_DATA until the end of the scope.
struct DataFolder {
  explicit DataFolder(const std::string& folder) { setenv("KINDLING_DATA", folder.c_str(), 1); }
  ~DataFolder() {
    before.empty() ? unsetenv("KINDLING_DATA") : setenv("KINDLING_DATA", before.c_str(), 1);
  }
  DataFolder(const DataFolder&) = delete;
  DataFolder& operator=(const DataFolder&) = delete;
  const std::string before = std::getenv("KINDLING_DATA") ? std::getenv("KINDLING_DATA") : "";
};

}  // namespace

TEST_CASE("idx files are read, plain and compressed", "[idx]") {
  TempFolder folder;
  const std::string path = (folder.path() / "file").string();
  write_text(path, idx_bytes({2, 3, 4}));
  const IdxFile plain = read_idx(path);
  CHECK(plain.shape == Shape{2, 3, 4});
  REQUIRE(plain.bytes.size() == 24);
  CHECK(plain.bytes[0] == 0);
  CHECK(plain.bytes[23] == 23);

  fs::remove(path);
  write_text(path + ".gz", gzip(idx_bytes({300}, 7)));
  const IdxFile compressed = read_idx(path);
  CHECK(compressed.shape == Shape{300});
  CHECK(compressed.bytes[0] == 7);
  CHECK(compressed.bytes[299] == (7 + 299) % 256);

  write_text(path, idx_bytes({1}, 42));  // the plain file comes first
  CHECK(read_idx(path).bytes == std::vector<uint8_t>{42});
}

TEST_CASE("an idx file of several pieces and one without elements are read", "[idx]") {
  TempFolder folder;
  const std::string path = (folder.path() / "file").string();
  write_text(path, idx_bytes({3, 1 << 20}));
  const IdxFile large = read_idx(path);
  REQUIRE(large.bytes.size() == size_t{3} << 20);
  CHECK(large.bytes[(2u << 20) + 5] == 5);
  write_text(path, idx_bytes({0, 28}));
  CHECK(read_idx(path).shape == Shape{0, 28});
}

TEST_CASE("an idx file cut anywhere is an error", "[idx]") {
  const std::string whole = idx_bytes({2, 3});
  for (size_t length = 0; length < whole.size(); ++length) {
    INFO("cut to " << length);
    CHECK_THAT(error_of(whole.substr(0, length)), ContainsSubstring("truncated"));
  }
  CHECK(error_of(whole).empty());
  CHECK_THAT(error_of(whole.substr(0, 15)),
             ContainsSubstring("[2, 3] needs 6 bytes, the file holds 3"));
}

TEST_CASE("a compressed idx file cut anywhere is an error", "[idx]") {
  const std::string whole = gzip(idx_bytes({40, 3}));
  for (size_t length = 0; length < whole.size(); ++length) {
    INFO("cut to " << length);
    CHECK_FALSE(error_of(whole.substr(0, length), "file.gz").empty());
  }
  CHECK(error_of(whole, "file.gz").empty());
  CHECK_THAT(error_of(whole.substr(0, whole.size() - 9), "file.gz"),
             ContainsSubstring("truncated"));
}

TEST_CASE("every damaged byte of a compressed idx file is noticed", "[idx]") {
  const std::string whole = gzip(idx_bytes({40, 3}));
  // Bytes 3 to 9 of a gzip header hold flags, time and system, which do not change the elements.
  for (size_t i = 10; i < whole.size(); ++i) {
    std::string damaged = whole;
    damaged[i] = char(damaged[i] ^ 0x10);
    INFO("byte " << i);
    CHECK_THAT(error_of(damaged, "file.gz"), ContainsSubstring("damaged"));
  }
}

TEST_CASE("an idx file with bytes left over is an error", "[idx]") {
  CHECK_THAT(error_of(idx_bytes({2, 3}) + "x"),
             ContainsSubstring("too long: bytes after the 6 of [2, 3]"));
  CHECK_THAT(error_of(gzip(idx_bytes({2, 3}) + "x"), "file.gz"), ContainsSubstring("too long"));
}

TEST_CASE("an idx header that makes no sense is an error", "[idx]") {
  std::string bytes = idx_bytes({2, 3});
  const auto with = [&](size_t i, int value) {
    std::string changed = bytes;
    changed[i] = char(value);
    return changed;
  };
  CHECK_THAT(error_of(with(0, 1)), ContainsSubstring("it begins 01 00 08, not 00 00 08"));
  CHECK_THAT(error_of("\x89PNG\r\n"), ContainsSubstring("it begins 89 50"));
  CHECK_THAT(error_of(with(2, 0x0d)),
             ContainsSubstring("not an idx file of unsigned bytes: it begins 00 00 0d"));
  CHECK_THAT(error_of(with(3, 0)), ContainsSubstring("0 dimensions; 1 to 4"));
  CHECK_THAT(error_of(with(3, 5)), ContainsSubstring("5 dimensions; 1 to 4"));
}

TEST_CASE("huge sizes in an idx header allocate nothing", "[idx]") {
  const std::string four_huge = {0, 0, 8, 4};
  CHECK_THAT(error_of(four_huge + std::string(16, '\xff')),
             ContainsSubstring("asks for more than"));
  CHECK_THAT(error_of(std::string({0, 0, 8, 1}) + std::string(4, '\xff')),
             ContainsSubstring("asks for more than"));
  CHECK_THAT(error_of(std::string({0, 0, 8, 2, 0, 0, 0, 0}) + std::string(4, '\xff')),
             ContainsSubstring("asks for more than"));
  // 2^31 - 1 bytes are allowed: the file is what says that there are only 2.
  CHECK_THAT(error_of(std::string({0, 0, 8, 1, '\x7f', '\xff', '\xff', '\xff', 1, 2})),
             ContainsSubstring("needs 2147483647 bytes, the file holds 2"));
}

TEST_CASE("an idx file that is not there, or a folder, is an error", "[idx]") {
  TempFolder folder;
  CHECK_THROWS_WITH(read_idx("nowhere/file"),
                    Equals("nowhere/file: no such file, and no nowhere/file.gz"));
  CHECK_THROWS_AS(read_idx(folder.path().string()), Error);
}

TEST_CASE("load_mnist reads the four files and scales by the training set", "[idx]") {
  TempFolder folder;
  write_set(folder.path(), 10, 4);
  const ImageData data = load_mnist("mnist", folder.path().string());
  CHECK(data.train.size() == 10);
  CHECK(data.test.size() == 4);
  CHECK(data.train.image == Shape{3, 2, 1});
  CHECK(data.train.labels[9] == 9);
  CHECK(data.test.labels[3] == 3);
  CHECK(data.train.classes.size() == 10);
  CHECK(data.train.pixels(1)[0] == 6);
  CHECK(data.train.mean == Approx(29.5 / 255));  // of the bytes 0 .. 59
  CHECK(data.test.mean == data.train.mean);
  CHECK(data.test.deviation == data.train.deviation);
}

TEST_CASE("load_mnist refuses files that do not fit together", "[idx]") {
  TempFolder folder;
  const std::string where = folder.path().string();
  write_set(folder.path(), 10, 4);
  write_text(folder.path() / "train-labels-idx1-ubyte", idx_bytes({9}));
  CHECK_THROWS_WITH(load_mnist("mnist", where), ContainsSubstring("images [10, 3, 2], labels [9]"));
  write_text(folder.path() / "train-labels-idx1-ubyte", idx_bytes({10}, 1));
  CHECK_THROWS_WITH(load_mnist("mnist", where),
                    ContainsSubstring("sample 9 has label 10 of 10 classes"));
  write_text(folder.path() / "train-labels-idx1-ubyte", idx_bytes({10}));
  write_text(folder.path() / "t10k-images-idx3-ubyte", idx_bytes({4, 2, 3}));
  CHECK_THROWS_WITH(load_mnist("mnist", where),
                    ContainsSubstring("images of [3, 2, 1] for training"));
  CHECK_THROWS_WITH(load_mnist("cifar"), ContainsSubstring("'cifar' is neither"));
}

TEST_CASE("a set that is not there says how to get it", "[idx]") {
  TempFolder folder;
  const std::string where = folder.path().string();
  CHECK_THROWS_AS(load_mnist("fashion-mnist", where), DataMissing);
  CHECK_THROWS_WITH(load_mnist("fashion-mnist", where),
                    Equals("fashion-mnist: train-images-idx3-ubyte.gz not found in " + where +
                           ". Run: make data-fashion-mnist   (30 MB)"));
  write_set(folder.path(), 10, 4);
  fs::remove(folder.path() / "t10k-labels-idx1-ubyte.gz");
  CHECK_THROWS_WITH(load_mnist("mnist", where),
                    ContainsSubstring("t10k-labels-idx1-ubyte.gz not found in " + where +
                                      ". Run: make data-mnist"));
}

TEST_CASE("a damaged file of a set says how to fetch it again", "[idx]") {
  TempFolder folder;
  write_set(folder.path(), 10, 4);
  const fs::path labels = folder.path() / "t10k-labels-idx1-ubyte.gz";
  write_text(labels, read_text(labels).substr(0, 20));
  CHECK_THROWS_WITH(load_mnist("mnist", folder.path().string()),
                    ContainsSubstring(labels.string() + ": damaged or truncated (") &&
                        ContainsSubstring("). Run: make data-mnist   (11 MB)"));
}

TEST_CASE("KINDLING_DATA comes before datasets/", "[idx]") {
  TempFolder folder;
  const DataFolder data(folder.path().string());
  write_set(folder.path() / "mnist", 8, 6);
  CHECK(load_mnist("mnist").train.size() == 8);
  // A folder with some of the files is the one that is complained about.
  fs::remove(folder.path() / "mnist/train-images-idx3-ubyte");
  CHECK_THROWS_WITH(load_mnist("mnist"),
                    ContainsSubstring("not found in " + (folder.path() / "mnist").string()));
}

TEST_CASE("Fashion-MNIST is the real set", "[idx]") {
  ImageData data = [] {
    try {
      return load_mnist("fashion-mnist");
    } catch (const DataMissing&) {
      const ImageSet none({"", {1, 1, 1}, {0}, {0}, {""}});
      return ImageData{none, none};
    }
  }();
  if (data.train.size() == 1) return skip("Fashion-MNIST is not here: run make data-fashion-mnist");
  CHECK(data.train.size() == 60000);
  CHECK(data.test.size() == 10000);
  CHECK(data.train.image == Shape{28, 28, 1});
  // The first labels and the mean and deviation that every tutorial quotes.
  CHECK(data.train.classes[size_t(data.train.labels[0])] == "ankle boot");
  CHECK(data.test.classes[size_t(data.test.labels[1])] == "pullover");
  CHECK(data.train.mean == Approx(0.2860).margin(5e-5));
  CHECK(data.train.deviation == Approx(0.3530).margin(5e-5));
}
