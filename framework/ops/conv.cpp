// Operations on images [N, H, W, C]: convolution and pooling. Page: docs/ops.md
#include "ops/ops.h"

namespace kindling {
namespace {

// A window of kernel_h x kernel_w over x, the same in both directions otherwise.
Window window_over(const char* op, const Tensor& x, int64_t kernel_h, int64_t kernel_w,
                   int64_t stride, int64_t padding, int64_t dilation) {
  ENSURE(x.rank() == 4, "{}: input {} is not [N, H, W, C]", op, x.shape());
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();  // as of a dimension
  const auto between = [](int64_t least, int64_t n) { return least <= n && n <= kMost; };
  ENSURE(between(1, kernel_h) && between(1, kernel_w) && between(1, stride) &&
             between(0, padding) && between(1, dilation),
         "{}: kernel {} x {}, stride {}, dilation {} must be at least 1, padding {} at least 0, "
         "and all below 2^31",
         op, kernel_h, kernel_w, stride, dilation, padding);
  const int64_t h = x.dim(1) + 2 * padding, w = x.dim(2) + 2 * padding;
  const int64_t window_h = dilation * (kernel_h - 1) + 1, window_w = dilation * (kernel_w - 1) + 1;
  ENSURE(window_h <= h && window_w <= w && x.dim(1) > 0 && x.dim(2) > 0,
         "{}: a window of {} x {} does not fit into input {} with padding {}", op, window_h,
         window_w, x.shape(), padding);
  Window result{};
  result.h = x.dim(1), result.w = x.dim(2);
  result.out_h = (h - window_h) / stride + 1, result.out_w = (w - window_w) / stride + 1;
  result.kernel_h = kernel_h, result.kernel_w = kernel_w;
  result.stride_h = result.stride_w = stride, result.pad_top = result.pad_left = padding;
  result.dilation_h = result.dilation_w = dilation;
  return result;
}

Window window_over(const char* op, const Tensor& x, const PoolOptions& options) {
  const int64_t stride = options.stride == 0 ? options.kernel : options.stride;
  // A window that lies in the padding alone would have no maximum.
  ENSURE(options.padding <= options.kernel / 2, "{}: padding {} is more than half of the kernel {}",
         op, options.padding, options.kernel);
  return window_over(op, x, options.kernel, options.kernel, stride, options.padding, 1);
}

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias,
              const ConvOptions& options) {
  ENSURE(weight.rank() == 4 && weight.size() > 0,
         "conv2d: weight {} is not [out, kh, kw, in / groups]", weight.shape());
  const Window window = window_over("conv2d", x, weight.dim(1), weight.dim(2), options.stride,
                                    options.padding, options.dilation);
  const int64_t in = x.dim(3), out = weight.dim(0), groups = options.groups;
  ENSURE(groups >= 1 && in % groups == 0 && out % groups == 0,
         "conv2d: {} groups do not divide {} input and {} output channels", groups, in, out);
  ENSURE(in == groups * weight.dim(3),
         "conv2d: channels differ: input {} has {}, weight {}{} expects {}", x.shape(), in,
         weight.shape(), groups == 1 ? "" : fmt::format(" in {} groups", groups),
         groups * weight.dim(3));
  ENSURE(!bias.defined() || bias.shape() == Shape{out}, "conv2d: bias {} for {} output channels",
         bias.shape(), out);
  const Convolution convolution{x.dim(0), in, out, groups, window};
  const Saved saved(x);
  return record(
      "conv2d", {saved, weight, shape_only(bias)}, {x.dim(0), window.out_h, window.out_w, out},
      [&](real* y) {
        kernels().conv(convolution, x.data(), weight.data(), value::data_of(bias), y);
      },
      [convolution, saved, weight = weight.detach()](const Tensor& gy, Grads& g) {
        g.add(0, [&](real* gx) {
          kernels().conv_input_gradient(convolution, gy.data(), weight.data(), gx);
        });
        g.add(1, [&](real* gw) {
          kernels().conv_weight_gradient(convolution, gy.data(), saved.elements().data(), gw);
        });
        if (g.wants(2)) g.add(2, value::sum_to(gy, g.shape(2)));  // over all pixels
      });
}

Tensor max_pool2d(const Tensor& x, const PoolOptions& options) {
  const Window window = window_over("max_pool2d", x, options);
  const int64_t batch = x.dim(0), channels = x.dim(3);
  ENSURE(window.h * window.w <= std::numeric_limits<int32_t>::max(),
         "max_pool2d: images of {} x {} have more than 2^31 - 1 pixels", window.h, window.w);
  Indices where(Shape{batch, window.out_h, window.out_w, channels});  // the pixels of the maxima
  return record(
      "max_pool2d", {shape_only(x)}, where.shape(),
      [&](real* y) {
        kernels().max_pool(batch, channels, window, x.data(), y, where.mutable_data());
      },
      [batch, channels, window, where](const Tensor& gy, Grads& g) {
        g.add(0, [&](real* gx) {
          kernels().max_pool_gradient(batch, channels, window, gy.data(), where.data(), gx);
        });
      });
}

// A depthwise convolution with equal weights.
Tensor average_pool2d(const Tensor& x, const PoolOptions& options) {
  const Window window = window_over("average_pool2d", x, options);
  const int64_t channels = x.dim(3), taps = options.kernel * options.kernel;
  const Convolution convolution{x.dim(0), channels, channels, channels, window};
  const Tensor weight = full({channels, taps}, 1.0 / double(taps));
  const Tensor y = record(
      "average_pool2d", {shape_only(x)}, {x.dim(0), window.out_h, window.out_w, channels},
      [&](real* to) { kernels().conv(convolution, x.data(), weight.data(), nullptr, to); },
      [convolution, weight](const Tensor& gy, Grads& g) {
        g.add(0, [&](real* gx) {
          kernels().conv_input_gradient(convolution, gy.data(), weight.data(), gx);
        });
      });
  if (options.count_padding || options.padding == 0) return y;
  // Windows that reach over the edge have fewer pixels to share: of ones they have the mean
  // missing.
  return y / average_pool2d(ones({1, window.h, window.w, 1}),
                            {options.kernel, options.stride, options.padding});
}

Tensor global_average_pool(const Tensor& x) {
  ENSURE(x.rank() == 4 && x.dim(1) > 0 && x.dim(2) > 0,
         "global_average_pool: input {} is not [N, H, W, C]", x.shape());
  return x.dim(0) == 0 ? zeros({0, x.dim(3)}) : mean(x, {1, 2});
}

}  // namespace kindling
