// Part 6: what an MLP on real images is made of, and the pictures of what it learned. The training
// loop itself is in lesson.cpp. Page: docs/02-perceptron.md
#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "02-perceptron/mnist.h"
#include "02-perceptron/pictures.h"
#include "02-perceptron/stroke_digits.h"
#include "kindling.h"

namespace lesson02 {

// 784-256-128-10 with ReLU: 235,146 parameters. `hidden` 0 is softmax regression, the baseline.
inline kindling::Sequential make_mlp(int64_t pixels, int64_t hidden, int64_t classes,
                                     kindling::Random& random) {
  using namespace kindling;
  const int64_t second = std::max<int64_t>(1, hidden / 2);
  if (hidden == 0) return Sequential{Linear(pixels, classes, random)};
  return Sequential{Linear(pixels, hidden, random), Activation(relu),
                    Linear(hidden, second, random), Activation(relu),
                    Linear(second, classes, random)};
}

inline kindling::Tensor flat(const kindling::Tensor& images) {  // [B, H, W, C] -> [B, H W C]
  return kindling::reshape(images, {images.dim(0), -1});
}

// Seconds that forward and backward of one batch take here; the weights stay as they are.
inline double seconds_a_step(kindling::Sequential& model, const kindling::ImageSet& data,
                             int64_t batch) {
  using namespace kindling;
  std::vector<int32_t> samples(size_t(std::min(batch, data.size())));
  std::iota(samples.begin(), samples.end(), 0);
  Random unused(0);
  const Batch b = data.batch(samples, unused);
  constexpr int kSteps = 5;
  double start = 0;
  for (int i = 0; i <= kSteps; ++i) {  // the first one warms up
    if (i == 1) start = clock_seconds();
    cross_entropy(model(flat(b.x)), b.labels).backward();
  }
  zero_grad(model);
  return (clock_seconds() - start) / kSteps;
}

// "auto" becomes the name of what is taken: Fashion-MNIST where it is installed, otherwise
// generated digits, and then it says so.
inline kindling::ImageData load_images(std::string& name, uint64_t seed) {
  using namespace kindling;
  if (name == "auto") {
    name = "fashion-mnist";
    try {
      return load_mnist(name);
    } catch (const DataMissing& missing) {
      fmt::print("{}\nUsing generated digits instead (--data digits).\n", missing.what());
      name = "digits";
    }
  }
  return name == "digits" ? stroke_digits(10000, 2000, seed) : load_mnist(name);
}

// The answers of a model on a whole set, without a graph.
struct Answers {
  std::vector<int32_t> predicted;  // class with the highest logit
  std::vector<double> loss;        // -log of the true class's probability
  double percent = 0;              // right
};

inline Answers answer(kindling::Sequential& model, const kindling::Dataset& data) {
  using namespace kindling;
  const NoGrad no_grad;
  model.train(false);
  Loader loader(data, {.batch = 500, .shuffle = false, .drop_last = false});
  Answers a;
  int64_t right = 0;
  while (const auto batch = loader.next()) {
    const Tensor log_p = log_softmax(model(flat(batch->x)));
    const Tensor of_label = pick(log_p, batch->labels);
    const Indices best = argmax(log_p);
    for (int64_t i = 0; i < best.size(); ++i) {
      a.predicted.push_back(best[i]);
      a.loss.push_back(-double(of_label.values()[size_t(i)]));
      right += best[i] == batch->labels[i];
    }
  }
  model.train(true);
  a.percent = 100.0 * double(right) / double(data.size());
  return a;
}

inline void draw_results(kindling::Report& report, kindling::Sequential& model,
                         const kindling::ImageSet& test, const Answers& a) {
  using namespace kindling;
  const int64_t classes = int64_t(test.classes.size());
  const int h = int(test.image[0]), w = int(test.image[1]);

  std::vector<int64_t> counts(size_t(classes * classes));
  for (size_t i = 0; i < a.predicted.size(); ++i) {
    ++counts[size_t(test.labels[i] * classes + a.predicted[i])];
  }
  write_file(report.path("confusion.svg"),
             confusion_matrix("True class and prediction", test.classes, counts));

  // The test images the model is most surely wrong about.
  std::vector<size_t> order(a.loss.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const size_t shown = std::min<size_t>(24, order.size());
  std::partial_sort(order.begin(), order.begin() + std::ptrdiff_t(shown), order.end(),
                    [&](size_t i, size_t j) { return a.loss[i] > a.loss[j]; });
  std::vector<Image> images;
  std::vector<std::string> captions;
  for (size_t k = 0; k < shown; ++k) {
    const auto pixels = test.pixels(int64_t(order[k]));
    const std::vector<real> values(pixels.begin(), pixels.end());
    images.push_back(to_images(values, h, w, int(test.image[2]), 0, 255).at(0));
    captions.push_back(fmt::format("{}\ntaken for {}", test.classes[size_t(test.labels[order[k]])],
                                   test.classes[size_t(a.predicted[order[k]])]));
  }
  write_file(
      report.path("most-wrong.svg"),
      image_table("Most wrong: the label, and what the model took it for", images, captions, 8));

  // What the first 40 units look for: their weights, laid out like the image.
  const Tensor& weight = dynamic_cast<Linear&>(model[0]).weight;
  const size_t units = size_t(std::min<int64_t>(40, weight.dim(0)));
  const size_t pixels = size_t(weight.dim(1));
  std::vector<Image> filters;  // each on its own scale
  for (size_t i = 0; i < units; ++i) {
    filters.push_back(weight_images(weight.values().subspan(i * pixels, pixels), h, w).at(0));
  }
  const Image weights = grid(filters, {.columns = 10, .scale = 2, .padding = 6});
  write_file(report.path("weights.png"), encode_png(weights));
  fmt::print("\n   confusion.svg, most-wrong.svg and weights.png are in {}\n", report.folder());
}

}  // namespace lesson02
