// What kernels are handed, and how they tell what they cost. A kernel is a loop over elements that
// an operation runs; it sees raw pointers and sizes, no tensors. Page: docs/kernels.md
#pragma once

#include "base/standard.h"

namespace kindling {

// A tag: registers of so many bytes, and how many of them.
template <size_t bytes, int registers> struct InstructionSet {
  using Vec [[gnu::vector_size(bytes)]] = real;
  static constexpr int kRegisters = registers;
};

// clang-format off
// Elementwise functions of one number and up to two constants, f(x; p, q): see elementwise.h.
enum class Unary {
  affine, exp, log, sqrt, square, abs, reciprocal, power, sin, cos, tanh, sigmoid, softplus, relu,
  leaky_relu, clamp, erf, gelu, gelu_tanh, silu, count_
};

// Elementwise functions of two numbers. Those before `add` have slopes; of add to mul, operations
// know the gradient, and from `greater` on the result is 0 or 1 and has none.
enum class Binary {
  div, power, maximum, minimum, bce_with_logits, add, sub, mul, greater, less, equal, count_
};
// clang-format on

// How a and b are walked to fill a dense y of shape sizes[0..rank): stride 0 repeats.
struct Broadcast {
  int rank = 1;
  int64_t elements = 0;
  std::array<int64_t, 6> sizes, a_strides, b_strides;  // set up to rank: zeroing costs 20 ns

  static Broadcast flat(int64_t n) {  // both operands dense, like y
    Broadcast walk;
    walk.elements = walk.sizes[0] = n, walk.a_strides[0] = walk.b_strides[0] = 1;
    return walk;
  }
};

// A matrix read in place: element (i, j) is data[i * row_stride + j * col_stride]. One of the two
// is 1 for the right factor of a product.
struct Matrix {
  const real* data;
  int64_t rows, cols, row_stride, col_stride;
  Matrix t() const { return {data, cols, rows, col_stride, row_stride}; }
};

// y[i] = f(x[i]; p, q) for i < n; y may be x.
using UnaryValue = void (*)(int64_t n, const real* x, real* y, real p, real q);

// What a product does with its elements while they are hot:
// C = (accumulate ? C : 0) + A B + bias, then C = activation(C) + residual.
struct Epilogue {
  bool accumulate = false;
  const real* bias = nullptr;       // one per column
  UnaryValue activation = nullptr;  // of the table in use, with p and q 0
  const real* residual = nullptr;   // of the shape of C, rows residual_stride apart
  int64_t residual_stride = 0;
};

// A window that slides over an image [h, w] and gives one of [out_h, out_w]: at output o it covers
// the places o stride - pad + i dilation for i < kernel, in each direction. Those outside the image
// are padding; how much of it lies behind the image follows from out_h and out_w.
struct Window {
  int64_t h, w, out_h, out_w, kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left;
  int64_t dilation_h, dilation_w;
};

// Images [batch, h, w, in] to images [batch, out_h, out_w, out]. In each of `groups` equal parts of
// the channels the outputs see the inputs of their own part.
struct Convolution {
  int64_t batch, in, out, groups;
  Window window;
};

// What batch norm applies to its result on the way out.
enum class FusedActivation { none, relu, silu };

// Batch norm of x [rows, n], whose columns are the channels: what is known of each of them, [n].
struct ChannelNorm {
  int64_t rows, n;
  const real *mean, *variance, *weight, *bias;  // weight and bias may be null: 1 and 0
  real epsilon = 0;
  FusedActivation activation = FusedActivation::none;
};

// Scaled dot-product attention (1706.03762, section 3.2.1) in each head of each sample. Rows of
// queries, of keys and of values lie `stride` numbers apart, and head h has `width` of their
// columns, from h width on; the result is [batch, queries, heads width].
struct Attention {
  int64_t batch, heads, queries, keys, width, stride;
  const real* allowed = nullptr;  // [batch, keys]: 0 where nobody may attend to a key; null: to all
  bool causal = false;            // query i attends to keys 0 .. i
  // What is added to the scores q k / sqrt(width), [queries, keys] or null, and how far it is to
  // that of the next sample and of the next head.
  const real* bias = nullptr;
  int64_t bias_batch = 0, bias_head = 0;
  // The share of probabilities that become 0, while the others are scaled by 1 / (1 - dropout);
  // word j % 4 of philox(row ceil(keys / 4) + j / 4, stream, seed) decides about key j, row being
  // (sample heads + head) queries + query.
  real dropout = 0;
  uint64_t seed = 0, stream = 0;
};

// One parameter in one step of its optimizer, with the rate and the weight decay of its group.
struct ParameterStep {
  int64_t n, t;  // elements; the number of the step, 1 the first
  real* w;
  const real* g;                    // the gradient of w
  std::array<real*, 2> state = {};  // what the optimizer remembers; null where it needs nothing
  double rate, decay;
  int64_t size() const { return n; }
};

// Options of the optimizers; formulas as PyTorch has them. In double, because 1 - 0.999 in float is
// off by 1e-5 of itself.

// g += decay w;  v = momentum v + g;  w -= rate v, or, Nesterov, w -= rate (g + momentum v)
// (Sutskever et al., ICML 2013).
struct SgdOptions {
  double rate = 0.01, momentum = 0, decay = 0;
  bool nesterov = false;
};

// m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
// w -= rate m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon), t the number of the step.
// Adam (1412.6980) adds decay w to g; AdamW (1711.05101), the default, takes rate decay w from w.
struct AdamOptions {
  double rate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, decay = 0;
  bool decoupled = true;        // AdamW
  bool bias_correction = true;  // false: without the two 1 - beta^t, as BERT was trained
};

// g += decay w;  s = alpha s + (1 - alpha) g^2;
// v = momentum v + g / (sqrt(s) + epsilon);  w -= rate v  (Tieleman and Hinton, lecture 6.5, 2012).
struct RmsPropOptions {
  double rate = 0.01, alpha = 0.99, epsilon = 1e-8, momentum = 0, decay = 0;
  bool epsilon_inside_root = false;  // TensorFlow's sqrt(s + epsilon), as EfficientNet was trained
};

// What a kernel costs: floating-point operations and bytes it has to move.
struct Cost {
  int64_t flops = 0, bytes = 0;
};

// Where kernels add what they do; null unless somebody measures (train/profile.h).
extern constinit thread_local Cost* running_cost;

inline void count_cost(int64_t flops, int64_t bytes) {
  if (running_cost) running_cost->flops += flops, running_cost->bytes += bytes;
}

// While it lives, what kernels do is not counted: for one that counts for those it calls.
struct Uncounted {
  Cost* const cost = std::exchange(running_cost, nullptr);
  ~Uncounted() { running_cost = cost; }
};

}  // namespace kindling
