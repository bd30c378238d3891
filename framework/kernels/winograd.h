// Convolution with a 3 x 3 kernel by Winograd's minimal filtering F(2 x 2, 3 x 3): "Fast algorithms
// for convolutional neural networks" (1509.09308, section 4.1). Page: docs/kernels.md
//
// Four pixels of the output need 36 products for each pair of channels; here they need 16. A tile
// of 4 x 4 pixels and a kernel are each mapped to 16 numbers, these are multiplied and summed over
// channels, for each of the 16 a product of matrices, and the sums are mapped to 2 x 2 pixels. The
// maps are linear, a few additions: so the gradients are the same products, with the maps turned.
#pragma once

#include "kernels/gemm.h"
#include "kernels/window.h"

namespace kindling::kernel {

// Maps of a row or a column; a square is mapped column by column and then row by row.
static constexpr auto input_map = [](const Vec (&x)[4], Vec (&y)[4]) {
  y[0] = x[0] - x[2], y[1] = x[1] + x[2], y[2] = x[2] - x[1], y[3] = x[1] - x[3];
};
static constexpr auto kernel_map = [](const Vec (&x)[3], Vec (&y)[4]) {
  const Vec outer = real(0.5) * (x[0] + x[2]), inner = real(0.5) * x[1];
  y[0] = x[0], y[1] = outer + inner, y[2] = outer - inner, y[3] = x[2];
};
static constexpr auto output_map = [](const Vec (&x)[4], Vec (&y)[2]) {
  y[0] = x[0] + x[1] + x[2], y[1] = x[1] - x[2] - x[3];
};
static constexpr auto output_map_turned = [](const Vec (&x)[2], Vec (&y)[4]) {
  y[0] = x[0], y[1] = x[0] + x[1], y[2] = x[0] - x[1], y[3] = -x[1];
};
static constexpr auto kernel_map_turned = [](const Vec (&x)[4], Vec (&y)[3]) {
  const Vec sum = real(0.5) * (x[1] + x[2]);
  y[0] = x[0] + sum, y[1] = real(0.5) * (x[1] - x[2]), y[2] = sum + x[3];
};

// Maps a square of N x N numbers, at(i, j), to one of P x P, for each of which it calls put(i, j,
// y).
template <int N, int P, class Map, class At, class Put>
[[gnu::always_inline]] static inline void map_square(const Map& map, const At& at, const Put& put) {
  Vec half[P][N];
#pragma GCC unroll 4
  for (int j = 0; j < N; ++j) {
    Vec x[N], y[P];
#pragma GCC unroll 4
    for (int i = 0; i < N; ++i) x[i] = at(i, j);
    map(x, y);
#pragma GCC unroll 4
    for (int i = 0; i < P; ++i) half[i][j] = y[i];
  }
#pragma GCC unroll 4
  for (int i = 0; i < P; ++i) {
    Vec y[P];
    map(half[i], y);
#pragma GCC unroll 4
    for (int j = 0; j < P; ++j) put(i, j, y[j]);
  }
}

// Images cut into squares of pixels, two apart, the first at (top, left).
struct Squares {
  int64_t h, w, channels, top, left, down, across;

  int64_t y(int64_t i) const { return top + i / across % down * 2; }
  int64_t x(int64_t i) const { return left + i % across * 2; }
  int64_t image(int64_t i) const { return i / across / down * h * w * channels; }

  // Maps square i, N x N pixels, to rows [channels] of 16 matrices, `step` apart. A square that
  // reaches over the edge is copied to `edge` first.
  template <int N, class Map>
  void map(const Map& how, const real* images, int64_t i, real* edge, real* to,
           int64_t step) const {
    const Frame frame{y(i), y(i) + N, x(i), x(i) + N};
    const real* from = images + image(i);
    int64_t pitch = w * channels;
    if (frame.inside(h, w)) {
      from += (y(i) * w + x(i)) * channels;
    } else {
      frame.copy(from, h, w, channels, edge);
      from = edge, pitch = N * channels;
    }
    for_vectors(0, channels, [=, n = channels](int64_t c, auto part) {
      map_square<N, 4>(
          how, [=](int r, int s) { return part.load(from + r * pitch + s * n + c); },
          [=](int r, int s, Vec number) { part.store(to + (4 * r + s) * step + c, number); });
    });
  }
};

// Whether the four pixels of a square are worth their 16 products: with fewer channels than two
// registers hold the maps may take as long as what they save.
static bool suits_winograd(const Convolution& c) {
  const Window& w = c.window;
  return c.groups == 1 && w.kernel_h == 3 && w.kernel_w == 3 && w.stride_h * w.stride_w == 1 &&
         w.dilation_h * w.dilation_w == 1 &&
         std::min(c.in, c.out) >= std::max<int64_t>(16, 2 * kWidth) &&
         ceil_div(w.out_h, 2) * ceil_div(w.out_w, 2) * 20 <= w.out_h * w.out_w * 9;
}

// From one of the 16 matrices to the next: not a multiple of a page, whose lines
// would share one place in the cache.
static int64_t plane_of(int64_t rows, int64_t columns) {
  return ceil_div(rows * columns, kWidth) * kWidth + kWidth;
}

// target = source * weight + bias, as `correlate` in conv.h.
static void winograd(const Convolution& shape, const Correlation& c, const real* source,
                     const Matrix& weight, const real* bias, real* target) {
  const int64_t depth = weight.rows, columns = weight.cols, in = shape.in, out = shape.out;
  const int64_t wide = ceil_div(columns, kWidth) * kWidth;
  const Scratch mapped(16 * out * in), packed(16 * depth * wide);
  const Squares kernels{3, 3, in, 0, 0, 1, 1};  // `out` images of one square
  parallel_each(out, row_grain(16 * in), [&](int64_t o) {
    kernels.map<3>(kernel_map, weight.data, o, nullptr, mapped.data + o * in, out * in);
  });
  // Backward the kernel is turned around, and so are the outer two of four mapped numbers.
  const bool turned = weight.row_stride != 1;
  const Matrix u{nullptr, depth, columns, turned ? in : 1, turned ? 1 : in};
  parallel_each(16, 1, [&](int64_t p) {
    constexpr int64_t kTurned[] = {3, 1, 2, 0};
    const int64_t from = turned ? 4 * kTurned[p / 4] + kTurned[p % 4] : p;
    pack(u, mapped.data + from * out * in, depth, columns, wide / kWidth, depth,
         packed.data + p * depth * wide);
  });
  const int64_t down = ceil_div(c.target_h, 2), across = ceil_div(c.target_w, 2);
  const int64_t tiles = shape.batch * down * across;
  const Squares from{c.source_h,           c.source_w, depth, c.phases[0].down[0],
                     c.phases[0].right[0], down,       across};
  const Squares to{c.target_h, c.target_w, columns, 0, 0, down, across};
  const int64_t fit = (1 << 17) / (16 * (depth + columns));  // with sums, half the second cache
  const int64_t most =
      std::clamp<int64_t>(ceil_div(tiles, threads_here()), 1, std::max<int64_t>(1, fit / 24) * 24);
  parallel_each(ceil_div(tiles, most), 1, [&](int64_t chunk) {
    const int64_t v_step = plane_of(most, depth), m_step = plane_of(most, columns);
    const Scratch v(16 * v_step), m(16 * m_step), edge(16 * depth), outside(columns);
    const int64_t start = chunk * most, count = std::min(most, tiles - start);
    for (int64_t t = 0; t < count; ++t) {
      from.map<4>(input_map, source, start + t, edge.data, v.data + t * depth, v_step);
    }
    for (int64_t p = 0; p < 16; ++p) {
      piece({v.data + p * v_step, count, depth, depth, 1},
            {packed.data + p * depth * wide, depth, columns, wide, 1}, m.data + p * m_step, columns,
            {});
    }
    for (int64_t t = 0; t < count; ++t) {
      const int64_t y = to.y(start + t), x = to.x(start + t);
      real* pixel[2][2];
      for (int64_t i = 0; i < 4; ++i) {
        const int64_t r = y + i / 2, s = x + i % 2;
        pixel[i / 2][i % 2] = r < c.target_h && s < c.target_w
                                  ? target + to.image(start + t) + (r * c.target_w + s) * columns
                                  : outside.data;
      }
      for_vectors(0, columns, [&](int64_t o, auto part) {
        const real* sums = m.data + t * columns + o;
        const Vec first = bias ? part.load(bias + o) : Vec{};
        map_square<4, 2>(
            output_map, [&](int i, int j) { return part.load(sums + (4 * i + j) * m_step); },
            [&](int i, int j, Vec sum) { part.store(pixel[i][j] + o, sum + first); });
      });
    }
  });
}

static void winograd_weight_gradient(const Convolution& shape, const real* gy, const real* x,
                                     real* gw) {
  const int64_t in = shape.in, out = shape.out;
  const Window& w = shape.window;
  const int64_t down = ceil_div(w.out_h, 2), across = ceil_div(w.out_w, 2);
  const int64_t tiles = shape.batch * down * across, most = std::min<int64_t>(192, tiles);
  const Squares of_x{w.h, w.w, in, -w.pad_top, -w.pad_left, down, across};
  const Squares of_gy{w.out_h, w.out_w, out, 0, 0, down, across};
  const int64_t v_step = plane_of(most, in), m_step = plane_of(most, out);
  const Scratch v(16 * v_step), m(16 * m_step), sums(16 * out * in);
  std::fill_n(sums.data, 16 * out * in, real(0));
  for (int64_t first = 0; first < tiles; first += most) {
    const int64_t count = std::min(most, tiles - first);
    parallel_for(count, row_grain(16 * (in + out)), [&](int64_t t, int64_t end) {
      const Scratch edge(16 * std::max(in, out));
      for (; t < end; ++t) {
        of_x.map<4>(input_map, x, first + t, edge.data, v.data + t * in, v_step);
        of_gy.map<2>(output_map_turned, gy, first + t, edge.data, m.data + t * out, m_step);
      }
    });
    parallel_each(16, 1, [&](int64_t p) {
      piece({m.data + p * m_step, out, count, 1, out}, {v.data + p * v_step, count, in, in, 1},
            sums.data + p * out * in, in, {.accumulate = true});
    });
  }
  parallel_each(out, row_grain(16 * in), [&](int64_t o) {
    for_vectors(0, in, [&](int64_t i, auto part) {
      map_square<4, 3>(
          kernel_map_turned,
          [&](int y, int s) { return part.load(sums.data + ((4 * y + s) * out + o) * in + i); },
          [&](int y, int s, Vec g) { part.store(gw + (o * 9 + 3 * y + s) * in + i, g); });
    });
  });
}

}  // namespace kindling::kernel
