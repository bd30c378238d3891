// Depthwise convolution: every channel has its own kernel, so there is no product of matrices; a
// vector holds neighbouring channels of one pixel. Page: docs/kernels.md
//
// A band of an image is copied into a frame of zeros, one vector of channels after the other: there
// the pixels of a row follow each other, and the rows that a window shares with the next stay in
// the first cache. In place they would be apart by all channels, often a distance that maps most of
// them to the same few lines of the cache.
#pragma once

#include "kernels/window.h"

namespace kindling::kernel {

// A frame as planes [vectors of channels, rows, pixels, kWidth].
struct ChannelPlanes {
  Frame frame;
  int64_t pitch, size;  // from row to row, from plane to plane
  Scratch data;
  ChannelPlanes(const Frame& of, int64_t channels)
      : frame(of),
        pitch((of.right - of.left) * kWidth),
        size((of.bottom - of.top) * pitch + kWidth),  // not a multiple of a page
        data(ceil_div(channels, kWidth) * size) {}

  void copy(const real* image, int64_t h, int64_t w, int64_t channels) const {
    real* to = data.data;
    for (int64_t y = frame.top; y < frame.bottom; ++y) {
      for (int64_t x = frame.left; x < frame.right; ++x, to += kWidth) {
        const bool inside = y >= 0 && y < h && x >= 0 && x < w;
        const real* from = image + (y * w + x) * channels;
        for_vectors(0, channels, [=, this](int64_t c, auto part) {
          __builtin_prefetch(from + c +
                             2 * channels);  // writing to so many places, the processor does not
          store(to + c / kWidth * size, inside ? part.load(from + c) : Vec{});
        });
      }
    }
  }
};

// What a row of pixels of one vector of channels is made of.
struct Stencil {
  std::vector<int64_t> runs;  // where taps beside each other begin, from a pixel's place on
  int64_t step;               // from pixel to pixel in the frame
  int64_t pixels, spread;     // of the target, and how far apart they are
};

// P pixels, of K taps beside each other.
template <int K, int P>
[[gnu::always_inline]] static inline void stencil(const Stencil& s, const real* from,
                                                  const real* weights, Vec bias, real* to,
                                                  int64_t channels, bool stream) {
  Vec sum[P];
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) sum[p] = bias;
  for (const int64_t run : s.runs) {
    const real* x = from + run;
#pragma GCC unroll 8
    for (int k = 0; k < K; ++k, x += kWidth, weights += kWidth) {
      const Vec w = load(weights);
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) sum[p] += load(x + p * s.step) * w;
    }
  }
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p, to += s.spread) {
    if (stream) {
      store_past_caches(to, sum[p]);
    } else {
      channels >= kWidth ? store(to, sum[p]) : store_first(to, sum[p], channels);
    }
  }
}

// A row. The last pixels may overlap those before: they are computed twice.
template <int K>
static void stencil_row(const Stencil& s, const real* from, const real* weights, Vec bias, real* to,
                        int64_t channels, bool stream) {
  const auto row = [&](auto count) {
    constexpr int P = decltype(count)::value;
    for (int64_t p = 0; p < s.pixels; p += P) {
      const int64_t at = std::min(p, s.pixels - P);
      stencil<K, P>(s, from + at * s.step, weights, bias, to + at * s.spread, channels, stream);
    }
  };
  if (s.pixels >= 8) return row(std::integral_constant<int, 8>());
  if (s.pixels >= 4) return row(std::integral_constant<int, 4>());
  row(std::integral_constant<int, 1>());
}

static void depthwise_correlate(const Convolution& shape, const Correlation& c, const real* source,
                                const real* weight, const real* bias, real* target) {
  const int64_t C = shape.in, kernel_w = shape.window.kernel_w;
  const int64_t all_taps = shape.window.kernel_h * kernel_w, wide = ceil_div(C, kWidth) * kWidth;
  // Weights [vectors of channels, taps, kWidth], of each phase in the order of its taps.
  const Scratch turned(wide * all_taps);
  std::fill_n(turned.data, wide * all_taps, real(0));
  real* place = turned.data;
  for (const Phase& phase : c.phases) {
    for (const int64_t y : phase.kernel_y) {
      for (const int64_t x : phase.kernel_x) {
        for (int64_t i = 0; i < C; ++i) {
          place[i / kWidth * kWidth * all_taps + i % kWidth] =
              weight[i * all_taps + y * kernel_w + x];
        }
        place += kWidth;
      }
    }
  }
  const int64_t rows = c.rows(), band = c.band(), bands = ceil_div(rows, band);
  // A result that the caches cannot hold is written past them, which need not read it first.
  const bool stream =
      fills_lines(target, C) && bytes_of(shape.batch * c.target_h * c.target_w * C) > 1 << 24;
  parallel_for(shape.batch * bands, 1, [&](int64_t i, int64_t stop) {
    for (; i < stop; ++i) {
      const int64_t begin = i % bands * band, end = std::min(rows, begin + band);
      const ChannelPlanes planes(frame_of(c, begin, end), C);
      planes.copy(source + i / bands * c.source_h * c.source_w * C, c.source_h, c.source_w, C);
      real* const result = target + i / bands * c.target_h * c.target_w * C;
      const real* weights = turned.data;
      for (const Phase& phase : c.phases) {
        size_t taps = phase.right.size();  // in a run
        for (size_t x = 1; x < phase.right.size(); ++x) {
          if (phase.right[x] != phase.right[x - 1] + 1) taps = 1;
        }
        auto* const row = taps == 2   ? stencil_row<2>
                          : taps == 3 ? stencil_row<3>
                          : taps == 5 ? stencil_row<5>
                                      : stencil_row<1>;
        if (row == stencil_row<1>) taps = 1;
        Stencil stencil{{}, c.step_w * kWidth, phase.cols, c.spread_w * C};
        for (const int64_t y : phase.down) {
          for (size_t x = 0; x < phase.right.size(); x += taps) {
            stencil.runs.push_back(y * planes.pitch +
                                   (phase.right[x] - planes.frame.left) * kWidth);
          }
        }
        for_vectors(0, C, [&](int64_t channel, auto part) {
          const Vec first = bias ? part.load(bias + channel) : Vec{};
          const real* plane = planes.data.data + channel / kWidth * planes.size;
          for (int64_t r = begin; r < std::min(end, phase.rows); ++r) {
            const int64_t y = (phase.y + r * c.spread_h) * c.target_w + phase.x;
            row(stencil, plane + (r * c.step_h - planes.frame.top) * planes.pitch,
                weights + channel * all_taps, first, result + y * C + channel, C - channel, stream);
          }
        });
        weights += phase.taps() * kWidth;
      }
    }
    if (stream) finish_stores();
  });
}

static void depthwise(const Convolution& c, const real* x, const real* weight, const real* bias,
                      real* y) {
  depthwise_correlate(c, forward(c), x, weight, bias, y);
}

static void depthwise_input_gradient(const Convolution& c, const real* gy, const real* weight,
                                     real* gx) {
  depthwise_correlate(c, backward(c), gy, weight, nullptr, gx);
}

// ---- Gradient of the weights --------------------------------------------------------------------

// A band of gy, and the frame it was made from.
struct Band {
  int64_t rows, pixels, channels;            // of gy; a pixel has `channels`
  int64_t x_row, x_step, tap_row, tap_step;  // of the frame, from row to row of gy and so on
};
// Adds to sums [R, K, kWidth] the sum over all pixels of gy times what each of R x K taps reads; x
// is where the first of them reads for the first pixel. The last row of taps may be read again.
template <int R, int K, class Part>
static void add_taps(Part part, const Band& b, const real* gy, const real* x, real* sums) {
  Vec sum[R][K] = {};
  for (int64_t r = 0; r < b.rows; ++r, x += b.x_row) {
    const real* from = x;
    for (int64_t p = 0; p < b.pixels; ++p, gy += b.channels, from += b.x_step) {
      const Vec slope = part.load(gy);
#pragma GCC unroll 8
      for (int y = 0; y < R; ++y) {
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) {
          sum[y][k] += slope * load(from + y * b.tap_row + k * b.tap_step);
        }
      }
    }
  }
#pragma GCC unroll 32
  for (int i = 0; i < R * K; ++i, sums += kWidth) store(sums, load(sums) + sum[i / K][i % K]);
}

// All taps, as many at once as the registers hold.
template <int K, class Part>
static void add_kernel(Part part, const Band& b, int64_t kernel_h, int64_t kernel_w, const real* gy,
                       const real* x, real* sums) {
  constexpr int R = K * K + 2 <= Isa::kRegisters ? K : 1;
  for (int64_t y = 0; y < kernel_h;) {
    const bool several = y + R <= kernel_h;
    for (int64_t k = 0; k < kernel_w; k += K) {
      const real* from = x + y * b.tap_row + k * b.tap_step;
      real* to = sums + (y * kernel_w + k) * kWidth;
      several ? add_taps<R, K>(part, b, gy, from, to) : add_taps<1, K>(part, b, gy, from, to);
    }
    y += several ? R : 1;
  }
}

// Images are shared out in at most 16 pieces, always the same, whose sums are added in order.
static void depthwise_weight_gradient(const Convolution& c, const real* gy, const real* x,
                                      real* gw) {
  const Window& w = c.window;
  const Correlation map = forward(c);
  const int64_t C = c.in, taps = w.kernel_h * w.kernel_w, wide = ceil_div(C, kWidth) * kWidth;
  const int64_t piece = std::max<int64_t>(1, ceil_div(c.batch, 16));
  const int64_t pieces = std::max<int64_t>(1, ceil_div(c.batch, piece));
  const Scratch sums(pieces * taps * wide);  // each [vectors of channels, taps, kWidth]
  std::fill_n(sums.data, pieces * taps * wide, real(0));
  const int64_t band = map.band();
  parallel_for(c.batch, piece, [&](int64_t n, int64_t stop) {
    real* const mine = sums.data + n / piece * taps * wide;
    for (; n < stop; ++n) {
      for (int64_t begin = 0; begin < w.out_h; begin += band) {
        const int64_t end = std::min(w.out_h, begin + band);
        const ChannelPlanes planes(frame_of(map, begin, end), C);
        planes.copy(x + n * w.h * w.w * C, w.h, w.w, C);
        const Band b{end - begin,
                     w.out_w,
                     C,
                     w.stride_h * planes.pitch,
                     w.stride_w * kWidth,
                     w.dilation_h * planes.pitch,
                     w.dilation_w * kWidth};
        const real* slopes = gy + (n * w.out_h + begin) * w.out_w * C;
        for_vectors(0, C, [&](int64_t channel, auto part) {
          const real* from = planes.data.data + channel / kWidth * planes.size;
          real* to = mine + channel * taps;
          using Part = decltype(part);
          const auto add = w.kernel_w == 3   ? add_kernel<3, Part>
                           : w.kernel_w == 5 ? add_kernel<5, Part>
                                             : add_kernel<1, Part>;
          add(part, b, w.kernel_h, w.kernel_w, slopes + channel, from, to);
        });
      }
    }
  });
  sum_parts(pieces, taps * wide, sums.data, sums.data);
  for (int64_t j = 0; j < C; ++j) {
    for (int64_t k = 0; k < taps; ++k) {
      gw[j * taps + k] = sums.data[(j / kWidth * taps + k) * kWidth + j % kWidth];
    }
  }
}

}  // namespace kindling::kernel
