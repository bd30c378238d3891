// Losses: cross_entropy, binary_cross_entropy, mse; each a mean, one number. Page: docs/ops.md
#include "ops/ops.h"
#include "ops/values.h"

namespace kindling {
namespace {

Tensor mean_of(const Tensor& losses, int64_t count) {
  Tensor y{Shape{}};
  kernels().reduce_sum(1, losses.size(), 1, losses.data(), y.mutable_data());
  *y.mutable_data() /= real(count);
  return y;
}

}  // namespace

Tensor cross_entropy(const Tensor& logits, const Indices& labels, double smoothing,
                     int32_t ignore_label) {
  ENSURE(logits.rank() == 2 && labels.shape() == Shape{logits.dim(0)},
         "cross_entropy: logits {} need two dimensions and one label per row, got labels {}",
         logits.shape(), labels.shape());
  ENSURE(smoothing >= 0 && smoothing <= 1, "cross_entropy: smoothing {} is not in [0, 1]",
         smoothing);
  const int64_t rows = logits.dim(0), n = logits.dim(1);
  int64_t count = 0;
  for (int64_t r = 0; r < rows; ++r) {
    if (labels[r] == ignore_label) continue;
    ENSURE(labels[r] >= 0 && labels[r] < n, "cross_entropy: label {} of row {} is not in 0..{}",
           labels[r], r, n - 1);
    ++count;
  }
  ENSURE(count > 0, "cross_entropy: every one of {} labels is the ignored {}", rows, ignore_label);
  return record(
      "cross_entropy", {logits, labels},
      [&] {
        Tensor losses({rows});
        kernels().cross_entropy(rows, n, logits.data(), labels.data(), ignore_label,
                                real(smoothing), losses.mutable_data());
        return mean_of(losses, count);
      },
      [=](const Tensor& gy, Grads& g) {
        const Tensor each = full({rows}, double(gy.item()) / double(count));
        Tensor gx(logits.shape());
        kernels().cross_entropy_gradient(rows, n, each.data(), logits.data(), labels.data(),
                                         ignore_label, real(smoothing), gx.mutable_data());
        g.add(0, std::move(gx));
      });
}

Tensor binary_cross_entropy(const Tensor& logits, const Tensor& targets) {
  ENSURE(logits.shape() == targets.shape() && logits.size() > 0,
         "binary_cross_entropy: logits {} and targets {} must have one shape, and elements",
         logits.shape(), targets.shape());
  constexpr Binary f = Binary::bce_with_logits;
  const int64_t n = logits.size();
  return record(
      "binary_cross_entropy", {logits, targets},
      [&] { return mean_of(value::combine("binary_cross_entropy", f, logits, targets), n); },
      [logits, targets, n](const Tensor& gy, Grads& g) {
        const Tensor each = full(logits.shape(), double(gy.item()) / double(n));
        const Broadcast walk = value::walk(logits.shape(), logits.shape(), logits.shape());
        const auto slope = [&](const auto& slopes) {
          Tensor gx(logits.shape());
          slopes[size_t(f)](walk, each.data(), logits.data(), targets.data(), gx.mutable_data());
          return gx;
        };
        if (g.wants(0)) g.add(0, slope(kernels().binary_gradient_a));
        if (g.wants(1)) g.add(1, slope(kernels().binary_gradient_b));
      });
}

Tensor mse(const Tensor& a, const Tensor& b) {
  ENSURE(a.shape() == b.shape() && a.size() > 0, "mse: {} and {} must have one shape, and elements",
         a.shape(), b.shape());
  Tensor difference(a.shape());
  const double n = double(a.size());
  return record(
      "mse", {shape_only(a), shape_only(b)},
      [&] {
        copy_into(difference, value::combine("mse", Binary::sub, a, b));
        return scalar(kernels().sum_of_squares(difference.size(), difference.data()) / n);
      },
      [difference, n](const Tensor& gy, Grads& g) {
        if (g.wants(0)) g.add(0, value::scaled(difference, 2 * double(gy.item()) / n));
        if (g.wants(1)) g.add(1, value::scaled(difference, -2 * double(gy.item()) / n));
      });
}

}  // namespace kindling
