// Pooling: the maximum or the mean of each window, channel by channel. Page: docs/kernels.md
//
// The channels of a pixel lie beside each other, so a register holds one place of the window for
// many channels. Backwards each pixel of the image collects from the windows that cover it: it is
// written once, by one thread, in one order.
#pragma once

#include "kernels/vec.h"
#include "kernels/walk.h"

namespace kindling::kernel {

// One direction of a window. The mean knows no dilation.
struct Side {
  int64_t n, out, kernel, stride, pad, dilation;
  int64_t start(int64_t o) const { return o * stride - pad; }  // of the window at output o
};
static Side rows_of(const Window& s) {
  return {s.h, s.out_h, s.kernel_h, s.stride_h, s.pad_top, s.dilation_h};
}
static Side cols_of(const Window& s) {
  return {s.w, s.out_w, s.kernel_w, s.stride_w, s.pad_left, s.dilation_w};
}

// Some places of a side: `count` of them from `first` on, `step` apart. They are counted and not
// divided for: a division takes as long as pooling eight numbers.
struct Places {
  int64_t first, step, count;
};
// Those that the window covers at output o, as far as they are inside.
static Places covered(const Side& s, int64_t o) {
  Places p{s.start(o), s.dilation, s.kernel};
  for (; p.count > 0 && p.first < 0; p.first += p.step) --p.count;
  while (p.count > 0 && p.first + (p.count - 1) * p.step >= s.n) --p.count;
  return p;
}
// The outputs whose windows reach from one side of a place to the other; none is below `from`.
static Places covering(const Side& s, int64_t place, int64_t from) {
  Places p{from, 1, 0};
  const int64_t reach = (s.kernel - 1) * s.dilation;
  while (p.first < s.out && s.start(p.first) + reach < place) ++p.first;
  while (p.first + p.count < s.out && s.start(p.first + p.count) <= place) ++p.count;
  return p;
}

// Calls f(place) for the places of an area, row * width + column.
template <class F>
[[gnu::always_inline]] static inline void for_area(const Places& rows, const Places& cols,
                                                   int64_t width, const F& f) {
  int64_t row = rows.first * width + cols.first;
  for (int64_t i = 0; i < rows.count; ++i, row += rows.step * width) {
    int64_t place = row;
    for (int64_t j = 0; j < cols.count; ++j, place += cols.step) f(place);
  }
}

// Calls f(c, n) for the channels c .. c + n - 1, a register at a time; of a whole one the compiler
// knows n.
template <class F>
[[gnu::always_inline]] static inline void for_channels(int64_t channels, const F& f) {
  int64_t c = 0;
  for (; c + kWidth <= channels; c += kWidth) f(c, std::integral_constant<int64_t, kWidth>());
  if (c < channels) f(c, channels - c);
}
[[gnu::always_inline]] static inline Vec load_some(const real* from, int64_t n) {
  return n == kWidth ? load(from) : load_first(from, n);
}
[[gnu::always_inline]] static inline void store_some(real* to, Vec v, int64_t n) {
  n == kWidth ? store(to, v) : store_first(to, v, n);
}

// Whole numbers as wide as a real, which choose between reals; and indices as they are kept.
using Choice = decltype(Vec{} < Vec{});
using Indexes = int32_t __attribute__((vector_size(kWidth * sizeof(int32_t))));

[[gnu::always_inline]] static inline Choice load_indexes(const int32_t* from, int64_t n) {
  Indexes indexes{};
  std::memcpy(&indexes, from, size_t(n) * sizeof(int32_t));
  return __builtin_convertvector(indexes, Choice);
}
[[gnu::always_inline]] static inline void store_indexes(int32_t* to, Choice v, int64_t n) {
  const Indexes indexes = __builtin_convertvector(v, Indexes);
  std::memcpy(to, &indexes, size_t(n) * sizeof(int32_t));
}

// Calls row(image, h, at) for each row of `batch` images [h, w], at being the pixels before it.
// Threads share the rows. `taps`: how many numbers an element is made of.
template <class Row>
static void for_image_rows(int64_t batch, int64_t h, int64_t w, int64_t channels, int64_t taps,
                           const Row& row) {
  parallel_for(batch * h, row_grain(w * channels * taps), [&](int64_t begin, int64_t end) {
    for (; begin < end; ++begin) row(begin / h, begin % h, begin * w);
  });
}

// `moved`: bytes for each output, beside its value.
static void count_pool(int64_t batch, int64_t channels, const Window& s, int64_t moved) {
  const int64_t outputs = batch * s.out_h * s.out_w * channels;
  count_cost(outputs * s.kernel_h * s.kernel_w,
             bytes_of(batch * s.h * s.w * channels + outputs) + moved * outputs);
}

// ---- The maximum --------------------------------------------------------------------------------

static void max_pool(int64_t batch, int64_t channels, const Window& s, const real* x, real* y,
                     int32_t* where) {
  count_pool(batch, channels, s, sizeof(int32_t));
  const Side rows = rows_of(s), cols = cols_of(s);
  const auto row = [=](int64_t image, int64_t h, int64_t at) {
    const Places down = covered(rows, h);
    const real* from = x + image * rows.n * cols.n * channels;
    for (int64_t w = 0; w < cols.out; ++w, ++at) {
      const Places across = covered(cols, w);
      const int64_t first = down.first * cols.n + across.first;
      for_channels(channels, [=](int64_t c, auto n) {
        Vec best = load_some(from + first * channels + c, n);
        Choice index = Choice{} + int32_t(first);
        for_area(down, across, cols.n, [&](int64_t place) {
          const Vec v = load_some(from + place * channels + c, n);
          const Choice larger = ~(v <= best) & (best == best);  // or the first NaN
          best = larger ? v : best;
          index = larger ? Choice{} + int32_t(place) : index;
        });
        store_some(y + at * channels + c, best, n);
        store_indexes(where + at * channels + c, index, n);
      });
    }
  };
  for_image_rows(batch, rows.out, cols.out, channels, rows.kernel * cols.kernel, row);
}

static void max_pool_gradient(int64_t batch, int64_t channels, const Window& s, const real* gy,
                              const int32_t* where, real* gx) {
  count_pool(batch, channels, s, sizeof(int32_t));
  const Side rows = rows_of(s), cols = cols_of(s);
  const auto row = [=](int64_t image, int64_t h, int64_t at) {
    const Places down = covering(rows, h, 0);
    const int64_t first = image * rows.out * cols.out * channels;
    Places across{};
    for (int64_t w = 0; w < cols.n; ++w, ++at) {
      across = covering(cols, w, across.first);
      const Choice here = Choice{} + int32_t(h * cols.n + w);
      for_channels(channels, [=](int64_t c, auto n) {
        Vec sum{};
        for_area(down, across, cols.out, [&](int64_t place) {
          const int64_t from = first + place * channels + c;
          sum += load_indexes(where + from, n) == here ? load_some(gy + from, n) : Vec{};
        });
        store_some(gx + at * channels + c, sum, n);
      });
    }
  };
  for_image_rows(batch, rows.n, cols.n, channels, 1, row);
}

// ---- The mean -----------------------------------------------------------------------------------

static void average_pool(int64_t batch, int64_t channels, const Window& s, const real* x, real* y,
                         bool count_padding) {
  count_pool(batch, channels, s, 0);
  const Side rows = rows_of(s), cols = cols_of(s);
  const auto row = [=](int64_t image, int64_t h, int64_t at) {
    const Places down = covered(rows, h);
    const real* from = x + image * rows.n * cols.n * channels;
    for (int64_t w = 0; w < cols.out; ++w, ++at) {
      const Places across = covered(cols, w);
      const int64_t size = count_padding ? rows.kernel * cols.kernel : down.count * across.count;
      const real share = 1 / real(size);
      for_channels(channels, [=](int64_t c, auto n) {
        Vec sum{};
        for_area(down, across, cols.n,
                 [&](int64_t place) { sum += load_some(from + place * channels + c, n); });
        store_some(y + at * channels + c, sum * share, n);
      });
    }
  };
  for_image_rows(batch, rows.out, cols.out, channels, rows.kernel * cols.kernel, row);
}

template <bool kCountPadding>
static void average_gradient(int64_t batch, int64_t channels, const Window& s, const real* gy,
                             real* gx) {
  const Side rows = rows_of(s), cols = cols_of(s);
  const real share = 1 / real(rows.kernel * cols.kernel);
  const auto row = [=](int64_t image, int64_t h, int64_t at) {
    const Places down = covering(rows, h, 0);
    const real* from = gy + image * rows.out * cols.out * channels;
    Places across{};
    for (int64_t w = 0; w < cols.n; ++w, ++at) {
      across = covering(cols, w, across.first);
      for_channels(channels, [=](int64_t c, auto n) {
        Vec sum{};
        for_area(down, across, cols.out, [&](int64_t place) {
          const Vec g = load_some(from + place * channels + c, n);
          if constexpr (kCountPadding) {
            sum += g * share;
          } else {
            const Places p = covered(rows, place / cols.out), q = covered(cols, place % cols.out);
            sum += g / real(p.count * q.count);
          }
        });
        store_some(gx + at * channels + c, sum, n);
      });
    }
  };
  for_image_rows(batch, rows.n, cols.n, channels, 1, row);
}

static void average_pool_gradient(int64_t batch, int64_t channels, const Window& s, const real* gy,
                                  real* gx, bool count_padding) {
  count_pool(batch, channels, s, 0);
  const auto gradient = count_padding ? average_gradient<true> : average_gradient<false>;
  gradient(batch, channels, s, gy, gx);
}

}  // namespace kindling::kernel
