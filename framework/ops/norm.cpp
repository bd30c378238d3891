// Operations on rows: softmax, log_softmax, layer_norm, batch_norm; and dropout. Page: docs/ops.md
#include "ops/ops.h"

namespace kindling {

using value::data_of;

namespace {

// The length of the last axis of x, which weights and statistics must have.
int64_t ensure_fit(const char* op, const Tensor& x, std::initializer_list<Tensor> others) {
  ENSURE(x.rank() >= 1 && x.dim(-1) > 0, "{}: nothing to normalise in {}", op, x.shape());
  const int64_t n = x.dim(-1);
  for (const Tensor& t : others) {
    ENSURE(!t.defined() || t.shape() == Shape{n},
           "{}: weight, bias or statistics {} for rows of {}", op, t.shape(), n);
  }
  return n;
}

}  // namespace

Tensor softmax(const Tensor& x, int axis) {
  ENSURE(x.rank() >= 1, "softmax: a single number has no axis");
  const int a = x.shape().axis(axis);
  if (a != x.rank() - 1) return transpose(softmax(transpose(x, a, -1)), a, -1);
  const int64_t rows = value::product(x.shape(), 0, a), n = x.dim(a);
  return record(
      "softmax", {shape_only(x)}, x.shape(),
      [&](real* y) { kernels().softmax(rows, n, x.data(), y); },
      [rows, n](const Tensor& gy, const Tensor& y, Grads& g) {
        g.add(0, [&](real* gx) { kernels().softmax_gradient(rows, n, gy.data(), y.data(), gx); });
      });
}

// A shift changes no softmax: with the largest element at 0 no exponential overflows.
Tensor log_softmax(const Tensor& x, int axis) {
  ENSURE(x.rank() >= 1, "log_softmax: a single number has no axis");
  if (x.size() == 0) return x;
  const Tensor shifted = x - max(x.detach(), {axis}, true);
  return shifted - log(sum(exp(shifted), {axis}, true));
}

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double epsilon) {
  const int64_t n = ensure_fit("layer_norm", x, {weight, bias}), rows = x.size() / n;
  Tensor mean({rows}), inverse({rows});
  return record(
      "layer_norm", {x, weight, shape_only(bias)}, x.shape(),
      [&](real* y) {
        kernels().layer_norm(rows, n, x.data(), data_of(weight), data_of(bias), real(epsilon), y,
                             mean.mutable_data(), inverse.mutable_data());
      },
      [=](const Tensor& gy, Grads& g) {
        const auto write = [&](real* gx) {
          kernels().layer_norm_gradient(rows, n, gy.data(), x.data(), data_of(weight), mean.data(),
                                        inverse.data(), gx, g.sum_of(1), g.sum_of(2));
        };
        g.wants(0) ? g.add(0, write) : write(nullptr);
      });
}

Tensor batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor running_mean,
                  Tensor running_variance, const BatchNormOptions& options) {
  const int64_t n = ensure_fit("batch_norm", x, {weight, bias, running_mean, running_variance});
  const int64_t rows = x.size() / n;
  const bool running = running_mean.defined() && running_variance.defined();
  ENSURE(options.training || running, "batch_norm: evaluation needs the running statistics");
  ENSURE(!options.training || rows > 1,
         "batch_norm: input {} has {} values of a channel and training needs two. Use a larger "
         "batch, or evaluate",
         x.shape(), rows);
  Tensor mean = running_mean, variance = running_variance;
  if (options.training) mean = Tensor({n}), variance = Tensor({n});
  ChannelNorm norm{rows, n, mean.data(), variance.data(), data_of(weight), data_of(bias)};
  norm.epsilon = real(options.epsilon), norm.activation = options.activation;
  // The node holds the inputs, so that they stay where they are. The result is made of them again
  // when an operation behind this one asks for it, and is then there for others until backward
  // comes here.
  struct Kept {
    ChannelNorm norm;
    bool of_batch;
    Tensor x, y = {};

    Tensor value() const {
      return Tensor(x.shape(), [&](real* to) { kernels().batch_norm(norm, x.data(), to); });
    }
    Tensor result() { return y.defined() ? y : y = value(); }
    void operator()(const Tensor& gy, Grads& g) {
      y = Tensor();
      const auto write = [&](real* gx) {
        kernels().batch_norm_gradient(norm, of_batch, gy.data(), x.data(), gx, g.sum_of(1),
                                      g.sum_of(2));
      };
      g.wants(0) ? g.add(0, write, gy) : write(nullptr);
    }
  } const kept{norm, options.training, x.detach()};
  const auto value = [&] {
    if (!options.training) return kept.value();
    kernels().batch_statistics(rows, n, x.data(), mean.mutable_data(), variance.mutable_data());
    if (running) {
      const Tensor unbiased = variance * (double(rows) / double(rows - 1));
      const real share = real(options.momentum);
      kernels().lerp(n, running_mean.mutable_data(), mean.data(), share);
      kernels().lerp(n, running_variance.mutable_data(), unbiased.data(), share);
    }
    return kept.value();
  };
  return record("batch_norm", {x, weight, bias, mean, variance}, value, kept);
}

Tensor dropout(const Tensor& x, double p, Random& random) {
  ENSURE(p >= 0 && p < 1, "dropout: p is {}, not in [0, 1)", p);
  if (p == 0) return x;
  const uint64_t high = random.bits(), low = random.bits();
  return x * Tensor(x.shape(), [&](real* mask) {
           kernels().dropout_mask(x.size(), real(p), random.state().seed, high << 32 | low, mask);
         });
}

}  // namespace kindling
