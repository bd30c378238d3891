// Every differentiable function on one page. Page: docs/ops.md
//
// Shapes are written [outermost, ..., innermost]. Binary functions broadcast: shapes are matched
// from the last dimension on and a dimension of size 1 stretches; a gradient is summed back over
// what was stretched. Axes may be negative and count from the end. Wrong shapes throw Error, naming
// the function, the shapes and what was expected.
#pragma once

#include "autograd/node.h"
#include "ops/values.h"

namespace kindling {

// ---- Arithmetic ---------------------------------------------------------------------------------

Tensor add(const Tensor& a, const Tensor& b);      // a + b
Tensor sub(const Tensor& a, const Tensor& b);      // a - b
Tensor mul(const Tensor& a, const Tensor& b);      // a b, element by element
Tensor div(const Tensor& a, const Tensor& b);      // a / b
Tensor power(const Tensor& a, const Tensor& b);    // a^b for a > 0
Tensor maximum(const Tensor& a, const Tensor& b);  // where equal, each side gets half the gradient
Tensor minimum(const Tensor& a, const Tensor& b);  // where equal, each side gets half the gradient
Tensor affine(const Tensor& x, double scale, double shift);  // scale x + shift
// x^exponent
inline Tensor power(const Tensor& x, double exponent) {
  return value::of_x("power", Unary::power, x, exponent);
}

// ---- Functions of one number --------------------------------------------------------------------

inline Tensor neg(const Tensor& x) { return affine(x, -1, 0); }
inline Tensor exp(const Tensor& x) { return value::of_y("exp", Unary::exp, x); }
inline Tensor log(const Tensor& x) { return value::of_x("log", Unary::log, x); }
inline Tensor sqrt(const Tensor& x) { return value::of_y("sqrt", Unary::sqrt, x); }
inline Tensor square(const Tensor& x) { return value::of_x("square", Unary::square, x); }
// Gradient 0 at 0.
inline Tensor abs(const Tensor& x) { return value::of_x("abs", Unary::abs, x); }
inline Tensor reciprocal(const Tensor& x) {
  return value::of_y("reciprocal", Unary::reciprocal, x);
}
inline Tensor sin(const Tensor& x) { return value::of_x("sin", Unary::sin, x); }
inline Tensor cos(const Tensor& x) { return value::of_x("cos", Unary::cos, x); }
inline Tensor tanh(const Tensor& x) { return value::of_y("tanh", Unary::tanh, x); }
// 1 / (1 + e^-x)
inline Tensor sigmoid(const Tensor& x) { return value::of_y("sigmoid", Unary::sigmoid, x); }
// log(1 + e^x), without overflow
inline Tensor softplus(const Tensor& x) { return value::of_x("softplus", Unary::softplus, x); }
// max(x, 0); gradient 0 at 0
inline Tensor relu(const Tensor& x) { return value::of_y("relu", Unary::relu, x); }
// x < 0 ? slope x : x
inline Tensor leaky_relu(const Tensor& x, double slope = 0.01) {
  return value::of_x("leaky_relu", Unary::leaky_relu, x, slope);
}
inline Tensor erf(const Tensor& x) { return value::of_x("erf", Unary::erf, x); }
// x Phi(x), exact with erf (1606.08415, section 2)
inline Tensor gelu(const Tensor& x) { return value::of_x("gelu", Unary::gelu, x); }
// Its tanh approximation.
inline Tensor gelu_tanh(const Tensor& x) { return value::of_x("gelu_tanh", Unary::gelu_tanh, x); }
// x sigmoid(x), also called swish
inline Tensor silu(const Tensor& x) { return value::of_x("silu", Unary::silu, x); }
Tensor clamp(const Tensor& x, double low, double high);  // gradient 1 inside and at the bounds

// ---- Choosing -----------------------------------------------------------------------------------
// Masks are tensors of 0 and 1. Comparisons have no gradient.

Tensor greater(const Tensor& a, const Tensor& b);  // a > b; no gradient
Tensor less(const Tensor& a, const Tensor& b);     // a < b; no gradient
Tensor equal(const Tensor& a, const Tensor& b);    // a == b; no gradient
// Elements of a where mask is not 0, of b elsewhere; the three shapes broadcast.
Tensor where(const Tensor& mask, const Tensor& a, const Tensor& b);

// ---- Reductions ---------------------------------------------------------------------------------
// Over the given axes, or over all when none are given; keep leaves them as dimensions of size 1.

Tensor sum(const Tensor& x, std::vector<int> axes = {}, bool keep = false);
Tensor mean(const Tensor& x, std::vector<int> axes = {}, bool keep = false);
// Equal maxima: the first one gets the gradient.
Tensor max(const Tensor& x, std::vector<int> axes = {}, bool keep = false);
// Mean of squared deviations from the mean; divides by n - correction (1: unbiased, as in PyTorch).
Tensor var(const Tensor& x, std::vector<int> axes = {}, bool keep = false, int correction = 1);
Tensor logsumexp(const Tensor& x, std::vector<int> axes = {}, bool keep = false);
// Index of the first maximum along one axis. No gradient.
Indices argmax(const Tensor& x, int axis = -1);

// ---- Matrix products ----------------------------------------------------------------------------

enum class Transpose { none, a, b, both };
// [M, K] x [K, N] -> [M, N]; transposed operands are given as they lie in memory ([K, M], [N, K]).
// With more dimensions the leading ones are a batch, equal on both sides or absent on one.
Tensor matmul(const Tensor& a, const Tensor& b, Transpose transpose = Transpose::none);
// x [..., in] weight [out, in] bias [out] -> x weight^T + bias [..., out]. bias may be undefined.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});

// ---- Images -------------------------------------------------------------------------------------
// Images are [N, H, W, C]: the channels of a pixel lie beside each other. From a side of n pixels a
// kernel of k makes (n + 2 padding - dilation (k - 1) - 1) / stride + 1, rounded down.

// The same in both directions. groups: equal parts of the channels; outputs see the inputs of their
// own part alone.
struct ConvOptions {
  int64_t stride = 1, padding = 0, dilation = 1, groups = 1;
};
// x [N, H, W, C], weight [out, kh, kw, C / groups], bias [out] or undefined -> [N, H', W', out]:
// the sum of x weight over the window and the channels, + bias. Padding is zeros.
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
              const ConvOptions& options = {});

// The window is square, stride 0 as large as the window. An average counts padding as zeros, or
// leaves it out.
struct PoolOptions {
  int64_t kernel, stride = 0, padding = 0;
  bool count_padding = true;
};
// x [N, H, W, C] -> [N, H', W', C]: the maximum of each window; padding never is it, and the first
// of equal maxima gets the gradient. Padding is at most half of the kernel.
Tensor max_pool2d(const Tensor& x, const PoolOptions& options);
Tensor average_pool2d(const Tensor& x, const PoolOptions& options);  // the mean of each window
Tensor global_average_pool(const Tensor& x);                         // [N, H, W, C] -> [N, C]

// ---- Shapes -------------------------------------------------------------------------------------

// The same elements in the same order; one size may be -1 and is worked out.
Tensor reshape(const Tensor& x, std::vector<int64_t> sizes);
// Dimension i of the result is dimension order[i] of x. Copies.
Tensor permute(const Tensor& x, std::vector<int> order);
Tensor transpose(const Tensor& x, int i = -2, int j = -1);  // a permute of two. Copies.
Tensor concat(std::span<const Tensor> parts, int axis = 0);
inline Tensor concat(std::initializer_list<Tensor> parts, int axis = 0) {
  return concat(std::span(parts.begin(), parts.size()), axis);
}
// Elements begin .. end-1 of one axis (negative: from the end), every step-th. Copies.
Tensor slice(const Tensor& x, int axis, int64_t begin, int64_t end, int64_t step = 1);
// Stretches dimensions of size 1, and adds dimensions in front, to `shape`. Copies, unless x has
// that shape.
Tensor broadcast_to(const Tensor& x, const Shape& shape);

// ---- Picking by index ---------------------------------------------------------------------------
// An index outside 0 .. size-1 throws, naming it.

// Slices of x along the first axis: x [N, ...], index [any shape] -> [index shape, ...].
Tensor gather(const Tensor& x, const Indices& index);
// One element along an axis for each place of the others: x [rows, n], index [rows] -> [rows].
Tensor pick(const Tensor& x, const Indices& index, int axis = -1);
// Rows of a table: weight [vocabulary, D], ids [any shape] -> [ids shape, D].
Tensor embedding(const Tensor& weight, const Indices& ids);
// [index shape, classes] of 0 and 1. No gradient.
Tensor one_hot(const Indices& index, int64_t classes);

// ---- Rows: normalisation and probabilities ------------------------------------------------------

Tensor softmax(const Tensor& x, int axis = -1);      // e^x / sum e^x
Tensor log_softmax(const Tensor& x, int axis = -1);  // x - logsumexp x
// Over the last axis: (x - mean) / sqrt(variance + epsilon) weight + bias, with the biased variance
// (1607.06450, equation 4). weight, bias [n] or undefined.
Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double epsilon = 1e-5);
struct BatchNormOptions {
  bool training = true;
  double momentum = 0.1, epsilon = 1e-5;
  FusedActivation activation = FusedActivation::none;  // relu, silu
};
// x [..., C], weight, bias, running_mean, running_variance [C] -> activation((x - mean) /
// sqrt(variance + epsilon) weight + bias), with the mean and the biased variance of each channel
// (1502.03167, algorithm 1). Training moves the running ones, if defined, by the share `momentum`
// towards them (the variance unbiased, as in PyTorch); evaluation takes the running ones. conv2d
// and linear keep no copy of the result: their backward has it computed again.
Tensor batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor running_mean,
                  Tensor running_variance, const BatchNormOptions& options = {});
// Zeroes each element with probability p and scales the rest by 1 / (1 - p). Every call takes a new
// mask from `random`; p = 0 returns x.
Tensor dropout(const Tensor& x, double p, Random& random);

// ---- Attention ----------------------------------------------------------------------------------

// What a query may attend to, and how much more; any of these together.
struct AttentionMask {
  Tensor keys = {};     // [B, Tk] of 0 and 1, 0 where the key is padding
  bool causal = false;  // query i attends to keys 0 .. i
  // Added to the scores before softmax: [Tq, Tk], [heads, Tq, Tk] or [B, heads, Tq, Tk].
  Tensor bias = {};
  double dropout = 0;  // of the probabilities; each call takes a new mask from `random`
  Random* random = nullptr;
};
// q [B, Tq, D], k and v [B, Tk, D] -> [B, Tq, D]: softmax(q k^T / sqrt(d) + bias) v in each head of
// d = D / heads columns (1706.03762, section 3.2); a query without a key gets zeros. Memory grows
// with Tq + Tk, not with their product (2205.14135).
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads,
                 const AttentionMask& mask = {});
// Of packed [B, T, 3 D], q, k and v beside each other -> [B, T, D].
Tensor attention(const Tensor& qkv, int64_t heads, const AttentionMask& mask = {});

// ---- Losses -------------------------------------------------------------------------------------

inline constexpr int32_t kIgnoreLabel = -100;
// Mean over the rows whose label is not ignore_label of -log softmax(logits)[label];
// logits [rows, classes], labels [rows]. smoothing moves that share of the target evenly over all
// classes (1512.00567, section 7). All rows ignored throws.
Tensor cross_entropy(const Tensor& logits, const Indices& labels, double smoothing = 0,
                     int32_t ignore_label = kIgnoreLabel);
// Mean of -target log p - (1 - target) log(1 - p) with p = sigmoid(logits); equal shapes.
Tensor binary_cross_entropy(const Tensor& logits, const Tensor& targets);
Tensor mse(const Tensor& a, const Tensor& b);  // mean of (a - b)^2; equal shapes

// ---- Operators ----------------------------------------------------------------------------------

inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator+(const Tensor& x, double c) { return affine(x, 1, c); }
inline Tensor operator+(double c, const Tensor& x) { return affine(x, 1, c); }
inline Tensor operator-(const Tensor& x, double c) { return affine(x, 1, -c); }
inline Tensor operator-(double c, const Tensor& x) { return affine(x, -1, c); }
inline Tensor operator*(const Tensor& x, double c) { return affine(x, c, 0); }
inline Tensor operator*(double c, const Tensor& x) { return affine(x, c, 0); }
inline Tensor operator/(const Tensor& x, double c) { return affine(x, 1 / c, 0); }
inline Tensor operator/(double c, const Tensor& x) { return affine(reciprocal(x), c, 0); }
inline Tensor operator-(const Tensor& x) { return neg(x); }

}  // namespace kindling
