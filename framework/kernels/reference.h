// The specification of every kernel: what it is called with and what it gives. The .cpp files hold
// the obvious loops, summed in double; tests compare the fast kernels with them, and the pages
// quote them. Page: docs/kernels.md
//
// Arrays are dense and row-major; unless said otherwise outputs may not overlap inputs.
// Images are [batch, h, w, channels], the weight of a convolution is
// [out, kernel_h, kernel_w, in / groups].
// Letters: M N K sizes of a product [M, K] x [K, N]; rows and n the two sizes of a row kernel;
// gx the gradient of x.
#pragma once

#include "kernels/types.h"

namespace kindling::reference {

// ---- Functions of one and of two numbers --------------------------------------------------------

double value(Unary f, double x, double p, double q);
double slope(Unary f, double x, double p, double q);
double value(Binary f, double a, double b);

void unary(Unary f, int64_t n, const real* x, real* y, real p, real q);
void unary_gradient(Unary f, int64_t n, const real* gy, const real* x, real* gx, real p, real q);
void binary(Binary f, const Broadcast& walk, const real* a, const real* b, real* y);
void binary_gradient(Binary f, bool by_b, const Broadcast& walk, const real* gy, const real* a,
                     const real* b, real* g);  // g = gy df/da, or df/db

// ---- Other loops over elements ------------------------------------------------------------------

// y = mask != 0 ? a : b, all of one size.
void where(int64_t n, const real* mask, const real* a, const real* b, real* y);
// w += t (target - w)
void lerp(int64_t n, real* w, const real* target, real t);
// mask[i] = 0 with probability p, otherwise 1 / (1 - p); element i is word i % 4 of the block
// philox(i / 4, stream, seed), so the mask does not depend on the number of threads.
void dropout_mask(int64_t n, real p, uint64_t seed, uint64_t stream, real* mask);
// y = x walked with sizes and a_strides; used by permute and slice.
void strided_copy(const Broadcast& walk, const real* x, real* y);
// x at those strides += y: the gradient of a slice, and of what is used twice. No element of x may
// be walked twice.
void strided_add(const Broadcast& walk, const real* y, real* x);

// ---- Reductions of x [outer, n, inner] over n ---------------------------------------------------

void reduce_sum(int64_t outer, int64_t n, int64_t inner, const real* x, real* y);
// The first maximum and its index; NaN counts as the largest; n >= 1.
void reduce_max(int64_t outer, int64_t n, int64_t inner, const real* x, real* y, int32_t* where);
// Of the elements of all arrays.
double sum_of_squares(std::span<const std::span<const real>> arrays);

// ---- Rows of n elements -------------------------------------------------------------------------

void softmax(int64_t rows, int64_t n, const real* x, real* y);
void softmax_gradient(int64_t rows, int64_t n, const real* gy, const real* y, real* gx);
// loss[r] = -sum_j q_j log softmax(x_r)_j with q = (1 - smoothing) onehot(label) + smoothing / n;
// 0 where label[r] == ignore.
void cross_entropy(int64_t rows, int64_t n, const real* x, const int32_t* label, int32_t ignore,
                   real smoothing, real* loss);
// gx[r] = g[r] (softmax(x_r) - q); 0 for ignored rows.
void cross_entropy_gradient(int64_t rows, int64_t n, const real* g, const real* x,
                            const int32_t* label, int32_t ignore, real smoothing, real* gx);
// y = (x - mean) / sqrt(variance + epsilon) * weight + bias; weight and bias may be null. Keeps
// mean and 1 / deviation, one per row.
void layer_norm(int64_t rows, int64_t n, const real* x, const real* weight, const real* bias,
                real epsilon, real* y, real* mean, real* inverse_deviation);
// gx may be null; gweight and gbias (null or [n]) are added to.
void layer_norm_gradient(int64_t rows, int64_t n, const real* gy, const real* x, const real* weight,
                         const real* mean, const real* inverse_deviation, real* gx, real* gweight,
                         real* gbias);
// Mean and biased variance of each column of x [rows, n].
void batch_statistics(int64_t rows, int64_t n, const real* x, real* mean, real* variance);
// y = activation((x - mean) / sqrt(variance + epsilon) * weight + bias)
void batch_norm(const ChannelNorm& norm, const real* x, real* y);
// of_batch: mean and variance are those of x, and move with it. gx may be null, or gy; gweight and
// gbias (null or [n]) are added to.
void batch_norm_gradient(const ChannelNorm& norm, bool of_batch, const real* gy, const real* x,
                         real* gx, real* gweight, real* gbias);
// Rows by index: y[r] = x[index[r]] and, backwards, gx[index[r]] += gy[r], in order of r.
void gather_rows(int64_t rows, int64_t n, const real* x, const int32_t* index, real* y);
void scatter_rows(int64_t rows, int64_t n, const real* gy, const int32_t* index, real* gx);

// ---- Products -----------------------------------------------------------------------------------

// C [M, N], rows ldc apart, = A B with the epilogue. A is [M, K], B is [K, N].
void gemm(const Matrix& a, const Matrix& b, real* c, int64_t ldc, const Epilogue& epilogue);

// ---- Convolution and pooling --------------------------------------------------------------------

// y = sum of x weight over the window and the channels of the group, + bias (null: none).
void conv(const Convolution& c, const real* x, const real* weight, const real* bias, real* y);
void conv_input_gradient(const Convolution& c, const real* gy, const real* weight, real* gx);
void conv_weight_gradient(const Convolution& c, const real* gy, const real* x, real* gw);
// The first maximum of each window and its place in the image, row w + column; NaN counts as the
// largest. No window may lie outside the image.
void max_pool(int64_t batch, int64_t channels, const Window& window, const real* x, real* y,
              int32_t* where);
void max_pool_gradient(int64_t batch, int64_t channels, const Window& window, const real* gy,
                       const int32_t* where, real* gx);

// ---- Attention ----------------------------------------------------------------------------------

// y = softmax(q k^T / sqrt(width) + bias) v, where keys that are not allowed, or come after the
// query when it is causal, have the probability 0, and so have all where none is left. Keeps the
// logarithm of each row's sum of exponentials, [batch, heads, queries]; 0 where that is empty.
void attention(const Attention& a, const real* q, const real* k, const real* v, real* y,
               real* log_sum);
// gq, gk and gv lie as q, k and v do; each may be null. gbias (null or as the bias) is added to.
void attention_gradient(const Attention& a, const real* q, const real* k, const real* v,
                        const real* y, const real* log_sum, const real* gy, real* gq, real* gk,
                        real* gv, real* gbias);

// ---- Optimizers ---------------------------------------------------------------------------------

// One step over all parameters; formulas at the options. States: the velocity; m and v; the mean
// square and the velocity. The velocity of sgd and rmsprop may be null without momentum.
void sgd(std::span<const ParameterStep> all, const SgdOptions& options);
void adam(std::span<const ParameterStep> all, const AdamOptions& options);
void rmsprop(std::span<const ParameterStep> all, const RmsPropOptions& options);

}  // namespace kindling::reference
