// Operations on rows: softmax, log_softmax, layer_norm; and dropout. Page: docs/ops.md
#include "ops/ops.h"
#include "ops/values.h"

namespace kindling {
namespace {

int64_t rows_of(const Tensor& x) { return x.size() / std::max(x.dim(-1), int64_t{1}); }

using RowValue = void (*)(int64_t rows, int64_t n, const real* x, real* y);
using RowGradient = void (*)(int64_t rows, int64_t n, const real* gy, const real* y, real* gx);

// A function of each row whose gradient follows from its result. Other axes are moved to the end.
Tensor along(const char* op, RowValue Kernels::*value, RowGradient Kernels::*gradient,
             const Tensor& x, int axis) {
  ENSURE(x.rank() >= 1, "{}: a single number has no axis", op);
  const int a = x.shape().axis(axis);
  if (a != x.rank() - 1)
    return transpose(along(op, value, gradient, transpose(x, a, -1), -1), a, -1);
  return record(
      op, {shape_only(x)},
      [&] {
        Tensor y(x.shape());
        (kernels().*value)(rows_of(x), x.dim(-1), x.data(), y.mutable_data());
        return y;
      },
      [gradient](const Tensor& gy, const Tensor& y, Grads& g) {
        Tensor gx(y.shape());
        (kernels().*gradient)(rows_of(y), y.dim(-1), gy.data(), y.data(), gx.mutable_data());
        g.add(0, std::move(gx));
      });
}

}  // namespace

Tensor softmax(const Tensor& x, int axis) {
  return along("softmax", &Kernels::softmax, &Kernels::softmax_gradient, x, axis);
}

Tensor log_softmax(const Tensor& x, int axis) {
  return along("log_softmax", &Kernels::log_softmax, &Kernels::log_softmax_gradient, x, axis);
}

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double epsilon) {
  ENSURE(x.rank() >= 1 && x.dim(-1) > 0, "layer_norm: nothing to normalise in {}", x.shape());
  const int64_t n = x.dim(-1), rows = rows_of(x);
  for (const Tensor* t : {&weight, &bias}) {
    ENSURE(!t->defined() || t->shape() == Shape{n}, "layer_norm: weight or bias {} for rows of {}",
           t->shape(), n);
  }
  const auto data_of = [](const Tensor& t) { return t.defined() ? t.data() : nullptr; };
  Tensor mean({rows}), inverse({rows});
  std::vector<Input> inputs{x};
  const int weight_input = weight.defined() ? int(inputs.size()) : -1;
  if (weight.defined()) inputs.push_back(weight);
  const int bias_input = bias.defined() ? int(inputs.size()) : -1;
  if (bias.defined()) inputs.push_back(shape_only(bias));
  return record(
      "layer_norm", inputs,
      [&] {
        Tensor y(x.shape());
        kernels().layer_norm(rows, n, x.data(), data_of(weight), data_of(bias), real(epsilon),
                             y.mutable_data(), mean.mutable_data(), inverse.mutable_data());
        return y;
      },
      [=](const Tensor& gy, Grads& g) {
        const auto sum_for = [&](int i) {
          return i >= 0 && g.wants(i) ? g.into(i).mutable_data() : nullptr;
        };
        Tensor gx;
        if (g.wants(0)) gx = Tensor(x.shape());
        kernels().layer_norm_gradient(rows, n, gy.data(), x.data(), data_of(weight), mean.data(),
                                      inverse.data(), gx.defined() ? gx.mutable_data() : nullptr,
                                      sum_for(weight_input), sum_for(bias_input));
        if (gx.defined()) g.add(0, std::move(gx));
      });
}

Tensor dropout(const Tensor& x, double p, Random& random) {
  ENSURE(p >= 0 && p < 1, "dropout: p is {}, not in [0, 1)", p);
  if (p == 0) return x;
  const uint64_t high = random.bits(), low = random.bits();
  Tensor mask(x.shape());
  return record(
      "dropout", {shape_only(x)},
      [&] {
        kernels().dropout_mask(x.size(), real(p), random.state().seed, high << 32 | low,
                               mask.mutable_data());
        return value::combine("dropout", Binary::mul, x, mask);
      },
      [mask](const Tensor& gy, Grads& g) {
        g.add(0, value::combine("dropout", Binary::mul, gy, mask));
      });
}

}  // namespace kindling
