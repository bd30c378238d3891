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

// Indices as they are kept, and as whole numbers as wide as a real, which choose between reals.
using Indexes = int32_t __attribute__((vector_size(kWidth * sizeof(int32_t))));

template <class Part>
[[gnu::always_inline]] static inline Mask load_indexes(Part part, const int32_t* from) {
  Indexes indexes{};
  std::memcpy(&indexes, from, size_t(part.n) * sizeof(int32_t));
  return __builtin_convertvector(indexes, Mask);
}
template <class Part>
[[gnu::always_inline]] static inline void store_indexes(Part part, int32_t* to, Mask v) {
  const Indexes indexes = __builtin_convertvector(v, Indexes);
  std::memcpy(to, &indexes, size_t(part.n) * sizeof(int32_t));
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

// Calls f(from, to, down, across) for each output pixel: where its image and it begin, and the rows
// and columns of its window.
template <class F>
static void for_outputs(int64_t batch, int64_t channels, const Window& s, const F& f) {
  const Side rows = rows_of(s), cols = cols_of(s);
  const auto row = [=](int64_t image, int64_t h, int64_t at) {
    const Places down = covered(rows, h);
    for (int64_t w = 0; w < cols.out; ++w, ++at) {
      f(image * s.h * s.w * channels, at * channels, down, covered(cols, w));
    }
  };
  for_image_rows(batch, s.out_h, s.out_w, channels, s.kernel_h * s.kernel_w, row);
}

// Calls f(place, from, to, down, across) for each pixel of the image, its place in it: where the
// outputs of its image and it begin, and the rows and columns of the outputs whose windows hold it.
template <class F>
static void for_inputs(int64_t batch, int64_t channels, const Window& s, const F& f) {
  const Side rows = rows_of(s), cols = cols_of(s);
  const auto row = [=](int64_t image, int64_t h, int64_t at) {
    const Places down = covering(rows, h, 0);
    Places across{};
    for (int64_t w = 0; w < cols.n; ++w, ++at) {
      across = covering(cols, w, across.first);
      f(h * s.w + w, image * s.out_h * s.out_w * channels, at * channels, down, across);
    }
  };
  for_image_rows(batch, s.h, s.w, channels, 1, row);
}

// ---- The maximum --------------------------------------------------------------------------------

static void max_pool(int64_t batch, int64_t channels, const Window& s, const real* x, real* y,
                     int32_t* where) {
  count_pool(batch, channels, s, sizeof(int32_t));
  const int64_t width = s.w;
  for_outputs(batch, channels, s, [=](int64_t from, int64_t to, Places down, Places across) {
    const int64_t first = down.first * width + across.first;
    for_vectors(0, channels, [=](int64_t c, auto part) {
      Vec best = part.load(x + from + first * channels + c);
      Mask index = Mask{} + int32_t(first);
      for_area(down, across, width, [&](int64_t place) {
        const Vec v = part.load(x + from + place * channels + c);
        const Mask larger = ~(v <= best) & (best == best);  // or the first NaN
        best = larger ? v : best;
        index = larger ? Mask{} + int32_t(place) : index;
      });
      part.store(y + to + c, best);
      store_indexes(part, where + to + c, index);
    });
  });
}

static void max_pool_gradient(int64_t batch, int64_t channels, const Window& s, const real* gy,
                              const int32_t* where, real* gx) {
  count_pool(batch, channels, s, sizeof(int32_t));
  const int64_t width = s.out_w;
  for_inputs(batch, channels, s,
             [=](int64_t here, int64_t from, int64_t to, Places down, Places across) {
               for_vectors(0, channels, [=](int64_t c, auto part) {
                 Vec sum{};
                 for_area(down, across, width, [&](int64_t place) {
                   const int64_t at = from + place * channels + c;
                   const Mask chosen = load_indexes(part, where + at) == Mask{} + int32_t(here);
                   sum += chosen ? part.load(gy + at) : Vec{};
                 });
                 part.store(gx + to + c, sum);
               });
             });
}

// ---- The mean -----------------------------------------------------------------------------------

static void average_pool(int64_t batch, int64_t channels, const Window& s, const real* x, real* y,
                         bool count_padding) {
  count_pool(batch, channels, s, 0);
  const int64_t width = s.w, whole = s.kernel_h * s.kernel_w;
  for_outputs(batch, channels, s, [=](int64_t from, int64_t to, Places down, Places across) {
    const real share = 1 / real(count_padding ? whole : down.count * across.count);
    for_vectors(0, channels, [=](int64_t c, auto part) {
      Vec sum{};
      for_area(down, across, width,
               [&](int64_t place) { sum += part.load(x + from + place * channels + c); });
      part.store(y + to + c, sum * share);
    });
  });
}

template <bool kCountPadding>
static void average_gradient(int64_t batch, int64_t channels, const Window& s, const real* gy,
                             real* gx) {
  const Side rows = rows_of(s), cols = cols_of(s);
  const real share = 1 / real(s.kernel_h * s.kernel_w);
  for_inputs(batch, channels, s,
             [=](int64_t, int64_t from, int64_t to, Places down, Places across) {
               for_vectors(0, channels, [=](int64_t c, auto part) {
                 Vec sum{};
                 for_area(down, across, cols.out, [&](int64_t place) {
                   const Vec g = part.load(gy + from + place * channels + c);
                   if constexpr (kCountPadding) {
                     sum += g * share;
                   } else {
                     const Places p = covered(rows, place / cols.out);
                     const Places q = covered(cols, place % cols.out);
                     sum += g / real(p.count * q.count);
                   }
                 });
                 part.store(gx + to + c, sum);
               });
             });
}

static void average_pool_gradient(int64_t batch, int64_t channels, const Window& s, const real* gy,
                                  real* gx, bool count_padding) {
  count_pool(batch, channels, s, 0);
  const auto gradient = count_padding ? average_gradient<true> : average_gradient<false>;
  gradient(batch, channels, s, gy, gx);
}

}  // namespace kindling::kernel
