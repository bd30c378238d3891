// The matrix product C = A B, after Goto and van de Geijn, "Anatomy of high-performance matrix
// multiplication" (TOMS 2008). Page: docs/kernels.md
//
// A tile of C, a few rows by a few vectors, stays in registers while k runs: each step loads one
// row of B's panel and multiplies it by one number from each row of A. B is copied into panels as
// wide as the tile, which lie in the order in which they are read; A is read where it lies, through
// its two strides. K is cut into blocks so that a panel stays in the cache, always in the same
// places, and each element of C is summed by one thread in order of k: so the bits do not depend on
// the number of threads.
#pragma once

#include "base/memory.h"
#include "kernels/walk.h"

namespace kindling::kernel {

// Isa is the tag of the file that includes this: the vector type, how many registers there are, and
// the tile. The compilers' vector types have the arithmetic operators, also between a vector and a
// number.
using Vec = Isa::Vec;
constexpr int64_t kWidth = int64_t(sizeof(Vec) / sizeof(real));  // numbers in a register

// rows x cols elements of C, at most a tile. a points to the first of those rows of A, whose
// strides are A's; panel has K rows as wide as the tile. Rows past the last read that one again,
// and what they sum is dropped: so there is one tile, and it reads nothing outside A.
static void tile(int64_t K, const real* a, const Matrix& strides, const real* panel, real* c,
                 int64_t ldc, int64_t rows, int64_t cols, const Epilogue& epilogue) {
  constexpr int R = Isa::kTileRows, V = Isa::kTileVectors;
  static_assert(R * V + V + 1 <= Isa::kRegisters,
                "the tile, a row of B and a number of A must stay in registers");
  const real* row[R];
  for (int r = 0; r < R; ++r) row[r] = a + std::min<int64_t>(r, rows - 1) * strides.row_stride;
  const int64_t step = strides.col_stride;
  Vec sum[R][V] = {};  // in registers, since the loops over them unroll: those have no index
  for (int64_t k = 0; k < K; ++k, panel += V * kWidth) {
    Vec b[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) std::memcpy(&b[v], panel + v * kWidth, sizeof(Vec));
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const real x = row[r][k * step];
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sum[r][v] += x * b[v];
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    if (r == rows) return;
    real line[V * kWidth];
    std::memcpy(line, sum[r], sizeof line);
    for (int64_t j = 0; j < cols; ++j) {
      real& to = c[r * ldc + j];
      to = line[j] + (epilogue.accumulate ? to : 0) + (epilogue.bias ? epilogue.bias[j] : 0);
    }
  }
}

// Rows [k0, k0 + K) of columns [column, column + cols) of B, widened with zeros to `width`.
static void pack(const Matrix& b, int64_t k0, int64_t K, int64_t column, int64_t cols,
                 int64_t width, real* to) {
  const real* from = b.data + k0 * b.row_stride + column * b.col_stride;
  if (cols < width) std::fill_n(to, K * width, real(0));
  if (b.col_stride == 1) {
    for (int64_t k = 0; k < K; ++k) {
      for (int64_t j = 0; j < cols; ++j) to[k * width + j] = from[k * b.row_stride + j];
    }
  } else {  // in the order in which B is read
    for (int64_t j = 0; j < cols; ++j) {
      for (int64_t k = 0; k < K; ++k) {
        to[k * width + j] = from[k * b.row_stride + j * b.col_stride];
      }
    }
  }
}

static void gemm(const Matrix& a, const Matrix& b, real* c, int64_t ldc, const Epilogue& epilogue) {
  constexpr int64_t kRows = Isa::kTileRows, kCols = Isa::kTileVectors * kWidth;
  constexpr int64_t kDepth = 512;        // rows of a panel, which then stays in the first cache
  constexpr int64_t kTall = 16 * kRows;  // rows of C in one piece of work
  const int64_t M = a.rows, N = b.cols, K = a.cols;
  count_cost(2 * M * N * K, bytes_of(M * K + K * N + M * N));
  const int64_t panels = ceil_div(N, kCols), panel = std::min(K, kDepth) * kCols;
  const size_t bytes = size_t(bytes_of(panels * panel));
  const auto release = [bytes](real* block) { memory::release(block, bytes); };
  const std::unique_ptr<real, decltype(release)> packed(static_cast<real*>(memory::allocate(bytes)),
                                                        release);
  for (int64_t k0 = 0; k0 == 0 || k0 < K; k0 += kDepth) {  // an empty sum, too, has an epilogue
    const int64_t depth = std::min(kDepth, K - k0);
    parallel_for(panels, row_grain(panel), [&](int64_t p, int64_t end) {
      for (; p < end; ++p) {
        pack(b, k0, depth, p * kCols, std::min(kCols, N - p * kCols), kCols,
             packed.get() + p * panel);
      }
    });
    const int64_t grain = std::max<int64_t>(1, (1 << 18) / (1 + std::min(M, kTall) * panel));
    parallel_for(ceil_div(M, kTall) * panels, grain, [&](int64_t piece, int64_t end) {
      for (; piece < end; ++piece) {
        const int64_t p = piece % panels, column = p * kCols, i0 = piece / panels * kTall;
        Epilogue finish = epilogue;  // the bias is added once
        if (k0 > 0) finish = {.accumulate = true};
        if (finish.bias) finish.bias += column;
        for (int64_t i = i0; i < std::min(M, i0 + kTall); i += kRows) {
          tile(depth, a.data + i * a.row_stride + k0 * a.col_stride, a, packed.get() + p * panel,
               c + i * ldc + column, ldc, std::min(kRows, M - i), std::min(kCols, N - column),
               finish);
        }
      }
    });
  }
}

// Twelve chains of x = x x + c, whose start the compiler must not know, or it would know the end.
// Each waits some four cycles for its own result while two units can start one each per cycle, so
// fewer than eight would leave them idle.
static real fma_chains(int64_t flops) {
  constexpr int kChains = 12;
  const volatile real start = real(0.25), more = real(0.1875);  // 0.25 = 0.25 0.25 + 0.1875
  Vec x[kChains] = {}, add = Vec{} + more;
  for (Vec& chain : x) chain += start;
  for (int64_t done = 0; done < flops; done += 2 * kChains * kWidth) {
#pragma GCC unroll 12
    for (Vec& chain : x) chain = chain * chain + add;
  }
  for (const Vec& chain : x) add += chain;
  return add[0];
}

}  // namespace kindling::kernel
