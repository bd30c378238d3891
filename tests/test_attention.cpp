// The attention operation: against PyTorch, against the operations it is made of, its memory, its
// errors. Gradients are checked to 1e-6 in tests/f64/op_table.cpp.
#include <cmath>

#include "support/catch.h"
#include "support/golden.h"
#include "support/parity.h"
#include "train/profile.h"

using namespace kindling;

namespace {

// [B, T, D] -> [B, heads, T, D / heads]
Tensor split(const Tensor& x, int64_t heads) {
  return permute(reshape(x, {x.dim(0), x.dim(1), heads, -1}), {0, 2, 1, 3});
}

// The same with the matrix of scores, for queries that have a key.
Tensor composed(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads,
                const AttentionMask& mask = {}) {
  const int64_t B = q.dim(0), Tq = q.dim(1), Tk = k.dim(1), D = q.dim(2);
  Tensor scores = matmul(split(q, heads), split(k, heads), Transpose::b);
  scores = scores / std::sqrt(double(D / heads));
  if (mask.bias.defined()) scores = scores + mask.bias;
  if (mask.keys.defined()) scores = scores + (reshape(mask.keys, {B, 1, 1, Tk}) - 1.0) * 1e9;
  if (mask.causal) {
    Tensor later = zeros({Tq, Tk});
    for (int64_t i = 0; i < Tq; ++i) {
      for (int64_t j = i + 1; j < Tk; ++j) later.mutable_data()[i * Tk + j] = real(-1e9);
    }
    scores = scores + later;
  }
  const Tensor heads_of_y = matmul(softmax(scores), split(v, heads));
  return reshape(permute(heads_of_y, {0, 2, 1, 3}), {B, Tq, D});
}

// y and the gradients of all inputs, on some gradient of y.
Tensors with_gradients(const Tensors& inputs, const std::function<Tensor(const Tensors&)>& f) {
  Tensors leaves;
  for (const Tensor& x : inputs) leaves.push_back(x.clone()), leaves.back().set_requires_grad();
  const Tensor y = f(leaves);
  Random random(9);
  y.backward(normal(y.shape(), random));
  Tensors all = {y};
  for (const Tensor& x : leaves) all.push_back(x.grad());
  return all;
}

// Two orders of sums of up to 300 products; the largest of them are a hundred times their rounding.
constexpr double kTolerance = 1e-5;

void check_same(const Tensors& a, const Tensors& b) {
  REQUIRE(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    INFO((i == 0 ? "the result" : "the gradient of input " + std::to_string(i - 1)));
    CHECK(relative_error(a[i], b[i]) < kTolerance);
  }
}

}  // namespace

TEST_CASE("attention agrees with PyTorch", "[attention]") {
  const Tensor padding = tensor({2, 5}, {1, 1, 0, 1, 0, 0, 1, 1, 1, 1});
  const auto packed = [](const AttentionMask& mask) {
    return [mask](const Tensors& x) { return attention(x[0], 3, mask); };
  };
  const auto separate = [](const AttentionMask& mask) {
    return [mask](const Tensors& x) {
      AttentionMask with_bias = mask;
      if (x.size() > 3) with_bias.bias = x[3];
      return attention(x[0], x[1], x[2], 2, with_bias);
    };
  };
  check_parity({{"attention/packed", packed({})},
                {"attention/packed_padding", packed({.keys = padding})},
                {"attention/packed_causal", packed({.causal = true})},
                {"attention/one_head", [](const Tensors& x) { return attention(x[0], 1); }},
                {"attention/separate", separate({})},
                {"attention/cross", separate({})},
                {"attention/cross_padding", separate({.keys = padding})},
                {"attention/cross_causal", separate({.causal = true})},
                {"attention/bias", separate({})},
                {"attention/bias_of_heads", separate({})},
                {"attention/bias_of_all", separate({})},
                {"attention/everything", separate({.keys = padding, .causal = true})}});
}

TEST_CASE("attention is what the operations it is made of give", "[attention]") {
  Random random(1);
  const int64_t B = 2, Tq = 70, Tk = 150, D = 48, heads = 3;
  const Tensors inputs = {normal({B, Tq, D}, random), normal({B, Tk, D}, random),
                          normal({B, Tk, D}, random), normal({heads, Tq, Tk}, random)};
  Tensor keys = greater(uniform({B, Tk}, random, -1, 2), zeros({1}));
  for (int64_t b = 0; b < B; ++b) keys.mutable_data()[b * Tk] = 1;  // one for every query
  for (const bool causal : {false, true}) {
    const auto mask = [&](const Tensors& x) {
      return AttentionMask{.keys = keys, .causal = causal, .bias = x[3]};
    };
    check_same(
        with_gradients(
            inputs, [&](const Tensors& x) { return attention(x[0], x[1], x[2], heads, mask(x)); }),
        with_gradients(
            inputs, [&](const Tensors& x) { return composed(x[0], x[1], x[2], heads, mask(x)); }));
  }
  const Tensors packed = {normal({B, Tk, 3 * D}, random)};
  check_same(with_gradients(packed, [&](const Tensors& x) { return attention(x[0], heads); }),
             with_gradients(packed, [&](const Tensors& x) {
               return composed(slice(x[0], -1, 0, D), slice(x[0], -1, D, 2 * D),
                               slice(x[0], -1, 2 * D, 3 * D), heads);
             }));
}

TEST_CASE("one tensor may be queries, keys and values", "[attention]") {
  Random random(2);
  const Tensors x = {normal({2, 9, 8}, random)};
  check_same(with_gradients(x, [](const Tensors& t) { return attention(t[0], t[0], t[0], 2); }),
             with_gradients(x, [](const Tensors& t) { return composed(t[0], t[0], t[0], 2); }));
}

TEST_CASE("a row of padding gives zeros, and gradients of zeros", "[attention]") {
  Random random(3);
  Tensor qkv = normal({2, 5, 12}, random);
  qkv.set_requires_grad();
  const Tensor keys = tensor({2, 5}, {0, 0, 0, 0, 0, 1, 1, 1, 0, 0});
  const Tensor y = attention(qkv, 2, {.keys = keys});
  sum(y).backward();
  for (int64_t i = 0; i < 20; ++i) CHECK(y.data()[i] == 0);
  for (int64_t i = 0; i < 60; ++i) CHECK(qkv.grad().data()[i] == 0);
  for (int64_t i = 60; i < 120; ++i) CHECK(std::isfinite(qkv.grad().data()[i]));
}

TEST_CASE("dropout takes its share of the probabilities, and backward the same", "[attention]") {
  // All probabilities are 1 / T, and value j is 1 in column j: the result shows each of them.
  const int64_t T = 256;
  Tensor q = zeros({1, T, T}), v = zeros({1, T, T});
  for (int64_t j = 0; j < T; ++j) v.mutable_data()[j * T + j] = 1;
  v.set_requires_grad();
  Random random(4);
  const AttentionMask mask{.dropout = 0.3, .random = &random};
  const Tensor y = attention(q, q, v, 1, mask);
  int64_t dropped = 0;
  for (const real p : y.values()) {
    dropped += p == 0;
    CHECK((p == 0 || std::abs(double(p) * double(T) * 0.7 - 1) < 1e-6));
  }
  // 4 standard deviations of 65,536 draws.
  CHECK(std::abs(double(dropped) / double(T * T) - 0.3) < 4 * std::sqrt(0.21) / double(T));
  y.backward(ones({1, T, T}));
  const Tensor of_values = sum(y.detach(), {1});  // what each value was taken with, by all queries
  for (int64_t j = 0; j < T; ++j) {
    CHECK(std::abs(double(v.grad().data()[j * T] / of_values.data()[j]) - 1) < 1e-5);
  }
  CHECK(relative_error(attention(q, q, v, 1, mask), y) > 0.1);  // a new mask
  Random again(4);
  CHECK(relative_error(attention(q, q, v, 1, {.dropout = 0.3, .random = &again}), y) == 0);
}

TEST_CASE("attention stores nothing of the size of its matrix", "[attention]") {
  const auto peak = [](int64_t T) {
    Random random(5);
    Tensor qkv = uniform({1, T, 3 * 64}, random, -1, 1);
    qkv.set_requires_grad();
    const int64_t before = memory::stats().live_bytes;
    memory::reset_peak();
    sum(attention(qkv, 2)).backward();
    return memory::stats().peak_bytes - before;
  };
  const int64_t T = 4096, small = peak(T / 4), large = peak(T);
  INFO(small << " and " << large << " bytes");
  CHECK(large < 5 * small);
  CHECK(large < int64_t(sizeof(real)) * T * T / 4);  // of one head's matrix
}

TEST_CASE("attention counts its products", "[attention]") {
  Tensor q = ones({2, 3, 8}), k = ones({2, 5, 8}), v = ones({2, 5, 8});
  q.set_requires_grad();
  const int64_t product = 2 * 2 * 3 * 5 * 8;
  Profiler profiler;
  sum(attention(q, k, v, 2)).backward();
  CHECK(profiler.rows["attention"].cost.flops == 2 * product);
  CHECK(profiler.rows["attention backward"].cost.flops == 3 * product);
  k.set_requires_grad(), v.set_requires_grad();
  sum(attention(q, k, v, 2)).backward();
  CHECK(profiler.rows["attention backward"].cost.flops == (3 + 5) * product);
}

TEST_CASE("attention of nothing has the shape of nothing", "[attention]") {
  CHECK(attention(zeros({0, 4, 12}), 2).shape() == Shape{0, 4, 4});
  CHECK(attention(zeros({2, 0, 12}), 2).shape() == Shape{2, 0, 4});
  Tensor q = ones({1, 2, 4});
  q.set_requires_grad();
  const Tensor y = attention(q, zeros({1, 0, 4}), zeros({1, 0, 4}), 2);
  CHECK(relative_error(y + 1.0, ones({1, 2, 4})) == 0);
  sum(y).backward();
  CHECK(relative_error(q.grad() + 1.0, ones({1, 2, 4})) == 0);
}

TEST_CASE("the masks of attention must not change before its backward", "[attention]") {
  Tensor qkv = ones({1, 3, 6}), keys = ones({1, 3}), bias = zeros({3, 3});
  qkv.set_requires_grad();
  const Tensor y = sum(attention(qkv, 1, {.keys = keys, .bias = bias}));
  keys.mutable_data()[0] = 0;
  CHECK_THROWS_WITH(y.backward(), "attention: input 4 was changed after it was recorded");
  const Tensor z = sum(attention(qkv, 1, {.bias = bias}));
  bias.mutable_data()[0] = 1;
  CHECK_THROWS_WITH(z.backward(), "attention: input 3 was changed after it was recorded");
}

TEST_CASE("attention says what is wrong", "[attention]") {
  const Tensor q = ones({2, 3, 8}), k = ones({2, 5, 8}), qkv = ones({2, 3, 24});
  CHECK_THROWS_WITH(attention(q, 2),
                    "attention: packed [2, 3, 8] is not [B, T, 3 D], queries, keys and values "
                    "beside each other");
  CHECK_THROWS_WITH(attention(ones({3, 24}), 2), ContainsSubstring("packed [3, 24] is not"));
  CHECK_THROWS_WITH(attention(q, k, ones({2, 4, 8}), 2),
                    "attention: queries [2, 3, 8], keys [2, 5, 8] and values [2, 4, 8] are not "
                    "[B, Tq, D], [B, Tk, D] and [B, Tk, D]");
  CHECK_THROWS_WITH(attention(q, ones({1, 5, 8}), ones({1, 5, 8}), 2),
                    ContainsSubstring("keys [1, 5, 8]"));
  CHECK_THROWS_WITH(attention(q, ones({2, 5, 4}), ones({2, 5, 4}), 2),
                    ContainsSubstring("keys [2, 5, 4]"));
  CHECK_THROWS_WITH(attention(ones({3, 8}), k, k, 2), ContainsSubstring("queries [3, 8]"));
  CHECK_THROWS_WITH(attention(qkv, 3),
                    "attention: 3 heads do not divide a width of 8; take a divisor of it");
  CHECK_THROWS_WITH(attention(qkv, 0), ContainsSubstring("attention: 0 heads do not divide"));
  CHECK_THROWS_WITH(attention(ones({2, 3, 0}), 1), ContainsSubstring("a width of 0"));
  CHECK_THROWS_WITH(attention(q, k, k, 2, {.keys = ones({2, 3})}),
                    "attention: keys [2, 3] of the mask are not [B, Tk] = [2, 5], 1 where a key "
                    "may be attended to");
  for (const Shape& shape : {Shape{5, 3}, Shape{1, 3, 5}, Shape{1, 2, 3, 5}, Shape{5}}) {
    CHECK_THROWS_WITH(attention(q, k, k, 2, {.bias = ones(shape)}),
                      fmt::format("attention: bias {} of the mask is neither [B, heads, Tq, Tk] = "
                                  "[2, 2, 3, 5] nor, for all alike, [heads, Tq, Tk] or [Tq, Tk]",
                                  shape));
  }
  CHECK_THROWS_WITH(attention(qkv, 2, {.dropout = 1}), "attention: dropout is 1, not in [0, 1)");
  CHECK_THROWS_WITH(attention(qkv, 2, {.dropout = 0.1}),
                    "attention: dropout 0.1 has no generator; set `random` of the mask");
}
