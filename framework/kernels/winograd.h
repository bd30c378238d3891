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

// Maps of one row or column; a square is mapped row by row and then column by column.
struct InputMap {  // of the input to the products
  static void map(const Vec (&x)[4], Vec (&y)[4]) {
    y[0] = x[0] - x[2], y[1] = x[1] + x[2], y[2] = x[2] - x[1], y[3] = x[1] - x[3];
  }
};
struct KernelMap {  // of the kernel to the products
  static void map(const Vec (&x)[3], Vec (&y)[4]) {
    const Vec outer = real(0.5) * (x[0] + x[2]), inner = real(0.5) * x[1];
    y[0] = x[0], y[1] = outer + inner, y[2] = outer - inner, y[3] = x[2];
  }
};
struct OutputMap {  // from the products to the output
  static void map(const Vec (&x)[4], Vec (&y)[2]) {
    y[0] = x[0] + x[1] + x[2], y[1] = x[1] - x[2] - x[3];
  }
};
struct OutputTurned {
  static void map(const Vec (&x)[2], Vec (&y)[4]) {
    y[0] = x[0], y[1] = x[0] + x[1], y[2] = x[0] - x[1], y[3] = -x[1];
  }
};
struct KernelTurned {
  static void map(const Vec (&x)[4], Vec (&y)[3]) {
    const Vec sum = real(0.5) * (x[1] + x[2]);
    y[0] = x[0] + sum, y[1] = real(0.5) * (x[1] - x[2]), y[2] = sum + x[3];
  }
};

// Calls at(i, j) for the N x N numbers of a square, and put(i, j, y) for the P x P it is mapped to.
template <class Map, int N, int P, class At, class Put>
[[gnu::always_inline]] static inline void map_square(const At& at, const Put& put) {
  Vec half[P][N];
#pragma GCC unroll 4
  for (int j = 0; j < N; ++j) {
    Vec x[N], y[P];
#pragma GCC unroll 4
    for (int i = 0; i < N; ++i) x[i] = at(i, j);
    Map::map(x, y);
#pragma GCC unroll 4
    for (int i = 0; i < P; ++i) half[i][j] = y[i];
  }
#pragma GCC unroll 4
  for (int i = 0; i < P; ++i) {
    Vec y[P];
    Map::map(half[i], y);
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
  template <class Map, int N>
  void map(const real* images, int64_t i, real* edge, real* to, int64_t step) const {
    const Frame frame{y(i), y(i) + N, x(i), x(i) + N};
    const real* from = images + image(i);
    int64_t pitch = w * channels;
    if (frame.inside(h, w)) {
      from += (y(i) * w + x(i)) * channels;
    } else {
      frame.copy(from, h, w, channels, edge);
      from = edge, pitch = N * channels;
    }
    for_vectors(0, channels, [=, *this](int64_t c, auto part) {
      map_square<Map, N, 4>(
          [=, *this](int r, int s) { return part.load(from + r * pitch + s * channels + c); },
          [=](int r, int s, Vec number) { part.store(to + (4 * r + s) * step + c, number); });
    });
  }
};

// Whether the four pixels of a square are worth their 16 products.
static bool suits_winograd(const Convolution& c) {
  const Window& w = c.window;
  return c.groups == 1 && w.kernel_h == 3 && w.kernel_w == 3 && w.stride_h * w.stride_w == 1 &&
         w.dilation_h * w.dilation_w == 1 && std::min(c.in, c.out) >= 16 &&
         ceil_div(w.out_h, 2) * ceil_div(w.out_w, 2) * 20 <= w.out_h * w.out_w * 9;
}

// The squares of the source and of the target of one of the two directions.
struct Planes {
  int64_t tiles;
  Squares from, to;
  Planes(const Convolution& shape, const Correlation& c)
      : from{c.source_h,
             c.source_w,
             c.source_channels,
             c.phases[0].down[0],
             c.phases[0].right[0],
             ceil_div(c.target_h, 2),
             ceil_div(c.target_w, 2)},
        to{c.target_h, c.target_w, c.target_channels, 0, 0, from.down, from.across} {
    tiles = shape.batch * from.down * from.across;
  }
};

// From row to row of a matrix, and to the next of the 16: not a multiple of a page, whose lines
// would share one place in the cache.
static int64_t plane_of(int64_t rows, int64_t columns) {
  return ceil_div(rows * columns, kWidth) * kWidth + kWidth;
}

// The weights [out, 3, 3, in] mapped to [16, out, in].
static void map_weights(const Convolution& shape, const Phase& phase, const real* weight,
                        real* mapped) {
  const int64_t in = shape.in, out = shape.out;
  parallel_for(out, row_grain(16 * in), [&](int64_t o, int64_t end) {
    for (; o < end; ++o) {
      const auto tap = [&](int y, int x) {
        return weight + (o * 9 + phase.kernel_y[size_t(y)] * 3 + phase.kernel_x[size_t(x)]) * in;
      };
      for_vectors(0, in, [&](int64_t i, auto part) {
        map_square<KernelMap, 3, 4>(
            [&](int y, int x) { return part.load(tap(y, x) + i); },
            [&](int y, int x, Vec u) { part.store(mapped + ((4 * y + x) * out + o) * in + i, u); });
      });
    }
  });
}

// target = source * weight + bias, as `correlate` in conv.h.
static void winograd(const Convolution& shape, const Correlation& c, const real* source,
                     const Matrix& weight, const real* bias, real* target) {
  const int64_t depth = weight.rows, columns = weight.cols, in = shape.in, out = shape.out;
  const int64_t wide = ceil_div(columns, kWidth) * kWidth;
  const Scratch mapped(16 * out * in), packed(16 * depth * wide);
  map_weights(shape, c.phases[0], weight.data, mapped.data);
  const Matrix turned = weight.row_stride == 1 ? Matrix{nullptr, depth, columns, 1, in}
                                               : Matrix{nullptr, depth, columns, in, 1};
  parallel_for(16, 1, [&](int64_t p, int64_t end) {
    for (; p < end; ++p) {
      pack(turned, mapped.data + p * out * in, depth, columns, wide / kWidth, depth,
           packed.data + p * depth * wide);
    }
  });
  const Planes planes(shape, c);
  const int64_t fit =
      (1 << 17) / (16 * (depth + columns));  // with their sums, in half of the second cache
  const int64_t most =
      std::min(std::max<int64_t>(1, fit / 24) * 24, ceil_div(planes.tiles, threads_here()));
  parallel_for(ceil_div(planes.tiles, most), 1, [&](int64_t chunk, int64_t end) {
    const int64_t v_step = plane_of(most, depth), m_step = plane_of(most, columns);
    const Scratch v(16 * v_step), m(16 * m_step), edge(16 * depth), outside(columns);
    for (; chunk < end; ++chunk) {
      const int64_t start = chunk * most, count = std::min(most, planes.tiles - start);
      for (int64_t t = 0; t < count; ++t) {
        planes.from.map<InputMap, 4>(source, start + t, edge.data, v.data + t * depth, v_step);
      }
      for (int64_t p = 0; p < 16; ++p) {
        piece({v.data + p * v_step, count, depth, depth, 1},
              {packed.data + p * depth * wide, depth, columns, wide, 1}, m.data + p * m_step,
              columns, {}, false);
      }
      for (int64_t t = 0; t < count; ++t) {
        const int64_t y = planes.to.y(start + t), x = planes.to.x(start + t);
        real* pixel[2][2];
        for (int64_t i = 0; i < 4; ++i) {
          const int64_t r = y + i / 2, s = x + i % 2;
          pixel[i / 2][i % 2] =
              r < c.target_h && s < c.target_w
                  ? target + planes.to.image(start + t) + (r * c.target_w + s) * columns
                  : outside.data;
        }
        for_vectors(0, columns, [&](int64_t o, auto part) {
          const real* from = m.data + t * columns + o;
          const Vec first = bias ? part.load(bias + o) : Vec{};
          map_square<OutputMap, 4, 2>(
              [&](int i, int j) { return part.load(from + (4 * i + j) * m_step); },
              [&](int i, int j, Vec sum) { part.store(pixel[i][j] + o, sum + first); });
        });
      }
    }
  });
}

static void winograd_weight_gradient(const Convolution& shape, const real* gy, const real* x,
                                     real* gw) {
  const int64_t in = shape.in, out = shape.out;
  const Planes planes(shape, forward(shape));
  const int64_t most = std::min<int64_t>(192, planes.tiles);
  const int64_t v_step = plane_of(most, in), m_step = plane_of(most, out);
  const Scratch v(16 * v_step), m(16 * m_step), sums(16 * out * in);
  std::fill_n(sums.data, 16 * out * in, real(0));
  for (int64_t first = 0; first < planes.tiles; first += most) {
    const int64_t count = std::min(most, planes.tiles - first);
    parallel_for(count, row_grain(16 * (in + out)), [&](int64_t t, int64_t end) {
      const Scratch edge(16 * std::max(in, out));
      for (; t < end; ++t) {
        planes.from.map<InputMap, 4>(x, first + t, edge.data, v.data + t * in, v_step);
        planes.to.map<OutputTurned, 2>(gy, first + t, edge.data, m.data + t * out, m_step);
      }
    });
    parallel_for(16, 1, [&](int64_t p, int64_t end) {
      for (; p < end; ++p) {
        piece({m.data + p * m_step, out, count, 1, out}, {v.data + p * v_step, count, in, in, 1},
              sums.data + p * out * in, in, {.accumulate = true}, false);
      }
    });
  }
  parallel_for(out, row_grain(16 * in), [&](int64_t o, int64_t end) {
    for (; o < end; ++o) {
      for_vectors(0, in, [&](int64_t i, auto part) {
        map_square<KernelTurned, 4, 3>(
            [&](int y, int s) { return part.load(sums.data + ((4 * y + s) * out + o) * in + i); },
            [&](int y, int s, Vec g) { part.store(gw + (o * 9 + 3 * y + s) * in + i, g); });
      });
    }
  });
}

}  // namespace kindling::kernel
