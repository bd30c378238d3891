// Convolution of images of few channels, such as photographs: a row of a window is shorter than a
// vector, which would be left half empty. Page: docs/kernels.md
//
// So the gradient of the weights lays the windows out after all, a band of pixels at a time, which
// stays in the cache; that of the input is added up from products with the whole kernel; and an
// image of one channel is read with neighbouring pixels in a vector.
#pragma once

#include "kernels/gemm.h"
#include "kernels/window.h"

namespace kindling::kernel {

static bool few_channels(const Convolution& c) {
  return c.groups == 1 && c.window.dilation_w == 1 && c.window.kernel_w * c.in < kWidth;
}

// The windows of `rows` rows of pixels, each K = kernel_h kernel_w in numbers long.
struct Patches {
  int64_t K, stride;  // from one to the next
  Scratch data;
  Patches(const Convolution& c, int64_t rows)
      : K(c.window.kernel_h * c.window.kernel_w * c.in),
        stride(ceil_div(K, kWidth) * kWidth),
        data(rows * c.window.out_w * stride) {}

  // From a frame, a vector around which may be read.
  void lay_out(const Convolution& c, const real* frame, int64_t pitch, int64_t rows) const {
    const int64_t length = c.window.kernel_w * c.in;
    for (int64_t j = 0; j < K; j += kWidth) {
      const int64_t parts = std::min(K - 1, j + kWidth - 1) / length - j / length + 1;
      if (parts <= 2) {
        lay_out<2>(c, frame, pitch, rows, j);
      } else {
        parts <= 4 ? lay_out<4>(c, frame, pitch, rows, j)
                   : lay_out<kWidth>(c, frame, pitch, rows, j);
      }
    }
  }

 private:
  // Numbers [j, j + kWidth) of all windows, put together from at most P rows of each.
  template <int P>
  void lay_out(const Convolution& c, const real* frame, int64_t pitch, int64_t rows,
               int64_t j) const {
    const Window& w = c.window;
    const int64_t length = w.kernel_w * c.in, first = j / length;
    Mask part[P];
    int64_t at[P];
    for (int64_t k = 0; k < P; ++k) {
      at[k] = std::min(first + k, w.kernel_h - 1) * (w.dilation_h * pitch - length) + j;
      for (int64_t i = 0; i < kWidth; ++i) part[k][i] = -((j + i) / length == first + k);
    }
    real* to = data.data + j;
    for (int64_t r = 0; r < rows; ++r) {
      const real* from = frame + r * w.stride_h * pitch;
      for (int64_t p = 0; p < w.out_w; ++p, from += w.stride_w * c.in, to += stride) {
        Vec line = load(from + at[0]);
#pragma GCC unroll 16
        for (int64_t k = 1; k < P; ++k) line = part[k] ? load(from + at[k]) : line;
        store(to, line);
      }
    }
  }
};

// An image of one channel to a few: the weights times the rows of the image, of which neighbouring
// pixels fill a vector, as many planes as there are channels; these are turned to pixels.
static void conv_of_one(const Convolution& c, const real* x, const real* weight, const real* bias,
                        real* y) {
  const Window& w = c.window;
  const int64_t wide = ceil_div(w.out_w, kWidth) * kWidth, out = c.out;
  const Frame frame = frame_of(forward(c), 0, w.out_h);
  const int64_t pitch = frame.right - frame.left;
  std::vector<int64_t> a_at, b_at;
  for (int64_t k = 0; k < w.kernel_h; ++k) {
    a_at.push_back(k * w.kernel_w), b_at.push_back(k * w.dilation_h * pitch);
  }
  parallel_for(c.batch, 1, [&](int64_t n, int64_t stop) {
    const Scratch image(frame.reals(1) + kMaxVectors * kWidth), planes(out * wide);
    for (; n < stop; ++n) {
      frame.copy(x + n * w.h * w.w, w.h, w.w, 1, image.data);
      for (int64_t r = 0; r < w.out_h; ++r) {
        const real* row = image.data + r * w.stride_h * pitch;
        const auto group = [&](int64_t column, int64_t cols, int64_t panels, int64_t vectors) {
          run(vectors, {.tile = {.depth = w.kernel_w,
                                 .a = {weight, w.kernel_h * w.kernel_w, 1, a_at.data(), w.kernel_h},
                                 .b = {row + column, 1, vectors * kWidth, b_at.data()},
                                 .c = {planes.data + column, wide}},
                        .rows = out,
                        .cols = cols,
                        .panels = panels});
        };
        for_groups(wide, 1, kMaxVectors, group);
        real* to = y + (n * w.out_h + r) * w.out_w * out;
        for (int64_t p = 0; p < w.out_w; p += kWidth) {
          Vec square[kWidth] = {};  // in registers: its loops unroll
#pragma GCC unroll 8
          for (int64_t i = 0; i < kWidth / 2; ++i) {
            const int64_t o = std::min(i, out - 1);
            square[i] = load(planes.data + o * wide + p) + (bias ? bias[o] : 0);
          }
          transpose(square);
          const int64_t pixels = std::min(kWidth, w.out_w - p);
#pragma GCC unroll 16
          for (int64_t i = 0; i < kWidth; ++i, to += out) {
            if (i < pixels) store_first(to, square[i], out);
          }
          to -= (kWidth - pixels) * out;
        }
      }
    }
  });
}

// Each pixel of gy times the whole kernel, a row of which covers kernel_w pixels beside each other.
static void input_gradient_of_few(const Convolution& c, const real* gy, const real* weight,
                                  real* gx) {
  const Window& w = c.window;
  const int64_t row = w.kernel_w * c.in, K = w.kernel_h * row;
  const Frame frame = frame_of(forward(c), 0, w.out_h);
  const int64_t pitch = (frame.right - frame.left) * c.in;
  const int64_t band =
      std::clamp<int64_t>((1 << 15) / std::max<int64_t>(1, w.out_w * K), 1, w.out_h);
  parallel_for(c.batch, 1, [&](int64_t n, int64_t stop) {
    const Scratch products(band * w.out_w * K), sums(frame.reals(c.in));
    for (; n < stop; ++n) {
      std::fill_n(sums.data, frame.reals(c.in), real(0));
      for (int64_t begin = 0; begin < w.out_h; begin += band) {
        const int64_t rows = std::min(band, w.out_h - begin);
        piece({gy + (n * w.out_h + begin) * w.out_w * c.out, rows * w.out_w, c.out, c.out, 1},
              {weight, c.out, K, K, 1}, products.data, K, {}, false);
        const real* from = products.data;
        for (int64_t r = begin; r < begin + rows; ++r) {
          real* to = sums.data + r * w.stride_h * pitch;
          for (int64_t p = 0; p < w.out_w; ++p, to += w.stride_w * c.in) {
            for (int64_t k = 0; k < w.kernel_h; ++k) {
              real* place = to + k * w.dilation_h * pitch;
              for (int64_t j = 0; j < row; j += kWidth) {
                const int64_t count = std::min(kWidth, row - j);
                store_first(place + j, load_first(place + j, count) + load_first(from + j, count),
                            count);
              }
              from += row;
            }
          }
        }
      }
      real* to = gx + n * w.h * w.w * c.in;
      const int64_t left = std::max<int64_t>(0, frame.left), right = std::min(w.w, frame.right);
      for (int64_t y = 0; y < w.h; ++y, to += w.w * c.in) {
        std::fill_n(to, w.w * c.in, real(0));
        if (y < frame.top || y >= frame.bottom || left >= right) continue;
        std::copy_n(sums.data + (y - frame.top) * pitch + (left - frame.left) * c.in,
                    (right - left) * c.in, to + left * c.in);
      }
    }
  });
}

}  // namespace kindling::kernel
