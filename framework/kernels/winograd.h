// Convolution with a 3 x 3 kernel by Winograd's minimal filtering F(4 x 4, 3 x 3): "Fast algorithms
// for convolutional neural networks" (1509.09308, section 4). Page: docs/kernels.md
//
// Sixteen pixels of the output need 144 products for each pair of channels; here they need 36. A
// square of 6 x 6 pixels and a kernel are each mapped to 36 numbers, these are multiplied and
// summed over channels, for each of the 36 a product of matrices, and the sums are mapped to 4 x 4
// pixels. The maps are linear, a few additions: so the gradients are the same products, with the
// maps turned.
#pragma once

#include "kernels/gemm.h"
#include "kernels/window.h"

namespace kindling::kernel {

// A linear map of N numbers to P, and of a square of them, column by column and then row by row.
template <int P, int N> struct Map {
  static constexpr int from = N;
  real factors[P][N];

  constexpr Map<N, P> turned() const {
    Map<N, P> result{};
    for (int i = 0; i < P * N; ++i) result.factors[i % N][i / N] = factors[i / N][i % N];
    return result;
  }
  [[gnu::always_inline]] Vec row(int i, const Vec (&x)[N]) const {
    Vec sum = -Vec{};  // minus zero: what is added first stays as it is, so no addition is compiled
#pragma GCC unroll 6
    for (int k = 0; k < N; ++k) {
      if (factors[i][k] != 0) sum += factors[i][k] * x[k];
    }
    return sum;
  }
  // put(i, j, y) gets what becomes of each of M columns of at(i, j).
  template <int M, class At, class Put>
  [[gnu::always_inline]] void columns(const At& at, const Put& put) const {
#pragma GCC unroll 6
    for (int j = 0; j < M; ++j) {
      Vec x[N];
#pragma GCC unroll 6
      for (int i = 0; i < N; ++i) x[i] = at(i, j);
#pragma GCC unroll 6
      for (int i = 0; i < P; ++i) put(i, j, row(i, x));
    }
  }
  template <class At, class Put>
  [[gnu::always_inline]] void square(const At& at, const Put& put) const {
    Vec half[P][N];
    columns<N>(at, [&](int i, int j, Vec y) { half[i][j] = y; });
    columns<P>([&](int j, int i) { return half[i][j]; },
               [&](int j, int i, Vec y) { put(i, j, y); });
  }
};

// Pixels and kernel are taken as polynomials and mapped to their values at 0, a, -a, b, -b and
// infinity, where a product of polynomials is one of numbers. The paper has 1 and 2 for a and b;
// with these the errors are half as large (tests/golden/winograd.py). A kernel's values are divided
// by the distances of their point to the others.
inline constexpr real a1 = 0.625, a2 = a1 * a1, a3 = a2 * a1, b1 = 1.5, b2 = b1 * b1, b3 = b2 * b1;
inline constexpr real at_0 = 1 / (a2 * b2);
inline constexpr real at_a = 1 / (2 * a2 * (a2 - b2)), at_b = 1 / (2 * b2 * (b2 - a2));
// clang-format off
inline constexpr Map<6, 6> kPixels = {{
    {a2 * b2, 0,        -a2 - b2, 0,        1, 0},
    {0,       -a1 * b2, -b2,      a1,       1, 0},
    {0,       a1 * b2,  -b2,      -a1,      1, 0},
    {0,       -b1 * a2, -a2,      b1,       1, 0},
    {0,       b1 * a2,  -a2,      -b1,      1, 0},
    {0,       a2 * b2,  0,        -a2 - b2, 0, 1}}};
inline constexpr Map<6, 3> kKernel = {{
    {at_0, 0,          0},
    {at_a, at_a * a1,  at_a * a2},
    {at_a, at_a * -a1, at_a * a2},
    {at_b, at_b * b1,  at_b * b2},
    {at_b, at_b * -b1, at_b * b2},
    {0,    0,          1}}};
inline constexpr Map<4, 6> kResult = {{
    {1, 1,  1,   1,  1,   0},
    {0, a1, -a1, b1, -b1, 0},
    {0, a2, a2,  b2, b2,  0},
    {0, a3, -a3, b3, -b3, 1}}};
// clang-format on
inline constexpr Map<6, 4> kResultTurned = kResult.turned();
inline constexpr Map<3, 6> kKernelTurned = kKernel.turned();

// Images cut into squares, four pixels apart, the first at (top, left).
struct Squares {
  int64_t h, w, channels, top, left, down, across;

  // Where the N x N pixels of square i begin, or `outside` where they lie beyond the edge.
  template <int N, class T> void find(T* images, int64_t i, T* outside, T* (&pixel)[N][N]) const {
    const int64_t y = top + i / across % down * 4, x = left + i % across * 4;
    T* const image = images + i / across / down * h * w * channels;
    for (int64_t r = 0; r < N; ++r) {
      for (int64_t s = 0; s < N; ++s) {
        const bool inside = uint64_t(y + r) < uint64_t(h) && uint64_t(x + s) < uint64_t(w);
        pixel[r][s] = inside ? image + ((y + r) * w + x + s) * channels : outside;
      }
    }
  }

  // Maps square i to rows [channels] of 36 planes, `step` apart.
  template <const auto& kMap>
  void map(const real* images, int64_t i, const real* zeros, real* to, int64_t step) const {
    const real* pixel[kMap.from][kMap.from];
    find(images, i, zeros, pixel);
    for_vectors(0, channels, [&](int64_t c, auto part) {
      kMap.square(
          [&](int r, int s) { return part.load(pixel[r][s] + c); },
          [&](int r, int s, Vec number) { part.store(to + (6 * r + s) * step + c, number); });
    });
  }
};

// Whether the pixels are worth the products of their squares, and these the maps, each number of
// which takes about as long as seven products.
static bool suits_winograd(const Convolution& c) {
  const Window& w = c.window;
  const int64_t squares = ceil_div(w.out_h, 4) * ceil_div(w.out_w, 4), products = c.in * c.out;
  return c.groups == 1 && w.kernel_h == 3 && w.kernel_w == 3 && w.stride_h * w.stride_w == 1 &&
         w.dilation_h * w.dilation_w == 1 && std::min(c.in, c.out) >= 16 &&
         squares * 5 * (products + 7 * (c.in + c.out)) <= w.out_h * w.out_w * products;
}

// Squares that are mapped before they are multiplied: their numbers take half a megabyte, which the
// second cache holds, or, since each time the kernels' are read again, as much as these.
static int64_t at_once(int64_t in, int64_t out) {
  return std::max<int64_t>(1, std::max<int64_t>(1 << 17, 36 * in * out) / (36 * (in + out)));
}

// target = source * weight + bias, as `correlate` in conv.h.
static void winograd(const Convolution& shape, const Correlation& c, const real* source,
                     const Matrix& weight, const real* bias, real* target) {
  const int64_t depth = weight.rows, columns = weight.cols, in = shape.in, out = shape.out;
  const int64_t wide = ceil_div(columns, kWidth) * kWidth;
  // The kernels are mapped where k runs down the rows. Backward they lie so, and are turned around.
  const bool turned = weight.col_stride == 1;
  const Scratch packed(36 * depth * wide), lying(turned ? 0 : 9 * depth * wide), zeros(depth);
  std::fill_n(zeros.data, depth, real(0));
  parallel_each(turned ? 0 : 9, 1, [&](int64_t t) {
    pack(weight, weight.data + t * in, depth, columns, wide / kWidth, depth,
         lying.data + t * depth * wide);
  });
  const real* kernels = turned ? weight.data + 8 * in : lying.data;
  const int64_t tap = turned ? -in : depth * wide, row = turned ? weight.row_stride : wide;
  const auto map_group = [&](int64_t column, int64_t cols, int64_t, int64_t vectors) {
    parallel_each(depth, row_grain(36 * cols), [&, width = vectors * kWidth](int64_t k) {
      for_vectors(0, cols, [&](int64_t j, auto part) {
        const real* from = kernels + k * row + column + j;
        real* to = packed.data + (column + j / width * width) * depth + k * width + j % width;
        kKernel.square([&](int r, int s) { return part.load(from + (3 * r + s) * tap); },
                       [&](int r, int s, Vec u) { store(to + (6 * r + s) * depth * wide, u); });
      });
    });
  };
  for_groups(columns, depth, kMaxVectors, map_group);
  const int64_t down = ceil_div(c.target_h, 4), across = ceil_div(c.target_w, 4);
  const int64_t tiles = shape.batch * down * across;
  const Squares from{c.source_h,           c.source_w, depth, c.phases[0].down[0],
                     c.phases[0].right[0], down,       across};
  const Squares to{c.target_h, c.target_w, columns, 0, 0, down, across};
  const int64_t threads = threads_here();
  const int64_t chunks = ceil_div(tiles, at_once(in, out) * threads) * threads;
  const int64_t most = ceil_div(tiles, std::max<int64_t>(1, chunks));
  parallel_each(chunks, 1, [&](int64_t chunk) {
    // From plane to plane: not a multiple of a page, whose lines would share a place in the cache.
    const int64_t v_step = most * depth + kWidth, m_step = most * columns + kWidth;
    const Scratch v(36 * v_step), m(36 * m_step), outside(columns);
    const int64_t start = chunk * most, count = std::min(most, tiles - start);
    for (int64_t t = 0; t < count; ++t) {
      from.map<kPixels>(source, start + t, zeros.data, v.data + t * depth, v_step);
    }
    for (int64_t p = 0; p < 36; ++p) {
      const auto group = [&](int64_t column, int64_t cols, int64_t panels, int64_t vectors) {
        run(vectors, {.tile = {.depth = depth,
                               .a = {v.data + p * v_step, depth, 1},
                               .b = {packed.data + (p * wide + column) * depth, vectors * kWidth,
                                     depth * vectors * kWidth},
                               .c = {m.data + p * m_step + column, columns}},
                      .rows = count,
                      .cols = cols,
                      .panels = panels});
      };
      for_groups(columns, depth, kMaxVectors, group);
    }
    for (int64_t t = 0; t < count; ++t) {
      real* pixel[4][4];
      to.find(target, start + t, outside.data, pixel);
      for_vectors(0, columns, [&](int64_t o, auto part) {
        const real* sums = m.data + t * columns + o;
        const Vec first = bias ? part.load(bias + o) : Vec{};
        kResult.square([&](int i, int j) { return part.load(sums + (6 * i + j) * m_step); },
                       [&](int i, int j, Vec sum) { part.store(pixel[i][j] + o, sum + first); });
      });
    }
  });
}

static void winograd_weight_gradient(const Convolution& shape, const real* gy, const real* x,
                                     real* gw) {
  const int64_t in = shape.in, out = shape.out, size = 36 * out * in;
  const Window& w = shape.window;
  const int64_t down = ceil_div(w.out_h, 4), across = ceil_div(w.out_w, 4);
  const Squares of_x{w.h, w.w, in, -w.pad_top, -w.pad_left, down, across};
  const Squares of_gy{w.out_h, w.out_w, out, 0, 0, down, across};
  // Squares are summed in shares, always the same, as many as take little time to add. All threads
  // join in each, if these are more.
  const int64_t tiles = shape.batch * down * across, parts = cut(8, tiles * (in + out), size / 4);
  const int64_t share = std::max<int64_t>(1, ceil_div(tiles, parts));
  const int64_t shares = ceil_div(tiles, share), most = std::min(at_once(in, out), share);
  const Scratch zeros(std::max(in, out)), sums(shares * size);
  std::fill_n(zeros.data, std::max(in, out), real(0));
  parallel_each(shares, threads_here() > shares ? shares : 1, [&](int64_t n) {
    const int64_t v_step = most * in + kWidth, m_step = most * out + kWidth;
    const Scratch v(36 * v_step), m(36 * m_step);
    for (int64_t begin = n * share, end = std::min(tiles, begin + share), i = begin; i < end;
         i += most) {
      const int64_t count = std::min(most, end - i);
      parallel_each(count, row_grain(36 * (in + out)), [&](int64_t t) {
        of_x.map<kPixels>(x, i + t, zeros.data, v.data + t * in, v_step);
        of_gy.map<kResultTurned>(gy, i + t, zeros.data, m.data + t * out, m_step);
      });
      parallel_each(36, 1, [&](int64_t p) {
        piece({m.data + p * m_step, out, count, 1, out}, {v.data + p * v_step, count, in, in, 1},
              sums.data + n * size + p * out * in, in, {.accumulate = i > begin});
      });
    }
  });
  parallel_each(out, row_grain(36 * in), [&](int64_t o) {
    for_vectors(0, in, [&](int64_t i, auto part) {
      kKernelTurned.square(
          [&](int y, int s) {
            Vec sum{};
            for (int64_t n = 0; n < shares; ++n) {
              sum += part.load(sums.data + n * size + ((6 * y + s) * out + o) * in + i);
            }
            return sum;
          },
          [&](int y, int s, Vec g) { part.store(gw + (o * 9 + 3 * y + s) * in + i, g); });
    });
  });
}

}  // namespace kindling::kernel
