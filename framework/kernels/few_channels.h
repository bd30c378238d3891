// Convolution of images of few channels, such as photographs: a row of a window is shorter than a
// vector, which would be left half empty. Page: docs/kernels.md
//
// So an image of one channel is read with neighbouring pixels in a vector, and the gradient of a
// few input channels is added up from products with the whole kernel.
#pragma once

#include "kernels/depthwise.h"
#include "kernels/gemm.h"

namespace kindling::kernel {

// ---- One channel to a few -----------------------------------------------------------------------

// Such as the first layer over digits: so few that a register holds the channels of two
// neighbouring pixels. Place 2 o + p of it is channel o of pixel p, so that it takes one load to
// give every channel its pixel of the image.
struct Twins {
  const int64_t out, taps, pixels, pairs;  // pixels and pairs of them in a row
  const Frame frame;
  const int64_t pitch, down;    // from row to row of the frame, and of the kernel in it
  Bits to_pixels, to_channels;  // for permute(): pixel by pixel as in memory, and back

  static bool suit(const Convolution& c) {
    return c.in == 1 && 2 * c.out <= kWidth && c.window.stride_w * c.window.dilation_w == 1;
  }
  explicit Twins(const Convolution& c)
      : out(c.out),
        taps(c.window.kernel_h * c.window.kernel_w),
        pixels(c.window.out_w),
        pairs(ceil_div(pixels, 2)),
        frame(frame_of(forward(c), 0, c.window.out_h)),
        pitch(frame.right - frame.left),
        down(c.window.dilation_h * pitch) {
    to_pixels = to_channels = Bits{} + int(kWidth - 1);  // 0, unless all places are taken
    for (int64_t i = 0; i < 2 * out; ++i) {
      to_pixels[i] = int(i % out * 2 + i / out), to_channels[i] = int(i / 2 + i % 2 * out);
    }
  }
  int64_t numbers(int64_t pair) const { return std::min<int64_t>(2, pixels - 2 * pair) * out; }
};

// Adds what P pairs of pixels meet in a row of K taps: each pair of the image is read once.
template <int P, int K>
[[gnu::always_inline]] static inline void add_row_of_one(Vec (&sum)[P], const real* x,
                                                         const real* weights) {
#pragma GCC unroll 16
  for (int m = 0; m < P + K / 2; ++m) {
    const Vec pair[2] = {load_pair(x + 2 * m), load_pair(x + 2 * m + 1)};
#pragma GCC unroll 8
    for (int k = 0; k < K; ++k) {
      const int p = m - k / 2;
      if (p >= 0 && p < P) sum[p] += pair[k % 2] * load(weights + k * kWidth);
    }
  }
}

// P pairs of a row of y, from `first` on; x is where the first of them begins in the frame.
template <int P>
static void pairs_of_one(const Convolution& c, const Twins& twins, const real* x,
                         const real* weights, real* y, int64_t first) {
  Vec sum[P];
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) sum[p] = load(weights + twins.taps * kWidth);
  for (int64_t r = 0; r < c.window.kernel_h; ++r, x += twins.down) {
    for (int64_t k = 0; k < c.window.kernel_w; k += 5) {
      const real* tap = weights + (r * c.window.kernel_w + k) * kWidth;
      with_number<5>(c.window.kernel_w - k, [&](auto K) { add_row_of_one<P, K>(sum, x + k, tap); });
    }
  }
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) {
    store_first(y + 2 * (first + p) * c.out, permute(sum[p], twins.to_pixels),
                twins.numbers(first + p));
  }
}

static void conv_of_one(const Convolution& c, const real* x, const real* weight, const real* bias,
                        real* y) {
  const Window& w = c.window;
  const Twins twins(c);
  const int64_t out = c.out, taps = twins.taps;
  const Scratch weights((taps + 1) * kWidth);  // each twice; the last are the bias
  std::fill_n(weights.data, (taps + 1) * kWidth, real(0));
  for (int64_t i = 0; i < (taps + 1) * 2 * out; ++i) {
    const int64_t k = i / (2 * out), o = i / 2 % out;
    weights.data[k * kWidth + i % (2 * out)] = k < taps ? weight[o * taps + k] : bias ? bias[o] : 0;
  }
  parallel_each(c.batch, 1, [&](int64_t n) {
    const Scratch image(twins.frame.reals(1) + 8);  // pairs may reach over the end
    twins.frame.copy(x + n * w.h * w.w, w.h, w.w, 1, image.data);
    for (int64_t r = 0; r < w.out_h; ++r) {
      const real* row = image.data + r * w.stride_h * twins.pitch;
      real* to = y + (n * w.out_h + r) * w.out_w * out;
      for_blocks(twins.pairs, [&](auto P, int64_t first) {
        pairs_of_one<P>(c, twins, row + 2 * first, weights.data, to, first);
      });
    }
  });
}

// Adds to the sums of R x K taps the slopes of `rows` rows of pairs times the image. Behind each
// row of slopes are two of zeros: so a pixel that is not finite makes NaN also of taps that only
// these meet.
template <int R, int K>
static void add_taps_of_one(const Convolution& c, const Twins& twins, int64_t rows,
                            const real* slopes, const real* x, real* sums) {
  Vec sum[R][K] = {};
  for (int64_t i = 0; i < rows; ++i, x += c.window.stride_h * twins.pitch) {
    Vec slope[K / 2 + 1] = {};  // the last ones
    const real* from = x;
    for (int64_t m = 0; m < twins.pairs + 2; ++m, from += 2, slopes += kWidth) {
#pragma GCC unroll 8
      for (int k = K / 2; k > 0; --k) slope[k] = slope[k - 1];
      slope[0] = load(slopes);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const real* at = from + r * twins.down;
        const Vec pair[2] = {load_pair(at), load_pair(at + 1)};
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) sum[r][k] += slope[k / 2] * pair[k % 2];
      }
    }
  }
#pragma GCC unroll 32
  for (int i = 0; i < R * K; ++i) {
    real* place = sums + (i / K * c.window.kernel_w + i % K) * kWidth;
    store(place, load(place) + sum[i / K][i % K]);
  }
}

static void weight_gradient_of_one(const Convolution& c, const real* gy, const real* x, real* gw) {
  const Window& w = c.window;
  const Twins twins(c);
  const int64_t band = std::clamp<int64_t>(512 / twins.pairs, 1, w.out_h);
  const Scratch total(twins.taps * kWidth);
  add_in_pieces(c.batch, twins.taps * kWidth, total.data, [&](int64_t n, int64_t stop, real* sums) {
    const Scratch image(twins.frame.reals(1) + 8), slopes(band * (twins.pairs + 2) * kWidth);
    std::fill_n(image.data + twins.frame.reals(1), 8, real(0));
    std::fill_n(slopes.data, band * (twins.pairs + 2) * kWidth, real(0));
    for (; n < stop; ++n) {
      twins.frame.copy(x + n * w.h * w.w, w.h, w.w, 1, image.data);
      for (int64_t begin = 0; begin < w.out_h; begin += band) {
        const int64_t rows = std::min(band, w.out_h - begin);
        const real* from = gy + (n * w.out_h + begin) * w.out_w * c.out;
        for (int64_t r = 0; r < rows; ++r) {
          real* to = slopes.data + r * (twins.pairs + 2) * kWidth;
          for (int64_t i = 0; i < twins.pairs; ++i, to += kWidth) {
            const int64_t count = twins.numbers(i);
            store(to, permute(load_first(from, count), twins.to_channels));
            from += count;
          }
        }
        for_taps(w.kernel_h, w.kernel_w, [&](auto R, auto K, int64_t y, int64_t k) {
          const int64_t row = begin * w.stride_h + y * w.dilation_h;
          add_taps_of_one<R, K>(c, twins, rows, slopes.data, image.data + row * twins.pitch + k,
                                sums + (y * w.kernel_w + k) * kWidth);
        });
      }
    }
  });
  for (int64_t i = 0; i < c.out * twins.taps; ++i) {
    const real* both = total.data + i % twins.taps * kWidth + 2 * (i / twins.taps);
    gw[i] = both[0] + both[1];
  }
}

// Each pixel of gy times the whole kernel, a row of which covers kernel_w pixels beside each other.
static void input_gradient_of_few(const Convolution& c, const real* gy, const real* weight,
                                  real* gx) {
  const Window& w = c.window;
  const int64_t row = w.kernel_w * c.in, K = w.kernel_h * row;
  const Frame frame = frame_of(forward(c), 0, w.out_h);
  const int64_t pitch = (frame.right - frame.left) * c.in, down = w.dilation_h * pitch;
  const int64_t band =
      std::clamp<int64_t>((1 << 15) / std::max<int64_t>(1, w.out_w * K), 1, w.out_h);
  parallel_each(c.batch, 1, [&](int64_t n) {
    const Scratch products(band * w.out_w * K), sums(frame.reals(c.in) + kWidth);
    std::fill_n(sums.data, frame.reals(c.in), real(0));
    for (int64_t begin = 0; begin < w.out_h; begin += band) {
      const int64_t rows = std::min(band, w.out_h - begin);
      piece({gy + (n * w.out_h + begin) * w.out_w * c.out, rows * w.out_w, c.out, c.out, 1},
            {weight, c.out, K, K, 1}, products.data, K, {});
      // Pixels whose windows overlap have their turns long after each other: to read a part of
      // what was only just written takes long.
      for (int64_t s = 0; s < w.kernel_w; ++s) {
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t p = s; p < w.out_w; p += w.kernel_w) {
            const real* from = products.data + (r * w.out_w + p) * K;
            real* to = sums.data + (begin + r) * w.stride_h * pitch + p * w.stride_w * c.in;
            for (int64_t k = 0; k < w.kernel_h; ++k, from += row, to += down) {
              for_vectors(0, row, [=](int64_t j, auto part) {
                store(to + j, load(to + j) + part.load(from + j));
              });
            }
          }
        }
      }
    }
    // Of the sums, those that lie in the image.
    Frame{-frame.top, w.h - frame.top, -frame.left, w.w - frame.left}.copy(
        sums.data, frame.bottom - frame.top, frame.right - frame.left, c.in,
        gx + n * w.h * w.w * c.in);
  });
}

}  // namespace kindling::kernel
