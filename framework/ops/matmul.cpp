// Matrix products: matmul and linear. Letters: M N K, a product is [M, K] x [K, N]. Page:
// docs/ops.md

#include "base/parallel.h"
#include "ops/ops.h"
#include "ops/values.h"

namespace kindling {
namespace {

// A tensor as a batch of matrices, the last two dimensions; step 0 repeats one matrix.
struct Matrices {
  Matrix first;
  int64_t step;

  Matrices t() const { return {first.t(), step}; }
  Matrix operator[](int64_t i) const {
    Matrix m = first;
    m.data += i * step;
    return m;
  }
};

Matrices view(const Tensor& x, bool transposed = false) {
  const int64_t rows = x.dim(-2), cols = x.dim(-1);
  const Matrices m{{x.data(), rows, cols, cols, 1}, x.rank() > 2 ? rows * cols : 0};
  return transposed ? m.t() : m;
}

// The product of all dimensions but the last n; right also where those are empty.
int64_t rows_before(const Shape& shape, int n) {
  int64_t rows = 1;
  for (int i = 0; i < shape.rank() - n; ++i) rows *= shape[i];
  return rows;
}

// c (+)= a b for every matrix of the batch, one after another into c, or all into one c (step 0).
void multiply(const Matrices& a, const Matrices& b, int64_t batch, real* c, int64_t c_step,
              Epilogue epilogue) {
  const int64_t m = a.first.rows, n = b.first.cols, k = a.first.cols;
  if (batch == 1 || c_step == 0) {
    for (int64_t i = 0; i < batch; ++i) {
      kernels().gemm(a[i], b[i], c + i * c_step, n, epilogue);
      if (c_step == 0) epilogue.accumulate = true;
    }
    return;
  }
  // Threads take whole matrices; the cost is counted here, since theirs would go unseen.
  Cost* const cost = std::exchange(running_cost, nullptr);
  const int64_t grain = 1 + (int64_t{1} << 16) / (1 + m * n * k);
  parallel_for(batch, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) kernels().gemm(a[i], b[i], c + i * c_step, n, epilogue);
  });
  running_cost = cost;
  count_cost(2 * batch * m * n * k, batch * (m * k + k * n + m * n) * int64_t(sizeof(real)));
}

Tensor product(const Matrices& a, const Matrices& b, const Shape& shape, int64_t batch) {
  Tensor c(shape);
  multiply(a, b, batch, c.mutable_data(), a.first.rows * b.first.cols, {});
  return c;
}

// The gradient of an operand that was used by every matrix of the batch is the sum over it.
void add_product(Grads& g, int input, const Matrices& a, const Matrices& b, int64_t batch,
                 bool shared, const Shape& shape) {
  if (!shared) return g.add(input, product(a, b, shape, batch));
  Epilogue sum;
  sum.accumulate = true;
  multiply(a, b, batch, g.into(input).mutable_data(), 0, sum);
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
  const bool same =
      a.rank() == b.rank() && std::equal(a.shape().begin(), a.shape().end() - 2, b.shape().begin());
  ENSURE(same || a.rank() == 2 || b.rank() == 2, "matmul: batches differ: {} x {}", a.shape(),
         b.shape());
  const int64_t batch = rows_before(leading, 2);
  const Shape shape = leading.with(-2, va.first.rows).with(-1, vb.first.cols);

  return record(
      "matmul", {a, b}, [&] { return product(va, vb, shape, batch); },
      [a, b, ta, tb, batch](const Tensor& gc, Grads& g) {
        const Matrices A = view(a, ta), B = view(b, tb), G = view(gc);
        const bool a_shared = a.rank() < gc.rank(), b_shared = b.rank() < gc.rank();
        if (g.wants(0)) {  // dA = dC B^T; of a transposed operand (dC B^T)^T = B dC^T
          add_product(g, 0, ta ? B : G, ta ? G.t() : B.t(), batch, a_shared, a.shape());
        }
        if (g.wants(1)) {  // dB = A^T dC; of a transposed operand (A^T dC)^T = dC^T A
          add_product(g, 1, tb ? G.t() : A.t(), tb ? A : G, batch, b_shared, b.shape());
        }
      });
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  ENSURE(weight.rank() == 2 && x.rank() >= 1 && x.dim(-1) == weight.dim(1),
         "linear: input {} does not fit weight {} ([out, in])", x.shape(), weight.shape());
  const int64_t in = weight.dim(1), out = weight.dim(0), rows = rows_before(x.shape(), 1);
  ENSURE(!bias.defined() || bias.shape() == Shape{out}, "linear: bias {} for {} outputs",
         bias.shape(), out);
  const auto rows_of = [rows](const Tensor& t, int64_t n) {
    return Matrix{t.data(), rows, n, n, 1};
  };
  const auto value = [&] {
    Tensor y(x.shape().with(-1, out));
    Epilogue epilogue;
    if (bias.defined()) epilogue.bias = bias.data();
    kernels().gemm(rows_of(x, in), view(weight, true).first, y.mutable_data(), out, epilogue);
    return y;
  };
  const auto gradient = [=](const Tensor& gy, Grads& g) {
    const Matrix G = rows_of(gy, out);
    if (g.wants(0)) {  // dx = dy W
      Tensor gx(x.shape());
      kernels().gemm(G, view(weight).first, gx.mutable_data(), in, {});
      g.add(0, std::move(gx));
    }
    if (g.wants(1)) {  // dW = dy^T x
      Tensor gw(weight.shape());
      kernels().gemm(G.t(), rows_of(x, in), gw.mutable_data(), in, {});
      g.add(1, std::move(gw));
    }
    if (bias.defined() && g.wants(2)) {  // db = the sum of dy over rows
      Tensor gb(bias.shape());
      kernels().reduce_sum(1, rows, out, gy.data(), gb.mutable_data());
      g.add(2, std::move(gb));
    }
  };
  if (!bias.defined()) return record("linear", {x, weight}, value, gradient);
  return record("linear", {x, weight, shape_only(bias)}, value, gradient);
}

}  // namespace kindling
