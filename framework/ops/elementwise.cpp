// Elementwise operations: arithmetic with broadcasting, functions of one number, choosing.
// Page: docs/ops.md
#include "ops/ops.h"

namespace kindling {

using value::of_ab, value::sum_to;

namespace {

// f of each pair, without history.
Tensor zip(const char* op, Binary f, const Tensor& a, const Tensor& b) {
  const Shape shape = a.shape() == b.shape() ? a.shape() : broadcast(op, a.shape(), b.shape());
  return Tensor(shape, [&](real* y) {
    kernels().binary[size_t(f)](value::walk(shape, a.shape(), b.shape()), a.data(), b.data(), y);
  });
}

// Writes f(x; p, q).
auto writes(Unary f, const Tensor& x, double p = 0, double q = 0) {
  return [=, &x](real* y) { kernels().unary[size_t(f)](x.size(), x.data(), y, real(p), real(q)); };
}
// Adds gy f'(x; p, q), which reads what was kept of x and the result.
void add_slopes(Grads& g, Unary f, const Tensor& gy, const Tensor& kept, double p, double q) {
  const real* k = kept.data();
  const auto gradient = kernels().unary_gradient[size_t(f)];
  g.add(
      0, [&](real* gx) { gradient(gy.size(), gy.data(), k, k, gx, real(p), real(q)); }, gy);
}

// a + b or a - b, which need neither on the way back.
Tensor sum_or_difference(const char* op, Binary f, const Tensor& a, const Tensor& b) {
  return record(
      op, {shape_only(a), shape_only(b)}, [&] { return zip(op, f, a, b); },
      [f](const Tensor& gy, Grads& g) {
        if (g.wants(0)) g.add(0, sum_to(gy, g.shape(0)));
        if (!g.wants(1)) return;
        const Tensor gb = sum_to(gy, g.shape(1));
        g.add(1, f == Binary::add ? gb : -gb);
      });
}

}  // namespace

Tensor value::of_y(const char* op, Unary f, const Tensor& x) {
  return record(
      op, {shape_only(x)}, x.shape(), writes(f, x),
      [f](const Tensor& gy, const Tensor& y, Grads& g) { add_slopes(g, f, gy, y, 0, 0); });
}

Tensor value::of_x(const char* op, Unary f, const Tensor& x, double p, double q) {
  return record(op, {x}, x.shape(), writes(f, x, p, q),
                [f, x, p, q](const Tensor& gy, Grads& g) { add_slopes(g, f, gy, x, p, q); });
}

Tensor value::of_ab(const char* op, Binary f, const Tensor& a, const Tensor& b) {
  return record(
      op, {a, b}, [&] { return zip(op, f, a, b); },
      [f, a, b](const Tensor& gy, Grads& g) {
        for (const int i : {0, 1}) {
          if (!g.wants(i)) continue;
          const auto slope = kernels().binary_gradient[size_t(i)][size_t(f)];
          const Broadcast both = walk(gy.shape(), a.shape(), b.shape());
          const auto each = [&](real* to) { slope(both, gy.data(), a.data(), b.data(), to); };
          g.add(i, sum_to(Tensor(gy.shape(), each), g.shape(i)));
        }
      });
}

// ---- Arithmetic ---------------------------------------------------------------------------------

Tensor add(const Tensor& a, const Tensor& b) { return sum_or_difference("add", Binary::add, a, b); }
Tensor sub(const Tensor& a, const Tensor& b) { return sum_or_difference("sub", Binary::sub, a, b); }

Tensor mul(const Tensor& a, const Tensor& b) {
  return record(
      "mul", {a, b}, [&] { return zip("mul", Binary::mul, a, b); },
      [a = a.detach(), b = b.detach()](const Tensor& gy, Grads& g) {
        if (g.wants(0)) g.add(0, sum_to(zip("mul", Binary::mul, gy, b), a.shape()));
        if (g.wants(1)) g.add(1, sum_to(zip("mul", Binary::mul, gy, a), b.shape()));
      });
}

Tensor div(const Tensor& a, const Tensor& b) { return of_ab("div", Binary::div, a, b); }
Tensor power(const Tensor& a, const Tensor& b) { return of_ab("power", Binary::power, a, b); }
Tensor maximum(const Tensor& a, const Tensor& b) { return of_ab("maximum", Binary::maximum, a, b); }
Tensor minimum(const Tensor& a, const Tensor& b) { return of_ab("minimum", Binary::minimum, a, b); }

Tensor affine(const Tensor& x, double scale, double shift) {
  return record("affine", {shape_only(x)}, x.shape(), writes(Unary::affine, x, scale, shift),
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
      "where", {m, shape_only(yes), shape_only(no)}, shape,
      [&](real* y) { kernels().where(m.size(), m.data(), yes.data(), no.data(), y); },
      [m](const Tensor& gy, Grads& g) {
        if (g.wants(1)) g.add(1, where(m, gy, zeros(gy.shape())));
        if (g.wants(2)) g.add(2, where(m, zeros(gy.shape()), gy));
      });
}

}  // namespace kindling
