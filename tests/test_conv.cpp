// Operations on images: against PyTorch, at their limits, and their errors. Gradients are checked
// to 1e-6 in tests/f64/op_table.cpp.
#include <cmath>

#include "support/catch.h"
#include "support/golden.h"
#include "support/parity.h"
#include "train/profile.h"

using namespace kindling;

TEST_CASE("conv2d agrees with PyTorch", "[conv]") {
  const auto conv = [](const ConvOptions& options) {
    return [options](const Tensors& x) {
      return conv2d(x[0], x[1], x.size() > 2 ? x[2] : Tensor(), options);
    };
  };
  check_parity(
      {{"conv2d/plain", conv({})},
       {"conv2d/no_bias", conv({})},
       {"conv2d/one_pixel", conv({})},
       {"conv2d/same", conv({.padding = 1})},
       {"conv2d/many_channels", conv({.padding = 1})},
       {"conv2d/stride", conv({.stride = 2, .padding = 1})},
       {"conv2d/stride_beyond", conv({.stride = 3})},
       {"conv2d/patches", conv({.stride = 4})},
       {"conv2d/dilation", conv({.dilation = 2})},
       {"conv2d/groups", conv({.groups = 2})},
       {"conv2d/depthwise", conv({.padding = 1, .groups = 17})},
       {"conv2d/depthwise_twice", conv({.stride = 2, .padding = 1, .groups = 3})},
       {"conv2d/everything", conv({.stride = 2, .padding = 2, .dilation = 2, .groups = 2})}});
}

TEST_CASE("pooling agrees with PyTorch", "[conv]") {
  const auto largest = [](const PoolOptions& options) {
    return [options](const Tensors& x) { return max_pool2d(x[0], options); };
  };
  const auto average = [](const PoolOptions& options) {
    return [options](const Tensors& x) { return average_pool2d(x[0], options); };
  };
  check_parity({{"max_pool2d/plain", largest({2})},
                {"max_pool2d/overlapping", largest({3, 2, 1})},
                {"max_pool2d/leaves_out", largest({2, 3})},
                {"max_pool2d/wide", largest({3, 1, 1})},
                {"max_pool2d/ties", largest({2, 1})}});
  check_parity({{"average_pool2d/plain", average({2})},
                {"average_pool2d/overlapping", average({3, 2, 1})},
                {"average_pool2d/leaves_out", average({2, 3})},
                {"average_pool2d/wide", average({3, 1, 1})},
                {"average_pool2d/padding_left_out", average({3, 2, 1, false})}});
  check_parity(
      {{"global_average_pool/plain", [](const Tensors& x) { return global_average_pool(x[0]); }}});
}

TEST_CASE("a convolution of 1 x 1 is a linear layer on every pixel", "[conv]") {
  Random random(1);
  const Tensor x = normal({3, 5, 7, 19}, random), weight = normal({23, 19}, random);
  const Tensor bias = normal({23}, random);
  const Tensor y = conv2d(x, reshape(weight, {23, 1, 1, 19}), bias);
  // Both sum 19 products in float, in an order of their own.
  CHECK(relative_error(y, linear(x, weight, bias)) < 1e-6);
}

TEST_CASE("a filter finds the edge it is made for", "[conv]") {
  const Tensor image = tensor({1, 2, 4, 1}, {0, 0, 5, 5, 0, 0, 5, 5});
  const Tensor edge = tensor({1, 1, 2, 1}, {-1, 1});
  CHECK(relative_error(conv2d(image, edge), tensor({1, 2, 3, 1}, {0, 5, 0, 0, 5, 0})) == 0);
}

TEST_CASE("only the gradients that are wanted are computed", "[conv]") {
  Tensor x = ones({1, 4, 4, 2}), weight = ones({3, 3, 3, 2}), bias = ones({3});
  const int64_t once = 2 * 4 * 3 * 9 * 2;  // pixels, outputs, window, inputs
  weight.set_requires_grad(), bias.set_requires_grad();
  Profiler profiler;
  sum(conv2d(x, weight, bias)).backward();
  CHECK(weight.grad().defined());
  CHECK(profiler.rows["conv2d"].cost.flops == once);
  CHECK(profiler.rows["conv2d"].cost.bytes >= int64_t(sizeof(real)) * (32 + 54 + 12));
  const int64_t bias_sum = 12;
  CHECK(profiler.rows["conv2d backward"].cost.flops == once + bias_sum);

  x.set_requires_grad();
  sum(conv2d(x, weight.detach(), {})).backward();
  CHECK(x.grad().defined());
  CHECK(profiler.rows["conv2d backward"].cost.flops == 2 * once + bias_sum);
}

TEST_CASE("pooling counts a comparison for each place of a window, or a convolution", "[conv]") {
  Tensor x = ones({2, 4, 6, 3});
  x.set_requires_grad();
  const int64_t outputs = 2 * 2 * 3 * 3, bytes = int64_t(sizeof(real)) * (4 + 1) * outputs;
  Profiler profiler;
  sum(max_pool2d(x, {2})).backward();
  sum(average_pool2d(x, {2})).backward();
  for (const char* op : {"average_pool2d", "average_pool2d backward"}) {
    CHECK(profiler.rows[op].cost.flops == 2 * 4 * outputs);
    CHECK(profiler.rows[op].cost.bytes == bytes + int64_t(sizeof(real)) * 4 * 3);  // and weights
  }
  for (const char* op : {"max_pool2d", "max_pool2d backward"}) {
    CHECK(profiler.rows[op].cost.flops == 4 * outputs);
    CHECK(profiler.rows[op].cost.bytes == bytes + 4 * outputs);  // and the places
  }
}

TEST_CASE("no images pass through", "[conv]") {
  const Tensor x = zeros({0, 5, 6, 3});
  CHECK(conv2d(x, ones({4, 3, 3, 3})).shape() == Shape{0, 3, 4, 4});
  CHECK(max_pool2d(x, {2}).shape() == Shape{0, 2, 3, 3});
  CHECK(average_pool2d(x, {2}).shape() == Shape{0, 2, 3, 3});
  CHECK(global_average_pool(x).shape() == Shape{0, 3});
  Tensor weight = ones({4, 3, 3, 3});
  weight.set_requires_grad();
  sum(conv2d(x, weight)).backward();
  CHECK(relative_error(weight.grad() + 1, ones({4, 3, 3, 3})) == 0);
}

TEST_CASE("the input of a convolution must not change before its backward", "[conv]") {
  Tensor x = ones({1, 3, 3, 1}), weight = ones({1, 3, 3, 1});
  weight.set_requires_grad();
  const Tensor y = sum(conv2d(x, weight));
  x.mutable_data()[0] = 2;
  CHECK_THROWS_WITH(y.backward(), "conv2d: input 0 was changed after it was recorded");
}

TEST_CASE("conv2d says what is wrong", "[conv]") {
  const Tensor x = ones({8, 32, 32, 3}), weight = ones({16, 3, 3, 3});
  CHECK_THROWS_WITH(conv2d(x, ones({16, 3, 3, 4})),
                    "conv2d: channels differ: input [8, 32, 32, 3] has 3, weight [16, 3, 3, 4] "
                    "expects 4");
  CHECK_THROWS_WITH(conv2d(ones({1, 5, 5, 4}), ones({6, 3, 3, 4}), {}, {.groups = 2}),
                    "conv2d: channels differ: input [1, 5, 5, 4] has 4, weight [6, 3, 3, 4] in 2 "
                    "groups expects 8");
  CHECK_THROWS_WITH(conv2d(ones({32, 32, 3}), weight),
                    "conv2d: input [32, 32, 3] is not [N, H, W, C]");
  CHECK_THROWS_WITH(conv2d(x, ones({16, 27})),
                    "conv2d: weight [16, 27] is not [out, kh, kw, in / groups]");
  CHECK_THROWS_WITH(conv2d(x, ones({16, 0, 3, 3})),
                    "conv2d: weight [16, 0, 3, 3] is not [out, kh, kw, in / groups]");
  CHECK_THROWS_WITH(conv2d(x, weight, ones({3})), "conv2d: bias [3] for 16 output channels");
  CHECK_THROWS_WITH(conv2d(x, weight, {}, {.groups = 2}),
                    "conv2d: 2 groups do not divide 3 input and 16 output channels");
  CHECK_THROWS_WITH(conv2d(x, weight, {}, {.groups = 3}),
                    "conv2d: 3 groups do not divide 3 input and 16 output channels");
  CHECK_THROWS_WITH(conv2d(x, weight, {}, {.groups = 0}), ContainsSubstring("conv2d: 0 groups"));
  for (const ConvOptions& bad : {ConvOptions{.stride = 0}, ConvOptions{.padding = -1},
                                 ConvOptions{.dilation = 0}, ConvOptions{.padding = 1LL << 40}}) {
    CHECK_THROWS_WITH(
        conv2d(x, weight, {}, bad),
        fmt::format("conv2d: kernel 3 x 3, stride {}, dilation {} must be at least 1, padding {} "
                    "at least 0, and all below 2^31",
                    bad.stride, bad.dilation, bad.padding));
  }
  CHECK_THROWS_WITH(conv2d(ones({1, 4, 9, 3}), weight, {}, {.dilation = 2}),
                    "conv2d: a window of 5 x 5 does not fit into input [1, 4, 9, 3] with padding "
                    "0");
  CHECK_THROWS_WITH(conv2d(ones({1, 9, 1, 3}), weight), ContainsSubstring("a window of 3 x 3"));
  CHECK_THROWS_WITH(conv2d(ones({1, 0, 1, 3}), weight, {}, {.padding = 2}),
                    ContainsSubstring("does not fit into input [1, 0, 1, 3] with padding 2"));
}

TEST_CASE("pooling says what is wrong", "[conv]") {
  const Tensor x = ones({1, 5, 5, 2});
  CHECK_THROWS_WITH(max_pool2d(ones({5, 5, 2}), {2}),
                    "max_pool2d: input [5, 5, 2] is not [N, H, W, C]");
  CHECK_THROWS_WITH(max_pool2d(x, {3, 1, 2}),
                    "max_pool2d: padding 2 is more than half of the kernel 3");
  CHECK_THROWS_WITH(average_pool2d(x, {1, 1, 1}),
                    "average_pool2d: padding 1 is more than half of the kernel 1");
  CHECK_THROWS_WITH(max_pool2d(x, {0}), ContainsSubstring("max_pool2d: kernel 0 x 0, stride 0"));
  CHECK_THROWS_WITH(average_pool2d(x, {2, -1}), ContainsSubstring("kernel 2 x 2, stride -1"));
  CHECK_THROWS_WITH(max_pool2d(x, {2, 1, -1}), ContainsSubstring("padding -1 at least 0"));
  CHECK_THROWS_WITH(max_pool2d(x, {6}),
                    "max_pool2d: a window of 6 x 6 does not fit into input [1, 5, 5, 2] with "
                    "padding 0");
  CHECK_THROWS_WITH(global_average_pool(ones({2, 3})),
                    "global_average_pool: input [2, 3] is not [N, H, W, C]");
  CHECK_THROWS_WITH(global_average_pool(ones({2, 0, 3, 1})),
                    "global_average_pool: input [2, 0, 3, 1] is not [N, H, W, C]");
}
