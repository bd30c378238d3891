// The bytes of one fuzzing run as a file, in memory where the system has /dev/shm.
#pragma once
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>

#include "base/check.h"

class InputFile {
 public:
  InputFile(const uint8_t* bytes, size_t size, const std::string& extension) {
    const std::filesystem::path memory = "/dev/shm";
    const auto folder =
        std::filesystem::exists(memory) ? memory : std::filesystem::temp_directory_path();
    path_ = (folder / ("kindling-fuzz-" + std::to_string(getpid()) + extension)).string();
    FILE* file = std::fopen(path_.c_str(), "wb");
    ENSURE(file && std::fwrite(bytes, 1, size, file) == size, "cannot write {}", path_);
    std::fclose(file);
  }
  ~InputFile() { std::filesystem::remove(path_); }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};
