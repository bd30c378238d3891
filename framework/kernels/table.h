// The table of kernels: every loop over elements that an operation runs, once per instruction set.
// Raw pointers only, no Tensor. A kernel shares its work between threads itself (parallel_for) and
// adds its cost to running_cost. Arrays are dense and row-major. Page: docs/kernels.md
//
// Letters: M N K sizes of a product [M, K] x [K, N]; rows and n the two sizes of a row kernel;
// gx the gradient of x. Unless said otherwise outputs may not overlap inputs.
#pragma once

#include "base/real.h"
#include "kernels/cost.h"

namespace kindling {

// Elementwise functions of one number and up to two constants p, q: y = f(x; p, q).
enum class Unary {
  affine,  // p x + q
  exp,
  log,
  sqrt,
  square,
  abs,
  reciprocal,
  power,  // x^p
  sin,
  cos,
  tanh,
  sigmoid,
  softplus,  // log(1 + e^x)
  relu,
  leaky_relu,  // x < 0 ? p x : x
  clamp,       // min(max(x, p), q)
  erf,
  gelu,       // x Phi(x), with the normal distribution Phi through erf (1606.08415, section 2)
  gelu_tanh,  // its tanh approximation (the same, section 2)
  silu,       // x sigmoid(x)
  count_
};

// Elementwise functions of two numbers. Those from `greater` on give 0 or 1 and have no gradient.
enum class Binary {
  add,
  sub,
  mul,
  div,
  power,
  maximum,
  minimum,
  bce_with_logits,
  greater,
  less,
  equal,
  count_
};

// How a and b are walked to fill a dense y of shape sizes[0..rank): stride 0 repeats.
struct Broadcast {
  int rank = 1;
  int64_t elements = 0;
  std::array<int64_t, 6> sizes, a_strides, b_strides;  // set up to rank: zeroing costs 20 ns
};

// A matrix read in place: element (i, j) is data[i * row_stride + j * col_stride].
struct Matrix {
  const real* data;
  int64_t rows, cols, row_stride, col_stride;
  Matrix t() const { return {data, cols, rows, col_stride, row_stride}; }
};

// What a product does with each finished element of C = A B, in this order.
struct Epilogue {
  bool accumulate = false;     // C += A B
  const real* bias = nullptr;  // one per column, added
};

// Constants of one optimizer step over a parameter; formulas at the kernels in optimizer.h. In
// double, because 1 - 0.999 in float is off by 1e-5 of itself.
struct SgdStep {
  double rate, momentum, dampening, decay;
  bool nesterov, first;  // first: the velocity is set to the gradient
};
struct AdamStep {
  double rate, beta1, beta2, epsilon;
  double correction1, correction2;  // 1 - beta^t, or 1 when bias correction is off
  double decay;                     // decoupled: w -= rate * decay * w
  double l2;                        // added to the gradient (Adam's coupled form)
};
struct RmsPropStep {
  double rate, alpha, epsilon, momentum, decay;
  bool epsilon_inside;  // sqrt(v + epsilon) as in TensorFlow, instead of sqrt(v) + epsilon
};

struct Kernels {
  const char* name;

  // Elementwise. n elements.
  using UnaryValue = void (*)(int64_t n, const real* x, real* y, real p, real q);
  using UnaryGradient = void (*)(int64_t n, const real* gy, const real* x, const real* y, real* gx,
                                 real p, real q);  // gx = gy f'(x)
  using BinaryValue = void (*)(const Broadcast& walk, const real* a, const real* b, real* y);
  using BinaryGradient = void (*)(const Broadcast& walk, const real* gy, const real* a,
                                  const real* b, real* g);  // g = gy df/da (or db), shape of y
  std::array<UnaryValue, std::size_t(Unary::count_)> unary;
  std::array<UnaryGradient, std::size_t(Unary::count_)> unary_gradient;
  std::array<BinaryValue, std::size_t(Binary::count_)> binary;
  std::array<BinaryGradient, std::size_t(Binary::greater)> binary_gradient_a, binary_gradient_b;
  // y = mask != 0 ? a : b, all of one size; y = a + b (y may be a or b).
  void (*where)(int64_t n, const real* mask, const real* a, const real* b, real* y);
  void (*sum_of_two)(int64_t n, const real* a, const real* b, real* y);
  // mask[i] = 0 with probability p, otherwise 1 / (1 - p); element i is word i % 4 of the block
  // philox(i / 4, stream, seed), so the mask does not depend on the number of threads.
  void (*dropout_mask)(int64_t n, real p, uint64_t seed, uint64_t stream, real* mask);

  // Reductions of x [outer, n, inner] over n.
  void (*reduce_sum)(int64_t outer, int64_t n, int64_t inner, const real* x, real* y);
  void (*reduce_max)(int64_t outer, int64_t n, int64_t inner, const real* x, real* y,
                     int32_t* where);  // the first maximum's index; NaN counts as the largest
  // y[o, i] repeated n times: x [outer, n, inner] = y [outer, inner]
  void (*repeat)(int64_t outer, int64_t n, int64_t inner, const real* y, real* x);
  double (*sum_of_squares)(int64_t n, const real* x);

  // Rows of n elements.
  void (*logsumexp)(int64_t rows, int64_t n, const real* x, real* y);
  void (*softmax)(int64_t rows, int64_t n, const real* x, real* y);
  void (*softmax_gradient)(int64_t rows, int64_t n, const real* gy, const real* y, real* gx);
  void (*log_softmax)(int64_t rows, int64_t n, const real* x, real* y);
  void (*log_softmax_gradient)(int64_t rows, int64_t n, const real* gy, const real* y, real* gx);
  // loss[r] = -sum_j q_j log softmax(x_r)_j with q = (1 - smoothing) onehot(label) + smoothing / n;
  // 0 where label[r] == ignore.
  void (*cross_entropy)(int64_t rows, int64_t n, const real* x, const int32_t* label,
                        int32_t ignore, real smoothing, real* loss);
  // gx[r] = g[r] (softmax(x_r) - q); 0 for ignored rows.
  void (*cross_entropy_gradient)(int64_t rows, int64_t n, const real* g, const real* x,
                                 const int32_t* label, int32_t ignore, real smoothing, real* gx);
  // y = (x - mean) / sqrt(variance + epsilon) * weight + bias; weight and bias may be null. Keeps
  // mean and 1 / deviation, one per row.
  void (*layer_norm)(int64_t rows, int64_t n, const real* x, const real* weight, const real* bias,
                     real epsilon, real* y, real* mean, real* inverse_deviation);
  // gx may be null; gweight and gbias (null or [n]) are added to.
  void (*layer_norm_gradient)(int64_t rows, int64_t n, const real* gy, const real* x,
                              const real* weight, const real* mean, const real* inverse_deviation,
                              real* gx, real* gweight, real* gbias);

  // Rows by index: y[r] = x[index[r]] and, backwards, gx[index[r]] += gy[r], in order of r.
  void (*gather_rows)(int64_t rows, int64_t n, const real* x, const int32_t* index, real* y);
  void (*scatter_rows)(int64_t rows, int64_t n, const real* gy, const int32_t* index, real* gx);
  // y = x walked with strides: sizes and strides of y's dimensions in x; used by permute and slice.
  void (*strided_copy)(const Broadcast& walk, const real* x, real* y);  // a_strides
  // x at those strides += y: the gradient of a slice.
  void (*strided_add)(const Broadcast& walk, const real* y, real* x);

  // C [M, N], rows ldc apart, = A B with the epilogue. A is [M, K], B is [K, N].
  void (*gemm)(const Matrix& a, const Matrix& b, real* c, int64_t ldc, const Epilogue& epilogue);

  // Multiply-adds that wait for nothing: what a core can do at best. Does `flops` operations, a
  // multiple of 384 = 2 x 12 chains x the widest vector; use the result, or they are left out.
  real (*fma_chains)(int64_t flops);

  // Optimizers: one pass over a parameter w and its gradient g.
  void (*sgd)(int64_t n, real* w, const real* g, real* velocity, const SgdStep& step);
  void (*adam)(int64_t n, real* w, const real* g, real* m, real* v, const AdamStep& step);
  void (*rmsprop)(int64_t n, real* w, const real* g, real* v, real* velocity,
                  const RmsPropStep& step);
  void (*lerp)(int64_t n, real* w, const real* target, real t);  // w += t (target - w)
  void (*scale)(int64_t n, real* x, real factor);
};

}  // namespace kindling
