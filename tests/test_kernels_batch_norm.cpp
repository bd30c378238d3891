// Batch norm against its naive twin: few channels and many, with every activation.
#include "kernels/reference.h"
#include "support/kernels.h"

using namespace kindling;

namespace {

constexpr FusedActivation kActivations[] = {FusedActivation::none, FusedActivation::relu,
                                            FusedActivation::silu};

// What one call takes and gives; statistics are those of x.
struct Case {
  int64_t rows, n;
  Guarded x{random_values(rows * n, 7, 3, 7)}, gy{random_values(rows * n, 8)};
  Guarded weight{random_values(n, 9, 0.5, 2)}, bias{random_values(n, 10)};
  Guarded mean{n}, variance{n};

  Case(int64_t r, int64_t columns) : rows(r), n(columns) {
    reference::batch_statistics(rows, n, x.data(), mean.data(), variance.data());
    if (rows == 0) mean = Guarded(n, 5), variance = Guarded(n, 1);
  }
  ChannelNorm norm(FusedActivation activation, bool affine = true) const {
    return {rows,
            n,
            mean.data(),
            variance.data(),
            affine ? weight.data() : nullptr,
            affine ? bias.data() : nullptr,
            real(1e-2),
            activation};
  }
};

}  // namespace

TEST_CASE("batch norm equals its twin", "[kernels][batch_norm]") {
  for_each_isa([](const Kernels& k) {
    for (const int64_t rows : {0, 1, 2, 3, 50, 64, 700}) {
      for (const int64_t n : {1, 2, 3, 7, 8, 15, 16, 17, 33, 64, 100, 257, 1100}) {
        INFO(rows << " rows of " << n);
        const Case c(rows, n);
        if (rows > 0) {
          Guarded mean(n), variance(n);
          k.batch_statistics(rows, n, c.x.data(), mean.data(), variance.data());
          // Sums are carried in double; what is left is the last rounding.
          REQUIRE(error_of(mean, c.mean) <= 1e-7);
          REQUIRE(error_of(variance, c.variance, 1) <= 1e-7);
        }
        for (const FusedActivation activation : kActivations) {
          for (const bool affine : {true, false}) {
            INFO("activation " << int(activation) << " affine " << affine);
            const ChannelNorm norm = c.norm(activation, affine);
            Guarded y(rows * n), want_y(rows * n);
            k.batch_norm(norm, c.x.data(), y.data());
            reference::batch_norm(norm, c.x.data(), want_y.data());
            // Numbers near 5 are known to 3e-7, which weight / deviation, up to 20, magnifies.
            REQUIRE(error_of(y, want_y, 1) <= 1e-5);
            for (const bool of_batch : {true, false}) {
              INFO("of batch " << of_batch);
              Guarded gx(rows * n), gw(n, 1), gb(n, 2);
              Guarded want_gx(rows * n), want_gw(n, 1), want_gb(n, 2);
              k.batch_norm_gradient(norm, of_batch, c.gy.data(), c.x.data(), gx.data(), gw.data(),
                                    gb.data());
              reference::batch_norm_gradient(norm, of_batch, c.gy.data(), c.x.data(),
                                             want_gx.data(), want_gw.data(), want_gb.data());
              // Again the error of z, times the slope's slope; parts of gx are up to 2 * 2 * 10.
              REQUIRE(error_of(gx, want_gx, 40) <= 2e-6);
              // Sums over rows of both signs: relative to their parts.
              REQUIRE(error_of(gw, want_gw, std::sqrt(double(rows))) <= 2e-6);
              REQUIRE(error_of(gb, want_gb, std::sqrt(double(rows))) <= 2e-6);

              Guarded only_gx(rows * n), only_gb(n, 2);  // each output may be left out
              k.batch_norm_gradient(norm, of_batch, c.gy.data(), c.x.data(), only_gx.data(),
                                    nullptr, nullptr);
              k.batch_norm_gradient(norm, of_batch, c.gy.data(), c.x.data(), nullptr, nullptr,
                                    only_gb.data());
              REQUIRE(error_of(only_gx, gx) == 0);
              Guarded over(rows * n);  // or gx is gy
              std::copy_n(c.gy.data(), rows * n, over.data());
              k.batch_norm_gradient(norm, of_batch, over.data(), c.x.data(), over.data(), nullptr,
                                    nullptr);
              REQUIRE(error_of(over, gx) == 0);
              REQUIRE(error_of(only_gb, gb) == 0);
            }
          }
        }
      }
    }
  });
}

TEST_CASE("batch norm far from zero, over many rows", "[kernels][batch_norm]") {
  // Deviations of 1 around 4096, whose squares differ in the seventh digit: in float none were
  // left.
  const int64_t rows = 300000, n = 3;
  std::vector<real> values(size_t(rows * n), 0);
  for (size_t i = 0; i < values.size(); ++i) values[i] = real(i / n % 2 ? 4097 : 4095);
  const Guarded x(values);
  for_each_isa([&](const Kernels& k) {
    Guarded mean(n), variance(n);
    k.batch_statistics(rows, n, x.data(), mean.data(), variance.data());
    CHECK(error_of(mean, Guarded(n, 4096)) == 0);
    CHECK(error_of(variance, Guarded(n, 1)) == 0);
    // Columns of equal numbers: what rounding leaves of their variance must have no negative root.
    Guarded equal(1000 * 64), means(64), variances(64);
    for (int64_t i = 0; i < equal.size(); ++i) equal[i] = real(0.1) * real(1 + i % 64);
    k.batch_statistics(1000, 64, equal.data(), means.data(), variances.data());
    for (int64_t c = 0; c < 64; ++c) CHECK((variances[c] >= 0 && variances[c] < 1e-12));
  });
}

TEST_CASE("batch norm has the same bits for any number of threads",
          "[kernels][batch_norm][threads]") {
  for_each_isa([&](const Kernels& k) {
    for (const auto& [rows, n] : std::vector<std::pair<int64_t, int64_t>>{
             {100000, 3}, {100001, 3}, {20000, 16}, {9999, 33}, {300, 1100}, {40, 3000}}) {
      INFO(rows << " rows of " << n);
      const Case c(rows, n);
      CHECK(same_for_any_threads([&, n = n, rows = rows] {
        Guarded numbers(2 * n);
        k.batch_statistics(rows, n, c.x.data(), numbers.data(), numbers.data() + n);
        return numbers;
      }));
      for (const FusedActivation activation : kActivations) {
        CHECK(same_for_any_threads([&, n = n, rows = rows] {
          Guarded y(rows * n);
          k.batch_norm(c.norm(activation), c.x.data(), y.data());
          return y;
        }));
        CHECK(same_for_any_threads([&, n = n, rows = rows] {
          Guarded g(rows * n + 2 * n, 0);
          k.batch_norm_gradient(c.norm(activation), true, c.gy.data(), c.x.data(), g.data(),
                                g.data() + rows * n, g.data() + rows * n + n);
          return g;
        }));
      }
    }
  });
}
