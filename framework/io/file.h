// Files, read whole, and written whole or not at all. Page: docs/files.md
#pragma once

#include "base/check.h"

namespace kindling {

// All bytes of a file; none if it is not there or cannot be read.
std::string read_file(const std::string& path);

// Writes the pieces one after another under the name PATH.part, forces them onto the disk, and only
// then renames: whatever happens, PATH is the old file or the new one. Throws
// "PATH: cannot be written: REASON" and then leaves no PATH.part.
void write_file(const std::string& path, const std::vector<std::string_view>& pieces);
inline void write_file(const std::string& path, std::string_view bytes) {
  write_file(path, std::vector{bytes});
}

}  // namespace kindling
