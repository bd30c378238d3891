// Writing that survives a power cut. Page: docs/files.md
#include "io/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>

namespace kindling {

std::string read_file(const std::string& path) {
  if (!std::filesystem::is_regular_file(path)) return {};
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_file(const std::string& path, const std::vector<std::string_view>& pieces) {
  const std::string part = path + ".part";
  std::FILE* file = std::fopen(part.c_str(), "wb");
  bool good = file;
  for (std::string_view piece : pieces) {
    good = good && std::fwrite(piece.data(), 1, piece.size(), file) == piece.size();
  }
  good = good && std::fflush(file) == 0 && fsync(fileno(file)) == 0 &&
         std::rename(part.c_str(), path.c_str()) == 0;
  const int reason = errno;
  if (file) std::fclose(file);
  if (!good) unlink(part.c_str());
  ENSURE(good, "{}: cannot be written: {}", path, std::strerror(reason));
  // The new name is an entry of the folder; without this a power cut could lose it.
  const std::string folder = std::filesystem::absolute(path).parent_path();
  if (const int f = open(folder.c_str(), O_RDONLY | O_DIRECTORY); f >= 0) fsync(f), close(f);
}

}  // namespace kindling
