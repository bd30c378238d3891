// Exponentials and their kin against libm in double, for floats of every exponent.
#include "kernels/reference.h"
#include "support/kernels.h"

using namespace kindling;

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kDenormal = std::numeric_limits<float>::denorm_min();
constexpr float kNormal = std::numeric_limits<float>::min();
constexpr float kMax = std::numeric_limits<float>::max();

// Every 4099th float, a prime, so of each exponent some 2000 with all kinds of last digits; and
// the neighbours of where something changes.
std::vector<float> floats() {
  std::vector<float> x;
  const auto add = [&](uint32_t bits) {
    float v;
    std::memcpy(&v, &bits, sizeof v);
    if (!std::isnan(v)) x.push_back(v);
  };
  for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += 4099) add(uint32_t(bits));
  for (const float edge : {0.0f, kDenormal, kNormal, kMax, kInf, 0.5f, 0.70710678f, 1.0f,
                           1.41421356f, 10.0f, 16.635532f, 88.722839f, 89.0f, 103.97208f, 104.0f}) {
    uint32_t bits;
    std::memcpy(&bits, &edge, sizeof bits);
    for (uint32_t i = 0; i < 4; ++i) {
      for (const uint32_t sign : {0u, 1u << 31}) add((bits + i) | sign), add((bits - i) | sign);
    }
  }
  return x;
}

double ulp(double value) {  // the last place of the float next to it
  const double exponent = std::floor(std::log2(std::max(std::abs(value), double(kNormal))));
  return std::exp2(std::min(exponent, 127.0) - 23);
}

double sigmoid(double x) {
  return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
}
double gelu_inside(double x) { return std::sqrt(2 / std::acos(-1)) * (x + 0.044715 * x * x * x); }
double fading(double x, double s) { return s == 0 ? 0 : x * s; }

// `bound` holds in ulp; that of the last three grows with `growth`, as a relative error in the
// argument of an exponential does, and their x times a denormal adds |x| times the least float.
struct Row {
  Unary f;
  double (*truth)(double);
  double bound;
  double (*growth)(double) = [](double) { return 0.0; };
};
const std::vector<Row> kRows = {
    {Unary::exp, [](double x) { return std::exp(x); }, 1},
    {Unary::log, [](double x) { return std::log(x); }, 1},
    {Unary::sqrt, [](double x) { return std::sqrt(x); }, 0.5000001},
    {Unary::tanh, [](double x) { return std::tanh(x); }, 2.5},
    {Unary::erf, [](double x) { return std::erf(x); }, 1.6},
    {Unary::sigmoid, sigmoid, 2.5},
    {Unary::softplus,
     [](double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }, 2},
    {Unary::silu, [](double x) { return fading(x, sigmoid(x)); }, 3.5},
    {Unary::gelu, [](double x) { return fading(x, std::erfc(-x / std::sqrt(2.0)) / 2); }, 7,
     [](double x) { return x < 0 ? x * x / 2 : 0; }},
    {Unary::gelu_tanh, [](double x) { return fading(x, sigmoid(2 * gelu_inside(x))); }, 3.5,
     [](double x) { return x < 0 ? -5 * gelu_inside(x) : 0; }},
};

float apply(const Kernels& k, Unary f, float x) {
  real in = x, y = 7;
  k.unary[size_t(f)](1, &in, &y, 0, 0);
  return float(y);
}

}  // namespace

TEST_CASE("functions of one number are within their bounds for all floats", "[kernels][vecmath]") {
  const std::vector<float> x = floats();
  const int64_t n = int64_t(x.size());
  std::vector<float> y(x.size()), slope(x.size());
  const std::vector<float> one(x.size(), 1);
  for (const Row& row : kRows) {
    std::vector<double> want;
    for (const float v : x) want.push_back(row.truth(double(v)));
    for_each_isa([&](const Kernels& k) {
      INFO("function " << int(row.f));
      k.unary[size_t(row.f)](n, x.data(), y.data(), 0, 0);
      k.unary_gradient[size_t(row.f)](n, one.data(), x.data(), y.data(), slope.data(), 0, 0);
      double worst = 0, worst_slope = 0;  // errors as parts of what is allowed
      float at = 0, slope_at = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        const double v = double(x[i]), got = double(y[i]);
        const double wanted = std::abs(want[i]) < double(kMax) ? want[i] : double(float(want[i]));
        const bool same = got == wanted || (std::isnan(got) && std::isnan(wanted));
        const double extra = row.f >= Unary::gelu ? std::abs(v) * double(kDenormal) : 0;
        const double allowed = (row.bound + row.growth(v)) * ulp(wanted) + extra;
        double part = same ? 0 : std::abs(got - wanted) / allowed;
        if (std::isnan(part)) part = kInf;
        if (part > worst) worst = part, at = x[i];
        // Slopes have parts that cancel: their error is that of a number near 1.
        const double s = reference::slope(row.f, v, 0, 0);
        if (std::isnan(s) || std::abs(s) > double(kMax)) continue;
        part = std::abs(double(slope[i]) - s) / std::max(1.0, std::abs(s)) / 3e-7;
        if (!(part <= worst_slope)) worst_slope = part, slope_at = x[i];
      }
      INFO("value at " << at << ", slope at " << slope_at);
      CHECK(worst <= 1);
      CHECK(worst_slope <= 1);
    });
  }
}

TEST_CASE("zeros, denormals, infinities and the edges of overflow are as in libm",
          "[kernels][vecmath]") {
  struct Case {
    Unary f;
    float x, y;
  };
  const float last = std::nextafter(std::log(kMax), 0.0f);  // its exponential is finite
  const std::vector<Case> cases = {
      {Unary::exp, 0, 1},
      {Unary::exp, -0.0f, 1},
      {Unary::exp, kDenormal, 1},
      {Unary::exp, std::nextafter(last, kInf), kInf},
      {Unary::exp, kInf, kInf},
      {Unary::exp, -kInf, 0},
      {Unary::exp, -103.9f, kDenormal},
      {Unary::exp, -104, 0},
      {Unary::log, 1, 0},
      {Unary::log, -0.0f, -kInf},
      {Unary::log, kInf, kInf},
      {Unary::log, kDenormal, std::log(kDenormal)},
      {Unary::tanh, 0, 0},
      {Unary::tanh, -0.0f, -0.0f},
      {Unary::tanh, kDenormal, kDenormal},
      {Unary::tanh, -kDenormal, -kDenormal},
      {Unary::tanh, kMax, 1},
      {Unary::erf, -0.0f, -0.0f},
      {Unary::erf, kDenormal, kDenormal},
      {Unary::erf, -kMax, -1},
      {Unary::sigmoid, -0.0f, 0.5f},
      {Unary::sigmoid, -103.9f, kDenormal},
      {Unary::sigmoid, -kMax, 0},
      {Unary::softplus, -103.9f, kDenormal},
      {Unary::softplus, kMax, kMax},
      {Unary::silu, -0.0f, -0.0f},
      {Unary::silu, -kMax, 0},
      {Unary::gelu, -0.0f, -0.0f},
      {Unary::gelu, -kMax, 0},
      {Unary::gelu, kMax, kMax},
      {Unary::gelu_tanh, -0.0f, -0.0f},
      {Unary::gelu_tanh, -kMax, 0},
      {Unary::gelu_tanh, kMax, kMax},
  };
  for_each_isa([&](const Kernels& k) {
    for (const auto& [f, x, y] : cases) {
      INFO("function " << int(f) << " at " << x);
      const float got = apply(k, f, x);
      CHECK(got == y);
      CHECK(std::signbit(got) == std::signbit(y));
    }
    CHECK(apply(k, Unary::exp, last) == Approx(double(kMax)).epsilon(1e-5));
    for (const float below : {-kDenormal, -1.0f, -kInf}) {
      CHECK(std::isnan(apply(k, Unary::log, below)));
      CHECK(std::isnan(apply(k, Unary::sqrt, below)));
    }
  });
}

TEST_CASE("an element's value does not depend on where it stands", "[kernels][vecmath]") {
  const int64_t n = 61;
  const Guarded x(random_values(n, 1, 0.1, 3)), other(random_values(n, 2, 0.1, 3));
  for_each_isa([&](const Kernels& k) {
    const auto check = [&](const auto& run) {
      Guarded whole(n), alone(n);
      run(n, 0, whole.data());
      for (int64_t i = 0; i < n; ++i) run(1, i, alone.data() + i);
      CHECK(same_bits(whole, alone));
    };
    for (size_t f = 0; f < size_t(Unary::count_); ++f) {
      INFO("function " << f);
      check([&](int64_t count, int64_t i, real* y) {
        k.unary[f](count, x.data() + i, y, real(0.3), real(0.7));
      });
      check([&](int64_t count, int64_t i, real* g) {
        const real *gy = other.data() + i, *from = x.data() + i;
        k.unary_gradient[f](count, gy, from, from, g, real(0.3), real(0.7));
      });
    }
    for (size_t f = 0; f < size_t(Binary::count_); ++f) {
      INFO("function of two " << f);
      check([&](int64_t count, int64_t i, real* y) {
        k.binary[f](Broadcast::flat(count), x.data() + i, other.data() + i, y);
      });
    }
  });
}
