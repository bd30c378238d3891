// The matrix product against its naive twin: every size of tile, every pair of strides.
#include "kernels/reference.h"
#include "support/kernels.h"

using namespace kindling;

namespace {

// A sum of K products of numbers up to 2, rounded each time, against the same sum in double: the
// error grows as sqrt(K) and stays below 2e-6 of the largest element for K up to 4200, and for the
// longer ones here, which are sums of eight.
constexpr double kTolerance = 2e-6;

// A matrix inside a larger one, by rows or by columns, NaN in between.
struct Operand {
  Guarded storage;
  Matrix view;
  Operand(int64_t rows, int64_t cols, bool transposed, uint64_t seed, int64_t gap = 3)
      : storage(make(rows, cols, transposed, seed, gap)), view(look(rows, cols, transposed, gap)) {}

 private:
  static Guarded make(int64_t rows, int64_t cols, bool transposed, uint64_t seed, int64_t gap) {
    if (transposed) std::swap(rows, cols);
    const std::vector<real> values = random_values(rows * cols, seed);
    Guarded all(rows * (cols + gap));
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < cols; ++j) all[i * (cols + gap) + j] = values[size_t(i * cols + j)];
    }
    return all;
  }
  Matrix look(int64_t rows, int64_t cols, bool transposed, int64_t gap) const {
    return transposed ? Matrix{storage.data(), rows, cols, 1, rows + gap}
                      : Matrix{storage.data(), rows, cols, cols + gap, 1};
  }
};

// A product in all the ways to store it and to finish it. The twin is slow and runs once for all
// instruction sets.
void check_product(int64_t M, int64_t N, int64_t K) {
  INFO("M " << M << " N " << N << " K " << K);
  const Guarded bias(random_values(N, 1)), old(random_values(M * (N + 5), 2));
  const Guarded residual(random_values(M * (N + 2), 11));
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      const Operand a(M, K, ta, 3), b(K, N, tb, 4);
      for (const bool accumulate : {false, true}) {
        for (const real* b_or_null : {static_cast<const real*>(nullptr), bias.data()}) {
          const int64_t ldc = N + 5;
          Guarded before(M * ldc);
          for (int64_t i = 0; i < M && accumulate; ++i) {
            std::copy_n(old.data() + i * ldc, N, before.data() + i * ldc);
          }
          const auto epilogue = [&](const Kernels& k) {
            Epilogue result{accumulate, b_or_null};
            if (ta == tb) {  // an activation and a residual in half of the cases
              result.activation = k.unary[size_t(Unary::relu)];
              result.residual = residual.data(), result.residual_stride = N + 2;
            }
            return result;
          };
          Guarded want = before;
          reference::gemm(a.view, b.view, want.data(), ldc, epilogue(kernels()));
          for_each_isa([&](const Kernels& k) {
            Guarded c = before;
            k.gemm(a.view, b.view, c.data(), ldc, epilogue(k));
            // The gaps between rows are NaN in both, so a write there shows as an infinite error.
            REQUIRE(error_of(c, want) <= kTolerance);
          });
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("products of every size of tile equal their twin", "[kernels][gemm]") {
  for (int64_t M = 0; M <= 14; ++M) {
    for (const int64_t N : {0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 47, 63, 64, 65, 100, 130}) {
      for (const int64_t K : {0, 1, 2, 33}) check_product(M, N, K);
    }
  }
}

TEST_CASE("products of several blocks equal their twin", "[kernels][gemm]") {
  struct Size {
    int64_t M, N, K;
  };
  for (const auto& [M, N, K] : std::vector<Size>{
           {65, 63, 513},    {200, 70, 512},  {3, 2100, 40},   {40, 2113, 31},  {1000, 10, 65},
           {10, 100, 1100},  {50, 300, 1100}, {101, 257, 300}, {400, 256, 300}, {1037, 90, 65},
           {1070, 200, 530}, {1037, 96, 530}, {531, 192, 530}, {70, 30, 4200},  {37, 21, 8203},
           {70, 30, 8200},   {3, 0, 8192},    {0, 3, 8192},    {13, 8300, 12},  {520, 70, 30},
           {5, 31, 8192},    {1, 1000, 1},    {1000, 1, 100}}) {
    check_product(M, N, K);
  }
}

TEST_CASE("an empty sum gives zeros, the bias, or what was there", "[kernels][gemm]") {
  const real bias[3] = {1, 2, 3};
  const Matrix a{nullptr, 2, 0, 0, 1}, b{nullptr, 0, 3, 3, 1};
  for_each_isa([&](const Kernels& k) {
    Guarded c(6);
    k.gemm(a, b, c.data(), 3, {});
    CHECK(error_of(c, Guarded(6, 0)) == 0);
    k.gemm(a, b, c.data(), 3, {false, bias});
    CHECK(error_of(c, Guarded({1, 2, 3, 1, 2, 3})) == 0);
    k.gemm(a, b, c.data(), 3, {true, bias});
    CHECK(error_of(c, Guarded({2, 4, 6, 2, 4, 6})) == 0);
  });
}

TEST_CASE("one NaN reaches its row and column and no other element", "[kernels][gemm]") {
  for_each_isa([](const Kernels& k) {
    for (const bool transposed : {false, true}) {
      Operand a(37, 29, transposed, 5), b(29, 41, transposed, 6);
      a.storage[&a.view.data[20 * a.view.row_stride + 11 * a.view.col_stride] - a.storage.data()] =
          std::numeric_limits<real>::quiet_NaN();
      Guarded c(37 * 41);
      k.gemm(a.view, b.view, c.data(), 41, {});
      for (int64_t i = 0; i < 37; ++i) {
        for (int64_t j = 0; j < 41; ++j) REQUIRE(std::isnan(c[i * 41 + j]) == (i == 20));
      }
    }
  });
}

TEST_CASE("products have the same bits for any number of threads", "[kernels][gemm][threads]") {
  for_each_isa([](const Kernels& k) {
    for (const bool transposed : {false, true}) {
      CHECK(same_for_any_threads([&] {
        const Operand a(300, 700, transposed, 7), b(700, 200, transposed, 8);
        Guarded c(300 * 200);
        k.gemm(a.view, b.view, c.data(), 200, {});
        return c;
      }));
      CHECK(same_for_any_threads([&] {
        const Operand a(10, 1500, transposed, 9), b(1500, 2500, transposed, 10);
        Guarded c(10 * 2500, 1);
        k.gemm(a.view, b.view, c.data(), 2500, {true, nullptr});
        return c;
      }));
    }
    // A small result of long sums: parts of these are shared out.
    CHECK(same_for_any_threads([&] {
      const Operand a(70, 9000, true, 13), b(9000, 30, false, 14);
      Guarded c(70 * 30);
      k.gemm(a.view, b.view, c.data(), 30, {});
      return c;
    }));
    // Pieces of the columns must not cut the sum in other places than all of them would.
    CHECK(same_for_any_threads([&] {
      const Operand a(100, 5000, true, 11), b(5000, 200, false, 12);
      Guarded c(100 * 200);
      k.gemm(a.view, b.view, c.data(), 200, {});
      return c;
    }));
  });
}
