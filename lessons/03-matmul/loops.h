// Rungs 1 to 4: three loops in other orders, then over blocks, then over a copy of a block. No
// instruction set is named here, and the compiler is told not to look for one (Makefile).
// Page: docs/03-matmul.md
#pragma once

#include <algorithm>
#include <vector>

#include "03-matmul/ladder.h"

namespace lesson03 {

// 1. The textbook. For each element of C a row of A meets a column of B, whose numbers lie ldb
// apart; and each addition waits for the one before.
inline void naive(const Product& p) {
  for (int64_t i = 0; i < p.M; ++i) {
    for (int64_t j = 0; j < p.N; ++j) {
      float sum = 0;
      for (int64_t k = 0; k < p.K; ++k) sum += p.a[i * p.lda + k] * p.b[k * p.ldb + j];
      p.c[i * p.ldc + j] = sum;
    }
  }
}

// to += x from, over n numbers that lie side by side: the inner loop of rungs 2 to 4. Not inlined,
// so that it is the same instructions in all three.
[[gnu::noinline]] inline void add_scaled(int64_t n, float x, const float* from, float* to) {
  for (int64_t j = 0; j < n; ++j) to[j] += x * from[j];
}

inline void clear(const Product& p) {
  for (int64_t i = 0; i < p.M; ++i) std::fill_n(p.c + i * p.ldc, p.N, 0.0f);
}

// 2. The same three loops, j inside k: a row of C grows by multiples of rows of B. Every address in
// the inner loop is next to the last one, and no addition waits for another.
inline void loop_order(const Product& p) {
  clear(p);
  for (int64_t i = 0; i < p.M; ++i) {
    for (int64_t k = 0; k < p.K; ++k) {
      add_scaled(p.N, p.a[i * p.lda + k], p.b + k * p.ldb, p.c + i * p.ldc);
    }
  }
}

// Calls f(k0, depth, j0, width) for the blocks of B.
template <class F> void for_blocks(const Product& p, const Blocks& blocks, const F& f) {
  for (int64_t k0 = 0; k0 < p.K; k0 += blocks.depth) {
    for (int64_t j0 = 0; j0 < p.N; j0 += blocks.width) {
      f(k0, std::min(blocks.depth, p.K - k0), j0, std::min(blocks.width, p.N - j0));
    }
  }
}

// 3. The same loops over a block of B that stays in the second cache while all rows of A pass by.
// C is added to once for each block of k.
inline void cache_tiles(const Product& p, const Blocks& blocks) {
  clear(p);
  for_blocks(p, blocks, [&](int64_t k0, int64_t depth, int64_t j0, int64_t width) {
    for (int64_t i = 0; i < p.M; ++i) {
      for (int64_t k = k0; k < k0 + depth; ++k) {
        add_scaled(width, p.a[i * p.lda + k], p.b + k * p.ldb + j0, p.c + i * p.ldc + j0);
      }
    }
  });
}

// 4. The block is copied first, so that its rows follow each other: it fills whole lines, and no
// two of its rows compete for one place in a cache.
inline void packing(const Product& p, const Blocks& blocks) {
  clear(p);
  std::vector<float> block(size_t(blocks.depth * blocks.width));
  for_blocks(p, blocks, [&](int64_t k0, int64_t depth, int64_t j0, int64_t width) {
    for (int64_t k = 0; k < depth; ++k) {
      std::copy_n(p.b + (k0 + k) * p.ldb + j0, width, block.data() + k * width);
    }
    for (int64_t i = 0; i < p.M; ++i) {
      for (int64_t k = 0; k < depth; ++k) {
        add_scaled(width, p.a[i * p.lda + k0 + k], block.data() + k * width, p.c + i * p.ldc + j0);
      }
    }
  });
}

}  // namespace lesson03
