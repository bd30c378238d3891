// The matrix product C = A B, after Goto and van de Geijn, "Anatomy of high-performance matrix
// multiplication" (TOMS 2008). Page: docs/kernels.md
//
// A tile of C, a few rows by a few vectors, stays in registers while k runs: each step loads one
// row of B's panel and multiplies it by one number from each row of A. B is read as panels as wide
// as the tile; they are copied out of B when its columns are not contiguous or B is large. A is
// read where it lies, through its two strides. K is cut into blocks so that a panel stays in the
// cache, always in the same places, and each element of C is summed by one thread in order of k:
// the bits do not depend on the number of threads.
#pragma once

#include "kernels/walk.h"

namespace kindling::kernel {

// One panel of B: row k of it at data + k * step.
struct Panel {
  const real* data;
  int64_t step;
};

// What is done with a finished tile of C.
struct Finish {
  bool add;          // to what is in C
  const real* bias;  // of the tile's columns; may be null
};

template <class Isa, int R, int V>
void tile(int64_t K, const real* a, int64_t a_row, int64_t a_col, Panel b, real* c, int64_t ldc,
          int64_t cols, const Finish& finish) {
  using Vec = typename Isa::Vec;
  constexpr int64_t W = kWidth<Isa>;
  Vec sum[R][V] = {};
  for (int64_t k = 0; k < K; ++k) {
    Vec row[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) row[v] = load<Isa>(b.data + k * b.step + v * W);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const real x = a[r * a_row + k * a_col];
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sum[r][v] += x * row[v];
    }
  }
  for (int r = 0; r < R; ++r) {
    alignas(64) real line[V * W];
    std::memcpy(line, sum[r], sizeof line);
    for (int64_t j = 0; j < cols; ++j) {
      const real old = finish.add ? c[r * ldc + j] : 0, bias = finish.bias ? finish.bias[j] : 0;
      c[r * ldc + j] = line[j] + old + bias;
    }
  }
}

// Short rows and narrow panels take a smaller tile.
template <class Isa, int R, int V, class... Rest>
void tile_of(int64_t rows, int64_t vectors, const Rest&... rest) {
  if constexpr (R > 1) {
    if (rows < R) return tile_of<Isa, R - 1, V>(rows, vectors, rest...);
  }
  if constexpr (V > 1) {
    if (vectors < V) return tile_of<Isa, R, V - 1>(rows, vectors, rest...);
  }
  tile<Isa, R, V>(rest...);
}

// Columns [column, column + cols) of K rows of B, widened with zeros to `width`.
template <class Isa>
void pack(const Matrix& b, int64_t k0, int64_t K, int64_t column, int64_t cols, int64_t width,
          real* to) {
  const real* from = b.data + k0 * b.row_stride + column * b.col_stride;
  constexpr int64_t kRows = 16;  // of B at a time, so that what is written stays in the cache
  for (int64_t begin = 0; begin < K; begin += kRows) {
    const int64_t end = std::min(K, begin + kRows);
    if (b.col_stride == 1) {
      for (int64_t k = begin; k < end; ++k) {
        for (int64_t j = 0; j < cols; ++j) to[k * width + j] = from[k * b.row_stride + j];
      }
    } else {
      for (int64_t j = 0; j < cols; ++j) {
        for (int64_t k = begin; k < end; ++k) {
          to[k * width + j] = from[k * b.row_stride + j * b.col_stride];
        }
      }
    }
    for (int64_t k = begin; k < end; ++k) {
      for (int64_t j = cols; j < width; ++j) to[k * width + j] = 0;
    }
  }
}

// A tiny product, for which every preparation costs more than the work.
template <class Isa>
void tiny_product(const Matrix& a, const Matrix& b, real* c, int64_t ldc,
                  const Epilogue& epilogue) {
  for (int64_t i = 0; i < a.rows; ++i) {
    for (int64_t j = 0; j < b.cols; ++j) {
      real sum = 0;
      for (int64_t k = 0; k < a.cols; ++k) {
        sum += a.data[i * a.row_stride + k * a.col_stride] *
               b.data[k * b.row_stride + j * b.col_stride];
      }
      if (epilogue.accumulate) sum += c[i * ldc + j];
      if (epilogue.bias) sum += epilogue.bias[j];
      c[i * ldc + j] = sum;
    }
  }
}

// Few rows do not repay packing B. Where both run along k, each element is a dot product.
template <class Isa>
void dot_products(const Matrix& a, const Matrix& b, real* c, int64_t ldc,
                  const Epilogue& epilogue) {
  const auto times = [](auto x, auto y) { return x * y; };
  parallel_for(b.cols, row_grain(a.rows * a.cols), [&](int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; ++j) {
      for (int64_t i = 0; i < a.rows; ++i) {
        real sum = real(
            sum_over<Isa>(a.cols, times, a.data + i * a.row_stride, b.data + j * b.col_stride));
        if (epilogue.accumulate) sum += c[i * ldc + j];
        if (epilogue.bias) sum += epilogue.bias[j];
        c[i * ldc + j] = sum;
      }
    }
  });
}

template <class Isa>
void gemm(const Matrix& a, const Matrix& b, real* c, int64_t ldc, const Epilogue& epilogue) {
  constexpr int64_t W = kWidth<Isa>, kRows = Isa::kTileRows, kCols = Isa::kTileVectors * W;
  static_assert(Isa::kTileRows * Isa::kTileVectors + Isa::kTileVectors + 1 <= Isa::kRegisters,
                "the tile, a row of B and a number of A must stay in registers");
  constexpr int64_t kDepth = 512, kWidest = 2048;  // of a block of B
  constexpr int64_t kTall = 16 * kRows;            // rows of C in one piece of work
  const int64_t M = a.rows, N = b.cols, K = a.cols;
  count_cost(2 * M * N * K, bytes_of(M * K + K * N + M * N));
  if (M == 0 || N == 0) return;
  if (M * N * K <= 256) return tiny_product<Isa>(a, b, c, ldc, epilogue);
  if (M <= 4 && a.col_stride == 1 && b.row_stride == 1) {
    return dot_products<Isa>(a, b, c, ldc, epilogue);
  }

  const bool in_place = b.col_stride == 1 && (M <= 4 * kRows || K * N <= (1 << 16));
  const int64_t depth = ceil_div(K, ceil_div(K, kDepth));  // blocks of K of equal size
  const int64_t widest = std::min(ceil_div(N, kCols) * kCols, kWidest);
  Scratch<Isa, real> packed(in_place && N % W == 0 ? 0 : widest * depth);
  for (int64_t j0 = 0; j0 < N; j0 += kWidest) {
    const int64_t panels = ceil_div(std::min(kWidest, N - j0), kCols);
    const auto cols_of = [=](int64_t p) { return std::min(kCols, N - j0 - p * kCols); };
    // A panel at the right edge is always copied: a vector may not read past the row of B.
    const auto is_packed = [=](int64_t p) { return !in_place || cols_of(p) % W != 0; };
    for (int64_t k0 = 0; k0 < K; k0 += depth) {
      const int64_t deep = std::min(depth, K - k0);
      parallel_for(panels, row_grain(deep * kCols), [&](int64_t begin, int64_t end) {
        for (int64_t p = begin; p < end; ++p) {
          if (!is_packed(p)) continue;
          const int64_t width = ceil_div(cols_of(p), W) * W;
          pack<Isa>(b, k0, deep, j0 + p * kCols, cols_of(p), width,
                    packed.data() + p * kCols * deep);
        }
      });

      // Pieces are blocks of rows, times groups of panels where there are few rows.
      const int64_t blocks = ceil_div(M, kTall), groups = std::min(panels, ceil_div(8, blocks));
      const int64_t group = ceil_div(panels, groups);
      const int64_t work = std::min(M, kTall) * group * kCols * deep;
      const int64_t grain = std::max<int64_t>(1, (1 << 18) / work);
      parallel_for(blocks * groups, grain, [&](int64_t begin, int64_t end) {
        for (int64_t piece = begin; piece < end; ++piece) {
          const int64_t i0 = piece / groups * kTall, i1 = std::min(M, i0 + kTall);
          const int64_t p0 = piece % groups * group, p1 = std::min(panels, p0 + group);
          for (int64_t p = p0; p < p1; ++p) {
            const int64_t column = j0 + p * kCols, cols = cols_of(p), vectors = ceil_div(cols, W);
            const Panel panel = is_packed(p)
                                    ? Panel{packed.data() + p * kCols * deep, vectors * W}
                                    : Panel{b.data + k0 * b.row_stride + column, b.row_stride};
            const Finish finish{epilogue.accumulate || k0 > 0,
                                epilogue.bias && k0 == 0 ? epilogue.bias + column : nullptr};
            for (int64_t i = i0; i < i1; i += kRows) {
              tile_of<Isa, Isa::kTileRows, Isa::kTileVectors>(
                  i1 - i, vectors, deep, a.data + i * a.row_stride + k0 * a.col_stride,
                  a.row_stride, a.col_stride, panel, c + i * ldc + column, ldc, cols, finish);
            }
          }
        }
      });
    }
  }
}

// Twelve chains of x = x x + c, whose start the compiler must not know, or it would know the end.
// Each waits some four cycles for its own result while two units can start one each per cycle, so
// fewer than eight would leave them idle.
template <class Isa> real fma_chains(int64_t flops) {
  using Vec = typename Isa::Vec;
  constexpr int kChains = 12;
  const volatile real start = real(0.25), more = real(0.1875);  // 0.25 = 0.25 0.25 + 0.1875
  Vec x[kChains] = {}, add = Vec{} + more;
  for (Vec& chain : x) chain += start;
  for (int64_t done = 0; done < flops; done += 2 * kChains * kWidth<Isa>) {
#pragma GCC unroll 12
    for (Vec& chain : x) chain = chain * chain + add;
  }
  for (const Vec& chain : x) add += chain;
  return add[0];
}

}  // namespace kindling::kernel
