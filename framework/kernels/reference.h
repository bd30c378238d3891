// The specification of every kernel: the obvious loops, summed in double. Tests compare the fast
// kernels with these, and the pages quote them. Shapes and meaning as in table.h. Page:
// docs/kernels.md
#pragma once

#include "kernels/table.h"

namespace kindling::reference {

double value(Unary f, double x, double p, double q);
double slope(Unary f, double x, double p, double q);
double value(Binary f, double a, double b);
double slope_a(Binary f, double a, double b);
double slope_b(Binary f, double a, double b);

void unary(Unary f, int64_t n, const real* x, real* y, real p, real q);
void unary_gradient(Unary f, int64_t n, const real* gy, const real* x, real* gx, real p, real q);
void binary(Binary f, const Broadcast& walk, const real* a, const real* b, real* y);
void binary_gradient_a(Binary f, const Broadcast& walk, const real* gy, const real* a,
                       const real* b, real* g);
void binary_gradient_b(Binary f, const Broadcast& walk, const real* gy, const real* a,
                       const real* b, real* g);
void where(int64_t n, const real* mask, const real* a, const real* b, real* y);
void sum_of_two(int64_t n, const real* a, const real* b, real* y);
void dropout_mask(int64_t n, real p, uint64_t seed, uint64_t stream, real* mask);

void reduce_sum(int64_t outer, int64_t n, int64_t inner, const real* x, real* y);
void reduce_max(int64_t outer, int64_t n, int64_t inner, const real* x, real* y, int32_t* where);
void repeat(int64_t outer, int64_t n, int64_t inner, const real* y, real* x);
double sum_of_squares(int64_t n, const real* x);

void logsumexp(int64_t rows, int64_t n, const real* x, real* y);
void softmax(int64_t rows, int64_t n, const real* x, real* y);
void softmax_gradient(int64_t rows, int64_t n, const real* gy, const real* y, real* gx);
void log_softmax(int64_t rows, int64_t n, const real* x, real* y);
void log_softmax_gradient(int64_t rows, int64_t n, const real* gy, const real* y, real* gx);
void cross_entropy(int64_t rows, int64_t n, const real* x, const int32_t* label, int32_t ignore,
                   real smoothing, real* loss);
void cross_entropy_gradient(int64_t rows, int64_t n, const real* g, const real* x,
                            const int32_t* label, int32_t ignore, real smoothing, real* gx);
void layer_norm(int64_t rows, int64_t n, const real* x, const real* weight, const real* bias,
                real epsilon, real* y, real* mean, real* inverse_deviation);
void layer_norm_gradient(int64_t rows, int64_t n, const real* gy, const real* x, const real* weight,
                         const real* mean, const real* inverse_deviation, real* gx, real* gweight,
                         real* gbias);

void gather_rows(int64_t rows, int64_t n, const real* x, const int32_t* index, real* y);
void scatter_rows(int64_t rows, int64_t n, const real* gy, const int32_t* index, real* gx);
void strided_copy(const Broadcast& walk, const real* x, real* y);
void strided_add(const Broadcast& walk, const real* y, real* x);

void gemm(const Matrix& a, const Matrix& b, real* c, int64_t ldc, const Epilogue& epilogue);

void sgd(int64_t n, real* w, const real* g, real* velocity, const SgdStep& step);
void adam(int64_t n, real* w, const real* g, real* m, real* v, const AdamStep& step);
void rmsprop(int64_t n, real* w, const real* g, real* v, real* velocity, const RmsPropStep& step);
void lerp(int64_t n, real* w, const real* target, real t);
void scale(int64_t n, real* x, real factor);

}  // namespace kindling::reference
