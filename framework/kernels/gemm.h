// The matrix product C = A B, after Goto and van de Geijn, "Anatomy of high-performance matrix
// multiplication" (TOMS 2008). Page: docs/kernels.md
//
// A tile of C, a few rows by a few vectors, stays in registers while k runs: each step loads one
// row of a panel of B, as wide as the tile, and multiplies it by one number from each row of A.
// A is read where it lies, unless a copy pays. B is copied into panels, so that its rows follow
// each other, unless it is small; if the columns fill whole registers, the first row of tiles reads
// B where it lies and stores the panels as it goes.
//
// K is cut into blocks, always in the same places, and each element of C is summed by one thread in
// order of k, or where C is small and K long in eight parts: so the bits do not depend on the
// threads, however they cut the rows and columns.
#pragma once

#include "kernels/walk.h"

namespace kindling::kernel {

// A tile of V vectors has as many rows as fill three quarters of the registers, up to twelve; the
// others are for a row of B and a number of A.
inline constexpr int kMaxVectors = Isa::kRegisters >= 32 ? 4 : 3;
constexpr int tile_rows(int V) { return std::min(12, Isa::kRegisters * 3 / 4 / V); }

inline constexpr int64_t kOneSegment[] = {0};

// What a tile is told. Strides are in numbers. k runs through segments: one in a product, one for
// each row of the kernel in a convolution.
struct Left {  // A: the row r of segment s begins at data + r row_stride + segments[s]
  const real* data = nullptr;
  int64_t row_stride = 0, step = 0;  // from row to row, and from k to k
  const int64_t* segments = kOneSegment;
  int64_t count = 1;
};
struct Right {  // B: the row of its panel for the first k, and the way to the next and to a panel's
  const real* data = nullptr;
  int64_t stride = 0, panel_step = 0;
  const int64_t* segments = nullptr;  // where rows begin in each; null: they go on
};
struct Target {  // C
  real* data = nullptr;
  int64_t stride = 0;
  bool accumulate = false;
  const real* bias = nullptr;  // that of the first column
  bool ask = false;            // for the lines of a tile before they are written
};
struct Ask {  // for what is needed next, in good time
  // The first tile of a row of them asks for what is `behind` its first number of A, the next of
  // so many panels for what is half of the block's steps further.
  int64_t panels = 0, behind = 0;
  // After 16 steps, unless they were the last, each asks for `lines` lines, `inner` apart, and goes
  // on by `outer`.
  int64_t lines = 0, inner = 0, outer = 0;
};
struct Tile {
  int64_t depth = 0;  // steps of k in a segment
  Left a = {};
  Right b = {};
  Target c = {};
  real* packed = nullptr;  // where B's panel is copied to
  int64_t last = 0;        // columns in the last vector
  Ask ask = {};
  const real* ahead = nullptr;
};

// R rows by V vectors. kPack: B's panel is copied. kUnit: A's step in tiles of one vector, its row
// stride in wider ones, is the constant 1, which makes addresses cheaper: there these are what is
// short.
template <int R, int V, bool kPack, bool kUnit> [[gnu::noinline]] static void tile(const Tile& t) {
  static_assert(R * V + V + 1 <= Isa::kRegisters,
                "the tile, a row of B and a number of A must stay in registers");
  constexpr int kShare = 3, kPointers = (R + kShare - 1) / kShare;  // rows of A share a pointer
  const Target c = t.c;  // copied, since for all the compiler knows a store might change t
  Vec sum[R][V];         // in registers, since the loops over them unroll: those have no index
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) {
    Vec first{};
    if (const real* bias = c.bias) {
      bias += v * kWidth;
      first = v < V - 1 ? load(bias) : load_first(bias, t.last);
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) sum[r][v] = first;
    for (int r = 0; r < R && c.ask; ++r) __builtin_prefetch(c.data + r * c.stride + v * kWidth);
  }
  const real *b = t.b.data, *ahead = t.ahead;
  const int64_t b_stride = t.b.stride, step = kUnit && V == 1 ? 1 : t.a.step;
  const int64_t row_stride = kUnit && V > 1 ? 1 : t.a.row_stride;
  real* packed = t.packed;
  for (int64_t s = 0; s < t.a.count; ++s) {
    const real* row[kPointers] = {t.a.data + t.a.segments[s]};
#pragma GCC unroll 16
    for (int i = 1; i < kPointers; ++i) {
      row[i] = row[i - 1] + kShare * row_stride;
    }
    if (t.b.segments) b = t.b.data + t.b.segments[s];
    for (int64_t left = t.depth; left > 0;) {
      int64_t steps = t.ask.lines > 0 ? std::min<int64_t>(left, 16) : left;
      left -= steps;
#pragma GCC unroll 4
      for (; steps > 0; --steps, b += b_stride) {
        Vec line[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) line[v] = load(b + v * kWidth);
        if (kPack) {
#pragma GCC unroll 4
          for (int v = 0; v < V; ++v) store(packed + v * kWidth, line[v]);
          packed += V * kWidth;
        }
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
          const Vec x = all(row[r / kShare][r % kShare * row_stride]);
#pragma GCC unroll 4
          for (int v = 0; v < V; ++v) sum[r][v] += x * line[v];
        }
#pragma GCC unroll 16
        for (int i = 0; i < kPointers; ++i) row[i] += step;
      }
      if (left == 0) break;
      for (int i = 0; i < t.ask.lines; ++i) __builtin_prefetch(ahead + i * t.ask.inner, 0, 2);
      ahead += t.ask.outer;
    }
  }
  const int64_t last = t.last;
  real* to = c.data;
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r, to += c.stride) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      real* place = to + v * kWidth;
      if (v < V - 1 || last == kWidth) {
        store(place, c.accumulate ? sum[r][v] + load(place) : sum[r][v]);
      } else {
        if (c.accumulate) sum[r][v] += load_first(place, last);
        store_first(place, sum[r][v], last);
      }
    }
  }
}

// The tile of `rows` by V for A, with kUnit where that holds; R counts those there are.
template <int V, size_t... R>
static auto tile_of(int64_t rows, const Left& a, std::index_sequence<R...>) {
  static constexpr void (*kTiles[][2])(const Tile&) = {
      {tile<int(R) + 1, V, false, false>, tile<int(R) + 1, V, false, true>}...};
  return kTiles[rows - 1][(V == 1 ? a.step : a.row_stride) == 1];
}

// ---- Blocks: rows of C by panels of one width ---------------------------------------------------

inline constexpr int64_t kSecondCache = 1 << 19;  // bytes of B that stay in it

struct Block {
  Tile tile = {};  // the first one
  int64_t rows = 0, cols = 0, panels = 0;
  real* packed = nullptr;  // where B's panels are copied to; null: B is read where it lies
  real* strips = nullptr;  // where A's rows are copied to, tile by tile; null: likewise
  bool copied = false;     // the strips are filled already
  Epilogue finish = {};    // its activation and residual
};

static void finish(const Block& block, int64_t first, int64_t rows) {
  for (int64_t r = first; r < first + rows; ++r) {
    real* row = block.tile.c.data + r * block.tile.c.stride;
    if (block.finish.activation) block.finish.activation(block.cols, row, row, 0, 0);
    if (const real* from = block.finish.residual) {
      from += r * block.finish.residual_stride;
      for_vectors(0, block.cols, [=](int64_t j, auto part) {
        part.store(row + j, part.load(row + j) + part.load(from + j));
      });
    }
  }
}

// Copies the rows of A of `strips` tiles so that a tile's lie beside each other for every k.
template <int R> static void copy_strips(const Left& a, int64_t depth, int64_t strips, real* to) {
  for (int64_t k = 0; k < depth; ++k) {
    for (int64_t n = 0; n < strips; ++n) {
      std::copy_n(a.data + k * a.step + n * R, R, to + (n * (depth + kWidth) + k) * R);
    }
  }
}

template <int V> static void run(const Block& block) {
  constexpr int64_t R = tile_rows(V);
  Tile t = block.tile;
  const int64_t last = block.cols - (block.panels * V - 1) * kWidth;
  const int64_t packed_panel = V * kWidth * t.depth * t.a.count;
  if (block.strips && !block.copied) copy_strips<R>(t.a, t.depth, block.rows / R, block.strips);
  bool pack = block.packed;
  for (int64_t i = 0, rows; i < block.rows; i += rows) {
    const int64_t left = block.rows - i;  // in tiles as high as each other, if that can be
    rows = pack || block.strips ? std::min(R, left) : ceil_div(left, ceil_div(left, R));
    t.a = block.tile.a, t.a.data += i * t.a.row_stride, t.ask = block.tile.ask;
    if (block.strips && rows == R) {
      t.a = {.data = block.strips + i * (t.depth + kWidth), .row_stride = 1, .step = R};
    }
    t.b = pack || !block.packed ? block.tile.b : Right{block.packed, V * kWidth, packed_panel};
    t.c = block.tile.c, t.c.data += i * t.c.stride, t.packed = block.packed;
    const auto make =
        pack ? tile<R, V, true, false> : tile_of<V>(rows, t.a, std::make_index_sequence<R>());
    for (int64_t p = 0; p < block.panels; ++p) {
      if (p < t.ask.panels) {
        t.ahead = t.a.data + t.ask.behind + p * (t.depth / 2) * t.a.step;
      } else {
        t.ask.lines = 0;
      }
      t.last = p == block.panels - 1 ? last : kWidth;
      make(t);
      t.b.data += t.b.panel_step, t.c.data += V * kWidth;
      if (t.c.bias) t.c.bias += V * kWidth;
      if (pack) t.packed += packed_panel;
    }
    pack = false;
    if (block.finish.activation || block.finish.residual) finish(block, i, rows);
  }
}

static void run(int64_t vectors, const Block& block) {
  static constexpr void (*kRuns[])(const Block&) = {run<1>, run<2>, run<3>, run<kMaxVectors>};
  kRuns[vectors - 1](block);
}

// Calls f(column, cols, panels, vectors) for groups of panels of one width, which together cover
// `columns`: as many as stay in the second cache.
template <class F>
static void for_groups(int64_t columns, int64_t depth, int64_t most_vectors, const F& f) {
  const int64_t all_vectors = ceil_div(columns, kWidth);
  const int64_t count = ceil_div(all_vectors, most_vectors);
  int64_t vectors = ceil_div(all_vectors, count);
  int64_t left = all_vectors - count * (vectors - 1);  // panels of that width; others have one less
  const int64_t narrower = count - left;
  for (int64_t column = 0; column < columns;) {
    if (left == 0) left = narrower, --vectors;
    const int64_t bytes = std::max<int64_t>(1, bytes_of(depth * vectors * kWidth));
    const int64_t fit = std::max<int64_t>(1, kSecondCache / bytes);
    const int64_t panels = ceil_div(left, ceil_div(left, fit));
    const int64_t cols = std::min(panels * vectors * kWidth, columns - column);
    f(column, cols, panels, vectors);
    column += cols, left -= panels;
  }
}

// Rows [0, depth) and columns [0, cols) of b, whose first number is at `from`, into panels that
// have `panel_depth` rows.
static void pack(const Matrix& b, const real* from, int64_t depth, int64_t cols, int64_t vectors,
                 int64_t panel_depth, real* to) {
  const int64_t width = vectors * kWidth;
  for (int64_t j = 0; j < cols; j += kWidth) {
    const int64_t n = std::min(kWidth, cols - j);
    const real* source = from + j * b.col_stride;
    real* place = to + j / width * width * panel_depth + j % width;
    for (int64_t k = 0; k < depth && b.col_stride == 1; ++k) {
      store(place + k * width, load_first(source + k * b.row_stride, n));
    }
    for (int64_t k = 0; k < depth && b.col_stride != 1; k += kWidth, source += kWidth) {
      const int64_t rows = std::min(kWidth, depth - k);
      Vec square[kWidth];
      if (n == kWidth && rows == kWidth) {
#pragma GCC unroll 16
        for (int64_t i = 0; i < kWidth; ++i) square[i] = load(source + i * b.col_stride);
      } else {
        for (int64_t i = 0; i < kWidth; ++i) {
          square[i] = i < n ? load_first(source + i * b.col_stride, rows) : Vec{};
        }
      }
      transpose(square);
      for (int64_t i = 0; i < rows; ++i) store(place + (k + i) * width, square[i]);
    }
  }
}

// ---- The product --------------------------------------------------------------------------------

// Bytes from k to k of A that are far: a page, or half of one for narrow tiles, as of AVX2.
inline constexpr int64_t kFar = kMaxVectors < 4 ? 2048 : 4096;
inline constexpr int64_t kDepth = 512;     // steps of k in a block
inline constexpr int64_t kTallRows = 528;  // rows of A that share a panel; a multiple of all tiles
inline constexpr int64_t kFewRows = 16;    // that do not pay for a copy of B
static_assert(tile_rows(1) <= kFewRows, "the first tile of a copy has all its rows");

// The rows and columns of C that one thread computes, with `steps` of k in a block.
static void piece(const Matrix& a, const Matrix& b, real* c, int64_t ldc, const Epilogue& epilogue,
                  int64_t steps = kDepth) {
  const int64_t M = a.rows, N = b.cols, K = a.cols;
  const bool tall = a.col_stride != 1;
  // Where the k's of A are far from each other, tiles would wait for their pages again and again;
  // for many columns a copy costs little.
  const bool apart =
      a.row_stride == 1 && N > 4 * kWidth && (bytes_of(a.col_stride) >= kFar || N >= 128 * kWidth);
  // Beside each other in memory, eight rows of A fill half a cache line, six of them may need two;
  // and the higher the tiles, the less a copy costs, which few columns share.
  const int64_t most = apart && N <= 32 * kWidth ? 2 : tall && N > 8 * kWidth ? 3 : kMaxVectors;
  const int64_t deepest = std::min(K, steps), packed = deepest * ceil_div(N, kWidth) * kWidth;
  const int64_t room = std::min(packed, kSecondCache / bytes_of(1));
  const Scratch scratch(room + (apart ? std::min(M, kTallRows) * (deepest + kWidth) : 0));
  for (int64_t i = 0; i < M; i += kTallRows) {
    for (int64_t k0 = 0; k0 == 0 || k0 < K; k0 += steps) {  // an empty sum, too, has an epilogue
      const int64_t depth = std::min(steps, K - k0);
      int64_t copied_for = 0;  // the width of the tiles that strips were made for
      const auto group = [&](int64_t column, int64_t cols, int64_t panels, int64_t vectors) {
        const int64_t width = vectors * kWidth;
        const real* from = b.data + k0 * b.row_stride + column * b.col_stride;
        const real* bias = epilogue.bias && k0 == 0 ? epilogue.bias + column : nullptr;
        Block block{.tile = {.depth = depth,
                             .a = {a.data + i * a.row_stride + k0 * a.col_stride, a.row_stride,
                                   a.col_stride},
                             .b = {scratch.data, width, depth * width},
                             .c = {c + i * ldc + column, ldc, epilogue.accumulate || k0 > 0, bias,
                                   is_large(M * N)}},
                    .rows = std::min(kTallRows, M - i),
                    .cols = cols,
                    .panels = panels,
                    .strips = apart ? scratch.data + room : nullptr,
                    .copied = std::exchange(copied_for, vectors) == vectors};
        const int64_t R = tile_rows(int(vectors)), lines = panels > 1 ? 8 : 16;
        if (!tall) {  // the next rows
          block.tile.ask = {1, R * a.row_stride, R, a.row_stride, kLine};
        } else if (!apart) {  // the next block, or the lines beside: two panels half of it each
          const int64_t behind = steps < kDepth ? steps * a.col_stride : kLine;
          block.tile.ask = {2, behind, lines, a.col_stride, lines * a.col_stride};
        }
        if (b.col_stride == 1 && cols == panels * width) {
          block.tile.b = {from, b.row_stride, width};
          const bool small = b.row_stride == width || bytes_of(b.row_stride * depth) <= 1 << 18;
          if (!small && block.rows > kFewRows) block.packed = scratch.data;
        } else {
          pack(b, from, depth, cols, vectors, depth, scratch.data);
        }
        if (k0 + depth >= K) {
          block.finish = epilogue;
          if (epilogue.residual) block.finish.residual += i * epilogue.residual_stride + column;
        }
        run(vectors, block);
      };
      for_groups(N, depth, most, group);
    }
  }
}

// n or a half, a quarter, ... of it, until a piece of `size` has at least `least`.
static int64_t cut(int64_t n, int64_t size, int64_t least) {
  while (n > 1 && size < n * least) n /= 2;
  return n;
}

// Rows and columns of C that a piece has at least; parts of a long K.
inline constexpr int64_t kLeastRows = 96, kLeastCols = 4 * kWidth, kParts = 8;

// For a C so small that a second thread would have no piece of it, or one of short rows: parts of
// K, which depend on nothing but the sizes, each with a sum of its own.
static void gemm_in_parts(const Matrix& a, const Matrix& b, real* c, int64_t ldc, Epilogue epilogue,
                          int64_t steps) {
  const int64_t M = a.rows, N = b.cols, K = a.cols, size = ceil_div(K, kParts);
  const Scratch sums(kParts * M * N);
  parallel_each(kParts, 1, [&](int64_t p) {
    const int64_t k = p * size, depth = std::min(size, K - k);
    piece({a.data + k * a.col_stride, M, depth, a.row_stride, a.col_stride},
          {b.data + k * b.row_stride, depth, N, b.row_stride, b.col_stride}, sums.data + p * M * N,
          N, {}, steps);
  });
  for (int64_t r = 0; r < M; ++r) {
    for_vectors(0, N, [&, to = c + r * ldc](int64_t j, auto part) {
      Vec sum = epilogue.accumulate ? part.load(to + j) : Vec{};
      for (int64_t p = 0; p < kParts; ++p) sum += part.load(sums.data + (p * M + r) * N + j);
      part.store(to + j, sum);
    });
  }
  epilogue.accumulate = true;
  piece({a.data, M, 0, 0, 1}, {b.data, 0, N, 0, 1}, c, ldc, epilogue);  // the rest of it
}

static void gemm(const Matrix& a, const Matrix& b, real* c, int64_t ldc, const Epilogue& epilogue) {
  const int64_t M = a.rows, N = b.cols, K = a.cols;
  count_cost(2 * M * N * K, bytes_of(M * K + K * N + M * N));
  // Each piece packs its columns of B and reads its rows of A, which costs about as much a number,
  // and more where A is transposed.
  const bool tall = a.col_stride != 1;
  const int64_t threads = threads_here(), most = tall ? threads : 2 * threads;
  const int64_t pieces = threads == 1 ? 1 : cut(most, M * N * K, 1 << 17);
  int64_t across = cut(pieces, N, kLeastCols);
  int64_t down = cut(pieces / across, M, across > 1 ? kLeastRows : kFewRows);
  while (across % 2 == 0 && M >= 2 * down * kLeastRows && (tall || across * M > 2 * down * N))
    across /= 2, down *= 2;
  const int64_t rows = ceil_div(ceil_div(M, down), 12) * 12;
  const int64_t cols = ceil_div(ceil_div(N, across), kWidth) * kWidth;
  // For few columns of C a transposed A is waited for most of the time. So blocks are so small that
  // most of the next one can be asked for meanwhile.
  const bool waits = tall && bytes_of(a.col_stride) < (N > 4 * kWidth ? kFar : 4096) && M >= 32 &&
                     (N <= 8 * kWidth || M < 64) && K > 8 * kDepth;
  const int64_t steps = waits ? 96 : kDepth;
  const Uncounted rest;  // an activation would count itself
  const bool in_parts = M * N <= 1 << 14 && K >= 1 << 13 && M * N * K >= 1 << 20;
  if (in_parts) return gemm_in_parts(a, b, c, ldc, epilogue, steps);
  parallel_each(down * across, 1, [&](int64_t n) {
    const int64_t i = n / across * rows, j = n % across * cols;
    if (i >= M || j >= N) return;
    Epilogue here = epilogue;
    if (here.bias) here.bias += j;
    if (here.residual) here.residual += i * here.residual_stride + j;
    piece({a.data + i * a.row_stride, std::min(rows, M - i), K, a.row_stride, a.col_stride},
          {b.data + j * b.col_stride, K, std::min(cols, N - j), b.row_stride, b.col_stride},
          c + i * ldc + j, ldc, here, steps);
  });
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
