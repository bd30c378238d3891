// Row kernels against their naive twins, with rows of infinities and NaN, and long sums.
#include "kernels/reference.h"
#include "support/kernels.h"

using namespace kindling;

namespace {

// Exponentials in float are within 2 ulp (6e-8 each); sums are carried in double.
constexpr double kTolerance = 1e-6;
constexpr real kNan = std::numeric_limits<real>::quiet_NaN();
constexpr real kInf = std::numeric_limits<real>::infinity();

struct Size {
  int64_t outer, n, inner;
};

// One column and many, one part and several, more than a strip, nothing at all.
const std::vector<Size> kReductions = {{0, 3, 1},     {1, 0, 1},     {2, 0, 3},    {1, 1, 1},
                                       {1, 7, 1},     {3, 16, 1},    {5, 33, 1},   {2, 1000, 1},
                                       {1, 7, 3},     {3, 65, 17},   {2, 9, 257},  {1, 700, 5},
                                       {20, 30, 300}, {1, 2, 1000},  {300, 3, 1},  {1, 100000, 1},
                                       {2, 50000, 1}, {1, 3000, 65}, {3, 400, 300}};

std::vector<int32_t> random_labels(int64_t rows, int64_t n, uint64_t seed) {
  Random random(seed);
  std::vector<int32_t> labels(size_t(rows), 0);
  for (int32_t& label : labels) label = int32_t(random.below(n));
  return labels;
}

double squares(decltype(&reference::sum_of_squares) kernel, const std::vector<Guarded>& arrays) {
  std::vector<std::span<const real>> spans;
  for (const Guarded& a : arrays) spans.emplace_back(a.data(), size_t(a.size()));
  return kernel(spans);
}
double squares(const Kernels& k, const std::vector<Guarded>& arrays) {
  return squares(k.sum_of_squares, arrays);
}

using RowKernel = void (*)(int64_t, int64_t, const real*, real*);
using RowGradient = void (*)(int64_t, int64_t, const real*, const real*, real*);

std::vector<real> row_of(RowKernel kernel, const std::vector<real>& x, int64_t results) {
  std::vector<real> y(size_t(results), 7);
  kernel(1, int64_t(x.size()), x.data(), y.data());
  return y;
}

}  // namespace

TEST_CASE("reductions and their gradient equal their twins", "[kernels][rows]") {
  for_each_isa([](const Kernels& k) {
    for (const auto& [outer, n, inner] : kReductions) {
      INFO(outer << " " << n << " " << inner);
      const Guarded x(random_values(outer * n * inner, 1));
      Guarded y(outer * inner), want(outer * inner);
      k.reduce_sum(outer, n, inner, x.data(), y.data());
      reference::reduce_sum(outer, n, inner, x.data(), want.data());
      // Sums of positive and negative numbers nearly cancel; the error is of the size of their
      // parts.
      REQUIRE(error_of(y, want, std::sqrt(double(n))) <= kTolerance);

      if (n == 0) continue;
      std::vector<int32_t> where(size_t(outer * inner), -1), want_where = where;
      k.reduce_max(outer, n, inner, x.data(), y.data(), where.data());
      reference::reduce_max(outer, n, inner, x.data(), want.data(), want_where.data());
      REQUIRE(error_of(y, want) == 0);
      REQUIRE(where == want_where);
    }
    for (const int64_t n : kSizes) {
      const Guarded x(random_values(n, 2));
      CHECK(squares(k, {x}) == Approx(squares(reference::sum_of_squares, {x})));
    }
    CHECK(squares(k, {Guarded(100000, 3)}) == 900000);
    const Guarded large(10, real(1e30));  // whose squares do not fit a float
    CHECK(squares(k, {large}) == Approx(1e61));
    CHECK(squares(k, {}) == 0);
    // Ends of arrays and of pieces meet in all ways.
    const std::vector<Guarded> several = {Guarded(1, 2), Guarded(0), Guarded(32767, 1),
                                          Guarded(70001, 3)};
    CHECK(squares(k, several) == 4 + 32767 + 9 * 70001);
  });
}

TEST_CASE("a long sum is exact where its parts are", "[kernels][rows]") {
  const int64_t n = (int64_t{1} << 26) + 3;  // float alone stops counting at 2^24
  const std::vector<real> ones(size_t(n), 1);
  for_each_isa([&](const Kernels& k) {
    real sum = 0;
    k.reduce_sum(1, n, 1, ones.data(), &sum);
    CHECK(sum == real(n));
    real sums[3];
    k.reduce_sum(1, n / 3, 3, ones.data(), sums);
    for (const real s : sums) CHECK(s == real(n / 3));
  });
}

TEST_CASE("the maximum is the first one, and NaN is the largest", "[kernels][rows]") {
  for_each_isa([](const Kernels& k) {
    const auto max_of = [&](std::vector<real> x, int32_t& where) {
      real y = 7;
      const int64_t n = int64_t(x.size());
      k.reduce_max(1, n, 1, x.data(), &y, &where);
      std::vector<real> twice;  // two columns
      for (const real v : x) twice.insert(twice.end(), 2, v);
      real best[2] = {7, 7};
      int32_t places[2] = {-1, -1};
      k.reduce_max(1, n, 2, twice.data(), best, places);
      for (int i = 0; i < 2; ++i) {
        CHECK((best[i] == y || (std::isnan(best[i]) && std::isnan(y))));
        CHECK(places[i] == where);
      }
      return y;
    };
    int32_t where = -1;
    CHECK(max_of({1, 3, 3, 2}, where) == 3);
    CHECK(where == 1);
    CHECK(std::isnan(max_of({1, kNan, 5, kNan}, where)));
    CHECK(where == 1);
    CHECK(std::isnan(max_of({kNan, 5}, where)));
    CHECK(where == 0);
    CHECK(max_of({-kInf, -kInf}, where) == -kInf);
    CHECK(where == 0);
  });
}

TEST_CASE("softmax and its relatives equal their twins", "[kernels][rows]") {
  for_each_isa([](const Kernels& k) {
    for (const int64_t rows : {0, 1, 3, 40}) {
      for (const int64_t n : kSizes) {
        if (n == 0) continue;
        INFO(rows << " rows of " << n);
        const Guarded x(random_values(rows * n, 3, -10, 10)), gy(random_values(rows * n, 4));
        const Guarded g(random_values(rows, 5));
        Guarded y(rows * n), want(rows * n), gx(rows * n), want_gx(rows * n);
        Guarded each(rows), want_each(rows);

        k.softmax(rows, n, x.data(), y.data());
        reference::softmax(rows, n, x.data(), want.data());
        REQUIRE(error_of(y, want) <= kTolerance);
        k.softmax_gradient(rows, n, gy.data(), want.data(), gx.data());
        reference::softmax_gradient(rows, n, gy.data(), want.data(), want_gx.data());
        REQUIRE(error_of(gx, want_gx, 1) <= kTolerance);

        std::vector<int32_t> labels = random_labels(rows, n, 6);
        if (rows > 2) labels[2] = -100;
        for (const real smoothing : {real(0), real(0.1)}) {
          k.cross_entropy(rows, n, x.data(), labels.data(), -100, smoothing, each.data());
          reference::cross_entropy(rows, n, x.data(), labels.data(), -100, smoothing,
                                   want_each.data());
          REQUIRE(error_of(each, want_each, 10) <= kTolerance);
          k.cross_entropy_gradient(rows, n, g.data(), x.data(), labels.data(), -100, smoothing,
                                   gx.data());
          reference::cross_entropy_gradient(rows, n, g.data(), x.data(), labels.data(), -100,
                                            smoothing, want_gx.data());
          REQUIRE(error_of(gx, want_gx, 1) <= kTolerance);
          if (rows > 2) REQUIRE((each[2] == 0 && gx[2 * n] == 0));
        }
      }
    }
  });
}

TEST_CASE("softmax and its relatives of large, infinite and missing numbers", "[kernels][rows]") {
  const auto all_nan = [](const std::vector<real>& y) {
    return std::all_of(y.begin(), y.end(), [](real v) { return std::isnan(v); });
  };
  using Row = std::vector<real>;
  for_each_isa([&](const Kernels& k) {
    CHECK(row_of(k.softmax, {1000, 1000}, 2) == Row{real(0.5), real(0.5)});
    CHECK(row_of(k.softmax, {-1000, -2000}, 2) == Row{1, 0});
    CHECK(row_of(k.softmax, {-kInf, 3, -kInf}, 3) == Row{0, 1, 0});
    for (const Row& bad : {Row{-kInf, -kInf}, Row{kInf, 1}, Row{1, kNan, 2}}) {
      CHECK(all_nan(row_of(k.softmax, bad, int64_t(bad.size()))));
    }

    // A class that is masked out costs nothing unless it is the label.
    const real x[3] = {-kInf, 2, 2};
    const int32_t label = 1, masked = 0;
    real loss = 7;
    k.cross_entropy(1, 3, x, &label, -100, 0, &loss);
    CHECK(loss == Approx(std::log(2.0)));
    k.cross_entropy(1, 3, x, &masked, -100, 0, &loss);
    CHECK(loss == kInf);
  });
}

TEST_CASE("layer norm equals its twin", "[kernels][rows]") {
  for_each_isa([](const Kernels& k) {
    for (const int64_t rows : {0, 1, 3, 50, 700}) {
      for (const int64_t n : kSizes) {
        if (n == 0 || (rows == 700 && n > 100)) continue;
        INFO(rows << " rows of " << n);
        const Guarded x(random_values(rows * n, 7, 3, 7)), gy(random_values(rows * n, 8));
        const Guarded weight(random_values(n, 9, 0.5, 2)), bias(random_values(n, 10));
        for (const bool affine : {true, false}) {
          const real *w = affine ? weight.data() : nullptr, *b = affine ? bias.data() : nullptr;
          Guarded y(rows * n), mean(rows), scale(rows), gx(rows * n), gw(n, 1), gb(n, 2);
          Guarded want(rows * n), want_mean(rows), want_scale(rows), want_gx(rows * n);
          Guarded want_gw(n, 1), want_gb(n, 2);
          const real epsilon = real(1e-3);
          k.layer_norm(rows, n, x.data(), w, b, epsilon, y.data(), mean.data(), scale.data());
          reference::layer_norm(rows, n, x.data(), w, b, epsilon, want.data(), want_mean.data(),
                                want_scale.data());
          // The mean of numbers near 5 is known to 3e-7, which 1 / deviation, up to 30, magnifies.
          REQUIRE(error_of(y, want, 1) <= 1e-5);
          REQUIRE(error_of(mean, want_mean) <= kTolerance);
          REQUIRE(error_of(scale, want_scale) <= 1e-5);

          k.layer_norm_gradient(rows, n, gy.data(), x.data(), w, want_mean.data(),
                                want_scale.data(), gx.data(), gw.data(), gb.data());
          reference::layer_norm_gradient(rows, n, gy.data(), x.data(), w, want_mean.data(),
                                         want_scale.data(), want_gx.data(), want_gw.data(),
                                         want_gb.data());
          REQUIRE(error_of(gx, want_gx, 30) <= kTolerance);
          // Sums over rows of both signs: relative to their parts.
          REQUIRE(error_of(gw, want_gw, std::sqrt(double(rows))) <= kTolerance);
          REQUIRE(error_of(gb, want_gb, std::sqrt(double(rows))) <= kTolerance);

          Guarded only_gx(rows * n), only_gb(n, 2);  // each output may be left out
          k.layer_norm_gradient(rows, n, gy.data(), x.data(), w, want_mean.data(),
                                want_scale.data(), only_gx.data(), nullptr, nullptr);
          k.layer_norm_gradient(rows, n, gy.data(), x.data(), w, want_mean.data(),
                                want_scale.data(), nullptr, nullptr, only_gb.data());
          REQUIRE(error_of(only_gx, gx) == 0);
          REQUIRE(error_of(only_gb, gb) == 0);
        }
      }
    }
  });
}

TEST_CASE("rows by index equal their twins and add up in order", "[kernels][rows]") {
  for_each_isa([](const Kernels& k) {
    for (const int64_t rows : {0, 1, 7, 300}) {
      for (const int64_t n : kSizes) {
        INFO(rows << " rows of " << n);
        const std::vector<int32_t> index = random_labels(rows, 5, 11);  // each several times
        const Guarded x(random_values(5 * n, 12)), gy(random_values(rows * n, 13));
        Guarded y(rows * n), want(rows * n), gx = x, want_gx = x;
        k.gather_rows(rows, n, x.data(), index.data(), y.data());
        reference::gather_rows(rows, n, x.data(), index.data(), want.data());
        REQUIRE(error_of(y, want) == 0);
        k.scatter_rows(rows, n, gy.data(), index.data(), gx.data());
        reference::scatter_rows(rows, n, gy.data(), index.data(), want_gx.data());
        REQUIRE(error_of(gx, want_gx) == 0);
      }
    }
  });
}

TEST_CASE("row kernels have the same bits for any number of threads", "[kernels][rows][threads]") {
  const Guarded x(random_values(400000, 14)), gy(random_values(400000, 15));
  const std::vector<int32_t> labels = random_labels(4000, 100, 16);
  for_each_isa([&](const Kernels& k) {
    for (const auto& [outer, n, inner] : std::vector<Size>{{1, 400000, 1},
                                                           {4, 100000, 1},
                                                           {4000, 100, 1},
                                                           {1, 4000, 100},
                                                           {2, 500, 400},
                                                           {100, 10, 400}}) {
      INFO(outer << " " << n << " " << inner);
      CHECK(same_for_any_threads([&, outer = outer, n = n, inner = inner] {
        Guarded y(outer * inner);
        k.reduce_sum(outer, n, inner, x.data(), y.data());
        return y;
      }));
    }
    CHECK(same_for_any_threads([&] {
      const double sum = squares(k, {x, gy, x});
      return Guarded(std::vector<real>{real(sum), real(1e7 * (sum - double(real(sum))))});
    }));
    CHECK(same_for_any_threads([&] {
      Guarded gx(400000);
      k.cross_entropy_gradient(4000, 100, gy.data(), x.data(), labels.data(), -100, real(0.1),
                               gx.data());
      return gx;
    }));
    const std::vector<real> zero(4000, 0), one(4000, 1);
    CHECK(same_for_any_threads([&] {
      Guarded sums(200, 0);
      k.layer_norm_gradient(4000, 100, gy.data(), x.data(), nullptr, zero.data(), one.data(),
                            nullptr, sums.data(), sums.data() + 100);
      return sums;
    }));
    CHECK(same_for_any_threads([&] {
      Guarded gx(100 * 100, 0);
      k.scatter_rows(4000, 100, gy.data(), labels.data(), gx.data());
      return gx;
    }));
  });
}
