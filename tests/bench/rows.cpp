// Operations that move memory more than they compute, and optimizers, as GB/s of what they must at
// least read and write, against a plain copy of as many bytes. *_fwd is the value alone; *_fwd_bwd
// the value with its graph, and the gradients. Attention counts its multiply-adds instead.
#include "bench/race.h"

namespace kindling::bench {
namespace {

using Inputs = std::vector<Tensor>;

struct Operation {
  const char* name;
  std::vector<Shape> inputs;  // each gets a gradient
  Tensor (*function)(const Inputs&);
  double forward, both;  // floats to read and write, for each element of the first input
};

Tensor losses(const Inputs& x) {
  static Indices classes;
  if (!classes.defined() || classes.size() != x[0].dim(0)) {
    classes = some(x[0].dim(0), x[0].dim(1));
  }
  return cross_entropy(x[0], classes);
}

Tensor embed(const Inputs& table) {
  static const Indices ids = some(4096, 8192);
  return embedding(table[0], ids);
}

template <Tensor (*f)(const Tensor&)> Tensor of_one(const Inputs& x) { return f(x[0]); }
template <Tensor (*f)(const Tensor&, const Tensor&)> Tensor of_two(const Inputs& x) {
  return f(x[0], x[1]);
}
Tensor max_pool_of(const Inputs& x) { return max_pool2d(x[0], {2}); }
Tensor softmax_of(const Inputs& x) { return softmax(x[0]); }
Tensor layer_norm_of(const Inputs& x) { return layer_norm(x[0], x[1], x[2]); }
template <FusedActivation f> Tensor batch_norm_of(const Inputs& x) {
  return batch_norm(x[0], x[1], x[2], {}, {}, {.activation = f});
}

constexpr auto kNone = FusedActivation::none, kRelu = FusedActivation::relu,
               kSilu = FusedActivation::silu;

const std::vector<Operation>& operations() {
  static const Shape kTokens = {4160, 768}, kLarge = {1 << 20, 64};  // the latter: 256 MiB
  static const std::vector<Shape> k32Channels = {{64, 32, 32, 32}, {32}, {32}};
  static const std::vector<Shape> k192Channels = {{64, 16, 16, 192}, {192}, {192}};
  static const std::vector<Operation> all = {
      {"softmax_4160x65", {{4160, 65}}, softmax_of, 2, 5},
      {"softmax_12480x65", {{12480, 65}}, softmax_of, 2, 5},
      {"softmax_64M", {kLarge}, softmax_of, 2, 5},
      {"layernorm_4160x192", {{4160, 192}, {192}, {192}}, layer_norm_of, 2, 5},
      {"layernorm_64M", {kLarge, {64}, {64}}, layer_norm_of, 2, 5},
      // Reads x twice; backwards x and gy twice.
      {"batchnorm_64x32x32x32", k32Channels, batch_norm_of<kNone>, 3, 8},
      {"batchnorm_64x16x16x192", k192Channels, batch_norm_of<kNone>, 3, 8},
      {"batchnorm_relu_64x32x32x32", k32Channels, batch_norm_of<kRelu>, 3, 8},
      {"batchnorm_relu_64x16x16x192", k192Channels, batch_norm_of<kRelu>, 3, 8},
      {"batchnorm_silu_64x32x32x32", k32Channels, batch_norm_of<kSilu>, 3, 8},
      {"batchnorm_relu_64M", {{1024, 32, 32, 64}, {64}, {64}}, batch_norm_of<kRelu>, 3, 8},
      {"gelu_4160x768", {kTokens}, of_one<gelu>, 2, 5},
      {"gelu_64M", {kLarge}, of_one<gelu>, 2, 5},
      {"gelu_tanh_4160x768", {kTokens}, of_one<gelu_tanh>, 2, 5},
      {"relu_4160x768", {kTokens}, of_one<relu>, 2, 5},
      {"relu_64M", {kLarge}, of_one<relu>, 2, 5},
      {"silu_4160x768", {kTokens}, of_one<silu>, 2, 5},
      {"add_4160x768", {kTokens, kTokens}, of_two<add>, 3, 6},
      {"add_64M", {kLarge, kLarge}, of_two<add>, 3, 6},
      {"bias_4160x768", {kTokens, {768}}, of_two<add>, 2, 4},
      {"maxpool2_64x32x32x32", {{64, 32, 32, 32}}, max_pool_of, 1.5, 3},
      {"cross_entropy_64x10", {{64, 10}}, losses, 1, 3},
      {"cross_entropy_2048x8192", {{2048, 8192}}, losses, 1, 3},
      {"embedding_4096_of_8192x256", {{8192, 256}}, embed, 1, 3},  // half of the rows
  };
  return all;
}

void race(Bench& bench, const std::string& name, double work, Row::Limit limit,
          std::function<void()> ours) {
  std::vector<Contender> contenders = {{"ours", std::move(ours)}};
  if (Torch* torch = bench.torch())
    std::ranges::move(torch->contenders(name), std::back_inserter(contenders));
  bench.race({.kind = "rows",
              .name = name,
              .work = work,
              .unit = limit == Row::copy ? "GB/s" : "GFLOP/s",
              .limit = limit,
              .contenders = contenders});
}

void race(Bench& bench, const Operation& operation) {
  const std::string forward = operation.name + std::string("_fwd"), both = forward + "_bwd";
  if (!bench.wants(forward) && !bench.wants(both)) return;
  Inputs inputs;
  for (const Shape& shape : operation.inputs) {
    inputs.push_back(noise(shape, uint32_t(inputs.size())));
  }
  const double elements = double(inputs[0].size());
  if (bench.wants(forward)) {
    race(bench, forward, 4 * operation.forward * elements, Row::copy,
         [&] { operation.function(inputs); });
  }
  if (!bench.wants(both)) return;
  const Tensor gradient = noise(operation.function(inputs).shape(), 7);
  for (Tensor& input : inputs) input.set_requires_grad();
  race(bench, both, 4 * operation.both * elements, Row::copy, [&] {
    for (Tensor& input : inputs) input.zero_grad();
    operation.function(inputs).backward(gradient);
  });
}

// Parameters with a gradient: ten of half a million, or those of a ViT of six blocks of width 192.
const std::vector<Shape> kHalfMillions(10, Shape{500'000});
std::vector<Shape> vit_shapes() {
  std::vector<Shape> shapes;
  for (int block = 0; block < 6; ++block) {
    const Shape of_block[] = {{192}, {192}, {576, 192}, {576}, {192, 192}, {192},
                              {192}, {192}, {768, 192}, {768}, {192, 768}, {192}};
    shapes.insert(shapes.end(), std::begin(of_block), std::end(of_block));
  }
  return shapes;
}
double elements_of(const std::vector<Shape>& shapes) {
  double n = 0;
  for (const Shape& shape : shapes) n += double(shape.elements());
  return n;
}

// A step; `floats` are moved for each element.
template <class Optimizer, class Options>
void race_optimizer(Bench& bench, const std::string& name, const std::vector<Shape>& shapes,
                    double floats, const Options& options) {
  if (!bench.wants(name)) return;
  Optimizer optimizer({parameters_of(shapes)}, options);
  race(bench, name, 4 * floats * elements_of(shapes), Row::copy, [&] { optimizer.step(); });
}

// Clipping at a bound that is never met, so that only the norm is left.
void race_norm(Bench& bench, const std::string& name, const std::vector<Shape>& shapes) {
  if (!bench.wants(name)) return;
  const ParameterGroup group = parameters_of(shapes);
  race(bench, name, 4 * elements_of(shapes), Row::copy,
       [&] { clip_gradients(group.parameters, 1e30); });
}

// Packed [batch, length, 3 width]: two products forward, five backward.
void race_attention(Bench& bench, int64_t batch, int64_t length, int64_t width, int64_t heads) {
  const std::string name = fmt::format("attention_{}x{}x{}_{}_fwd", batch, length, width, heads);
  const std::string both = name + "_bwd";
  if (!bench.wants(name) && !bench.wants(both)) return;
  Tensor qkv = noise({batch, length, 3 * width}, 1);
  const Tensor gradient = noise({batch, length, width}, 2);
  const double product = 2 * double(batch * length * length * width);
  if (bench.wants(name)) {
    race(bench, name, 2 * product, Row::peak, [&] { attention(qkv, heads); });
  }
  if (!bench.wants(both)) return;
  qkv.set_requires_grad();
  race(bench, both, 7 * product, Row::peak, [&] {
    qkv.zero_grad();
    attention(qkv, heads).backward(gradient);
  });
}

}  // namespace

void rows(Bench& bench) {
  for (const Operation& operation : operations()) race(bench, operation);
  race_attention(bench, 64, 65, 192, 3);
  race_attention(bench, 32, 128, 256, 4);
  const AdamOptions adamw{.rate = 1e-3, .decay = 0.01};
  race_optimizer<Sgd>(bench, "sgd_5M", kHalfMillions, 5, SgdOptions{.rate = 1e-3, .momentum = 0.9});
  race_optimizer<Adam>(bench, "adam_5M", kHalfMillions, 7,
                       AdamOptions{.rate = 1e-3, .decoupled = false});
  race_optimizer<Adam>(bench, "adamw_5M", kHalfMillions, 7, adamw);
  race_optimizer<Adam>(bench, "adamw_vit", vit_shapes(), 7, adamw);
  race_norm(bench, "gradient_norm_vit", vit_shapes());
}

}  // namespace kindling::bench
