// Part 2: the same convolution four times: as it is defined, as a product of copied windows, as the
// engine does it, and one that does less. Page: docs/04-convolution.md
#pragma once

#include "kernels/reference.h"
#include "kindling.h"

namespace lesson04 {

using namespace kindling;

// Pixels along one side of the output (ops.h; without dilation).
inline int64_t side(int64_t n, int64_t kernel, const ConvOptions& o) {
  return (n + 2 * o.padding - kernel) / o.stride + 1;
}

// x [N, H, W, C], weight [out, k, k, C] -> [N, H', W', out], as it is defined.
inline Tensor naive_conv(const Tensor& x, const Tensor& weight, const ConvOptions& o) {
  const int64_t N = x.dim(0), H = x.dim(1), W = x.dim(2), C = x.dim(3);
  const int64_t out = weight.dim(0), k = weight.dim(1), h = side(H, k, o), w = side(W, k, o);
  Tensor y({N, h, w, out});
  real* to = y.mutable_data();
  for (int64_t n = 0; n < N; ++n)
    for (int64_t row = 0; row < h; ++row)
      for (int64_t column = 0; column < w; ++column)
        for (int64_t f = 0; f < out; ++f) {
          real sum = 0;
          for (int64_t i = 0; i < k; ++i)
            for (int64_t j = 0; j < k; ++j) {
              const int64_t r = row * o.stride + i - o.padding;
              const int64_t c = column * o.stride + j - o.padding;
              if (r < 0 || r >= H || c < 0 || c >= W) continue;  // zeros around the image
              const real* pixel = x.data() + ((n * H + r) * W + c) * C;
              const real* tap = weight.data() + ((f * k + i) * k + j) * C;
              for (int64_t channel = 0; channel < C; ++channel)
                sum += pixel[channel] * tap[channel];
            }
          *to++ = sum;
        }
  return y;
}

// Every window of x as a row: [N H' W', k k C]. Each pixel is copied up to k k times.
inline Tensor im2col(const Tensor& x, int64_t k, const ConvOptions& o) {
  const int64_t N = x.dim(0), H = x.dim(1), W = x.dim(2), C = x.dim(3);
  const int64_t h = side(H, k, o), w = side(W, k, o);
  Tensor columns = zeros({N * h * w, k * k * C});
  real* to = columns.mutable_data();
  for (int64_t place = 0; place < N * h * w; ++place)
    for (int64_t i = 0; i < k; ++i)
      for (int64_t j = 0; j < k; ++j, to += C) {
        const int64_t r = place / w % h * o.stride + i - o.padding;
        const int64_t c = place % w * o.stride + j - o.padding;
        if (r < 0 || r >= H || c < 0 || c >= W) continue;
        std::copy_n(x.data() + ((place / w / h * H + r) * W + c) * C, C, to);
      }
  return columns;
}

// A product does the rest: windows [N H' W', k k C] times filters [out, k k C], transposed.
inline Tensor im2col_conv(const Tensor& x, const Tensor& weight, const ConvOptions& o) {
  const int64_t out = weight.dim(0), k = weight.dim(1);
  const Tensor rows = reshape(weight, {out, -1});
  const Tensor y = matmul(im2col(x, k, o), rows, Transpose::b);
  return reshape(y, {x.dim(0), side(x.dim(1), k, o), side(x.dim(2), k, o), out});
}

// What a way of doing it costs.
struct Run {
  Tensor y;
  double milliseconds;
  int64_t scratch;  // bytes that were held at some time besides the input and the output
};
inline Run measured(const std::function<Tensor()>& work) {
  memory::reset_peak();
  Run run{work(), INFINITY, 0};
  const memory::Stats held = memory::stats();
  run.scratch = held.peak_bytes - held.live_bytes;
  // The best of some runs: everything else on the machine only makes it slower.
  for (const double begin = clock_seconds(); clock_seconds() - begin < 0.2;) {
    const double start = clock_seconds();
    work();
    run.milliseconds = std::min(run.milliseconds, 1e3 * (clock_seconds() - start));
  }
  return run;
}

inline double relative_difference(const Tensor& a, const Tensor& b) {
  return double(max(abs(a - b)).item()) / double(max(abs(b)).item());
}

inline void ladder(Report& report, uint64_t seed) {
  const NoGrad no_grad;
  Random random(seed, 4);
  constexpr int64_t H = 28, C = 32, out = 96, k = 5;
  const Tensor x = normal({1, H, H, C}, random), weight = normal({out, k, k, C}, random);
  const Tensor each = normal({C, k, k, 1}, random), point = normal({out, 1, 1, C}, random);
  const Tensor small = normal({out, 3, 3, C}, random);
  const ConvOptions same{.padding = k / 2}, depthwise{.padding = k / 2, .groups = C};

  fmt::print("\n2. One convolution: an image of {} x {} x {}, {} filters of {} x {}\n\n", H, H, C,
             out, k, k);
  fmt::print("   {:<34}{:>14}{:>12}{:>10}{:>10}\n", "", "multiply-adds", "scratch", "ms",
             "GFLOP/s");
  const auto row = [](const char* name, int64_t products, const Run& run) {
    fmt::print("   {:<34}{:>14}{:>12}{:>10.2f}{:>10.1f}\n", name, products, run.scratch,
               run.milliseconds, 2e-6 * double(products) / run.milliseconds);
  };
  const int64_t pixels = H * H, full = pixels * out * k * k * C;
  const Run naive = measured([&] { return naive_conv(x, weight, same); });
  row("naive", full, naive);
  const Run copied = measured([&] { return im2col_conv(x, weight, same); });
  row("im2col and a product", full, copied);
  const Run engine = measured([&] { return conv2d(x, weight, {}, same); });
  row("the engine, no copy of windows", full, engine);
  const Run apart = measured([&] { return conv2d(conv2d(x, each, {}, depthwise), point); });
  row("depthwise, then 1 x 1", pixels * C * k * k + pixels * out * C, apart);
  row("the engine, 3 x 3 instead of 5 x 5", pixels * out * 9 * C,
      measured([&] { return conv2d(x, small, {}, {.padding = 1}); }));

  Tensor truth(engine.y.shape());
  reference::conv({1, C, out, 1, {H, H, H, H, k, k, 1, 1, k / 2, k / 2, 1, 1}}, x.data(),
                  weight.data(), nullptr, truth.mutable_data());
  double worst = 0;
  for (const Tensor& y : {naive.y, copied.y, engine.y}) {
    worst = std::max(worst, relative_difference(y, truth));
  }
  fmt::print("\n");
  report.claim(fmt::format("all three agree with the sums in double, to {:.0e}", worst),
               worst < 1e-5);
  report.claim(
      fmt::format("the windows of im2col take as much as {} images, the engine's scratch less "
                  "than half of that",
                  k * k),
      copied.scratch >= k * k * x.size() * int64_t(sizeof(real)) &&
          engine.scratch * 2 < copied.scratch && naive.scratch == 0);
  report.claim("a product makes it at least 3 times faster than the loops",
               naive.milliseconds > 3 * copied.milliseconds);
  report.note("naive_ms", naive.milliseconds);
  report.note("im2col_ms", copied.milliseconds);
  report.note("engine_ms", engine.milliseconds);
  report.note("depthwise_ms", apart.milliseconds);
}

}  // namespace lesson04
