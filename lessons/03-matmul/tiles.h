// Rungs 5 to 9: a tile of C in registers, for registers of any width. The product of the engine,
// framework/kernels/gemm.h, is built the same way. Page: docs/03-matmul.md
#pragma once

#include <cstring>

#include "03-matmul/loops.h"
#include "base/parallel.h"

namespace lesson03 {

// What a register holds: one number, or four, eight, sixteen, of a type the compilers know, with +
// and * for all its numbers at once. They go in and out by memcpy, which asks nothing of an
// address.
struct One {
  using Vec = float;
};
struct Four {
  using Vec = float __attribute__((vector_size(16)));
};
struct Eight {
  using Vec = float __attribute__((vector_size(32)));
};
struct Sixteen {
  using Vec = float __attribute__((vector_size(64)));
};

// 5 to 8. R rows by V registers of C are summed while k runs. Each step loads a row of the panel
// and one number from each row of A, and multiplies all of the one by all of the other. The loops
// over r and v unroll, so that every sum has a name of its own: only then can it be a register.
template <class Register, int R, int V, bool kAdds = true>
[[gnu::always_inline]] inline void tile(const TileWork& work) {
  using Vec = typename Register::Vec;
  constexpr int64_t kLanes = sizeof(Vec) / sizeof(float), kColumns = V * kLanes;
  const float *a = work.a, *panel = work.panel;
  const int64_t lda = work.lda, stride = work.panel_stride;
  Vec sum[R][V] = {};
#pragma GCC unroll 1
  for (const float* end = a + work.depth; a != end; ++a, panel += stride) {
    Vec line[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) std::memcpy(&line[v], panel + v * kLanes, sizeof(Vec));
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const Vec x = a[r * lda] - Vec{};  // the number in every place: a broadcast
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sum[r][v] += x * line[v];
    }
  }
  float* c = work.c;
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r, c += work.ldc) {
    float last[kColumns];  // where C has fewer columns than the tile
    float* row = work.columns == kColumns ? c : std::fill_n(last, kColumns, 0.0f) - kColumns;
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      Vec before;
      std::memcpy(&before, row + v * kLanes, sizeof before);
      if (kAdds) sum[r][v] += before;
      std::memcpy(row + v * kLanes, &sum[r][v], sizeof(Vec));
    }
    for (int64_t j = 0; row == last && j < work.columns; ++j) c[j] += last[j];
  }
}

// A block of B as panels, one behind the other, each as wide as a tile; the last one ends in zeros.
inline void pack(const float* b, int64_t ldb, int64_t depth, int64_t width, int64_t columns,
                 float* to) {
  for (int64_t j = 0; j < width; j += columns) {
    const int64_t n = std::min(columns, width - j);
    for (int64_t k = 0; k < depth; ++k, to += columns) {
      std::fill_n(std::copy_n(b + k * ldb + j, n, to), columns - n, 0.0f);
    }
  }
}

// The nest around a tile: blocks of B as in rungs 3 and 4, then strips of rows of A, then panels.
// 9. With threads, the strips are shared: each row of C belongs to one thread.
inline void micro_kernel(const Product& p, const Blocks& blocks, const Tile& tile, bool threads,
                         bool packs) {
  clear(p);
  const int64_t columns = tile.columns(), R = tile.rows;
  const Blocks whole{blocks.depth, std::max(columns, blocks.width / columns * columns)};
  std::vector<float> panels(size_t(whole.depth * whole.width));
  for_blocks(p, whole, [&](int64_t k0, int64_t depth, int64_t j0, int64_t width) {
    const float* b = p.b + k0 * p.ldb + j0;
    const bool copy = packs || width % columns != 0;
    if (copy) pack(b, p.ldb, depth, width, columns, panels.data());
    const auto strips = [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end;) {
        const int64_t rows = i + R <= end ? R : 1;
        for (int64_t j = 0; j < width; j += columns) {
          const auto run = rows == R ? tile.run : tile.run_row;
          run({depth, p.a + i * p.lda + k0, p.lda, copy ? panels.data() + j * depth : b + j,
               copy ? columns : p.ldb, p.c + i * p.ldc + j0 + j, p.ldc,
               std::min(columns, width - j)});
        }
        i += rows;
      }
    };
    kindling::parallel_for(p.M, threads ? 8 * R : p.M, strips);
  });
}

}  // namespace lesson03
