// Matrix products: matmul and linear. Letters: M N K, a product is [M, K] x [K, N]. Page:
// docs/ops.md

#include "base/parallel.h"
#include "ops/ops.h"
#include "ops/values.h"

namespace kindling {
namespace {

// Matrices one after another in memory; a single one may meet a batch.
struct Matrices {
  Matrix first;
  int64_t count;

  Matrices t() const { return {first.t(), count}; }
  Matrix operator[](int64_t i) const {
    Matrix m = first;
    if (count > 1) m.data += i * m.rows * m.cols;
    return m;
  }
};

// The last two dimensions are those of a matrix, the others a batch.
Matrices view(const Tensor& x, bool transposed = false) {
  const int64_t rows = x.dim(-2), cols = x.dim(-1);
  const Matrices m{{x.data(), rows, cols, cols, 1}, value::elements(x.shape(), 0, x.rank() - 2)};
  return transposed ? m.t() : m;
}

// a b for every matrix of the batch.
Tensor product(const Matrices& a, const Matrices& b, const Shape& shape,
               const real* bias = nullptr) {
  Tensor c(shape);
  real* const data = c.mutable_data();
  const int64_t m = a.first.rows, n = b.first.cols, k = a.first.cols;
  const int64_t batch = a.count == 1 ? b.count : a.count;
  // Threads take whole matrices; the cost is counted here, since theirs would go unseen.
  Cost* const cost = std::exchange(running_cost, nullptr);
  parallel_for(batch, 1 + (1 << 16) / (1 + m * n * k), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      kernels().gemm(a[i], b[i], data + i * m * n, n, {.bias = bias});
    }
  });
  running_cost = cost;
  count_cost(2 * batch * m * n * k, batch * (m * k + k * n + m * n) * int64_t(sizeof(real)));
  return c;
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b, Transpose transpose) {
  ENSURE(a.rank() >= 2 && b.rank() >= 2, "matmul: needs matrices, got {} x {}", a.shape(),
         b.shape());
  const bool ta = transpose == Transpose::a || transpose == Transpose::both;
  const bool tb = transpose == Transpose::b || transpose == Transpose::both;
  const Matrices va = view(a, ta), vb = view(b, tb);
  ENSURE(va.first.cols == vb.first.rows, "matmul: inner sizes differ: {} x {}{}", a.shape(),
         b.shape(), ta || tb ? " (transposed)" : "");
  const Shape& leading = a.rank() >= b.rank() ? a.shape() : b.shape();
  const auto batch = [](const Shape& s) { return std::span(s.begin(), s.end() - 2); };
  ENSURE(a.rank() == 2 || b.rank() == 2 || std::ranges::equal(batch(a.shape()), batch(b.shape())),
         "matmul: batches differ: {} x {}", a.shape(), b.shape());

  return record(
      "matmul", {a, b},
      [&] { return product(va, vb, leading.with(-2, va.first.rows).with(-1, vb.first.cols)); },
      [a, b, ta, tb](const Tensor& gc, Grads& g) {
        const Matrices A = view(a, ta), B = view(b, tb), G = view(gc);
        // The gradient of an operand that was used by every matrix of the batch is the sum over it.
        const auto add = [&](int input, const Tensor& x, const Matrices& p, const Matrices& q) {
          const Shape each = gc.shape().with(-2, x.dim(-2)).with(-1, x.dim(-1));
          g.add(input, value::sum_to(product(p, q, each), x.shape()));
        };
        // dA = dC B^T and dB = A^T dC; of a transposed operand (P Q)^T = Q^T P^T.
        if (g.wants(0)) add(0, a, ta ? B : G, ta ? G.t() : B.t());
        if (g.wants(1)) add(1, b, tb ? G.t() : A.t(), tb ? A : G);
      });
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  ENSURE(weight.rank() == 2 && x.rank() >= 1 && x.dim(-1) == weight.dim(1),
         "linear: input {} does not fit weight {} ([out, in])", x.shape(), weight.shape());
  const int64_t rows = value::elements(x.shape(), 0, x.rank() - 1), out = weight.dim(0);
  ENSURE(!bias.defined() || bias.shape() == Shape{out}, "linear: bias {} for {} outputs",
         bias.shape(), out);
  // All rows of a tensor as one matrix.
  const auto matrix = [rows](const Tensor& t) {
    return Matrices{{t.data(), rows, t.dim(-1), t.dim(-1), 1}, 1};
  };
  return record(
      "linear", {x, weight, shape_only(bias)},
      [&] {
        return product(matrix(x), view(weight).t(), x.shape().with(-1, out),
                       bias.defined() ? bias.data() : nullptr);
      },
      [x, weight, matrix](const Tensor& gy, Grads& g) {
        if (g.wants(0)) g.add(0, product(matrix(gy), view(weight), x.shape()));  // dx = dy W
        if (g.wants(1)) {                                                        // dW = dy^T x
          g.add(1, product(matrix(gy).t(), matrix(x), weight.shape()));
        }
        if (g.wants(2)) g.add(2, value::sum_to(gy, g.shape(2)));  // db = the sum of dy over rows
      });
}

}  // namespace kindling
