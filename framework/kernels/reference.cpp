// The obvious loops. Page: docs/kernels.md
#include "kernels/reference.h"

#include "base/random.h"

namespace kindling::reference {
namespace {

constexpr double kPi = 3.14159265358979323846;

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double normal_distribution(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }
double normal_density(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * kPi); }
double gelu_inside(double x) { return std::sqrt(2 / kPi) * (x + 0.044715 * x * x * x); }

// Where element i of a dense array of the walk's sizes lies in an array with these strides.
int64_t offset(const Broadcast& walk, const std::array<int64_t, 6>& strides, int64_t i) {
  int64_t at = 0;
  for (int d = walk.rank - 1; d >= 0; --d) {
    at += i % walk.sizes[size_t(d)] * strides[size_t(d)];
    i /= walk.sizes[size_t(d)];
  }
  return at;
}

}  // namespace

// ---- Elementwise --------------------------------------------------------------------------------

double value(Unary f, double x, double p, double q) {
  switch (f) {
    case Unary::affine: return p * x + q;
    case Unary::exp: return std::exp(x);
    case Unary::log: return std::log(x);
    case Unary::sqrt: return std::sqrt(x);
    case Unary::square: return x * x;
    case Unary::abs: return std::abs(x);
    case Unary::reciprocal: return 1 / x;
    case Unary::power: return std::pow(x, p);
    case Unary::sin: return std::sin(x);
    case Unary::cos: return std::cos(x);
    case Unary::tanh: return std::tanh(x);
    case Unary::sigmoid: return sigmoid(x);
    case Unary::softplus: return x > 700 ? x : std::log1p(std::exp(x));
    case Unary::relu: return x < 0 ? 0 : x;
    case Unary::leaky_relu: return x < 0 ? p * x : x;
    case Unary::clamp: return x < p ? p : x > q ? q : x;
    case Unary::erf: return std::erf(x);
    case Unary::gelu: return x * normal_distribution(x);
    case Unary::gelu_tanh: return 0.5 * x * (1 + std::tanh(gelu_inside(x)));
    case Unary::silu: return x * sigmoid(x);
    case Unary::count_: break;
  }
  return NAN;
}

double slope(Unary f, double x, double p, double q) {
  switch (f) {
    case Unary::affine: return p;
    case Unary::exp: return std::exp(x);
    case Unary::log: return 1 / x;
    case Unary::sqrt: return 1 / (2 * std::sqrt(x));
    case Unary::square: return 2 * x;
    case Unary::abs: return x > 0 ? 1 : x < 0 ? -1 : 0;
    case Unary::reciprocal: return -1 / (x * x);
    case Unary::power: return p == 0 ? 0 : p * std::pow(x, p - 1);
    case Unary::sin: return std::cos(x);
    case Unary::cos: return -std::sin(x);
    case Unary::tanh: return 1 - std::tanh(x) * std::tanh(x);
    case Unary::sigmoid: return sigmoid(x) * (1 - sigmoid(x));
    case Unary::softplus: return sigmoid(x);
    case Unary::relu: return x > 0 ? 1 : 0;
    case Unary::leaky_relu: return x > 0 ? 1 : p;
    case Unary::clamp: return x < p || x > q ? 0 : 1;
    case Unary::erf: return 2 / std::sqrt(kPi) * std::exp(-x * x);
    case Unary::gelu: return normal_distribution(x) + x * normal_density(x);
    case Unary::gelu_tanh: {
      const double t = std::tanh(gelu_inside(x));
      return 0.5 * (1 + t) +
             0.5 * x * (1 - t * t) * std::sqrt(2 / kPi) * (1 + 3 * 0.044715 * x * x);
    }
    case Unary::silu: return sigmoid(x) * (1 + x * (1 - sigmoid(x)));
    case Unary::count_: break;
  }
  return NAN;
}

double value(Binary f, double a, double b) {
  switch (f) {
    case Binary::add: return a + b;
    case Binary::sub: return a - b;
    case Binary::mul: return a * b;
    case Binary::div: return a / b;
    case Binary::power: return std::pow(a, b);
    case Binary::maximum: return std::isnan(b) || b > a ? b : a;
    case Binary::minimum: return std::isnan(b) || b < a ? b : a;
    case Binary::bce_with_logits:
      return std::max(a, 0.0) - a * b + std::log1p(std::exp(-std::abs(a)));
    case Binary::greater: return a > b;
    case Binary::less: return a < b;
    case Binary::equal: return a == b;
    case Binary::count_: break;
  }
  return NAN;
}

static double slope_a(Binary f, double a, double b) {
  switch (f) {
    case Binary::add:
    case Binary::sub: return 1;
    case Binary::mul: return b;
    case Binary::div: return 1 / b;
    case Binary::power: return b == 0 ? 0 : b * std::pow(a, b - 1);
    case Binary::maximum: return a > b ? 1 : a == b ? 0.5 : 0;
    case Binary::minimum: return a < b ? 1 : a == b ? 0.5 : 0;
    case Binary::bce_with_logits: return sigmoid(a) - b;
    default: return NAN;
  }
}

static double slope_b(Binary f, double a, double b) {
  switch (f) {
    case Binary::add: return 1;
    case Binary::sub: return -1;
    case Binary::mul: return a;
    case Binary::div: return -a / (b * b);
    case Binary::power: return a == 0 && b >= 0 ? 0 : std::pow(a, b) * std::log(a);
    case Binary::maximum: return b > a ? 1 : a == b ? 0.5 : 0;
    case Binary::minimum: return b < a ? 1 : a == b ? 0.5 : 0;
    case Binary::bce_with_logits: return -a;
    default: return NAN;
  }
}

void unary(Unary f, int64_t n, const real* x, real* y, real p, real q) {
  for (int64_t i = 0; i < n; ++i) y[i] = real(value(f, x[i], p, q));
}

void unary_gradient(Unary f, int64_t n, const real* gy, const real* x, real* gx, real p, real q) {
  for (int64_t i = 0; i < n; ++i) gx[i] = real(double(gy[i]) * slope(f, x[i], p, q));
}

void binary(Binary f, const Broadcast& walk, const real* a, const real* b, real* y) {
  for (int64_t i = 0; i < walk.elements; ++i) {
    y[i] = real(value(f, a[offset(walk, walk.a_strides, i)], b[offset(walk, walk.b_strides, i)]));
  }
}

void binary_gradient(Binary f, bool by_b, const Broadcast& walk, const real* gy, const real* a,
                     const real* b, real* g) {
  for (int64_t i = 0; i < walk.elements; ++i) {
    g[i] = real(double(gy[i]) * (by_b ? slope_b : slope_a)(f, a[offset(walk, walk.a_strides, i)],
                                                           b[offset(walk, walk.b_strides, i)]));
  }
}

void where(int64_t n, const real* mask, const real* a, const real* b, real* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = mask[i] != 0 ? a[i] : b[i];
}

void dropout_mask(int64_t n, real p, uint64_t seed, uint64_t stream, real* mask) {
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t word = philox(uint64_t(i / 4), stream, seed)[size_t(i % 4)];
    mask[i] = word * 0x1p-32 < double(p) ? 0 : 1 / (1 - p);
  }
}

// ---- Reductions ---------------------------------------------------------------------------------

void reduce_sum(int64_t outer, int64_t n, int64_t inner, const real* x, real* y) {
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < inner; ++i) {
      double sum = 0;
      for (int64_t k = 0; k < n; ++k) sum += double(x[(o * n + k) * inner + i]);
      y[o * inner + i] = real(sum);
    }
  }
}

void reduce_max(int64_t outer, int64_t n, int64_t inner, const real* x, real* y, int32_t* where) {
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < inner; ++i) {
      const auto at = [&](int64_t k) { return x[(o * n + k) * inner + i]; };
      int64_t best = 0;
      for (int64_t k = 1; k < n && !std::isnan(at(best)); ++k) {
        if (std::isnan(at(k)) || at(k) > at(best)) best = k;
      }
      y[o * inner + i] = at(best);
      where[o * inner + i] = int32_t(best);
    }
  }
}

double sum_of_squares(std::span<const std::span<const real>> arrays) {
  double sum = 0;
  for (const std::span<const real>& array : arrays) {
    for (const real x : array) sum += double(x) * double(x);
  }
  return sum;
}

// ---- Rows ---------------------------------------------------------------------------------------

namespace {

// log sum exp x of one row; the maximum is subtracted so that nothing overflows.
double log_sum(int64_t n, const real* x) {
  double largest = -INFINITY, sum = 0;
  for (int64_t i = 0; i < n; ++i) largest = std::max(largest, double(x[i]));
  for (int64_t i = 0; i < n; ++i) sum += std::exp(double(x[i]) - largest);
  return largest + std::log(sum);
}

}  // namespace

void softmax(int64_t rows, int64_t n, const real* x, real* y) {
  for (int64_t r = 0; r < rows; ++r) {
    const double total = log_sum(n, x + r * n);
    for (int64_t i = 0; i < n; ++i) y[r * n + i] = real(std::exp(double(x[r * n + i]) - total));
  }
}

void softmax_gradient(int64_t rows, int64_t n, const real* gy, const real* y, real* gx) {
  for (int64_t r = 0; r < rows; ++r) {
    double dot = 0;
    for (int64_t i = r * n; i < (r + 1) * n; ++i) dot += double(gy[i]) * double(y[i]);
    for (int64_t i = r * n; i < (r + 1) * n; ++i)
      gx[i] = real(double(y[i]) * (double(gy[i]) - dot));
  }
}

void cross_entropy(int64_t rows, int64_t n, const real* x, const int32_t* label, int32_t ignore,
                   real smoothing, real* loss) {
  for (int64_t r = 0; r < rows; ++r) {
    double sum = 0;
    for (int64_t j = 0; j < n && label[r] != ignore; ++j) {
      const double s = double(smoothing);
      const double target = (j == label[r] ? 1 - s : 0) + s / double(n);
      if (target != 0) sum -= target * (double(x[r * n + j]) - log_sum(n, x + r * n));
    }
    loss[r] = real(sum);
  }
}

void cross_entropy_gradient(int64_t rows, int64_t n, const real* g, const real* x,
                            const int32_t* label, int32_t ignore, real smoothing, real* gx) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t j = 0; j < n; ++j) {
      const double s = double(smoothing);
      const double target = (j == label[r] ? 1 - s : 0) + s / double(n);
      const double p = std::exp(double(x[r * n + j]) - log_sum(n, x + r * n));
      gx[r * n + j] = label[r] == ignore ? 0 : real(double(g[r]) * (p - target));
    }
  }
}

void layer_norm(int64_t rows, int64_t n, const real* x, const real* weight, const real* bias,
                real epsilon, real* y, real* mean, real* inverse_deviation) {
  for (int64_t r = 0; r < rows; ++r) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; ++i) sum += double(x[r * n + i]);
    const double m = sum / double(n);
    for (int64_t i = 0; i < n; ++i) squares += std::pow(double(x[r * n + i]) - m, 2);
    const double scale = 1 / std::sqrt(squares / double(n) + double(epsilon));
    for (int64_t i = 0; i < n; ++i) {
      y[r * n + i] = real((double(x[r * n + i]) - m) * scale * (weight ? double(weight[i]) : 1) +
                          (bias ? double(bias[i]) : 0));
    }
    mean[r] = real(m), inverse_deviation[r] = real(scale);
  }
}

void layer_norm_gradient(int64_t rows, int64_t n, const real* gy, const real* x, const real* weight,
                         const real* mean, const real* inverse_deviation, real* gx, real* gweight,
                         real* gbias) {
  std::vector<double> sum_w(size_t(n), 0), sum_b(size_t(n), 0);
  for (int64_t r = 0; r < rows; ++r) {
    const double scale = double(inverse_deviation[r]);
    const auto h = [&](int64_t i) { return (double(x[r * n + i]) - double(mean[r])) * scale; };
    const auto g = [&](int64_t i) {
      return double(gy[r * n + i]) * (weight ? double(weight[i]) : 1);
    };
    double mean_g = 0, mean_gh = 0;
    for (int64_t i = 0; i < n; ++i) {
      mean_g += g(i) / double(n);
      mean_gh += g(i) * h(i) / double(n);
      sum_w[size_t(i)] += double(gy[r * n + i]) * h(i);
      sum_b[size_t(i)] += double(gy[r * n + i]);
    }
    for (int64_t i = 0; gx && i < n; ++i) {
      gx[r * n + i] = real((g(i) - mean_g - h(i) * mean_gh) * scale);
    }
  }
  for (int64_t i = 0; gweight && i < n; ++i) gweight[i] += real(sum_w[size_t(i)]);
  for (int64_t i = 0; gbias && i < n; ++i) gbias[i] += real(sum_b[size_t(i)]);
}

void batch_statistics(int64_t rows, int64_t n, const real* x, real* mean, real* variance) {
  for (int64_t c = 0; c < n; ++c) {
    double sum = 0, squares = 0;
    for (int64_t r = 0; r < rows; ++r) sum += double(x[r * n + c]);
    const double m = sum / double(rows);
    for (int64_t r = 0; r < rows; ++r) squares += std::pow(double(x[r * n + c]) - m, 2);
    mean[c] = real(m), variance[c] = real(squares / double(rows));
  }
}

namespace {

Unary function_of(FusedActivation activation) {
  if (activation == FusedActivation::none) return Unary::affine;  // 1 x + 0
  return activation == FusedActivation::relu ? Unary::relu : Unary::silu;
}

}  // namespace

void batch_norm(const ChannelNorm& norm, const real* x, real* y) {
  for (int64_t i = 0; i < norm.rows * norm.n; ++i) {
    const int64_t c = i % norm.n;
    const double deviation = std::sqrt(double(norm.variance[c]) + double(norm.epsilon));
    const double h = (double(x[i]) - double(norm.mean[c])) / deviation;
    const double z = h * (norm.weight ? double(norm.weight[c]) : 1) +  //
                     (norm.bias ? double(norm.bias[c]) : 0);
    y[i] = real(value(function_of(norm.activation), z, 1, 0));
  }
}

void batch_norm_gradient(const ChannelNorm& norm, bool of_batch, const real* gy, const real* x,
                         real* gx, real* gweight, real* gbias) {
  const int64_t rows = norm.rows, n = norm.n;
  for (int64_t c = 0; c < n; ++c) {
    const double deviation = std::sqrt(double(norm.variance[c]) + double(norm.epsilon));
    const double w = norm.weight ? double(norm.weight[c]) : 1;
    const auto h = [&](int64_t i) { return (double(x[i]) - double(norm.mean[c])) / deviation; };
    const auto g = [&](int64_t i) {  // of what the activation was applied to
      const double z = h(i) * w + (norm.bias ? double(norm.bias[c]) : 0);
      return double(gy[i]) * slope(function_of(norm.activation), z, 1, 0);
    };
    double sum_g = 0, sum_gh = 0;
    for (int64_t i = c; i < rows * n; i += n) sum_g += g(i), sum_gh += g(i) * h(i);
    if (gweight) gweight[c] += real(sum_gh);
    if (gbias) gbias[c] += real(sum_g);
    for (int64_t i = c; gx && i < rows * n; i += n) {
      const double moved = of_batch ? (sum_g + h(i) * sum_gh) / double(rows) : 0;
      gx[i] = real((g(i) - moved) * w / deviation);
    }
  }
}

void gather_rows(int64_t rows, int64_t n, const real* x, const int32_t* index, real* y) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < n; ++i) y[r * n + i] = x[index[r] * n + i];
  }
}

void scatter_rows(int64_t rows, int64_t n, const real* gy, const int32_t* index, real* gx) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < n; ++i) gx[index[r] * n + i] += gy[r * n + i];
  }
}

void strided_copy(const Broadcast& walk, const real* x, real* y) {
  for (int64_t i = 0; i < walk.elements; ++i) y[i] = x[offset(walk, walk.a_strides, i)];
}

void strided_add(const Broadcast& walk, const real* y, real* x) {
  for (int64_t i = 0; i < walk.elements; ++i) x[offset(walk, walk.a_strides, i)] += y[i];
}

// ---- Matrix product -----------------------------------------------------------------------------

void gemm(const Matrix& a, const Matrix& b, real* c, int64_t ldc, const Epilogue& epilogue) {
  for (int64_t i = 0; i < a.rows; ++i) {
    for (int64_t j = 0; j < b.cols; ++j) {
      double sum = epilogue.accumulate ? double(c[i * ldc + j]) : 0;
      for (int64_t k = 0; k < a.cols; ++k) {
        sum += double(a.data[i * a.row_stride + k * a.col_stride]) *
               double(b.data[k * b.row_stride + j * b.col_stride]);
      }
      c[i * ldc + j] = real(sum + (epilogue.bias ? double(epilogue.bias[j]) : 0));
    }
    real* row = c + i * ldc;
    if (epilogue.activation) epilogue.activation(b.cols, row, row, 0, 0);
    for (int64_t j = 0; j < b.cols && epilogue.residual; ++j) {
      row[j] += epilogue.residual[i * epilogue.residual_stride + j];
    }
  }
}

}  // namespace kindling::reference
