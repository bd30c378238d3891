// Losses: cross_entropy, binary_cross_entropy, mse; each a mean, one number. Page: docs/ops.md
#include "ops/ops.h"

namespace kindling {

Tensor cross_entropy(const Tensor& logits, const Indices& labels, double smoothing,
                     int32_t ignore_label) {
  ENSURE(logits.rank() == 2 && labels.shape() == Shape{logits.dim(0)},
         "cross_entropy: logits {} need two dimensions and one label per row, got labels {}",
         logits.shape(), labels.shape());
  ENSURE(smoothing >= 0 && smoothing <= 1, "cross_entropy: smoothing {} is not in [0, 1]",
         smoothing);
  const int64_t rows = logits.dim(0), n = logits.dim(1);
  const int64_t count = rows - std::ranges::count(labels.values(), ignore_label);
  ENSURE(count > 0, "cross_entropy: every one of {} labels is the ignored {}", rows, ignore_label);
  for (int64_t r = 0; r < rows; ++r) {
    ENSURE((labels[r] >= 0 && labels[r] < n) || labels[r] == ignore_label,
           "cross_entropy: label {} of row {} is not in 0..{}", labels[r], r, n - 1);
  }
  const Tensor losses = record(
      "cross_entropy", {logits, labels}, {rows},
      [&](real* y) {
        kernels().cross_entropy(rows, n, logits.data(), labels.data(), ignore_label,
                                real(smoothing), y);
      },
      [=](const Tensor& gy, Grads& g) {
        g.add(0, [&](real* gx) {
          kernels().cross_entropy_gradient(rows, n, gy.data(), logits.data(), labels.data(),
                                           ignore_label, real(smoothing), gx);
        });
      });
  return sum(losses) / double(count);
}

Tensor binary_cross_entropy(const Tensor& logits, const Tensor& targets) {
  ENSURE(logits.shape() == targets.shape() && logits.size() > 0,
         "binary_cross_entropy: logits {} and targets {} must have one shape, and elements",
         logits.shape(), targets.shape());
  return mean(value::of_ab("binary_cross_entropy", Binary::bce_with_logits, logits, targets));
}

Tensor mse(const Tensor& a, const Tensor& b) {
  ENSURE(a.shape() == b.shape() && a.size() > 0, "mse: {} and {} must have one shape, and elements",
         a.shape(), b.shape());
  const Tensor difference = a.detach() - b.detach();
  const double n = double(a.size());
  return record(
      "mse", {shape_only(a), shape_only(b)},
      [&] { return scalar(kernels().sum_of_squares(std::array{difference.values()}) / n); },
      [difference, n](const Tensor& gy, Grads& g) {
        const double scale = 2 * double(gy.item()) / n;
        if (g.wants(0)) g.add(0, difference * scale);
        if (g.wants(1)) g.add(1, difference * -scale);
      });
}

}  // namespace kindling
