// The layers of networks that later lessons train, alone: each as often as a step has it, forward
// and backward, and the optimizer. A line is what a step should take once the network is built from
// them; the comments say which layers take how much of it. Shapes: peers/torch_models.py.
#include "bench/race.h"

namespace kindling::bench {
namespace {

using Inputs = std::vector<Tensor>;

struct Layer {
  std::string kind;
  int times;
  std::function<void()> step;  // forward and backward
};

// Collects the layers of a network, and the shapes of its parameters.
class Network {
 public:
  // `function` of tensors of these shapes. The first `from` are the layer's, whose gradient the
  // first layer of a network need not have; the others are parameters.
  void add(const std::string& kind, int times, const std::vector<Shape>& shapes,
           std::function<Tensor(const Inputs&)> function, bool first = false, int64_t from = 1) {
    Inputs inputs;
    for (const Shape& shape : shapes) {
      inputs.push_back(noise(shape, uint32_t(inputs.size())));
      if (!first || inputs.size() > 1) inputs.back().set_requires_grad();
    }
    for (int i = 0; i < times; ++i) {
      parameters.insert(parameters.end(), shapes.begin() + from, shapes.end());
    }
    const Tensor gradient = noise(function(inputs).shape(), 7);
    layers.push_back({kind, times, [=]() mutable {
                        for (Tensor& input : inputs) input.zero_grad();
                        function(inputs).backward(gradient);
                      }});
  }

  // A convolution of images [batch, side, side, in]; depthwise if in groups.
  void conv(int times, int64_t side, int64_t in, int64_t out, int64_t kernel, int64_t stride = 1,
            int64_t groups = 1, bool first = false) {
    add(
        groups > 1 ? "depthwise" : "convolution", times,
        {{batch, side, side, in}, {out, kernel, kernel, in / groups}},
        [=](const Inputs& x) {
          return conv2d(x[0], x[1], {},
                        {.stride = stride, .padding = kernel / 2, .groups = groups});
        },
        first);
  }
  void batch_norm(int times, int64_t side, int64_t channels, FusedActivation activation) {
    add("batch norm", times, {{batch, side, side, channels}, {channels}, {channels}},
        [=, mean = zeros({channels}), variance = ones({channels})](const Inputs& x) {
          return kindling::batch_norm(x[0], x[1], x[2], mean, variance, {.activation = activation});
        });
  }
  void linear(int times, int64_t rows, int64_t in, int64_t out, bool first = false) {
    add(
        "linear", times, {{rows, in}, {out, in}, {out}},
        [](const Inputs& x) { return kindling::linear(x[0], x[1], x[2]); }, first);
  }
  void layer_norm(int times, int64_t rows, int64_t n) {
    add("layer norm", times, {{rows, n}, {n}, {n}},
        [](const Inputs& x) { return kindling::layer_norm(x[0], x[1], x[2]); });
  }
  template <Tensor (*f)(const Tensor&)> void unary(int times, const Shape& shape) {
    add("elementwise", times, {shape}, [](const Inputs& x) { return f(x[0]); });
  }
  // x + y, of two layers' results.
  void sum(int times, const Shape& shape) {
    add(
        "elementwise", times, {shape, shape}, [](const Inputs& x) { return x[0] + x[1]; }, false,
        2);
  }
  void classify(int64_t rows, int64_t classes) {
    const Indices labels = some(rows, classes);
    Tensor logits = noise({rows, classes}, 1);
    logits.set_requires_grad();
    layers.push_back({"loss", 1, [=]() mutable {
                        logits.zero_grad();
                        cross_entropy(logits, labels).backward();
                      }});
  }

  // Patches [batch, n, width], or those of them that `seen` lists, with a token before each sample
  // and positions added.
  void tokens(int64_t n, const Indices& seen, int64_t width) {
    add("elementwise", 1, {{batch, n, width}, {1, n, width}, {1, 1, width}, {1, 1, width}},
        [=, this_batch = batch](const Inputs& x) {
          Tensor patches = x[0] + x[1];
          if (seen.defined()) {
            patches = reshape(gather(reshape(patches, {-1, width}), seen), {this_batch, -1, width});
          }
          return concat({broadcast_to(x[2] + x[3], {this_batch, 1, width}), patches}, 1);
        });
  }

  // Blocks of a transformer on [batch, length, width].
  void transformer(int depth, int64_t length, int64_t width, int64_t heads) {
    const int64_t rows = batch * length;
    layer_norm(2 * depth, rows, width);
    linear(depth, rows, width, 3 * width);
    add("attention", depth, {{batch, length, 3 * width}},
        [=](const Inputs& x) { return attention(x[0], heads); });
    linear(depth, rows, width, width);
    linear(depth, rows, width, 4 * width);
    unary<gelu>(depth, {rows, 4 * width});
    linear(depth, rows, 4 * width, width);
    sum(2 * depth, {rows, width});
  }

  template <class Optimizer, class Options> void optimize(const Options& options) {
    auto optimizer =
        std::make_shared<Optimizer>(ParameterGroups{parameters_of(parameters)}, options);
    layers.push_back({"optimizer", 1, [=] { optimizer->step(); }});
  }

  int64_t batch = 64;
  std::vector<Layer> layers;
  std::vector<Shape> parameters;
};

constexpr auto kPlain = FusedActivation::none, kRelu = FusedActivation::relu,
               kSilu = FusedActivation::silu;
const SgdOptions kSgd{.rate = 0.05, .momentum = 0.9};
const AdamOptions kAdamW{.rate = 1e-3, .decay = 0.05};

void finish(Network& net, int64_t side, int64_t channels) {
  net.add("elementwise", 1, {{net.batch, side, side, channels}},
          [](const Inputs& x) { return global_average_pool(x[0]); });
  net.linear(1, net.batch, channels, 10);
  net.classify(net.batch, 10);
  net.optimize<Sgd>(kSgd);
}

Network resnet20() {
  Network net;
  net.conv(1, 32, 3, 16, 3, 1, 1, true);
  net.batch_norm(1, 32, 16, kRelu);
  for (int64_t side = 32, width = 16; side >= 8; side /= 2, width *= 2) {
    const Shape shape{net.batch, side, side, width};
    if (side < 32) {
      net.conv(1, 2 * side, width / 2, width, 3, 2);
      net.add("elementwise", 1, {{net.batch, 2 * side, 2 * side, width / 2}},
              [zeros = kindling::zeros({net.batch, side, side, width / 4})](const Inputs& x) {
                const Tensor half = slice(slice(x[0], 1, 0, x[0].dim(1), 2), 2, 0, x[0].dim(2), 2);
                return concat({zeros, half, zeros}, -1);
              });
    }
    net.conv(side < 32 ? 5 : 6, side, width, width, 3);
    net.batch_norm(3, side, width, kRelu);
    net.batch_norm(3, side, width, kPlain);
    net.sum(3, shape);
    net.unary<relu>(3, shape);
  }
  finish(net, 8, 64);
  return net;
}

struct Stage {
  int64_t expand, channels, blocks, stride, kernel;
};
// EfficientNet-B0's, with the strides for images of 32 x 32.
constexpr Stage kStages[] = {{1, 16, 1, 1, 3}, {6, 24, 2, 1, 3},  {6, 40, 2, 2, 5},
                             {6, 80, 3, 2, 3}, {6, 112, 3, 1, 5}, {6, 192, 4, 2, 5},
                             {6, 320, 1, 1, 3}};

void mbconv(Network& net, int64_t side, int64_t in, int64_t out, const Stage& stage,
            int64_t stride) {
  const int64_t wide = in * stage.expand, squeezed = std::max<int64_t>(1, in / 4);
  const int64_t half = (side - 1) / stride + 1;
  if (stage.expand > 1) {
    net.conv(1, side, in, wide, 1);
    net.batch_norm(1, side, wide, kSilu);
  }
  net.conv(1, side, wide, wide, stage.kernel, stride, wide);
  net.batch_norm(1, half, wide, kSilu);
  const Shape shape{net.batch, half, half, wide};
  net.add("elementwise", 1, {shape}, [](const Inputs& x) { return global_average_pool(x[0]); });
  net.linear(1, net.batch, wide, squeezed);
  net.unary<silu>(1, {net.batch, squeezed});
  net.linear(1, net.batch, squeezed, wide);
  net.unary<sigmoid>(1, {net.batch, wide});
  net.add(
      "elementwise", 1, {shape, {net.batch, 1, 1, wide}},
      [](const Inputs& x) { return x[0] * x[1]; }, false, 2);
  net.conv(1, half, wide, out, 1);
  net.batch_norm(1, half, out, kPlain);
  if (stride == 1 && in == out) net.sum(1, {net.batch, half, half, out});
}

Network efficientnet(double width, double depth) {
  const auto scaled = [width](double n) {
    const int64_t rounded = std::max<int64_t>(8, int64_t(n * width + 4) / 8 * 8);
    return double(rounded) < 0.9 * n * width ? rounded + 8 : rounded;
  };
  Network net;
  int64_t channels = scaled(32), side = 32;
  net.conv(1, side, 3, channels, 3, 1, 1, true);
  net.batch_norm(1, side, channels, kSilu);
  for (const Stage& stage : kStages) {
    const int64_t out = scaled(double(stage.channels));
    for (int64_t i = 0; i < int64_t(std::ceil(double(stage.blocks) * depth)); ++i) {
      const int64_t stride = i == 0 ? stage.stride : 1;
      mbconv(net, side, std::exchange(channels, out), out, stage, stride);
      side /= stride;
    }
  }
  net.conv(1, side, channels, scaled(1280), 1);
  net.batch_norm(1, side, scaled(1280), kSilu);
  finish(net, side, scaled(1280));
  return net;
}

Network vit_tiny() {
  Network net;
  net.add(
      "convolution", 1, {{64, 32, 32, 3}, {192, 4, 4, 3}, {192}},
      [](const Inputs& x) { return conv2d(x[0], x[1], x[2], {.stride = 4}); }, true);
  net.tokens(64, {}, 192);
  net.transformer(6, 65, 192, 3);
  net.layer_norm(1, 64 * 65, 192);
  net.add("elementwise", 1, {{64, 65, 192}}, [](const Inputs& x) { return slice(x[0], 1, 0, 1); });
  net.linear(1, 64, 192, 10);
  net.classify(64, 10);
  net.optimize<Adam>(kAdamW);
  return net;
}

Network bert_mini() {
  constexpr int64_t kLength = 128, kWidth = 256, kWords = 8192, kMasked = 614;
  Network net;
  net.batch = 32;
  const int64_t rows = net.batch * kLength;
  net.add("embedding", 1, {{kWords, kWidth}},
          [ids = some(rows, kWords)](const Inputs& x) { return embedding(x[0], ids); });
  net.add("elementwise", 1, {{net.batch, kLength, kWidth}, {kLength, kWidth}, {2, kWidth}},
          [](const Inputs& x) { return x[0] + x[1] + slice(x[2], 0, 0, 1); });
  net.layer_norm(1, rows, kWidth);
  net.transformer(4, kLength, kWidth, 4);
  net.add("embedding", 1, {{rows, kWidth}},
          [places = some(kMasked, rows)](const Inputs& x) { return gather(x[0], places); });
  net.linear(1, kMasked, kWidth, kWidth);
  net.unary<gelu>(1, {kMasked, kWidth});
  net.layer_norm(1, kMasked, kWidth);
  net.linear(1, kMasked, kWidth, kWords);
  net.classify(kMasked, kWords);
  net.optimize<Adam>(kAdamW);
  return net;
}

// A quarter of the patches encoded, all decoded.
Network mae_tiny() {
  constexpr int64_t kPatches = 64, kSeen = 16, kWidth = 192, kDecoder = 96, kNumbers = 48;
  Network net;
  net.linear(1, net.batch * kPatches, kNumbers, kWidth, true);
  net.tokens(kPatches, some(net.batch * kSeen, net.batch * kPatches), kWidth);
  net.transformer(6, kSeen + 1, kWidth, 3);
  net.layer_norm(1, net.batch * (kSeen + 1), kWidth);
  net.linear(1, net.batch * (kSeen + 1), kWidth, kDecoder);
  // A token stands for each patch that was not seen; then all get their places back.
  net.add("elementwise", 1,
          {{net.batch, kSeen + 1, kDecoder}, {1, 1, kDecoder}, {1, kPatches + 1, kDecoder}},
          [n = net.batch,
           places = some(net.batch * (kPatches + 1), net.batch * (kPatches + 1))](const Inputs& x) {
            const Tensor hidden = broadcast_to(x[1], {n, kPatches - kSeen, kDecoder});
            const Tensor all = reshape(concat({x[0], hidden}, 1), {-1, kDecoder});
            return reshape(gather(all, places), {n, kPatches + 1, kDecoder}) + x[2];
          });
  net.transformer(2, kPatches + 1, kDecoder, 3);
  net.layer_norm(1, net.batch * (kPatches + 1), kDecoder);
  net.linear(1, net.batch * (kPatches + 1), kDecoder, kNumbers);
  net.add("loss", 1, {{net.batch * kPatches, kNumbers}},
          [target = noise({net.batch * kPatches, kNumbers}, 3)](const Inputs& x) {
            return mse(x[0], target);
          });
  net.optimize<Adam>(kAdamW);
  return net;
}

struct Named {
  const char* name;
  Network (*make)();
};
constexpr Named kNetworks[] = {
    {"resnet20", resnet20},
    {"effnet_b0_32", [] { return efficientnet(1, 1); }},
    {"effnet_w0.5_d0.5", [] { return efficientnet(0.5, 0.5); }},
    {"vit_tiny", vit_tiny},
    {"bert_mini", bert_mini},
    {"mae_tiny", mae_tiny},
};

// The share of each kind of layers, from the quickest of three steps.
void print_shares(const Network& net) {
  std::map<std::string, double> of_kind;
  double all = 0;
  for (const Layer& layer : net.layers) {
    double best = std::numeric_limits<double>::infinity();
    for (int i = 0; i < 3; ++i) {
      const double start = clock_seconds();
      layer.step();
      best = std::min(best, clock_seconds() - start);
    }
    of_kind[layer.kind] += layer.times * best, all += layer.times * best;
  }
  fmt::print("#   of the layers' time:");
  for (const auto& [kind, time] : of_kind) fmt::print(" {} {:.1f} %", kind, 100 * time / all);
  fmt::print("\n");
}

}  // namespace

void models(Bench& bench) {
  for (const Named& named : kNetworks) {
    if (!bench.wants(named.name)) continue;
    const Network net = named.make();
    const auto step = [&net] {
      for (const Layer& layer : net.layers) {
        for (int i = 0; i < layer.times; ++i) layer.step();
      }
    };
    Cost cost;
    running_cost = &cost;
    step();
    running_cost = nullptr;
    std::vector<Contender> contenders = {{"ours", step}};
    if (Torch* torch = bench.torch()) {
      std::ranges::move(torch->contenders(named.name), std::back_inserter(contenders));
    }
    bench.race({.kind = "layers",
                .name = named.name,
                .work = double(cost.flops),
                .unit = "GFLOP/s",
                .contenders = contenders});
    int64_t parameters = 0;
    for (const Shape& shape : net.parameters) parameters += shape.elements();
    fmt::print("#   parameters: {}\n", parameters);
    print_shares(net);
  }
}

}  // namespace kindling::bench
