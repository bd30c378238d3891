// Convolution of images [h, w, channels], as matrix products over overlapping rows: neighbouring
// pixels of the output need neighbouring stretches of the padded image, so the image itself, read
// with the stride of a pixel, is the left factor, and no copy of its windows is made. Page:
// docs/kernels.md
//
// What is copied is a band of an image into a frame of zeros that stays in the cache: where windows
// reach over the edge of the image, and always for the gradient of the weights; and patches,
// windows that share no pixel, whose copy is as large as the image. The gradient of the input is a
// convolution of the output's gradient; with strides it falls apart into phases, pixels that meet
// the same taps of the kernel.
#pragma once

#include "kernels/depthwise.h"
#include "kernels/few_channels.h"
#include "kernels/winograd.h"

namespace kindling::kernel {

// Where the runs of channels begin that a pixel reads, from its place in the frame on: one for each
// row of taps, if these lie beside each other, otherwise one for each tap.
struct Segments {
  std::vector<int64_t> at;
  int64_t depth;
};
static Segments segments_of(const Phase& phase, const Frame& frame, int64_t channels,
                            int64_t depth) {
  const int64_t pitch = (frame.right - frame.left) * channels;
  const std::vector<int64_t>& right = phase.right;
  bool beside = depth == channels;
  for (size_t i = 1; i < right.size(); ++i) beside = beside && right[i] == right[i - 1] + 1;
  Segments result{{}, beside ? depth * int64_t(right.size()) : depth};
  for (const int64_t y : phase.down) {
    for (size_t i = 0; i < (beside ? std::min<size_t>(1, right.size()) : right.size()); ++i) {
      result.at.push_back(y * pitch + (right[i] - frame.left) * channels);
    }
  }
  return result;
}

// The width of tiles that load least for a row of pixels: for each step and V vectors, one number a
// pixel and V vectors a tile, so that a multiply-add needs 1 / V + tiles / pixels of a load.
static int64_t widest_for(int64_t pixels) {
  const auto tiles = [pixels](int V) { return ceil_div(pixels, tile_rows(V)); };
  constexpr int V = kMaxVectors;
  return V * (V - 1) * (tiles(V) - tiles(V - 1)) <= pixels ? V : V - 1;
}

// target = source * weight + bias. `weight` is the matrix [channels of the source, channels of the
// target] of the first tap of the kernel in the first group.
static void correlate(const Convolution& shape, const Correlation& c, const real* source,
                      const Matrix& weight, const real* bias, real* target) {
  const int64_t groups = shape.groups, depth = weight.rows, columns = weight.cols;
  const int64_t wide = ceil_div(columns, kWidth) * kWidth, rows = c.rows();
  // In the weights, from tap to tap and from group to group.
  const int64_t tap_step = shape.in / groups;
  const int64_t group_step =
      shape.out / groups * shape.window.kernel_h * shape.window.kernel_w * tap_step;
  std::vector<int64_t> packed_at = {0};
  for (const Phase& phase : c.phases) {
    packed_at.push_back(packed_at.back() + phase.taps() * groups * depth * wide);
  }
  const Scratch packed(packed_at.back());
  const bool large = is_large(shape.batch * c.target_h * c.target_w * c.target_channels);
  const int64_t phases = int64_t(c.phases.size());
  parallel_each(phases * groups, 1, [&](int64_t i) {
    const Phase& phase = c.phases[size_t(i / groups)];
    const int64_t g = i % groups, total = phase.taps() * depth;
    real* to = packed.data + packed_at[size_t(i / groups)] + g * total * wide;
    const auto group = [&](int64_t column, int64_t cols, int64_t, int64_t vectors) {
      const real* from = weight.data + g * group_step + column * weight.col_stride;
      real* place = to + column * total;
      for (const int64_t y : phase.kernel_y) {
        for (const int64_t x : phase.kernel_x) {
          const int64_t tap = y * shape.window.kernel_w + x;
          pack(weight, from + tap * tap_step, depth, cols, vectors, total, place);
          place += depth * vectors * kWidth;
        }
      }
    };
    for_groups(columns, total, widest_for(phase.cols), group);
  });
  const int64_t band = c.band(), bands = ceil_div(rows, band);
  parallel_each(shape.batch * bands, 1, [&](int64_t i) {
    const int64_t begin = i % bands * band, end = std::min(rows, begin + band);
    const real* image = source + i / bands * c.source_h * c.source_w * c.source_channels;
    real* const result = target + i / bands * c.target_h * c.target_w * c.target_channels;
    Frame frame = frame_of(c, begin, end);
    const int64_t channels = c.source_channels;
    const bool copied = frame.top < 0 || frame.bottom > c.source_h || frame.left < 0 ||
                        frame.right > c.source_w;  // where windows reach over the edge
    const Scratch scratch(copied ? frame.reals(channels) : 0);
    if (copied) {
      frame.copy(image, c.source_h, c.source_w, channels, scratch.data);
      image = scratch.data;
    } else {
      frame = {0, c.source_h, 0, c.source_w};
    }
    const int64_t pitch = (frame.right - frame.left) * channels;
    for (int64_t p = 0; p < phases; ++p) {
      const Phase& phase = c.phases[size_t(p)];
      const Segments segments = segments_of(phase, frame, channels, depth);
      const int64_t total = phase.taps() * depth;
      for (int64_t g = 0; g < groups; ++g) {
        const real* b = packed.data + packed_at[size_t(p)] + g * total * wide;
        const auto group = [&](int64_t column, int64_t cols, int64_t panels, int64_t vectors) {
          const int64_t at = g * columns + column, width = vectors * kWidth;
          Block block{.tile = {.depth = segments.depth,
                               .a = {nullptr, c.step_w * channels, 1, segments.at.data(),
                                     int64_t(segments.at.size())},
                               .b = {b + column * total, width, total * width},
                               .c = {nullptr, c.spread_w * c.target_channels, false,
                                     bias ? bias + at : nullptr, large}},
                      .rows = phase.cols,
                      .cols = cols,
                      .panels = panels};
          for (int64_t r = begin; r < std::min(end, phase.rows); ++r) {
            const int64_t pixel = (phase.y + r * c.spread_h) * c.target_w + phase.x;
            block.tile.a.data = image + (r * c.step_h - frame.top) * pitch + g * depth;
            block.tile.c.data = result + at + pixel * c.target_channels;
            run(vectors, block);
          }
        };
        for_groups(columns, total, widest_for(phase.cols), group);
      }
    }
  });
}

static bool is_depthwise(const Convolution& c) {
  return c.groups > 1 && c.groups == c.in && c.in == c.out;
}
// Whether the windows lie beside each other and cover the image: it is cut into patches, or, with
// a kernel of 1 x 1, into pixels. Patches are copied, which few outputs do not pay for.
static bool cuts_patches(const Convolution& c) {
  const Window& w = c.window;
  return c.groups == 1 && w.dilation_h * w.dilation_w == 1 && w.pad_top == 0 && w.pad_left == 0 &&
         w.kernel_h == w.stride_h && w.kernel_w == w.stride_w && w.out_h * w.kernel_h == w.h &&
         w.out_w * w.kernel_w == w.w && (w.kernel_h == 1 || c.out >= 128);
}

// Patches as rows of a matrix, in the order of the kernel: where a row of them lies in memory,
// their rows and they themselves change places. `back` is the way from there.
static void copy_patches(const Convolution& c, const real* from, real* to, bool back) {
  const int64_t R = c.window.kernel_h, P = c.window.out_w, run = c.window.kernel_w * c.in;
  parallel_each(c.batch * c.window.out_h, row_grain(R * P * run), [&](int64_t n) {
    for (int64_t i = 0; i < R * P; ++i) {
      const int64_t image = n * R * P + i, patch = n * R * P + i % P * R + i / P;
      std::copy_n(from + (back ? patch : image) * run, run, to + (back ? image : patch) * run);
    }
  });
}

// The product gy^T x over pixels: A is gy, B the frame, whose rows begin at each pixel's window.
// Each row of the kernel has its own product, with kernel_w in columns. Where these would leave a
// register half empty and the output channels do not, A and B are exchanged. Pixels are summed in
// blocks of rows, or of whole small images; images are shared out in pieces whose sums are added in
// order, more pieces where the weights are few: all always the same.
static void weight_gradient(const Convolution& c, const real* gy, const real* x, real* gw) {
  const Window& w = c.window;
  const int64_t in = c.in / c.groups, out = c.out / c.groups, K = w.kernel_h * w.kernel_w * in;
  const bool beside = w.dilation_w == 1 && c.groups == 1;
  const int64_t columns = beside ? w.kernel_w * in : in, runs = beside ? 1 : w.kernel_w;
  const bool exchanged = beside && columns < kWidth && out % kWidth == 0;
  const int64_t size = c.out * K,
                most = std::clamp<int64_t>((1 << 17) / std::max<int64_t>(1, size), 1, 16);
  const int64_t share = std::max<int64_t>(1, ceil_div(c.batch, most));
  const int64_t shares = std::max<int64_t>(1, ceil_div(c.batch, share));
  const int64_t parts = cut(ceil_div(4 * threads_here(), shares), out, 32);
  const int64_t part = ceil_div(ceil_div(out, parts), kWidth) * kWidth;
  const int64_t band = std::clamp<int64_t>(1024 / w.out_w, 1, w.out_h);
  const int64_t images = band < w.out_h ? 1 : std::max<int64_t>(1, 512 / (w.out_h * w.out_w));
  constexpr int64_t kBehind = 16;  // tiles may reach over the end of the frames
  const Correlation map = forward(c);
  const Scratch sums(shares * size);
  std::fill_n(sums.data, shares * size, real(0));
  parallel_each(shares * c.groups * parts, 1, [&](int64_t i) {
    const int64_t g = i / parts % c.groups, first = i % parts * part,
                  n0 = i / parts / c.groups * share;
    if (first >= out) return;
    const int64_t n_end = std::min(c.batch, n0 + share), outs = std::min(part, out - first);
    std::vector<int64_t> gy_at, x_at;  // where the rows of pixels begin in gy and in the frames
    for (int64_t n = n0; n < n_end; n += images) {
      const int64_t here = std::min(images, n_end - n);
      for (int64_t begin = 0; begin < w.out_h; begin += band) {
        const int64_t end = std::min(w.out_h, begin + band);
        const Frame frame = frame_of(map, begin, end);
        const int64_t pitch = (frame.right - frame.left) * c.in, frame_size = frame.reals(c.in);
        const Scratch room(here * frame_size + kBehind);
        real* const frames = room.data;
        std::fill_n(frames + here * frame_size, kBehind, real(0));
        gy_at.clear(), x_at.clear();
        for (int64_t m = 0; m < here; ++m) {
          frame.copy(x + (n + m) * w.h * w.w * c.in, w.h, w.w, c.in, frames + m * frame_size);
          for (int64_t r = begin; r < end; ++r) {
            gy_at.push_back(((n + m) * w.out_h + r) * w.out_w * c.out);
            x_at.push_back(m * frame_size + (r - begin) * w.stride_h * pitch);
          }
        }
        const int64_t rows = int64_t(gy_at.size());
        const real* const slopes = gy + g * out + first;
        real* const sum = sums.data + n0 / share * size;
        for (int64_t k = 0; k < K / columns; ++k) {
          const real* taps =
              frames + k / runs * w.dilation_h * pitch + k % runs * w.dilation_w * c.in + g * in;
          Block block;
          block.tile.depth = w.out_w;
          block.rows = exchanged ? columns : outs;
          if (exchanged) {
            block.tile.a = {taps, 1, w.stride_w * c.in, x_at.data(), rows};
            block.tile.b = {slopes, c.out, 0, gy_at.data()};
            block.tile.c = {sum + k * columns * out + first, out, true};
          } else {
            block.tile.a = {slopes, 1, c.out, gy_at.data(), rows};
            block.tile.b = {taps, w.stride_w * c.in, 0, x_at.data()};
            block.tile.c = {sum + (g * out + first) * K + k * columns, K, true};
          }
          const auto run_group = [&](int64_t column, int64_t cols, int64_t panels,
                                     int64_t vectors) {
            Block group = block;
            group.tile.b.data += column, group.tile.b.panel_step = vectors * kWidth;
            group.tile.c.data += column, group.cols = cols, group.panels = panels;
            run(vectors, group);
          };
          for_groups(exchanged ? outs : columns, w.out_w * rows, exchanged ? kMaxVectors : 3,
                     run_group);
        }
      }
    }
  });
  sum_parts(shares, size, sums.data, exchanged ? sums.data : gw);
  for (int64_t i = 0; exchanged && i < size; ++i) gw[i % out * K + i / out] = sums.data[i];
}

// ---- The three directions -----------------------------------------------------------------------

// Counts the cost, which the products would count once more, and calls f(windows, a window's
// numbers, room for patches).
template <class F> static void as_products(const Convolution& shape, const F& f) {
  const Window& w = shape.window;
  const int64_t K = w.kernel_h * w.kernel_w * shape.in / shape.groups;
  const int64_t outputs = shape.batch * w.out_h * w.out_w * shape.out;
  count_cost(2 * outputs * K,
             bytes_of(outputs + shape.batch * w.h * w.w * shape.in + shape.out * K));
  const Uncounted products;
  const Scratch patches(w.kernel_h > 1 && cuts_patches(shape) ? outputs / shape.out * K : 0);
  f(outputs / shape.out, K, patches.bytes > 0 ? patches.data : nullptr);
}

static void conv(const Convolution& c, const real* x, const real* weight, const real* bias,
                 real* y) {
  as_products(c, [=, &c](int64_t windows, int64_t K, real* patches) {
    if (is_depthwise(c)) {
      depthwise(c, forward(c), x, weight, bias, y);
    } else if (cuts_patches(c)) {
      if (patches) copy_patches(c, x, patches, false);
      gemm({patches ? patches : x, windows, K, K, 1}, {weight, K, c.out, 1, K}, y, c.out,
           {.bias = bias});
    } else if (Twins::suit(c)) {
      conv_of_one(c, x, weight, bias, y);
    } else {
      (suits_winograd(c) ? winograd : correlate)(
          c, forward(c), x, {weight, c.in / c.groups, c.out / c.groups, 1, K}, bias, y);
    }
  });
}

static void conv_input_gradient(const Convolution& c, const real* gy, const real* weight,
                                real* gx) {
  as_products(c, [=, &c](int64_t windows, int64_t K, real* patches) {
    if (is_depthwise(c)) {
      depthwise(c, backward(c), gy, weight, nullptr, gx);
    } else if (cuts_patches(c)) {
      gemm({gy, windows, c.out, c.out, 1}, {weight, c.out, K, K, 1}, patches ? patches : gx, K, {});
      if (patches) copy_patches(c, patches, gx, true);
    } else if (c.groups == 1 && c.window.dilation_w == 1 && 2 * c.in < kWidth) {
      input_gradient_of_few(c, gy, weight, gx);
    } else {
      (suits_winograd(c) ? winograd : correlate)(
          c, backward(c), gy, {weight, c.out / c.groups, c.in / c.groups, K, 1}, nullptr, gx);
    }
  });
}

static void conv_weight_gradient(const Convolution& c, const real* gy, const real* x, real* gw) {
  as_products(c, [=, &c](int64_t windows, int64_t K, real* patches) {
    if (is_depthwise(c)) {
      depthwise_weight_gradient(c, gy, x, gw);
    } else if (cuts_patches(c)) {
      if (patches) copy_patches(c, x, patches, false);
      gemm({gy, c.out, windows, 1, c.out}, {patches ? patches : x, windows, K, K, 1}, gw, K, {});
    } else if (Twins::suit(c)) {
      weight_gradient_of_one(c, gy, x, gw);
    } else {
      (suits_winograd(c) ? winograd_weight_gradient : weight_gradient)(c, gy, x, gw);
    }
  });
}

}  // namespace kindling::kernel
