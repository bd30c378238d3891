// Matrix products: matmul and linear. Letters: M N K, a product is [M, K] x [K, N]. Page:
// docs/ops.md
#include "base/parallel.h"
#include "ops/ops.h"

namespace kindling {
namespace {

// An operand of products: the last two dimensions of x are a matrix, or a transposed one.
struct Factor {
  Tensor x;
  bool transposed = false;

  Factor t() const { return {x, !transposed}; }
  // Matrix i of a batch; a single matrix meets every one of a batch.
  Matrix matrix(int64_t i = 0) const {
    const int64_t rows = x.dim(-2), cols = x.dim(-1);
    const Matrix m{x.data() + (x.rank() > 2 ? i * rows * cols : 0), rows, cols, cols, 1};
    return transposed ? m.t() : m;
  }
};

// The product of each pair, or, if `summed`, the sum of these products.
Tensor product(const Factor& a, const Factor& b, const Tensor& bias = {}, bool summed = false) {
  const int64_t M = a.matrix().rows, K = a.matrix().cols, N = b.matrix().cols;
  const Shape& larger = a.x.rank() >= b.x.rank() ? a.x.shape() : b.x.shape();
  const int64_t batch = value::product(larger, 0, larger.rank() - 2);
  Tensor c = summed ? zeros({M, N}) : Tensor(larger.with(-2, M).with(-1, N));
  real* const to = c.mutable_data();
  const int64_t step = summed ? 0 : M * N, few = 1 + (1 << 16) / (1 + M * N * K);
  const Epilogue epilogue{summed, value::data_of(bias)};
  // Threads take whole matrices; the cost is counted here, since theirs would go unseen.
  count_cost(2 * batch * M * N * K, batch * (M * K + K * N + M * N) * int64_t(sizeof(real)));
  const Uncounted products;
  parallel_for(batch, summed ? batch : few, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      kernels().gemm(a.matrix(i), b.matrix(i), to + i * step, N, epilogue);
    }
  });
  return c;
}

// The gradient of a factor is p q; it is transposed if the factor was, (p q)^T = q^T p^T, and
// summed if the factor is one matrix that a whole batch shares.
Tensor gradient_of(const Factor& factor, const Factor& p, const Factor& q) {
  const bool shared = factor.x.rank() < std::max(p.x.rank(), q.x.rank());
  return factor.transposed ? product(q.t(), p.t(), {}, shared) : product(p, q, {}, shared);
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b, Transpose transpose) {
  ENSURE(a.rank() >= 2 && b.rank() >= 2, "matmul: needs matrices, got {} x {}", a.shape(),
         b.shape());
  const bool both = transpose == Transpose::both;
  const Factor A{a.detach(), both || transpose == Transpose::a};
  const Factor B{b.detach(), both || transpose == Transpose::b};
  ENSURE(A.matrix().cols == B.matrix().rows, "matmul: inner sizes differ: {} x {}{}", a.shape(),
         b.shape(), transpose == Transpose::none ? "" : " (transposed)");
  const auto batch = [](const Tensor& x) { return x.shape().with(-2, 1).with(-1, 1); };
  ENSURE(a.rank() == 2 || b.rank() == 2 || batch(a) == batch(b), "matmul: batches differ: {} x {}",
         a.shape(), b.shape());
  return record(
      "matmul", {a, b}, [&] { return product(A, B); },
      [A, B](const Tensor& gc, Grads& g) {
        const Factor G{gc};
        if (g.wants(0)) g.add(0, gradient_of(A, G, B.t()));  // dA = dC B^T
        if (g.wants(1)) g.add(1, gradient_of(B, A.t(), G));  // dB = A^T dC
      });
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  ENSURE(weight.rank() == 2 && x.rank() >= 1 && x.dim(-1) == weight.dim(1),
         "linear: input {} does not fit weight {} ([out, in])", x.shape(), weight.shape());
  const int64_t rows = value::product(x.shape(), 0, x.rank() - 1), out = weight.dim(0);
  ENSURE(!bias.defined() || bias.shape() == Shape{out}, "linear: bias {} for {} outputs",
         bias.shape(), out);
  const auto flat = [rows](const Tensor& t) { return t.viewed_as({rows, t.dim(-1)}); };
  const Saved saved(x);
  return record(
      "linear", {saved, weight, shape_only(bias)},
      [&] {
        return product({flat(x)}, {weight, true}, bias).viewed_as(x.shape().with(-1, out));
      },
      [saved, weight = weight.detach(), flat](const Tensor& gy, Grads& g) {
        const Tensor G = flat(gy);
        if (g.wants(0)) g.add(0, product({G}, {weight}).viewed_as(g.shape(0)));  // dy W
        if (g.wants(1)) g.add(1, product({G, true}, {flat(saved.elements())}));  // dy^T x
        if (g.wants(2)) g.add(2, value::sum_to(G, g.shape(2)));  // the sum of dy over rows
      });
}

}  // namespace kindling
