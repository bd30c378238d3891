// Before and after: the training step of lesson 02's network, with the product as the specification
// has it and as the engine has it. Page: docs/03-matmul.md
#pragma once

#include "02-perceptron/images.h"
#include "03-matmul/measure.h"
#include "kindling.h"

namespace lesson03 {

// While it lives, every operation finds a table of kernels whose product is this one.
class WithProduct {
 public:
  explicit WithProduct(decltype(kindling::Kernels::gemm) gemm) : table_(kindling::kernels()) {
    table_.gemm = gemm;
    kindling::detail::chosen_kernels = &table_;
  }
  WithProduct(const WithProduct&) = delete;
  ~WithProduct() { kindling::set_isa(table_.name); }

 private:
  kindling::Kernels table_;
};

struct Trained {
  double samples_a_second, first_loss, last_loss;
};

// Some steps of SGD from the same weights on the same batches.
inline Trained train(const kindling::Dataset& data, int steps, const std::string& graph = "") {
  using namespace kindling;
  constexpr int64_t kBatch = 128;
  Random random(1);
  Sequential model = lesson02::make_mlp(784, 256, 10, random);
  Sgd optimizer(model, {.rate = 0.05, .momentum = 0.9});
  Loader loader(data, {.batch = kBatch, .shuffle = false});
  Trained result{};
  const auto step = [&] {
    auto batch = loader.next();
    if (!batch) batch = loader.next();  // the next epoch
    const Tensor loss = cross_entropy(model(lesson02::flat(batch->x)), batch->labels);
    if (!graph.empty() && result.first_loss == 0) fmt::print("   {}\n", draw_graph(loss, graph));
    loss.backward();
    optimizer.step();
    optimizer.zero_grad();
    result.last_loss = double(loss.item());
    if (result.first_loss == 0) result.first_loss = result.last_loss;
  };
  std::vector<double> seconds;
  for (int i = 0; i < steps; ++i) {
    if (interrupted()) throw Interrupted("interrupted");
    const auto now = threads() == 1 ? thread_seconds : clock_seconds;
    const double start = now();
    step();
    seconds.push_back(now() - start);
  }
  std::nth_element(seconds.begin(), seconds.begin() + steps / 2, seconds.end());
  result.samples_a_second = double(kBatch) / seconds[size_t(steps / 2)];
  return result;
}

inline void network(const kindling::SharedOptions& options, kindling::Report& report) {
  using namespace kindling;
  fmt::print("\n4. A training step of lesson 02's network, 784-256-128-10, batches of 128\n\n");
  const ImageData digits = lesson02::stroke_digits(1280, 10, options.seed);
  const int steps = options.quick ? 10 : 20, all = threads();
  const std::string graph = options.graph ? report.path("loss") : "";
  set_threads(1);
  const Trained after = train(digits.train, steps, graph);
  const Trained before = [&] {
    const WithProduct naive(reference::gemm);
    return train(digits.train, steps);
  }();
  set_threads(all);
  fmt::print("   {:38}{:>10}{:>20}\n", "product", "samples/s",
             fmt::format("loss at step {}", steps));
  const auto row = [](const std::string& name, const Trained& t) {
    fmt::print("   {:38}{:>10.0f}{:>20.6f}\n", name, t.samples_a_second, t.last_loss);
  };
  row("three loops, one thread", before);
  row("the engine's, one thread", after);
  if (all > 1) {
    const Trained on_all = train(digits.train, steps);
    row(fmt::format("the engine's, {} threads", all), on_all);
    report.note("network_threads", on_all.samples_a_second);
  }
  report.note("network_before", before.samples_a_second);
  report.note("network_after", after.samples_a_second);
  report.claim("the loss is the same but for rounding",
               std::abs(before.last_loss - after.last_loss) < 1e-4 * before.last_loss);
  report.claim("one thread trains more than ten times as fast as with the three loops",
               after.samples_a_second > 10 * before.samples_a_second);
}

}  // namespace lesson03
