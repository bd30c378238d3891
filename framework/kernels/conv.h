// Convolution. Page: docs/kernels.md
#pragma once

#include "kernels/reference.h"
#include "kernels/walk.h"

namespace kindling::kernel {

// Two operations for each pair of an input and a weight that meet, padding included.
static void count_conv(const Convolution& a) {
  const Window& s = a.window;
  const int64_t pixels = a.batch * s.out_h * s.out_w;
  const int64_t weights = a.out * s.kernel_h * s.kernel_w * (a.in / a.groups);
  count_cost(2 * pixels * weights, bytes_of(a.batch * s.h * s.w * a.in + weights + pixels * a.out));
}

static void conv(const Convolution& a, const real* x, const real* weight, const real* bias,
                 real* y) {
  count_conv(a);
  reference::conv(a, x, weight, bias, y);
}

static void conv_input_gradient(const Convolution& a, const real* gy, const real* weight,
                                real* gx) {
  count_conv(a);
  reference::conv_input_gradient(a, gy, weight, gx);
}

static void conv_weight_gradient(const Convolution& a, const real* gy, const real* x, real* gw) {
  count_conv(a);
  reference::conv_weight_gradient(a, gy, x, gw);
}

}  // namespace kindling::kernel
