// Depthwise convolution: every channel has its own kernel, so there is no product of matrices; a
// vector holds neighbouring channels of one pixel. Page: docs/kernels.md
//
// Some pixels of a row are summed at once, tap by tap: a tap loads its weights once for all of
// them. Weights are turned to [tap, channel] first. The image is read from a frame of zeros, as in
// conv.h.
#pragma once

#include "kernels/window.h"

namespace kindling::kernel {

// The taps of a pixel: where each reads, from the pixel's place in the frame on, and where its
// weights lie.
struct Taps {
  std::vector<int64_t> at, weights;
};

// P neighbouring pixels, a register of channels or a part of one.
template <int P, class Part>
[[gnu::always_inline]] static inline void stencil(Part part, const Taps& taps, const real* from,
                                                  int64_t step, const real* weights, Vec bias,
                                                  real* to, int64_t spread) {
  Vec sum[P];
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) sum[p] = bias;
  const int64_t *at = taps.at.data(), *weight_at = taps.weights.data();
#pragma GCC unroll 1
  for (size_t k = taps.at.size(); k > 0; --k, ++at, ++weight_at) {
    const real* x = from + *at;
    const Vec w = part.load(weights + *weight_at);
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p, x += step) sum[p] += part.load(x) * w;
  }
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p, to += spread) part.store(to, sum[p]);
}

// A row of pixels. The last eight may overlap those before: they are computed twice.
template <class Part>
static void stencil_row(Part part, const Taps& taps, const real* from, int64_t step,
                        const real* weights, Vec bias, real* to, int64_t spread, int64_t pixels) {
  const auto some = [&](auto count, int64_t p) {
    stencil<decltype(count)::value>(part, taps, from + p * step, step, weights, bias,
                                    to + p * spread, spread);
  };
  int64_t p = 0;
  for (; p + 8 <= pixels; p += 8) some(std::integral_constant<int, 8>(), p);
  if (p < pixels && pixels >= 8) return some(std::integral_constant<int, 8>(), pixels - 8);
  for (; p + 4 <= pixels; p += 4) some(std::integral_constant<int, 4>(), p);
  for (; p < pixels; ++p) some(std::integral_constant<int, 1>(), p);
}

// weight [channels, taps] as [tap, channel]
static void turn(const real* weight, int64_t channels, int64_t taps, real* to) {
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t k = 0; k < taps; ++k) to[k * channels + c] = weight[c * taps + k];
  }
}

// A band of rows is copied into a frame, in the order in which it lies in memory; then one vector
// of channels after the other passes over it, so that the rows that a window shares with the next
// are still in the first cache.
static void depthwise_correlate(const Convolution& shape, const Correlation& c, const real* source,
                                const real* weight, const real* bias, real* target) {
  const int64_t C = shape.in, kernel_w = shape.window.kernel_w;
  const Scratch turned(shape.window.kernel_h * kernel_w * C);
  turn(weight, C, shape.window.kernel_h * kernel_w, turned.data);
  const int64_t rows = c.rows(), band = c.band(), bands = ceil_div(rows, band);
  parallel_for(shape.batch * bands, 1, [&](int64_t i, int64_t stop) {
    for (; i < stop; ++i) {
      const int64_t begin = i % bands * band, end = std::min(rows, begin + band);
      const Frame frame = frame_of(c, begin, end);
      const int64_t pitch = (frame.right - frame.left) * C;
      const Scratch scratch(frame.reals(C));
      frame.copy(source + i / bands * c.source_h * c.source_w * C, c.source_h, c.source_w, C,
                 scratch.data);
      real* const result = target + i / bands * c.target_h * c.target_w * C;
      for (const Phase& phase : c.phases) {
        Taps taps;
        for (size_t y = 0; y < phase.down.size(); ++y) {
          for (size_t x = 0; x < phase.right.size(); ++x) {
            taps.at.push_back(phase.down[y] * pitch + (phase.right[x] - frame.left) * C);
            taps.weights.push_back((phase.kernel_y[y] * kernel_w + phase.kernel_x[x]) * C);
          }
        }
        for_vectors(0, C, [&](int64_t channel, auto part) {
          const Vec first = bias ? part.load(bias + channel) : Vec{};
          for (int64_t r = begin; r < std::min(end, phase.rows); ++r) {
            const int64_t y = (phase.y + r * c.spread_h) * c.target_w + phase.x;
            const real* from = scratch.data + (r * c.step_h - frame.top) * pitch + channel;
            stencil_row(part, taps, from, c.step_w * C, turned.data + channel, first,
                        result + y * C + channel, c.spread_w * C, phase.cols);
          }
        });
      }
    }
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

// Rows of pixels of gy, and the steps in x from row to row, from pixel to pixel and from tap to
// tap.
struct Rows {
  int64_t rows, pixels, gy_pitch, x_pitch, x_step, tap_step;
};
// Adds to sums [K, channels] the sum over all pixels of gy times what each of K neighbouring taps
// reads; x is where the first tap reads for the first pixel.
template <int K, int V, class Part>
static void add_taps(Part part, const Rows& r, const real* gy, const real* x, real* sums,
                     int64_t channels) {
  Vec sum[K][V] = {};
  for (int64_t y = 0; y < r.rows; ++y) {
    const real *g = gy + y * r.gy_pitch, *from = x + y * r.x_pitch;
    for (int64_t p = 0; p < r.pixels; ++p, g += channels, from += r.x_step) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        const Vec slope = part.load(g + v * kWidth);
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) {
          sum[k][v] += slope * part.load(from + k * r.tap_step + v * kWidth);
        }
      }
    }
  }
#pragma GCC unroll 8
  for (int k = 0; k < K; ++k) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      real* place = sums + k * channels + v * kWidth;
      part.store(place, part.load(place) + sum[k][v]);
    }
  }
}

template <int K>
static void add_taps(const Rows& r, const real* gy, const real* x, real* sums, int64_t channels) {
  constexpr int V = K <= 3 ? 4 : 2;
  int64_t c = 0;
  for (; c + V * kWidth <= channels; c += V * kWidth) {
    add_taps<K, V>(Whole{}, r, gy + c, x + c, sums + c, channels);
  }
  for_vectors(c, channels, [&](int64_t i, auto part) {
    add_taps<K, 1>(part, r, gy + i, x + i, sums + i, channels);
  });
}

// The pixels [first, end) of n, `step` apart in the source, whose tap at `offset` is one of [0,
// size).
struct Range {
  int64_t first, end;
  Range(int64_t n, int64_t step, int64_t offset, int64_t size)
      : first(std::min(n, ceil_div(std::max<int64_t>(0, -offset), step))),
        end(std::clamp(offset < size ? (size - 1 - offset) / step + 1 : 0, first, n)) {}
};

// Row y of the kernel for one image: K taps at once where all of them lie inside, at the ends tap
// by tap.
template <int K>
static void add_kernel_row(const Convolution& c, int64_t y, int64_t begin, int64_t stop,
                           const real* gy, const real* x, real* sums) {
  const Window& w = c.window;
  const int64_t C = c.in, down = y * w.dilation_h - w.pad_top;
  Range rows(w.out_h, w.stride_h, down, w.h);
  rows.first = std::max(rows.first, begin), rows.end = std::min(rows.end, stop);
  const auto add = [&](auto taps, int64_t tap, int64_t first, int64_t end) {
    if (rows.first >= rows.end || first >= end) return;
    const int64_t right = tap * w.dilation_w - w.pad_left + first * w.stride_w;
    add_taps<decltype(taps)::value>({rows.end - rows.first, end - first, w.out_w * C,
                                     w.stride_h * w.w * C, w.stride_w * C, w.dilation_w * C},
                                    gy + (rows.first * w.out_w + first) * C,
                                    x + ((rows.first * w.stride_h + down) * w.w + right) * C,
                                    sums + tap * C, C);
  };
  const auto inside = [&](int64_t tap) {
    return Range(w.out_w, w.stride_w, tap * w.dilation_w - w.pad_left, w.w);
  };
  for (int64_t tap = 0; tap < w.kernel_w; tap += K) {
    const int64_t first = inside(tap).first, end = std::max(first, inside(tap + K - 1).end);
    add(std::integral_constant<int, K>(), tap, first, end);
    for (int64_t t = tap; t < tap + K; ++t) {
      add(std::integral_constant<int, 1>(), t, inside(t).first, std::min(first, inside(t).end));
      add(std::integral_constant<int, 1>(), t, std::max(end, inside(t).first), inside(t).end);
    }
  }
}

// Images are shared out in at most 16 pieces, always the same, whose sums are added in order.
static void depthwise_weight_gradient(const Convolution& c, const real* gy, const real* x,
                                      real* gw) {
  const Window& w = c.window;
  const int64_t C = c.in, taps = w.kernel_h * w.kernel_w;
  const int64_t piece = std::max<int64_t>(1, ceil_div(c.batch, 16));
  const int64_t pieces = std::max<int64_t>(1, ceil_div(c.batch, piece));
  const Scratch sums(pieces * taps * C);
  std::fill_n(sums.data, pieces * taps * C, real(0));
  const int64_t band = forward(c).band();
  parallel_for(c.batch, piece, [&](int64_t n, int64_t stop) {
    real* const mine = sums.data + n / piece * taps * C;
    for (; n < stop; ++n) {
      const real *from_gy = gy + n * w.out_h * w.out_w * C, *from_x = x + n * w.h * w.w * C;
      for (int64_t begin = 0; begin < w.out_h; begin += band) {
        const int64_t end = std::min(w.out_h, begin + band);
        for (int64_t y = 0; y < w.kernel_h; ++y) {
          real* to = mine + y * w.kernel_w * C;
          if (w.kernel_w == 3) {
            add_kernel_row<3>(c, y, begin, end, from_gy, from_x, to);
          } else if (w.kernel_w == 5) {
            add_kernel_row<5>(c, y, begin, end, from_gy, from_x, to);
          } else {
            add_kernel_row<1>(c, y, begin, end, from_gy, from_x, to);
          }
        }
      }
    }
  });
  sum_parts(pieces, taps * C, sums.data, sums.data);
  for (int64_t k = 0; k < taps; ++k) {
    for (int64_t j = 0; j < C; ++j) gw[j * taps + k] = sums.data[k * C + j];
  }
}

}  // namespace kindling::kernel
