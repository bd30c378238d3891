// Attention: products of queries and keys, softmax and the mean of values in one operation. Page:
// docs/ops.md
#include "ops/ops.h"

namespace kindling {
namespace {

// k and v are undefined where they lie beside q, in its rows.
Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads,
              const AttentionMask& mask) {
  const bool packed = !k.defined();
  const int64_t B = q.dim(0), Tq = q.dim(1), Tk = packed ? Tq : k.dim(1);
  const int64_t D = packed ? q.dim(2) / 3 : q.dim(2);
  ENSURE(heads >= 1 && D > 0 && D % heads == 0,
         "attention: {} heads do not divide a width of {}; take a divisor of it", heads, D);
  const Tensor keys = mask.keys.detach(), bias = mask.bias;
  ENSURE(!keys.defined() || keys.shape() == Shape({B, Tk}),
         "attention: keys {} of the mask are not [B, Tk] = {}, 1 where a key may be attended to",
         keys.shape(), Shape({B, Tk}));
  const Shape of_scores = {B, heads, Tq, Tk};
  const int missing = 4 - bias.shape().rank();
  ENSURE(!bias.defined() ||
             (missing >= 0 && missing <= 2 &&
              std::ranges::equal(bias.shape(), std::span(of_scores).subspan(size_t(missing)))),
         "attention: bias {} of the mask is neither [B, heads, Tq, Tk] = {} nor, for all alike, "
         "[heads, Tq, Tk] or [Tq, Tk]",
         bias.shape(), of_scores);
  ENSURE(mask.dropout >= 0 && mask.dropout < 1, "attention: dropout is {}, not in [0, 1)",
         mask.dropout);
  ENSURE(mask.dropout == 0 || mask.random,
         "attention: dropout {} has no generator; set `random` of the mask", mask.dropout);
  Attention a{B, heads, Tq, Tk, D / heads, q.dim(2)};
  a.allowed = value::data_of(keys);
  a.causal = mask.causal;
  a.bias = value::data_of(bias);
  if (missing == 0) a.bias_batch = heads * Tq * Tk;
  if (missing <= 1) a.bias_head = Tq * Tk;
  if (mask.dropout > 0) {
    const uint64_t high = mask.random->bits(), low = mask.random->bits();
    a.dropout = real(mask.dropout), a.seed = mask.random->state().seed, a.stream = high << 32 | low;
  }
  const real* const from_q = q.data();
  const real* const from_k = packed ? from_q + D : k.data();
  const real* const from_v = packed ? from_q + 2 * D : v.data();
  Tensor log_sum({B, heads, Tq});
  return record(
      "attention", {q, k, v, bias, keys}, {B, Tq, D},
      [&](real* y) { kernels().attention(a, from_q, from_k, from_v, y, log_sum.mutable_data()); },
      // The node holds the inputs, so that they stay where they are.
      [=](const Tensor& gy, const Tensor& y, Grads& g) {
        std::array<Tensor, 3> gx;
        std::array<real*, 3> to = {};
        for (int i = 0; i < 3; ++i) {
          if (g.wants(i)) to[size_t(i)] = (gx[size_t(i)] = Tensor(g.shape(i))).mutable_data();
        }
        if (packed && to[0]) to[1] = to[0] + D, to[2] = to[0] + 2 * D;
        kernels().attention_gradient(a, from_q, from_k, from_v, y.data(), log_sum.data(), gy.data(),
                                     to[0], to[1], to[2], g.sum_of(3));
        for (int i = 0; i < 3; ++i) {
          if (g.wants(i)) g.add(i, std::move(gx[size_t(i)]));
        }
      });
}

}  // namespace

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads,
                 const AttentionMask& mask) {
  ENSURE(q.shape().rank() == 3 && k.shape().rank() == 3 && k.shape() == v.shape() &&
             q.dim(0) == k.dim(0) && q.dim(2) == k.dim(2),
         "attention: queries {}, keys {} and values {} are not [B, Tq, D], [B, Tk, D] and "
         "[B, Tk, D]",
         q.shape(), k.shape(), v.shape());
  return attend(q, k, v, heads, mask);
}

Tensor attention(const Tensor& qkv, int64_t heads, const AttentionMask& mask) {
  ENSURE(qkv.rank() == 3 && qkv.dim(2) % 3 == 0,
         "attention: packed {} is not [B, T, 3 D], queries, keys and values beside each other",
         qkv.shape());
  return attend(qkv, {}, {}, heads, mask);
}

}  // namespace kindling
