// Which pixels a sliding window reads: what convolutions of every kind share. Page: docs/kernels.md
//
// Forward, an output pixel reads the taps of its window. Backward, an input pixel reads the output
// pixels whose windows hold it: with a stride these fall apart into phases, pixels that meet the
// same taps of the kernel. Both are described in one way, so that one loop serves both.
#pragma once

#include "kernels/walk.h"

namespace kindling::kernel {

// Pixels of the target that meet the same taps, and where each tap finds its pixel of the source.
struct Phase {
  int64_t y, x, rows, cols;                 // the first pixel, and how many there are in the target
  std::vector<int64_t> down, right;         // of the source, from the place of the first pixel on
  std::vector<int64_t> kernel_y, kernel_x;  // the tap it is multiplied by
  int64_t taps() const { return int64_t(down.size() * right.size()); }
};

// How a target image is made from a source image: forward, y from x; backward, x from y.
struct Correlation {
  int64_t source_h, source_w, source_channels, target_h, target_w, target_channels;
  int64_t step_h, step_w;      // in the source, from one pixel of a phase to the next
  int64_t spread_h, spread_w;  // in the target
  std::vector<Phase> phases;

  int64_t rows() const {  // of the phase that has most
    int64_t most = 0;
    for (const Phase& phase : phases) most = std::max(most, phase.rows);
    return most;
  }
  // Rows of a phase, at least one, whose frame takes a good half of the second cache.
  int64_t band() const {
    const int64_t bytes = bytes_of(step_h * source_w * source_channels);
    return std::clamp<int64_t>((1 << 18) / std::max<int64_t>(1, bytes), 1,
                               std::max<int64_t>(1, rows()));
  }
};

static Correlation forward(const Convolution& c) {
  const Window& w = c.window;
  Correlation result{w.h, w.w, c.in, w.out_h, w.out_w, c.out, w.stride_h, w.stride_w, 1, 1, {}};
  Phase phase{0, 0, w.out_h, w.out_w, {}, {}, {}, {}};
  for (int64_t k = 0; k < w.kernel_h; ++k) {
    phase.down.push_back(k * w.dilation_h - w.pad_top), phase.kernel_y.push_back(k);
  }
  for (int64_t k = 0; k < w.kernel_w; ++k) {
    phase.right.push_back(k * w.dilation_w - w.pad_left), phase.kernel_x.push_back(k);
  }
  result.phases.push_back(std::move(phase));
  return result;
}

// The taps that an input pixel at `first` meets, from the last on, so that they lie in ascending
// order: tap k of output pixel o reads the input pixel o stride + k dilation - pad.
static void taps_of(int64_t first, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation,
                    std::vector<int64_t>& offsets, std::vector<int64_t>& taps) {
  for (int64_t k = kernel; k-- > 0;) {
    const int64_t o = first + pad - k * dilation;
    if (o % stride == 0) offsets.push_back(o / stride), taps.push_back(k);
  }
}

static Correlation backward(const Convolution& c) {
  const Window& w = c.window;
  Correlation result{w.out_h, w.out_w, c.out, w.h, w.w, c.in, 1, 1, w.stride_h, w.stride_w, {}};
  for (int64_t y = 0; y < std::min(w.stride_h, w.h); ++y) {
    for (int64_t x = 0; x < std::min(w.stride_w, w.w); ++x) {
      Phase phase{y,  x, ceil_div(w.h - y, w.stride_h), ceil_div(w.w - x, w.stride_w), {}, {},
                  {}, {}};
      taps_of(y, w.kernel_h, w.stride_h, w.pad_top, w.dilation_h, phase.down, phase.kernel_y);
      taps_of(x, w.kernel_w, w.stride_w, w.pad_left, w.dilation_w, phase.right, phase.kernel_x);
      result.phases.push_back(std::move(phase));
    }
  }
  return result;
}

// A frame around a part of an image: rows [top, bottom) and columns [left, right) of it, of which
// those outside the image are zeros.
struct Frame {
  int64_t top, bottom, left, right;
  int64_t reals(int64_t channels) const { return (bottom - top) * (right - left) * channels; }

  void copy(const real* image, int64_t h, int64_t w, int64_t channels, real* to) const {
    const int64_t first = std::clamp<int64_t>(0, left, right), end = std::clamp(w, left, right);
    for (int64_t y = top; y < bottom; ++y) {
      const bool empty = y < 0 || y >= h || first >= end;
      const int64_t before = empty ? right - left : first - left, after = empty ? 0 : right - end;
      to = std::fill_n(to, before * channels, real(0));
      if (!empty)
        to = std::copy_n(image + (y * w + first) * channels, (end - first) * channels, to);
      to = std::fill_n(to, after * channels, real(0));
    }
  }
};

// The frame of rows [begin, end) of all phases.
static Frame frame_of(const Correlation& c, int64_t begin, int64_t end) {
  Frame frame{INT64_MAX, INT64_MIN, INT64_MAX, INT64_MIN};
  for (const Phase& phase : c.phases) {
    const int64_t last = std::min(end, phase.rows) - 1;
    if (phase.taps() == 0 || last < begin) continue;
    const auto [up, down] = std::minmax_element(phase.down.begin(), phase.down.end());
    const auto [left, right] = std::minmax_element(phase.right.begin(), phase.right.end());
    frame.top = std::min(frame.top, begin * c.step_h + *up);
    frame.bottom = std::max(frame.bottom, last * c.step_h + *down + 1);
    frame.left = std::min(frame.left, *left);
    frame.right = std::max(frame.right, (phase.cols - 1) * c.step_w + *right + 1);
  }
  return frame.top == INT64_MAX ? Frame{0, 0, 0, 0} : frame;
}

}  // namespace kindling::kernel
