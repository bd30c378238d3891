// Attention: scaled dot products, softmax and a mean of values in one operation. Page: docs/ops.md
#include "ops/ops.h"

namespace kindling {
namespace {

const real* data_of(const Tensor& x) { return x.defined() ? x.data() : nullptr; }

// k and v are undefined where q, k and v lie beside each other in q.
Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads,
              const AttentionMask& mask) {
  const bool packed = !k.defined();
  const int64_t D = packed ? q.dim(2) / 3 : q.dim(2), B = q.dim(0), Tq = q.dim(1);
  const int64_t Tk = packed ? Tq : k.dim(1);
  ENSURE(heads >= 1 && D > 0 && D % heads == 0,
         "attention: {} heads do not divide a width of {}: choose a divisor of it", heads, D);
  ENSURE(!mask.keys.defined() || mask.keys.shape() == Shape({B, Tk}),
         "attention: mask.keys {} must be [B, Tk] = {}, 1 where a key may be attended to",
         mask.keys.shape(), Shape({B, Tk}));
  const Shape& bias = mask.bias.shape();
  const Shape whole = {B, heads, Tq, Tk};
  const int stretched = 4 - bias.rank();
  ENSURE(
      !mask.bias.defined() || (bias.rank() >= 2 && bias.rank() <= 4 &&
                               std::equal(bias.begin(), bias.end(), whole.begin() + stretched)),
      "attention: mask.bias {} must be [Tq, Tk], [heads, Tq, Tk] or [B, heads, Tq, Tk], the last "
      "of which is {}",
      bias, whole);
  ENSURE(mask.dropout >= 0 && mask.dropout < 1, "attention: dropout is {}, not in [0, 1)",
         mask.dropout);
  ENSURE(mask.dropout == 0 || mask.random,
         "attention: dropout {} needs mask.random, a Random to draw from", mask.dropout);
  Attention a{B, heads, Tq, Tk, D / heads, packed ? 3 * D : D};
  a.causal = mask.causal;
  if (bias.rank() == 4) a.bias_batch = heads * Tq * Tk;
  if (bias.rank() >= 3) a.bias_head = Tq * Tk;
  if (mask.dropout > 0) {
    const uint64_t high = mask.random->bits(), low = mask.random->bits();
    a.dropout = real(mask.dropout), a.seed = mask.random->state().seed, a.stream = high << 32 | low;
  }
  // With pointers
  const auto problem = [a, keys = mask.keys.detach(), bias = mask.bias.detach()] {
    Attention here = a;
    here.allowed = data_of(keys), here.bias = data_of(bias);
    return here;
  };
  const auto part = [=](const Tensor& x, int i) { return packed ? q.data() + i * D : x.data(); };
  Tensor log_sum({B, heads, Tq});
  return record(
      "attention", {q, k, v, mask.bias, mask.keys.detach()}, {B, Tq, D},
      [&](real* y) {
        kernels().attention(problem(), part(q, 0), part(k, 1), part(v, 2), y,
                            log_sum.mutable_data());
      },
      [=, q = q.detach(), k = k.detach(), v = v.detach()](const Tensor& gy, const Tensor& y,
                                                          Grads& g) {
        Tensor gx[3];
        real* to[3] = {};
        for (int i = 0; i < 3; ++i) {
          if (!g.wants(i)) continue;
          gx[i] = Tensor(g.shape(i));
          to[i] = gx[i].mutable_data();
        }
        if (packed && to[0]) to[1] = to[0] + D, to[2] = to[0] + 2 * D;
        kernels().attention_gradient(problem(), part(q, 0), part(k, 1), part(v, 2), y.data(),
                                     log_sum.data(), gy.data(), to[0], to[1], to[2],
                                     g.wants(3) ? g.into(3).mutable_data() : nullptr);
        for (int i = 0; i < 3; ++i) {
          if (g.wants(i)) g.add(i, std::move(gx[i]));
        }
      });
}

}  // namespace

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads,
                 const AttentionMask& mask) {
  ENSURE(
      q.rank() == 3 && k.rank() == 3 && k.shape() == v.shape() && q.dim(0) == k.dim(0) &&
          q.dim(2) == k.dim(2),
      "attention: queries {}, keys {} and values {} must be [B, Tq, D], [B, Tk, D] and [B, Tk, D]",
      q.shape(), k.shape(), v.shape());
  return attend(q, k, v, heads, mask);
}

Tensor attention(const Tensor& qkv, int64_t heads, const AttentionMask& mask) {
  ENSURE(qkv.rank() == 3 && qkv.dim(2) % 3 == 0,
         "attention: packed {} must be [B, T, 3 D]: queries, keys, values beside each other",
         qkv.shape());
  return attend(qkv, {}, {}, heads, mask);
}

}  // namespace kindling
