// idx files, the format of MNIST and Fashion-MNIST, plain or compressed (.gz). Page: docs/data.md
#pragma once

#include "data/dataset.h"

namespace kindling {

// Bytes with a shape: magic 0 0 8 rank, then rank big-endian 32-bit sizes, then the bytes.
struct IdxFile {
  Shape shape;
  std::vector<uint8_t> bytes;
};

// Reads NAME or, if that is not there, NAME.gz. Errors name the file and what is wrong with it:
// truncated, too long, wrong magic, sizes whose product is not what the file holds. Nothing is
// allocated from a size before the file was found to hold it. Throws DataMissing if neither is
// there.
IdxFile read_idx(const std::string& path);

}  // namespace kindling
