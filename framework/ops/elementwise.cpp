// Elementwise operations: arithmetic with broadcasting, functions of one number, choosing.
// Page: docs/ops.md

#include "ops/ops.h"

namespace kindling {

using value::sum_to;

namespace {

Broadcast walk_of(const Shape& shape, const Shape& a, const Shape& b) {
  if (a != shape || b != shape) {
    return value::walk(shape, value::steps(a, shape), value::steps(b, shape));
  }
  Broadcast flat;
  flat.elements = flat.sizes[0] = shape.elements();
  flat.a_strides[0] = flat.b_strides[0] = 1;
  return flat;
}

// f of each element, and of each pair; without history.
Tensor map(Unary f, const Tensor& x, double p = 0, double q = 0) {
  Tensor y(x.shape());
  kernels().unary[size_t(f)](x.size(), x.data(), y.mutable_data(), real(p), real(q));
  return y;
}

Tensor zip(const char* op, Binary f, const Tensor& a, const Tensor& b) {
  Tensor y(a.shape() == b.shape() ? a.shape() : broadcast(op, a.shape(), b.shape()));
  kernels().binary[size_t(f)](walk_of(y.shape(), a.shape(), b.shape()), a.data(), b.data(),
                              y.mutable_data());
  return y;
}

Tensor gradient_of(Unary f, const Tensor& gy, const Tensor& kept, double p = 0, double q = 0) {
  Tensor gx(gy.shape());
  kernels().unary_gradient[size_t(f)](gy.size(), gy.data(), kept.data(), kept.data(),
                                      gx.mutable_data(), real(p), real(q));
  return gx;
}

}  // namespace

Tensor value::of_y(const char* op, Unary f, const Tensor& x) {
  return record(
      op, {shape_only(x)}, [&] { return map(f, x); },
      [f](const Tensor& gy, const Tensor& y, Grads& g) { g.add(0, gradient_of(f, gy, y)); });
}

Tensor value::of_x(const char* op, Unary f, const Tensor& x, double p, double q) {
  return record(
      op, {x}, [&] { return map(f, x, p, q); },
      [f, x, p, q](const Tensor& gy, Grads& g) { g.add(0, gradient_of(f, gy, x, p, q)); });
}

Tensor value::of_pair(const char* op, Binary f, const Tensor& a, const Tensor& b) {
  return record(
      op, {a, b}, [&] { return zip(op, f, a, b); },
      [f, a, b](const Tensor& gy, Grads& g) {
        const auto add = [&](int input, const auto& slopes) {
          Tensor each(gy.shape());
          slopes[size_t(f)](walk_of(gy.shape(), a.shape(), b.shape()), gy.data(), a.data(),
                            b.data(), each.mutable_data());
          g.add(input, sum_to(std::move(each), g.shape(input)));
        };
        if (g.wants(0)) add(0, kernels().binary_gradient_a);
        if (g.wants(1)) add(1, kernels().binary_gradient_b);
      });
}

// ---- Arithmetic ---------------------------------------------------------------------------------

Tensor add(const Tensor& a, const Tensor& b) {
  return record(
      "add", {shape_only(a), shape_only(b)}, [&] { return zip("add", Binary::add, a, b); },
      [](const Tensor& gy, Grads& g) {
        if (g.wants(0)) g.add(0, sum_to(gy, g.shape(0)));
        if (g.wants(1)) g.add(1, sum_to(gy, g.shape(1)));
      });
}

Tensor sub(const Tensor& a, const Tensor& b) {
  return record(
      "sub", {shape_only(a), shape_only(b)}, [&] { return zip("sub", Binary::sub, a, b); },
      [](const Tensor& gy, Grads& g) {
        if (g.wants(0)) g.add(0, sum_to(gy, g.shape(0)));
        if (g.wants(1)) g.add(1, -sum_to(gy, g.shape(1)));
      });
}

Tensor mul(const Tensor& a, const Tensor& b) {
  return record(
      "mul", {a, b}, [&] { return zip("mul", Binary::mul, a, b); },
      [a = a.detach(), b = b.detach()](const Tensor& gy, Grads& g) {
        if (g.wants(0)) g.add(0, sum_to(zip("mul", Binary::mul, gy, b), a.shape()));
        if (g.wants(1)) g.add(1, sum_to(zip("mul", Binary::mul, gy, a), b.shape()));
      });
}

Tensor div(const Tensor& a, const Tensor& b) {
  return record(
      "div", {a, b}, [&] { return zip("div", Binary::div, a, b); },
      [a, b](const Tensor& gy, const Tensor& y, Grads& g) {
        const Tensor each = gy / b;
        if (g.wants(0)) g.add(0, sum_to(each, a.shape()));       // d(a/b)/da = 1/b
        if (g.wants(1)) g.add(1, -sum_to(each * y, b.shape()));  // d(a/b)/db = -(a/b)/b
      });
}

Tensor power(const Tensor& a, const Tensor& b) {
  return value::of_pair("power", Binary::power, a, b);
}
Tensor maximum(const Tensor& a, const Tensor& b) {
  return value::of_pair("maximum", Binary::maximum, a, b);
}
Tensor minimum(const Tensor& a, const Tensor& b) {
  return value::of_pair("minimum", Binary::minimum, a, b);
}

Tensor affine(const Tensor& x, double scale, double shift) {
  return record(
      "affine", {shape_only(x)}, [&] { return map(Unary::affine, x, scale, shift); },
      [scale](const Tensor& gy, Grads& g) { g.add(0, gy * scale); });
}

Tensor clamp(const Tensor& x, double low, double high) {
  ENSURE(low <= high, "clamp: low {} is above high {}", low, high);
  return value::of_x("clamp", Unary::clamp, x, low, high);
}

// ---- Choosing -----------------------------------------------------------------------------------

Tensor greater(const Tensor& a, const Tensor& b) { return zip("greater", Binary::greater, a, b); }
Tensor less(const Tensor& a, const Tensor& b) { return zip("less", Binary::less, a, b); }
Tensor equal(const Tensor& a, const Tensor& b) { return zip("equal", Binary::equal, a, b); }

Tensor where(const Tensor& mask, const Tensor& a, const Tensor& b) {
  const Shape shape = broadcast("where", mask.shape(), broadcast("where", a.shape(), b.shape()));
  const Tensor m = broadcast_to(mask.detach(), shape);
  const Tensor yes = broadcast_to(a, shape), no = broadcast_to(b, shape);
  return record(
      "where", {m, shape_only(yes), shape_only(no)},
      [&] {
        Tensor y(shape);
        kernels().where(y.size(), m.data(), yes.data(), no.data(), y.mutable_data());
        return y;
      },
      [m](const Tensor& gy, Grads& g) {
        if (g.wants(1)) g.add(1, where(m, gy, zeros(gy.shape())));
        if (g.wants(2)) g.add(2, where(m, zeros(gy.shape()), gy));
      });
}

}  // namespace kindling
