// The obvious loops of attention. Page: docs/kernels.md
//
// Letters: b a sample, h a head, i a query, j a key, c a column of the head.
#include "base/random.h"
#include "kernels/reference.h"

namespace kindling::reference {
namespace {

// The probabilities of one query's keys, and by what dropout multiplies them.
struct Row {
  std::vector<double> p, keep;
  double log_sum = 0;

  Row(const Attention& a, int64_t b, int64_t h, int64_t i, const real* q, const real* k)
      : p(size_t(a.keys)), keep(size_t(a.keys), 1) {
    const int64_t row = (b * a.heads + h) * a.queries + i;
    double sum = 0, largest = -INFINITY;
    for (int64_t j = 0; j < a.keys; ++j) {
      double score = 0;
      for (int64_t c = h * a.width; c < (h + 1) * a.width; ++c) {
        score += double(q[(b * a.queries + i) * a.stride + c]) *
                 double(k[(b * a.keys + j) * a.stride + c]);
      }
      score /= std::sqrt(double(a.width));
      if (a.bias) score += double(a.bias[b * a.bias_batch + h * a.bias_head + i * a.keys + j]);
      if (a.allowed && a.allowed[b * a.keys + j] == 0) score = -INFINITY;
      if (a.causal && j > i) score = -INFINITY;
      p[size_t(j)] = score;
      largest = std::max(largest, score);
      const auto words = philox(uint64_t(row * ((a.keys + 3) / 4) + j / 4), a.stream, a.seed);
      const bool dropped = words[size_t(j % 4)] < double(a.dropout) * 0x1p32;
      if (a.dropout > 0) keep[size_t(j)] = dropped ? 0 : double(1 / (1 - a.dropout));
    }
    for (double& x : p) sum += x = x == -INFINITY ? 0 : std::exp(x - largest);
    if (sum == 0) return;
    for (double& x : p) x /= sum;
    log_sum = largest + std::log(sum);
  }
};

template <class F> void for_queries(const Attention& a, const F& f) {
  for (int64_t b = 0; b < a.batch; ++b) {
    for (int64_t h = 0; h < a.heads; ++h) {
      for (int64_t i = 0; i < a.queries; ++i) f(b, h, i);
    }
  }
}

}  // namespace

void attention(const Attention& a, const real* q, const real* k, const real* v, real* y,
               real* log_sum) {
  for_queries(a, [&](int64_t b, int64_t h, int64_t i) {
    const Row row(a, b, h, i, q, k);
    log_sum[(b * a.heads + h) * a.queries + i] = real(row.log_sum);
    for (int64_t c = h * a.width; c < (h + 1) * a.width; ++c) {
      double sum = 0;
      for (int64_t j = 0; j < a.keys; ++j) {
        sum += row.p[size_t(j)] * row.keep[size_t(j)] * double(v[(b * a.keys + j) * a.stride + c]);
      }
      y[(b * a.queries + i) * a.heads * a.width + c] = real(sum);
    }
  });
}

void attention_gradient(const Attention& a, const real* q, const real* k, const real* v,
                        const real*, const real*, const real* gy, real* gq, real* gk, real* gv,
                        real* gbias) {
  const size_t of_queries = size_t(a.batch * a.queries * a.stride);
  const size_t of_keys = size_t(a.batch * a.keys * a.stride);
  std::vector<double> sum_q(of_queries), sum_k(of_keys), sum_v(of_keys);
  for_queries(a, [&](int64_t b, int64_t h, int64_t i) {
    const Row row(a, b, h, i, q, k);
    const int64_t from = h * a.width, to = from + a.width;
    const int64_t query = (b * a.queries + i) * a.stride, key = b * a.keys * a.stride;
    const real* g = gy + (b * a.queries + i) * a.heads * a.width;
    std::vector<double> gp(row.p.size());
    double dot = 0;
    for (int64_t j = 0; j < a.keys; ++j) {
      const double p = row.p[size_t(j)], keep = row.keep[size_t(j)];
      for (int64_t c = from; c < to; ++c) {
        gp[size_t(j)] += keep * double(g[c]) * double(v[key + j * a.stride + c]);
        sum_v[size_t(key + j * a.stride + c)] += p * keep * double(g[c]);
      }
      dot += p * gp[size_t(j)];
    }
    for (int64_t j = 0; j < a.keys; ++j) {
      const double gs = row.p[size_t(j)] * (gp[size_t(j)] - dot);
      if (gbias) gbias[b * a.bias_batch + h * a.bias_head + i * a.keys + j] += real(gs);
      for (int64_t c = from; c < to; ++c) {
        const double scaled = gs / std::sqrt(double(a.width));
        sum_q[size_t(query + c)] += scaled * double(k[key + j * a.stride + c]);
        sum_k[size_t(key + j * a.stride + c)] += scaled * double(q[query + c]);
      }
    }
  });
  const auto write = [&](const std::vector<double>& sums, real* to) {
    for (size_t r = 0; to && r < sums.size(); r += size_t(a.stride)) {
      for (size_t c = 0; c < size_t(a.heads * a.width); ++c) to[r + c] = real(sums[r + c]);
    }
  };
  write(sum_q, gq), write(sum_k, gk), write(sum_v, gv);
}

}  // namespace kindling::reference
