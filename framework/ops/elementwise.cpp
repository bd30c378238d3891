// Elementwise operations: arithmetic with broadcasting, functions of one number, choosing.
// Page: docs/ops.md

#include "ops/ops.h"
#include "ops/values.h"

namespace kindling {

using value::combine;
using value::map;
using value::sum_to;

namespace value {
namespace {

Broadcast flat_walk(int64_t n) {
  Broadcast w;
  w.elements = w.sizes[0] = n;
  w.a_strides[0] = w.b_strides[0] = 1;
  return w;
}

}  // namespace

Broadcast walk(const Shape& shape, const Shape& a, const Shape& b) {
  if (a == shape && b == shape) return flat_walk(shape.elements());
  Broadcast w;
  w.elements = shape.elements();
  // Strides of each dimension, 0 where it is stretched, then neighbours that continue each other
  // are merged so that the innermost loop is as long as it can be. Built from the inside out.
  const auto a_dense = strides_of(a), b_dense = strides_of(b);
  int count = 0;
  std::array<int64_t, kMaxRank> size{}, a_step{}, b_step{};
  for (int i = 1; i <= shape.rank(); ++i) {
    const int64_t n = shape[shape.rank() - i];
    if (n == 1) continue;
    const int ai = a.rank() - i, bi = b.rank() - i;
    const int64_t as = ai >= 0 && a[ai] != 1 ? a_dense[size_t(ai)] : 0;
    const int64_t bs = bi >= 0 && b[bi] != 1 ? b_dense[size_t(bi)] : 0;
    const size_t last = size_t(count - 1);
    if (count > 0 && as == a_step[last] * size[last] && bs == b_step[last] * size[last]) {
      size[last] *= n;
    } else {
      size[size_t(count)] = n, a_step[size_t(count)] = as, b_step[size_t(count)] = bs;
      ++count;
    }
  }
  if (count == 0) size[0] = 1, count = 1;
  w.rank = count;
  for (int i = 0; i < count; ++i) {
    const size_t from = size_t(count - 1 - i), to = size_t(i);
    w.sizes[to] = size[from], w.a_strides[to] = a_step[from], w.b_strides[to] = b_step[from];
  }
  return w;
}

Tensor map(Unary f, const Tensor& x, double p, double q) {
  Tensor y(x.shape());
  kernels().unary[size_t(f)](x.size(), x.data(), y.mutable_data(), real(p), real(q));
  return y;
}

Tensor scaled(const Tensor& x, double factor) { return map(Unary::affine, x, factor); }

Tensor combine(const char* op, Binary f, const Tensor& a, const Tensor& b) {
  const bool same = a.shape() == b.shape();
  Tensor y(same ? a.shape() : broadcast(op, a.shape(), b.shape()));
  kernels().binary[size_t(f)](same ? flat_walk(y.size()) : walk(y.shape(), a.shape(), b.shape()),
                              a.data(), b.data(), y.mutable_data());
  return y;
}

Tensor sum_to(Tensor g, const Shape& shape) {
  if (g.shape() == shape) return g;
  // Summing one run of stretched dimensions at a time, the innermost first.
  Tensor sum = std::move(g);
  Shape left = sum.shape();
  const int extra = left.rank() - shape.rank();
  const auto stretched = [&](int i) {
    return i < extra || (shape[i - extra] == 1 && left[i] != 1);
  };
  for (int end = left.rank(); end > 0; --end) {
    if (!stretched(end - 1)) continue;
    int begin = end - 1;
    while (begin > 0 && stretched(begin - 1)) --begin;
    int64_t outer = 1, n = 1, inner = 1;
    for (int i = 0; i < left.rank(); ++i) (i < begin ? outer : i < end ? n : inner) *= left[i];
    for (int i = begin; i < end; ++i) left = left.with(i, 1);
    Tensor y(left);
    kernels().reduce_sum(outer, n, inner, sum.data(), y.mutable_data());
    sum = y;
    end = begin + 1;
  }
  return sum.viewed_as(shape);
}

}  // namespace value

namespace {

// The gradient of a function of two numbers whose slopes the kernel table holds, summed back.
template <class Slopes>
Tensor slope_of(const Slopes& slopes, Binary f, const Tensor& gy, const Tensor& a, const Tensor& b,
                const Shape& shape) {
  Tensor g(gy.shape());
  slopes[size_t(f)](value::walk(gy.shape(), a.shape(), b.shape()), gy.data(), a.data(), b.data(),
                    g.mutable_data());
  return sum_to(g, shape);
}

// power, maximum, minimum: value and both slopes stand side by side in kernels/elementwise.h.
Tensor binary(const char* op, Binary f, const Tensor& a, const Tensor& b) {
  return record(
      op, {a, b}, [&] { return combine(op, f, a, b); },
      [f, a, b](const Tensor& gy, Grads& g) {
        const Kernels& k = kernels();
        if (g.wants(0)) g.add(0, slope_of(k.binary_gradient_a, f, gy, a, b, a.shape()));
        if (g.wants(1)) g.add(1, slope_of(k.binary_gradient_b, f, gy, a, b, b.shape()));
      });
}

Tensor gradient_of(Unary f, const Tensor& gy, const Tensor& x, const Tensor& y, double p,
                   double q) {
  Tensor gx(gy.shape());
  kernels().unary_gradient[size_t(f)](gy.size(), gy.data(), x.data(), y.data(), gx.mutable_data(),
                                      real(p), real(q));
  return gx;
}

// Functions of one number: value and slope stand side by side in kernels/elementwise.h. Those whose
// slope follows from the result keep that (which the next operation keeps anyway), others x.
Tensor from_output(const char* op, Unary f, const Tensor& x, double p = 0) {
  return record(
      op, {shape_only(x)}, [&] { return map(f, x, p); },
      [f, p](const Tensor& gy, const Tensor& y, Grads& g) {
        g.add(0, gradient_of(f, gy, y, y, p, 0));
      });
}

Tensor from_input(const char* op, Unary f, const Tensor& x, double p = 0, double q = 0) {
  return record(
      op, {x}, [&] { return map(f, x, p, q); },
      [f, x, p, q](const Tensor& gy, Grads& g) { g.add(0, gradient_of(f, gy, x, x, p, q)); });
}

}  // namespace

// ---- Arithmetic ---------------------------------------------------------------------------------

Tensor add(const Tensor& a, const Tensor& b) {
  return record(
      "add", {shape_only(a), shape_only(b)}, [&] { return combine("add", Binary::add, a, b); },
      [sa = a.shape(), sb = b.shape()](const Tensor& gy, Grads& g) {
        if (g.wants(0)) g.add(0, sum_to(gy, sa));
        if (g.wants(1)) g.add(1, sum_to(gy, sb));
      });
}

Tensor sub(const Tensor& a, const Tensor& b) {
  return record(
      "sub", {shape_only(a), shape_only(b)}, [&] { return combine("sub", Binary::sub, a, b); },
      [sa = a.shape(), sb = b.shape()](const Tensor& gy, Grads& g) {
        if (g.wants(0)) g.add(0, sum_to(gy, sa));
        if (g.wants(1)) g.add(1, value::scaled(sum_to(gy, sb), -1));
      });
}

Tensor mul(const Tensor& a, const Tensor& b) {
  return record(
      "mul", {a, b}, [&] { return combine("mul", Binary::mul, a, b); },
      [a, b](const Tensor& gy, Grads& g) {
        if (g.wants(0)) g.add(0, sum_to(combine("mul", Binary::mul, gy, b), a.shape()));
        if (g.wants(1)) g.add(1, sum_to(combine("mul", Binary::mul, gy, a), b.shape()));
      });
}

Tensor div(const Tensor& a, const Tensor& b) {
  return record(
      "div", {a, b}, [&] { return combine("div", Binary::div, a, b); },
      [a, b](const Tensor& gy, const Tensor& y, Grads& g) {
        const Tensor ga = combine("div", Binary::div, gy, b);  // d(a/b)/da = 1/b
        if (g.wants(0)) g.add(0, sum_to(ga, a.shape()));
        if (g.wants(1)) {  // d(a/b)/db = -(a/b)/b
          g.add(1, value::scaled(sum_to(combine("div", Binary::mul, ga, y), b.shape()), -1));
        }
      });
}

Tensor power(const Tensor& a, const Tensor& b) { return binary("power", Binary::power, a, b); }
Tensor maximum(const Tensor& a, const Tensor& b) {
  return binary("maximum", Binary::maximum, a, b);
}
Tensor minimum(const Tensor& a, const Tensor& b) {
  return binary("minimum", Binary::minimum, a, b);
}

Tensor affine(const Tensor& x, double scale, double shift) {
  return record(
      "affine", {shape_only(x)}, [&] { return map(Unary::affine, x, scale, shift); },
      [scale](const Tensor& gy, Grads& g) { g.add(0, value::scaled(gy, scale)); });
}

Tensor power(const Tensor& x, double exponent) {
  return from_input("power", Unary::power, x, exponent);
}

// ---- Functions of one number --------------------------------------------------------------------

Tensor neg(const Tensor& x) { return affine(x, -1, 0); }
Tensor exp(const Tensor& x) { return from_output("exp", Unary::exp, x); }
Tensor log(const Tensor& x) { return from_input("log", Unary::log, x); }
Tensor sqrt(const Tensor& x) { return from_output("sqrt", Unary::sqrt, x); }
Tensor square(const Tensor& x) { return from_input("square", Unary::square, x); }
Tensor abs(const Tensor& x) { return from_input("abs", Unary::abs, x); }
Tensor reciprocal(const Tensor& x) { return from_output("reciprocal", Unary::reciprocal, x); }
Tensor sin(const Tensor& x) { return from_input("sin", Unary::sin, x); }
Tensor cos(const Tensor& x) { return from_input("cos", Unary::cos, x); }
Tensor tanh(const Tensor& x) { return from_output("tanh", Unary::tanh, x); }
Tensor sigmoid(const Tensor& x) { return from_output("sigmoid", Unary::sigmoid, x); }
Tensor softplus(const Tensor& x) { return from_input("softplus", Unary::softplus, x); }
Tensor relu(const Tensor& x) { return from_output("relu", Unary::relu, x); }

Tensor leaky_relu(const Tensor& x, double slope) {
  return from_input("leaky_relu", Unary::leaky_relu, x, slope);
}

Tensor clamp(const Tensor& x, double low, double high) {
  ENSURE(low <= high, "clamp: low {} is above high {}", low, high);
  return from_input("clamp", Unary::clamp, x, low, high);
}

Tensor erf(const Tensor& x) { return from_input("erf", Unary::erf, x); }
Tensor gelu(const Tensor& x) { return from_input("gelu", Unary::gelu, x); }
Tensor gelu_tanh(const Tensor& x) { return from_input("gelu_tanh", Unary::gelu_tanh, x); }
Tensor silu(const Tensor& x) { return from_input("silu", Unary::silu, x); }

// ---- Choosing -----------------------------------------------------------------------------------

Tensor greater(const Tensor& a, const Tensor& b) {
  return combine("greater", Binary::greater, a, b);
}
Tensor less(const Tensor& a, const Tensor& b) { return combine("less", Binary::less, a, b); }
Tensor equal(const Tensor& a, const Tensor& b) { return combine("equal", Binary::equal, a, b); }

Tensor where(const Tensor& mask, const Tensor& a, const Tensor& b) {
  const Shape shape = broadcast("where", mask.shape(), broadcast("where", a.shape(), b.shape()));
  if (a.shape() != shape) return where(mask, broadcast_to(a, shape), b);
  if (b.shape() != shape) return where(mask, a, broadcast_to(b, shape));
  if (mask.shape() != shape) return where(broadcast_to(mask.detach(), shape), a, b);
  const auto choose = [shape](const Tensor& m, const Tensor& x, const Tensor& y) {
    Tensor chosen(shape);
    kernels().where(chosen.size(), m.data(), x.data(), y.data(), chosen.mutable_data());
    return chosen;
  };
  return record(
      "where", {shape_only(a), shape_only(b), mask.detach()}, [&] { return choose(mask, a, b); },
      [choose, m = mask.detach()](const Tensor& gy, Grads& g) {
        if (g.wants(0)) g.add(0, choose(m, gy, zeros(gy.shape())));
        if (g.wants(1)) g.add(1, choose(m, zeros(gy.shape()), gy));
      });
}

}  // namespace kindling
