// Matrix products of the sizes that lessons meet: C [M, N] = A B over K. Every contender's result
// is compared with a plain sum at 200 places.
#include "bench/race.h"

namespace kindling::bench {
namespace {

struct Product {
  std::string tag;
  Gemm shape;

  std::string name() const {  // square_NN_1_64_64_64; T: that operand lies transposed in memory
    return fmt::format("{}_{}{}_{}_{}_{}_{}", tag, shape.transpose_a ? 'T' : 'N',
                       shape.transpose_b ? 'T' : 'N', shape.batch, shape.M, shape.N, shape.K);
  }
};

std::vector<Product> products() {
  std::vector<Product> all;
  for (const int n : {64, 128, 256, 384, 512, 768, 1024, 2048}) {
    all.push_back({"square", {false, false, 1, n, n, n}});
  }
  // Layers: [rows, in] x [in, out], then the gradients of their input and of their weights.
  constexpr int kLayers[][3] = {// ViT-Tiny's, a small BERT's, BERT-base's, convolutions as products
                                {4160, 192, 192}, {4160, 768, 192}, {4160, 192, 768},
                                {2048, 128, 128}, {2048, 512, 128}, {2048, 128, 512},
                                {128, 768, 768},  {512, 3072, 768}, {512, 768, 3072},
                                {65536, 32, 27},  {65536, 64, 288}, {16384, 128, 576}};
  for (const auto& [rows, out, in] : kLayers) {
    all.push_back({"fwd", {false, false, 1, rows, out, in}});
    all.push_back({"bwd-in", {false, true, 1, rows, in, out}});
    all.push_back({"bwd-w", {true, false, 1, in, out, rows}});
  }
  // One head of attention: 64 images of 3 heads, 65 tokens of 64 numbers.
  all.push_back({"attn-qk", {false, true, 192, 65, 65, 64}});
  all.push_back({"attn-av", {false, false, 192, 65, 64, 65}});
  all.push_back({"attn-dv", {true, false, 192, 65, 64, 65}});
  return all;
}

Matrix view(const float* data, int64_t rows, int64_t cols, bool transposed) {
  const Matrix as_it_lies{data, transposed ? cols : rows, transposed ? rows : cols,
                          transposed ? rows : cols, 1};
  return transposed ? as_it_lies.t() : as_it_lies;
}

// As the operation matmul does it.
void ours(const Gemm& p) {
  const int64_t M = p.M, N = p.N, K = p.K;
  parallel_for(p.batch, 1 + (1 << 16) / (1 + M * N * K), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      kernels().gemm(view(p.a + i * M * K, M, K, p.transpose_a),
                     view(p.b + i * K * N, K, N, p.transpose_b), p.c + i * M * N, N, {});
    }
  });
}

// Throws if C is wrong, and fills it with NaN for the next one.
void check(const Gemm& p, const std::string& name) {
  const int64_t M = p.M, N = p.N, K = p.K;
  for (int64_t place = 0; place < 200; ++place) {
    const int64_t batch = place * 7919 % p.batch, i = place * 104729 % M, j = place * 1299709 % N;
    const Matrix a = view(p.a + batch * M * K, M, K, p.transpose_a);
    const Matrix b = view(p.b + batch * K * N, K, N, p.transpose_b);
    double sum = 0;
    for (int64_t k = 0; k < K; ++k) {
      sum += double(a.data[i * a.row_stride + k * a.col_stride]) *
             double(b.data[k * b.row_stride + j * b.col_stride]);
    }
    const double got = p.c[batch * M * N + i * N + j];
    // The K products, of -1 .. 1, are rounded to 6e-8 of a sum of about sqrt(K), in any order.
    ENSURE(std::abs(got - sum) < 1e-5 * (1 + std::sqrt(double(K)) + 1e-3 * double(K)),
           "gemm {}: {} at [{}, {}, {}], but the plain sum is {}", name, got, batch, i, j, sum);
  }
  std::fill_n(p.c, p.batch * M * N, std::numeric_limits<float>::quiet_NaN());
}

}  // namespace

void gemm(Bench& bench) {
  for (const Product& product : products()) {
    if (!bench.wants(product.name())) continue;
    Gemm p = product.shape;
    const Tensor a = noise({p.batch, p.M, p.K}, 3), b = noise({p.batch, p.K, p.N}, 5);
    Tensor c = full({p.batch, p.M, p.N}, kNone);
    p.a = a.data(), p.b = b.data(), p.c = c.mutable_data();
    std::vector<Contender> contenders = bench.peers(p);
    contenders.insert(contenders.begin(), {"ours", [&] { ours(p); }});
    bench.race({.kind = "gemm",
                .name = product.name(),
                .work = 2.0 * p.batch * p.M * p.N * p.K,
                .unit = "GFLOP/s",
                .contenders = contenders},
               [&](const std::string& name) { check(p, name); });
  }
}

}  // namespace kindling::bench
