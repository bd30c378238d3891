// Convolutions of the sizes that lessons meet, in three directions: forward, the gradient of the
// image, the gradient of the weight. Results are compared with plain sums at 50 places.
#include "bench/race.h"

namespace kindling::bench {
namespace {

struct Named {
  const char* name;
  Convolution shape;  // N C H W  O k stride pad groups
};

constexpr Named kShapes[] = {
    {"stem3x3", {64, 3, 32, 32, 32, 3, 1, 1, 1}},
    {"c3x3_32_64", {64, 32, 32, 32, 64, 3, 1, 1, 1}},
    {"c3x3_64_128", {64, 64, 16, 16, 128, 3, 1, 1, 1}},
    {"c3x3_128_256", {64, 128, 8, 8, 256, 3, 1, 1, 1}},
    {"resnet_16_16", {64, 16, 32, 32, 16, 3, 1, 1, 1}},
    {"s2_3x3_64_128", {64, 64, 32, 32, 128, 3, 2, 1, 1}},
    {"pw_32_192", {64, 32, 32, 32, 192, 1, 1, 0, 1}},
    {"pw_192_32", {64, 192, 16, 16, 32, 1, 1, 0, 1}},
    {"dw3_192_32", {64, 192, 32, 32, 192, 3, 1, 1, 192}},
    {"dw5_192_32", {64, 192, 32, 32, 192, 5, 1, 2, 192}},
    {"dw3_192_16", {64, 192, 16, 16, 192, 3, 1, 1, 192}},
    {"dw5_192_16", {64, 192, 16, 16, 192, 5, 1, 2, 192}},
    {"dw3s2_192_32", {64, 192, 32, 32, 192, 3, 2, 1, 192}},
    {"dw5s2_192_16", {64, 192, 16, 16, 192, 5, 2, 2, 192}},
    {"lenet1_5x5", {128, 1, 28, 28, 6, 5, 1, 2, 1}},
    {"lenet2_5x5", {128, 6, 14, 14, 16, 5, 1, 0, 1}},
    {"patch4_32", {64, 3, 32, 32, 192, 4, 4, 0, 1}},
    {"patch16_224", {8, 3, 224, 224, 768, 16, 16, 0, 1}},
};
constexpr const char* kDirections[] = {"fwd", "bwd-d", "bwd-w"};

// Every product of the convolution: term(x, weight, y) for places in the three, with one of the
// indices of the result fixed at `place`.
struct Sum {
  const Convolution& p;
  int64_t place;

  double operator()() const {
    const int64_t c_in = p.C / p.groups, o_in = p.O / p.groups, H = p.out(p.H), W = p.out(p.W);
    int64_t rest = place;
    const auto digit = [&](int64_t size) { return std::exchange(rest, rest / size) % size; };
    double sum = 0;
    // A tap (i, j) of the kernel takes image row h = stride y + i - pad for row y of the result.
    const auto add = [&](int64_t n, int64_t o, int64_t c, int64_t i, int64_t j, int64_t y,
                         int64_t x) {
      const int64_t h = p.stride * y + i - p.pad, w = p.stride * x + j - p.pad;
      if (h < 0 || h >= p.H || w < 0 || w >= p.W) return;
      const float image = p.x[((n * p.H + h) * p.W + w) * p.C + o / o_in * c_in + c];
      const float weight = p.weight[((o * p.k + i) * p.k + j) * c_in + c];
      const float result = p.y[((n * H + y) * W + x) * p.O + o];
      sum += p.direction == Convolution::forward         ? double(image) * double(weight)
             : p.direction == Convolution::backward_data ? double(weight) * double(result)
                                                         : double(image) * double(result);
    };
    if (p.direction == Convolution::forward) {
      const int64_t o = digit(p.O), x = digit(W), y = digit(H), n = digit(p.N);
      for (int64_t i = 0; i < p.k; ++i)
        for (int64_t j = 0; j < p.k; ++j)
          for (int64_t c = 0; c < c_in; ++c) add(n, o, c, i, j, y, x);
    } else if (p.direction == Convolution::backward_data) {
      const int64_t c = digit(p.C), w = digit(p.W), h = digit(p.H), n = digit(p.N);
      for (int64_t i = 0; i < p.k; ++i)
        for (int64_t j = 0; j < p.k; ++j) {
          const int64_t y = h + p.pad - i, x = w + p.pad - j;
          if (y < 0 || x < 0 || y % p.stride || x % p.stride) continue;
          if (y / p.stride >= H || x / p.stride >= W) continue;
          for (int64_t o = 0; o < o_in; ++o)
            add(n, c / c_in * o_in + o, c % c_in, i, j, y / p.stride, x / p.stride);
        }
    } else {
      const int64_t c = digit(c_in), j = digit(p.k), i = digit(p.k), o = digit(p.O);
      for (int64_t n = 0; n < p.N; ++n)
        for (int64_t y = 0; y < H; ++y)
          for (int64_t x = 0; x < W; ++x) add(n, o, c, i, j, y, x);
    }
    return sum;
  }
};

// Throws if the result is wrong, and fills it with NaN for the next one.
void check(const Convolution& p, std::span<float> result, double terms, const std::string& name) {
  for (size_t i = 0; i < 50; ++i) {
    const size_t place = i * 1299709 % result.size();
    const double sum = Sum{p, int64_t(place)}();
    ENSURE(std::abs(result[place] - sum) < 1e-5 * (1 + std::sqrt(terms) + 1e-3 * terms),
           "conv {}: {} at {}, but the plain sum is {}", name, result[place], place, sum);
  }
  std::ranges::fill(result, std::numeric_limits<float>::quiet_NaN());
}

void ours(const Convolution& p) {
  const kindling::Convolution shape{
      p.N,
      p.C,
      p.O,
      p.groups,
      {p.H, p.W, p.out(p.H), p.out(p.W), p.k, p.k, p.stride, p.stride, p.pad, p.pad, 1, 1}};
  switch (p.direction) {
    case Convolution::forward: return kernels().conv(shape, p.x, p.weight, nullptr, p.y);
    case Convolution::backward_data:
      return kernels().conv_input_gradient(shape, p.y, p.weight, p.x);
    case Convolution::backward_weight:
      return kernels().conv_weight_gradient(shape, p.y, p.x, p.weight);
  }
}

void race(Bench& bench, const std::string& name, Convolution p) {
  Tensor x = noise({p.N, p.H, p.W, p.C}, 1), w = noise({p.O, p.k, p.k, p.C / p.groups}, 2);
  Tensor y = noise({p.N, p.out(p.H), p.out(p.W), p.O}, 3);
  p.x = x.mutable_data(), p.weight = w.mutable_data(), p.y = y.mutable_data();
  const Tensor& result = p.direction == Convolution::forward         ? y
                         : p.direction == Convolution::backward_data ? x
                                                                     : w;
  const double products = double(y.size()) * p.k * p.k * p.C / p.groups;
  std::vector<Contender> contenders = bench.peers(p);
  contenders.insert(contenders.begin(), {"ours", [p] { ours(p); }});
  bench.race({.kind = "conv",
              .name = name,
              .work = 2 * products,
              .unit = "GFLOP/s",
              .contenders = contenders,
              .twin = "onednn-nhwc"},  // in our layout
             [&](const std::string& of) {
               check(p, {const_cast<float*>(result.data()), size_t(result.size())},
                     products / double(result.size()), of);
             });
}

}  // namespace

void convolution(Bench& bench) {
  for (const Named& named : kShapes) {
    for (int direction = 0; direction < 3; ++direction) {
      const std::string name = fmt::format("{}_{}", named.name, kDirections[direction]);
      if (!bench.wants(name)) continue;
      Convolution p = named.shape;
      p.direction = Convolution::Direction(direction);
      race(bench, name, p);
    }
  }
}

}  // namespace kindling::bench
