// Matrix products: matmul and linear. Letters: M N K, a product is [M, K] x [K, N]. Page:
// docs/ops.md

#include "base/parallel.h"
#include "ops/ops.h"

namespace kindling {
namespace {

// Matrix i of a batch, the last two dimensions of x; a single matrix meets every one of a batch.
Matrix matrix(const Tensor& x, bool transposed, int64_t i) {
  const int64_t rows = x.dim(-2), cols = x.dim(-1);
  const Matrix m{x.data() + (x.rank() > 2 ? i * rows * cols : 0), rows, cols, cols, 1};
  return transposed ? m.t() : m;
}

// The product of each pair, or, for the gradient of an operand that all of them share, their sum.
Tensor product(const Tensor& a, bool ta, const Tensor& b, bool tb, const Tensor& bias = {},
               bool summed = false) {
  const int64_t M = a.dim(ta ? -1 : -2), K = a.dim(ta ? -2 : -1), N = b.dim(tb ? -2 : -1);
  const Shape& larger = a.rank() >= b.rank() ? a.shape() : b.shape();
  const int64_t batch = value::product(larger, 0, larger.rank() - 2);
  Tensor c = summed ? zeros({M, N}) : Tensor(larger.with(-2, M).with(-1, N));
  real* const to = c.mutable_data();
  const int64_t step = summed ? 0 : M * N, few = 1 + (1 << 16) / (1 + M * N * K);
  const Epilogue epilogue{summed, bias.defined() ? bias.data() : nullptr};
  // Threads take whole matrices; the cost is counted here, since theirs would go unseen.
  Cost* const cost = std::exchange(running_cost, nullptr);
  parallel_for(batch, summed ? batch : few, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      kernels().gemm(matrix(a, ta, i), matrix(b, tb, i), to + i * step, N, epilogue);
    }
  });
  running_cost = cost;
  count_cost(2 * batch * M * N * K, batch * (M * K + K * N + M * N) * int64_t(sizeof(real)));
  return c;
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b, Transpose transpose) {
  ENSURE(a.rank() >= 2 && b.rank() >= 2, "matmul: needs matrices, got {} x {}", a.shape(),
         b.shape());
  const bool ta = transpose == Transpose::a || transpose == Transpose::both;
  const bool tb = transpose == Transpose::b || transpose == Transpose::both;
  ENSURE(a.dim(ta ? -2 : -1) == b.dim(tb ? -1 : -2), "matmul: inner sizes differ: {} x {}{}",
         a.shape(), b.shape(), ta || tb ? " (transposed)" : "");
  const auto batch = [](const Tensor& x) { return x.shape().with(-2, 1).with(-1, 1); };
  ENSURE(a.rank() == 2 || b.rank() == 2 || batch(a) == batch(b), "matmul: batches differ: {} x {}",
         a.shape(), b.shape());
  return record(
      "matmul", {a, b}, [&] { return product(a, ta, b, tb); },
      [a, b, ta, tb](const Tensor& gc, Grads& g) {
        if (g.wants(0)) {  // dA = dC B^T; of a transposed operand (dC B^T)^T = B dC^T
          const bool shared = a.rank() < gc.rank();
          g.add(0,
                ta ? product(b, tb, gc, true, {}, shared) : product(gc, false, b, !tb, {}, shared));
        }
        if (g.wants(1)) {  // dB = A^T dC; of a transposed operand (A^T dC)^T = dC^T A
          const bool shared = b.rank() < gc.rank();
          g.add(1,
                tb ? product(gc, true, a, ta, {}, shared) : product(a, !ta, gc, false, {}, shared));
        }
      });
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  ENSURE(weight.rank() == 2 && x.rank() >= 1 && x.dim(-1) == weight.dim(1),
         "linear: input {} does not fit weight {} ([out, in])", x.shape(), weight.shape());
  const int64_t rows = value::product(x.shape(), 0, x.rank() - 1), out = weight.dim(0);
  ENSURE(!bias.defined() || bias.shape() == Shape{out}, "linear: bias {} for {} outputs",
         bias.shape(), out);
  const auto flat = [rows](const Tensor& t) { return t.viewed_as({rows, t.dim(-1)}); };
  return record(
      "linear", {x, weight, shape_only(bias)},
      [&] {
        return product(flat(x), false, weight, true, bias).viewed_as(x.shape().with(-1, out));
      },
      [x, weight, flat](const Tensor& gy, Grads& g) {
        const Tensor G = flat(gy);
        if (g.wants(0)) g.add(0, product(G, false, weight, false).viewed_as(x.shape()));  // dy W
        if (g.wants(1)) g.add(1, product(G, true, flat(x), false));                       // dy^T x
        if (g.wants(2)) g.add(2, value::sum_to(G, g.shape(2)));  // the sum of dy over rows
      });
}

}  // namespace kindling
