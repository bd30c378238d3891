// Batch norm (1502.03167) and the activation behind it, over x [rows, n], whose columns are the
// channels. Page: docs/kernels.md
//
// Below, i counts the numbers of a wide row (rows.h), and `at` the elements of x.
#pragma once

#include "kernels/elementwise.h"
#include "kernels/rows.h"

namespace kindling::kernel {

static void batch_statistics(int64_t rows, int64_t n, const real* x, real* mean, real* variance) {
  const auto sums =
      channel_sums<2>(rows, n, 3, [=](Sum* sum, int64_t at, int64_t, int64_t, auto part) {
        const Vec v = load_on(part, x + at);
        sum[0].add(v), sum[1].add([](Wide w) { return w * w; }, v);
      });
  for (size_t c = 0; c < size_t(n); ++c) {
    // Squares of floats are exact in double, which leaves digits enough for the difference.
    const double m = sums[c][0] / double(rows), square = sums[c][1] / double(rows);
    mean[c] = real(m), variance[c] = real(std::max(0.0, square - m * m));
  }
}

// The numbers of the channels that loops read, for a wide row. The activation is applied to
// (x - mean) scale + bias; gx = g scale - (x - mean) slope - shift, g the gradient of that.
struct Channels : Scratch {
  const int64_t n, wide;
  real *const mean = data, *const scale = mean + wide, *const bias = scale + wide;
  real *const slope = bias + wide, *const shift = slope + wide;

  explicit Channels(const ChannelNorm& norm)
      : Scratch(5 * wide_row(norm.rows, norm.n)), n(norm.n), wide(wide_row(norm.rows, n)) {
    for (int64_t c = 0; c < n; ++c) {
      const real deviation = std::sqrt(norm.variance[c] + norm.epsilon);
      set(mean, c, norm.mean[c]), set(bias, c, norm.bias ? norm.bias[c] : 0);
      set(scale, c, (norm.weight ? norm.weight[c] : 1) / deviation);
    }
  }
  void set(real* row, int64_t c, real value) const {
    for (; c < wide; c += n) row[c] = value;
  }
};

template <class F>
static void for_wide_rows(const ChannelNorm& norm, int64_t flops, int64_t reals, const F& f) {
  const int64_t wide = wide_row(norm.rows, norm.n);
  for_rows(norm.rows * norm.n / wide, wide, flops, reals, [=](int64_t r) {
    for_vectors(0, wide, [=](int64_t i, auto part) { f(r * wide + i, i, part); });
  });
}

// Calls f with the activation as a constant; without one that is affine, with 1 and 0.
template <class F> static void with_activation(const ChannelNorm& norm, const F& f) {
  if (norm.activation == FusedActivation::none) f(std::integral_constant<Unary, Unary::affine>());
  if (norm.activation == FusedActivation::relu) f(std::integral_constant<Unary, Unary::relu>());
  if (norm.activation == FusedActivation::silu) f(std::integral_constant<Unary, Unary::silu>());
}

static void batch_norm(const ChannelNorm& norm, const real* x, real* y) {
  const Channels channels(norm);
  with_activation(norm, [&](auto activation) {
    const real *mean = channels.mean, *scale = channels.scale, *bias = channels.bias;
    for_wide_rows(norm, 4, 2, [=](int64_t at, int64_t i, auto part) {
      const Vec d = load_on(part, x + at) - part.load(mean + i);
      const Vec z = d * part.load(scale + i) + part.load(bias + i);
      part.store(y + at, function<activation(), true>(z, z, 1, 0));
    });
  });
}

// With d = x - mean: gbias = sum g, gweight = sum g d / deviation, and where mean and deviation
// move with x, gx = (g - mean(g) - d mean(g d) / variance) weight / deviation.
static void batch_norm_gradient(const ChannelNorm& norm, bool of_batch, const real* gy,
                                const real* x, real* gx, real* gweight, real* gbias) {
  const Channels channels(norm);
  with_activation(norm, [&](auto activation) {
    const real *mean = channels.mean, *scale = channels.scale, *bias = channels.bias;
    real *slope = channels.slope, *shift = channels.shift;
    const auto before = [=](int64_t at, int64_t i, auto part, Vec d) {
      const Vec z = d * part.load(scale + i) + part.load(bias + i);
      return load_on(part, gy + at) * function<activation(), false>(z, z, 1, 0);
    };
    const auto add = [=](Sum* sum, int64_t at, int64_t, int64_t i, auto part) {
      const Vec d = load_on(part, x + at) - part.load(mean + i), g = before(at, i, part, d);
      sum[0].add(g), sum[1].add(g * d);
    };
    const auto sums = channel_sums<2>(norm.rows, norm.n, 9, add);
    for (int64_t c = 0; c < norm.n; ++c) {
      const auto [sum_g, sum_gd] = sums[size_t(c)];
      const double square = 1 / (double(norm.variance[c]) + double(norm.epsilon));
      if (gweight) gweight[c] += real(sum_gd * std::sqrt(square));
      if (gbias) gbias[c] += real(sum_g);
      const double share = of_batch ? double(scale[c]) / double(norm.rows) : 0;
      channels.set(slope, c, real(share * square * sum_gd));
      channels.set(shift, c, real(share * sum_g));
    }
    if (!gx) return;
    for_wide_rows(norm, 9, 3, [=](int64_t at, int64_t i, auto part) {
      const Vec d = load_on(part, x + at) - part.load(mean + i), g = before(at, i, part, d);
      part.store(gx + at,
                 g * part.load(scale + i) - d * part.load(slope + i) - part.load(shift + i));
    });
  });
}

}  // namespace kindling::kernel
