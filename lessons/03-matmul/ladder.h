// The ladder: programs that compute the same product, each faster than the one before, and what
// they are handed. Read on in loops.h, then tiles.h. Page: docs/03-matmul.md
// Letters: M N K, a product is [M, K] x [K, N]; i j k count in them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lesson03 {

// C = A B. Element (i, k) of A is a[i lda + k], and so on; what lies between rows is left alone.
struct Product {
  int64_t M, N, K;
  const float* a;
  int64_t lda;
  const float* b;
  int64_t ldb;
  float* c;
  int64_t ldc;

  double flops() const { return 2 * double(M) * double(N) * double(K); }  // multiply and add
};

// From rung 3 on: the block of B that meets all rows of A before the next one does.
struct Blocks {
  int64_t depth = 256, width = 256;  // of k and of j: 256 KiB of floats, for the second cache
};

// What a tile is told: `depth` columns of A and rows of a panel of B, and where in C to add.
struct TileWork {
  int64_t depth;
  const float* a;
  int64_t lda;
  const float* panel;  // as wide as the tile
  int64_t panel_stride;
  float* c;
  int64_t ldc, columns;  // of C that it has here
};

// A piece of C that stays in registers: so many rows, by `vectors` registers of `lanes` numbers.
struct Tile {
  using Run = void (*)(const TileWork&);
  int rows, vectors, lanes;
  Run run, run_row;  // for all its rows, and for one

  int64_t columns() const { return int64_t{vectors} * lanes; }
};

struct Rung {
  enum Kind { naive, loop_order, cache_tiles, packing, micro_kernel, engine };
  std::string name;
  Kind kind;
  Tile tile = {};        // of a micro-kernel
  bool threads = false;  // all of them, not one
};

// The rungs up to the instruction set of this name, which the machine must have, bottom to top.
std::vector<Rung> ladder(const std::string& isa);
// Tiles of its registers in many shapes: `rows` of kRows by 1 to 4 vectors.
inline constexpr int kRows[] = {1, 2, 4, 6, 8, 12};
std::vector<Tile> tiles(const std::string& isa);
// The tile of the widest rung with a mistake: it stores its sums where it should add them.
Tile tile_that_stores(const std::string& isa);

// Computes the product. `packs` false leaves rung 5 and above without their packing.
void climb(const Rung& rung, const Product& p, const Blocks& blocks = {}, bool packs = true);

}  // namespace lesson03
