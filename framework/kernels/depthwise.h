// Depthwise convolution: every channel has its own kernel, so there is no product of matrices; a
// vector holds neighbouring channels of one pixel. Page: docs/kernels.md
//
// The image is read where it lies. Pixels whose windows reach over its edges meet fewer taps, so
// the target falls apart into regions, rectangles of pixels that meet the same taps. A few rows are
// made at a time, so that the rows that a window shares with the next stay in the first cache, and
// the rows after them are fetched meanwhile: the steps from pixel to pixel are too long for the
// processor to foresee them.
#pragma once

#include "kernels/window.h"

namespace kindling::kernel {

constexpr int64_t kBand = 4;  // rows of pixels that are made together,
constexpr int kGroup = 4;     // a few vectors of channels at a time

// ---- Regions ------------------------------------------------------------------------------------

// Pixels [first, end) of a row, which meet the taps [tap, tap + taps); or rows of a column.
struct Stretch {
  int64_t first, end;
  size_t tap, taps;
};

// `size` pixels, `step` apart in the source, of `source` pixels. Tap t of the first pixel finds its
// own at offsets[t]; they ascend.
static std::vector<Stretch> stretches(int64_t size, int64_t step,
                                      const std::vector<int64_t>& offsets, int64_t source) {
  std::vector<Stretch> result;
  for (int64_t i = 0; i < size; ++i) {
    Stretch s{i, i + 1, 0, 0};
    for (const int64_t offset : offsets) {
      const int64_t at = i * step + offset;
      s.tap += at < 0, s.taps += at >= 0 && at < source;
    }
    if (!result.empty() && result.back().tap == s.tap && result.back().taps == s.taps) {
      ++result.back().end;
    } else {
      result.push_back(s);
    }
  }
  return result;
}

// Where a tap reads, from its pixel's place in the source on, and its place in weights of [vectors
// of channels, taps, kWidth]; or the steps between two taps.
struct Tap {
  int64_t source, weights;
  Tap operator-(Tap other) const { return {source - other.source, weights - other.weights}; }
};

// A rectangle of pixels that meet the same taps, `target` after where it would be in the target if
// its phase began there.
struct Region {
  Stretch rows, cols;
  int64_t target;
  Tap first, right, down;  // a tap, and the steps to those beside and below it
};

static std::vector<Region> regions(const Correlation& c, int64_t kernel_w) {
  const int64_t C = c.source_channels;
  std::vector<Region> result;
  for (const Phase& phase : c.phases) {
    const auto tap = [&](size_t y, size_t x) {
      return Tap{(phase.down[y] * c.source_w + phase.right[x]) * C,
                 (phase.kernel_y[y] * kernel_w + phase.kernel_x[x]) * kWidth};
    };
    for (const Stretch& rows : stretches(phase.rows, c.step_h, phase.down, c.source_h)) {
      for (const Stretch& cols : stretches(phase.cols, c.step_w, phase.right, c.source_w)) {
        Region& r = result.emplace_back(
            Region{rows, cols, (phase.y * c.target_w + phase.x) * C, {}, {}, {}});
        if (rows.taps * cols.taps == 0) continue;
        r.first = tap(rows.tap, cols.tap);
        if (cols.taps > 1) r.right = tap(rows.tap, cols.tap + 1) - r.first;
        if (rows.taps > 1) r.down = tap(rows.tap + 1, cols.tap) - r.first;
      }
    }
  }
  return result;
}

// What the band from row `begin` on has of a region: its height and width with the steps from pixel
// to pixel, and where it lies in an image.
struct Cut {
  struct Side {
    int64_t pixels, source, target;
  } y, x;
  int64_t source, target;

  Cut(const Correlation& c, const Region& r, int64_t begin) {
    const int64_t C = c.source_channels, first = std::max(begin, r.rows.first);
    y = {std::min(begin + kBand, r.rows.end) - first, c.step_h * c.source_w * C,
         c.spread_h * c.target_w * C};
    x = {r.cols.end - r.cols.first, c.step_w * C, c.spread_w * C};
    source = first * y.source + r.cols.first * x.source;
    target = r.target + first * y.target + r.cols.first * x.target;
  }
};

// `reals` numbers that will be read soon, up to `stop`, fetched a line at a time into the second
// cache.
struct Ahead {
  const real *at, *end;
  Ahead(const real* first, int64_t reals, const real* stop)
      : at(first), end(std::min(first + reals, stop)) {}
  [[gnu::always_inline]] void fetch(int64_t lines) {
    for (; lines > 0 && at < end; --lines, at += kLine) __builtin_prefetch(at, 0, 2);
  }
};

// Where number i of [channels, taps] lies in [vectors of channels, taps, kWidth].
static int64_t turned(int64_t i, int64_t taps) {
  const int64_t channel = i / taps;
  return (channel / kWidth * taps + i % taps) * kWidth + channel % kWidth;
}

template <int n> using Number = std::integral_constant<int, n>;

// Calls f(Number<n>()), or of the most, if n is more.
template <int most, class F>
[[gnu::always_inline]] static inline void with_number(int64_t n, const F& f) {
  if constexpr (most > 1) {
    if (n < most) return with_number<most - 1>(n, f);
  }
  f(Number<most>());
}

// ---- Forward, and the gradient of the input -----------------------------------------------------

// P pixels in a line of V vectors of channels, or of a part of one, with R x K taps, or as many as
// the region has where both are 0.
template <int R, int K, int P, int V, class Part>
[[gnu::noinline]] static void stencil(Part part, const Region& region, const Cut::Side& along,
                                      const real* from, const real* weights, int64_t vector,
                                      const real* bias, real* to, bool stream) {
  Vec sum[P][V];
#pragma GCC unroll 8
  for (int i = 0; i < P * V; ++i) {
    sum[i / V][i % V] = bias ? part.load(bias + i % V * kWidth) : Vec{};
  }
  from += region.first.source, weights += region.first.weights;
  const size_t rows = R > 0 ? R : region.rows.taps, cols = K > 0 ? K : region.cols.taps;
#pragma GCC unroll 5
  for (size_t y = 0; y < rows; ++y, from += region.down.source, weights += region.down.weights) {
    const real *x = from, *w = weights;
#pragma GCC unroll 5
    for (size_t k = 0; k < cols; ++k, x += region.right.source, w += region.right.weights) {
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        const Vec tap = load(w + v * vector);
#pragma GCC unroll 8
        for (int p = 0; p < P; ++p) sum[p][v] += part.load(x + p * along.source + v * kWidth) * tap;
      }
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < P * V; ++i) {
    real* place = to + i / V * along.target + i % V * kWidth;
    stream ? store_past_caches(place, sum[i / V][i % V]) : part.store(place, sum[i / V][i % V]);
  }
}

// Calls f(P, p) for blocks of P pixels, of equal size up to 8, that cover `pixels`.
template <class F>
[[gnu::always_inline]] static inline void for_blocks(int64_t pixels, const F& f) {
  for (int64_t p = 0, n; p < pixels; p += n) {
    n = ceil_div(pixels - p, ceil_div(pixels - p, 8));
    with_number<8>(n, [&](auto P) { f(P, p); });
  }
}

static void depthwise(const Convolution& shape, const Correlation& c, const real* source,
                      const real* weight, const real* bias, real* target) {
  const int64_t C = shape.in, taps = shape.window.kernel_h * shape.window.kernel_w;
  const Scratch weights(ceil_div(C, kWidth) * kWidth * taps);
  std::fill_n(weights.data, ceil_div(C, kWidth) * kWidth * taps, real(0));
  for (int64_t i = 0; i < C * taps; ++i) weights.data[turned(i, taps)] = weight[i];
  const std::vector<Region> parts = regions(c, shape.window.kernel_w);
  // A large result is written past the second cache, which need not read it first.
  const bool stream = fills_lines(target, C) && is_large(shape.batch * c.target_h * c.target_w * C);
  const int64_t row = c.source_w * C, bands = ceil_div(c.rows(), kBand), all = shape.batch * bands;
  parallel_each(all, std::max<int64_t>(1, ceil_div(all, 16)), [&](int64_t i) {
    const int64_t begin = i % bands * kBand, n = i / bands;
    const real* image = source + n * c.source_h * row;
    real* result = target + n * c.target_h * c.target_w * C;
    Ahead ahead(image + ((begin + kBand) * c.step_h + shape.window.kernel_h / 2) * row,
                kBand * c.step_h * row, source + shape.batch * c.source_h * row);
    for (int64_t first = 0; first < C; first += kGroup * kWidth) {
      const int64_t last = std::min(C, first + kGroup * kWidth);
      for (const Region& region : parts) {
        const Cut cut(c, region, begin);
        const auto make = [&](auto R, auto K) {
          for (int64_t r = 0; r < cut.y.pixels; ++r) {
            for_blocks(cut.x.pixels, [&](auto P, int64_t p) {
              const real* from = image + cut.source + r * cut.y.source + p * cut.x.source;
              real* to = result + cut.target + r * cut.y.target + p * cut.x.target;
              const auto block = [&](auto V, int64_t j, auto part) {
                stencil<R, K, P, V>(part, region, cut.x, from + j, weights.data + j * taps,
                                    taps * kWidth, bias ? bias + j : nullptr, to + j, stream);
                ahead.fetch(P * V * c.step_h * c.step_w);
              };
              if (P == 1 && last - first == kGroup * kWidth) {  // sums that wait for each other
                return block(Number<(P == 1 ? kGroup : 1)>(), first, Whole{});
              }
              for_vectors(first, last, [&](int64_t j, auto part) { block(Number<1>(), j, part); });
            });
          }
        };
        const size_t R = region.rows.taps, K = region.cols.taps;
        R == 3 && K == 3   ? make(Number<3>(), Number<3>())
        : R == 5 && K == 5 ? make(Number<5>(), Number<5>())
                           : make(Number<0>(), Number<0>());
      }
    }
    if (stream) finish_stores();
  });
}

// ---- Gradient of the weights --------------------------------------------------------------------

// Adds to the sums of R x K taps gy times x, over all pixels of the cut; x is where the first of
// these taps reads for the first pixel.
template <int R, int K, class Part>
static void add_taps(Part part, const Region& region, const Cut& cut, const real* gy, const real* x,
                     real* sums, Ahead& ahead_gy, Ahead& ahead_x) {
  Vec sum[R][K] = {};
  for (int64_t r = 0; r < cut.y.pixels; ++r) {
    const real *slope = gy + r * cut.y.target, *from = x + r * cut.y.source;
    for (int64_t p = 0; p < cut.x.pixels; ++p, slope += cut.x.target, from += cut.x.source) {
      const Vec s = part.load(slope);
#pragma GCC unroll 32
      for (int i = 0; i < R * K; ++i) {
        sum[i / K][i % K] +=
            s * part.load(from + i / K * region.down.source + i % K * region.right.source);
      }
      ahead_gy.fetch(1), ahead_x.fetch(cut.y.source / cut.y.target);
    }
  }
#pragma GCC unroll 32
  for (int i = 0; i < R * K; ++i) {
    real* place = sums + i / K * region.down.weights + i % K * kWidth;
    store(place, load(place) + sum[i / K][i % K]);
  }
}

// Calls add(R, K, y, k), which sums up R x K taps from (y, k) on, for all of a kernel: five by five
// at most, and no more than fit into the registers with two left for the rest.
template <class F>
[[gnu::always_inline]] static inline void for_taps(int64_t rows, int64_t cols, const F& add) {
  for (int64_t k = 0; k < cols; k += 5) {
    with_number<5>(cols - k, [&](auto K) {
      constexpr int kMost = std::min(5, (Isa::kRegisters - 2) / K);
      for (int64_t y = 0; y < rows; y += kMost) {
        with_number<kMost>(rows - y, [&](auto R) { add(R, K, y, k); });
      }
    });
  }
}

static void depthwise_weight_gradient(const Convolution& c, const real* gy, const real* x,
                                      real* gw) {
  const Window& w = c.window;
  const Correlation map = forward(c);
  const int64_t C = c.in, taps = w.kernel_h * w.kernel_w, wide = ceil_div(C, kWidth) * kWidth;
  const Scratch total(taps * wide);  // [vectors of channels, taps, kWidth]
  const std::vector<Region> parts = regions(map, w.kernel_w);
  const int64_t bands = ceil_div(w.out_h, kBand), gy_row = w.out_w * C, x_row = w.w * C;
  add_in_pieces(c.batch, taps * wide, total.data, [&](int64_t n, int64_t end, real* sums) {
    for (int64_t i = n * bands; i < end * bands; ++i) {
      const int64_t begin = i % bands * kBand;
      const real* slopes = gy + i / bands * w.out_h * gy_row;
      const real* image = x + i / bands * w.h * x_row;
      Ahead ahead_gy(slopes + (begin + kBand) * gy_row, kBand * gy_row,
                     gy + c.batch * w.out_h * gy_row);
      Ahead ahead_x(image + ((begin + kBand) * w.stride_h + w.kernel_h / 2) * x_row,
                    kBand * w.stride_h * x_row, x + c.batch * w.h * x_row);
      for_vectors(0, C, [&](int64_t j, auto part) {
        for (const Region& region : parts) {
          const Cut cut(map, region, begin);
          if (cut.y.pixels <= 0 || region.rows.taps == 0) continue;
          const real* from = image + cut.source + region.first.source + j;
          real* to = sums + j * taps + region.first.weights;
          const auto add = [&](auto R, auto K, int64_t y, int64_t k) {
            add_taps<R, K>(part, region, cut, slopes + cut.target + j,
                           from + y * region.down.source + k * region.right.source,
                           to + y * region.down.weights + k * kWidth, ahead_gy, ahead_x);
          };
          for_taps(int64_t(region.rows.taps), int64_t(region.cols.taps), add);
        }
      });
    }
  });
  for (int64_t i = 0; i < C * taps; ++i) gw[i] = total.data[turned(i, taps)];
}

}  // namespace kindling::kernel
