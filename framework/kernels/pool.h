// Pooling: the maximum of each window, channel by channel. The mean of each is a depthwise
// convolution. Page: docs/kernels.md
//
// The channels of a pixel lie beside each other, so a register holds one place of the window for
// many channels.
#pragma once

#include "kernels/walk.h"

namespace kindling::kernel {

// The places of a window at output o that are inside [0, n): `count` of them from `first` on.
struct Places {
  int64_t first, step, count;
  Places(int64_t o, int64_t n, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation)
      : first(o * stride - pad), step(dilation), count(kernel) {
    // Counted and not divided for: a division takes as long as pooling eight numbers.
    for (; count > 0 && first < 0; first += step) --count;
    while (count > 0 && first + (count - 1) * step >= n) --count;
  }
};

static void count_pool(int64_t batch, int64_t channels, const Window& s) {
  const int64_t outputs = batch * s.out_h * s.out_w * channels;
  count_cost(outputs * s.kernel_h * s.kernel_w,
             bytes_of(batch * s.h * s.w * channels + outputs) + 4 * outputs);
}

static void max_pool(int64_t batch, int64_t channels, const Window& s, const real* x, real* y,
                     int32_t* where) {
  count_pool(batch, channels, s);
  const int64_t grain = row_grain(s.out_w * channels * s.kernel_h * s.kernel_w);
  parallel_each(batch * s.out_h, grain, [&](int64_t row) {
    const real* image = x + row / s.out_h * s.h * s.w * channels;
    const Places down(row % s.out_h, s.h, s.kernel_h, s.stride_h, s.pad_top, s.dilation_h);
    for (int64_t o = 0; o < s.out_w; ++o) {
      const Places across(o, s.w, s.kernel_w, s.stride_w, s.pad_left, s.dilation_w);
      const int64_t first = down.first * s.w + across.first, to = (row * s.out_w + o) * channels;
      for_vectors(0, channels, [=, width = s.w](int64_t c, auto part) {
        Vec best = part.load(image + first * channels + c);
        Mask index = Mask{} + int32_t(first);
        for (int64_t i = 0; i < down.count; ++i) {
          int64_t place = first + i * down.step * width;
          for (int64_t j = 0; j < across.count; ++j, place += across.step) {
            const Vec v = part.load(image + place * channels + c);
            const Mask larger = ~(v <= best) & (best == best);  // or the first NaN
            best = larger ? v : best;
            index = larger ? Mask{} + int32_t(place) : index;
          }
        }
        part.store(y + to + c, best);
        for (int64_t i = 0; i < part.n; ++i) where[to + c + i] = int32_t(index[i]);
      });
    }
  });
}

// Windows may share a pixel, so an image belongs to one thread.
static void max_pool_gradient(int64_t batch, int64_t channels, const Window& s, const real* gy,
                              const int32_t* where, real* gx) {
  count_pool(batch, channels, s);
  const int64_t inputs = s.h * s.w * channels, outputs = s.out_h * s.out_w * channels;
  parallel_each(batch, row_grain(inputs), [&](int64_t n) {
    real* const image = gx + n * inputs;
    std::fill_n(image, inputs, real(0));
    for (int64_t i = n * outputs; i < (n + 1) * outputs; i += channels) {
      for (int64_t c = 0; c < channels; ++c) image[where[i + c] * channels + c] += gy[i + c];
    }
  });
}

}  // namespace kindling::kernel
