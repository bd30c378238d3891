// Operations on rows: softmax, log_softmax, layer_norm; and dropout. Page: docs/ops.md
#include "ops/ops.h"

namespace kindling {

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
  ENSURE(x.rank() >= 1 && x.dim(-1) > 0, "layer_norm: nothing to normalise in {}", x.shape());
  const int64_t n = x.dim(-1), rows = x.size() / n;
  for (const Tensor& t : {weight, bias}) {
    ENSURE(!t.defined() || t.shape() == Shape{n}, "layer_norm: weight or bias {} for rows of {}",
           t.shape(), n);
  }
  const auto data_of = [](const Tensor& t) { return t.defined() ? t.data() : nullptr; };
  Tensor mean({rows}), inverse({rows});
  return record(
      "layer_norm", {x, weight, shape_only(bias)}, x.shape(),
      [&](real* y) {
        kernels().layer_norm(rows, n, x.data(), data_of(weight), data_of(bias), real(epsilon), y,
                             mean.mutable_data(), inverse.mutable_data());
      },
      [=](const Tensor& gy, Grads& g) {
        const auto sum_for = [&](int i) { return g.wants(i) ? g.into(i).mutable_data() : nullptr; };
        Tensor gx = g.wants(0) ? Tensor(x.shape()) : Tensor();
        kernels().layer_norm_gradient(rows, n, gy.data(), x.data(), data_of(weight), mean.data(),
                                      inverse.data(), g.wants(0) ? gx.mutable_data() : nullptr,
                                      sum_for(1), sum_for(2));
        if (g.wants(0)) g.add(0, std::move(gx));
      });
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
