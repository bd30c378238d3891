// The obvious loops of convolution and pooling. Page: docs/kernels.md
//
// Letters: n an image, (h, w) and (i, j) places of an output and in the window, c a channel of the
// input, o one of the output.
#include "kernels/reference.h"

namespace kindling::reference {
namespace {

// Calls f(i, j, place) for each place of the image that the window covers at output (h, w): its
// position in the window, and the place, row * width + column.
template <class F> void for_places(const Window& s, int64_t h, int64_t w, const F& f) {
  for (int64_t i = 0; i < s.kernel_h; ++i) {
    for (int64_t j = 0; j < s.kernel_w; ++j) {
      const int64_t row = h * s.stride_h - s.pad_top + i * s.dilation_h;
      const int64_t col = w * s.stride_w - s.pad_left + j * s.dilation_w;
      if (0 <= row && row < s.h && 0 <= col && col < s.w) f(i, j, row * s.w + col);
    }
  }
}

// Calls f(y, x, weight) for every multiply-add of a convolution: where its three numbers lie.
template <class F> void for_products(const Convolution& a, const F& f) {
  const Window& s = a.window;
  const int64_t in = a.in / a.groups, out = a.out / a.groups;  // channels of a group
  for (int64_t n = 0; n < a.batch; ++n) {
    for (int64_t h = 0; h < s.out_h; ++h) {
      for (int64_t w = 0; w < s.out_w; ++w) {
        for_places(s, h, w, [&](int64_t i, int64_t j, int64_t place) {
          for (int64_t o = 0; o < a.out; ++o) {
            for (int64_t c = 0; c < in; ++c) {
              f(((n * s.out_h + h) * s.out_w + w) * a.out + o,
                (n * s.h * s.w + place) * a.in + o / out * in + c,
                ((o * s.kernel_h + i) * s.kernel_w + j) * in + c);
            }
          }
        });
      }
    }
  }
}

// Calls f(n, h, w, c, y) for every element of a pooling's result, y being where it lies.
template <class F> void for_pooled(int64_t batch, int64_t channels, const Window& s, const F& f) {
  int64_t y = 0;
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t h = 0; h < s.out_h; ++h) {
      for (int64_t w = 0; w < s.out_w; ++w) {
        for (int64_t c = 0; c < channels; ++c) f(n, h, w, c, y++);
      }
    }
  }
}

int64_t y_elements(const Convolution& a) {
  return a.batch * a.window.out_h * a.window.out_w * a.out;
}
int64_t x_elements(int64_t batch, int64_t channels, const Window& s) {
  return batch * s.h * s.w * channels;
}

void round_to(real* to, const std::vector<double>& from) {
  std::transform(from.begin(), from.end(), to, [](double sum) { return real(sum); });
}

}  // namespace

void conv(const Convolution& a, const real* x, const real* weight, const real* bias, real* y) {
  std::vector<double> sums(size_t(y_elements(a)), 0);
  for (size_t i = 0; bias && i < sums.size(); ++i) sums[i] = double(bias[i % size_t(a.out)]);
  for_products(a, [&](int64_t y_at, int64_t x_at, int64_t weight_at) {
    sums[size_t(y_at)] += double(x[x_at]) * double(weight[weight_at]);
  });
  round_to(y, sums);
}

void conv_input_gradient(const Convolution& a, const real* gy, const real* weight, real* gx) {
  std::vector<double> sums(size_t(x_elements(a.batch, a.in, a.window)), 0);
  for_products(a, [&](int64_t y_at, int64_t x_at, int64_t weight_at) {
    sums[size_t(x_at)] += double(gy[y_at]) * double(weight[weight_at]);
  });
  round_to(gx, sums);
}

void conv_weight_gradient(const Convolution& a, const real* gy, const real* x, real* gw) {
  const int64_t per_output = a.window.kernel_h * a.window.kernel_w * (a.in / a.groups);
  std::vector<double> sums(size_t(a.out * per_output), 0);
  for_products(a, [&](int64_t y_at, int64_t x_at, int64_t weight_at) {
    sums[size_t(weight_at)] += double(gy[y_at]) * double(x[x_at]);
  });
  round_to(gw, sums);
}

void max_pool(int64_t batch, int64_t channels, const Window& s, const real* x, real* y,
              int32_t* where) {
  for_pooled(batch, channels, s, [&](int64_t n, int64_t h, int64_t w, int64_t c, int64_t at) {
    const auto value = [&](int64_t place) { return x[(n * s.h * s.w + place) * channels + c]; };
    int64_t best = -1;
    for_places(s, h, w, [&](int64_t, int64_t, int64_t place) {
      if (best >= 0 && std::isnan(value(best))) return;
      if (best < 0 || std::isnan(value(place)) || value(place) > value(best)) best = place;
    });
    y[at] = value(best), where[at] = int32_t(best);
  });
}

void max_pool_gradient(int64_t batch, int64_t channels, const Window& s, const real* gy,
                       const int32_t* where, real* gx) {
  std::vector<double> sums(size_t(x_elements(batch, channels, s)), 0);
  for_pooled(batch, channels, s, [&](int64_t n, int64_t, int64_t, int64_t c, int64_t at) {
    sums[size_t((n * s.h * s.w + where[at]) * channels + c)] += double(gy[at]);
  });
  round_to(gx, sums);
}

}  // namespace kindling::reference
