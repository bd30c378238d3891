// Part 5: what was learned: how many images are answered right, and how many when they stand
// elsewhere; the filters and their maps as pictures. Page: docs/04-convolution.md
#pragma once

#include "02-perceptron/pictures.h"
#include "04-convolution/augment.h"
#include "kindling.h"

namespace lesson04 {

using lesson02::Image;

struct Answers {
  double percent, loss;  // right; mean of -log of the true class's probability
};
inline Answers answers(Layer& model, const Dataset& data) {
  const NoGrad no_grad;
  model.train(false);
  Loader loader(data, {.batch = 500, .shuffle = false, .drop_last = false});
  double right = 0, loss = 0;
  while (const auto batch = loader.next()) {
    const Tensor scores = model(batch->x);
    const Indices best = argmax(scores);
    for (int64_t i = 0; i < best.size(); ++i) right += best[i] == batch->labels[i];
    loss += double(cross_entropy(scores, batch->labels).item()) * double(best.size());
  }
  model.train(true);
  const double n = double(data.size());
  return {100 * right / n, loss / n};
}

inline constexpr int64_t kFarthest = 6;  // pixels

// Percent right when every image is moved 0, 1, .. kFarthest pixels up, down, left or right.
inline std::vector<double> when_moved(Layer& model, const ImageSet& images) {
  std::vector<double> percent;
  for (int64_t pixels = 0; pixels <= kFarthest; ++pixels) {
    const Moved moved(images, [pixels](Random& random) {
      constexpr Move kWays[] = {{-1, 0}, {1, 0}, {0, -1}, {0, 1}};
      const Move way = kWays[random.below(4)];
      return Move{way.down * pixels, way.right * pixels};
    });
    percent.push_back(answers(model, moved).percent);
  }
  return percent;
}

// The mean over the recorded runs of an experiment; empty if there are none.
inline std::vector<double> recorded_when_moved(const std::string& records,
                                               const std::string& experiment) {
  std::vector<double> means;
  for (int64_t pixels = 0; pixels <= kFarthest; ++pixels) {
    const auto runs = recorded(records, experiment, fmt::format("moved_{}", pixels));
    if (runs.empty()) return {};
    means.push_back(std::accumulate(runs.begin(), runs.end(), 0.0) / double(runs.size()));
  }
  return means;
}

// A chart and a claim: this run, and the means of the runs that were recorded of LeNet, of LeNet
// with images moved in training, and of the perceptron, whose experiments are named by `name`.
inline void show_moved(Report& report, Layer& model, bool is_lenet, const ImageSet& test,
                       const std::string& records,
                       const std::function<std::string(std::string)>& name) {
  const std::vector<double> pixels = {0, 1, 2, 3, 4, 5, 6};
  const std::vector<double> here = when_moved(model, test),
                            other = recorded_when_moved(records, name("-mlp"));
  std::vector<lesson01::Series> lines = {{"this run", pixels, here}};
  for (const auto& [kind, words] :
       {std::pair{"", "LeNet"}, {"-augment", "LeNet, moved in training"}, {"-mlp", "perceptron"}}) {
    const auto means = recorded_when_moved(records, name(kind));
    if (!means.empty()) lines.push_back({fmt::format("recorded: {}", words), pixels, means});
  }
  fmt::print("\n   {:<34}", fmt::format("% right of {}, moved by pixels", test.size()));
  for (double p : pixels) fmt::print("{:>7.0f}", p);
  fmt::print("\n");
  for (const lesson01::Series& line : lines) {
    fmt::print("   {:<34}", line.name);
    for (double percent : line.y) fmt::print("{:>7.1f}", percent);
    fmt::print("\n");
  }
  fmt::print("\n");
  if (is_lenet && !other.empty()) {
    const double loss = here[0] - here[2], its = other[0] - other[2];
    const bool learned = here[0] > 50;  // who learned nothing loses nothing
    report.claim(fmt::format("moved by 2 pixels it loses {:.1f} points, the recorded perceptrons "
                             "{:.1f}{}",
                             loss, its,
                             learned ? ""
                                     : fmt::format("; but where nothing is moved only {:.0f} % are "
                                                   "right, so that says nothing",
                                                   here[0])),
                 loss < its && learned);
  }
  for (size_t i = 0; i < here.size(); ++i) report.note(fmt::format("moved_{}", i), here[i]);
  const lesson01::Chart chart{.title = "Test images moved by some pixels",
                              .x_label = "pixels up, down, left or right",
                              .y_label = "% right"};
  write_file(report.path("moved.svg"), line_chart(chart, lines));
  fmt::print("   {}: these numbers drawn\n", report.path("moved.svg"));
}

// Pictures below each other, on white.
inline Image below(const std::vector<Image>& images) {
  int width = 0, height = 0;
  for (const Image& one : images) width = std::max(width, one.width), height += one.height;
  Image all(height, width);
  int top = 0;
  for (const Image& one : images) {
    for (int y = 0; y < one.height; ++y, ++top) {
      for (int x = 0; x < one.width; ++x) all.at(top, x) = one.at(y, x);
    }
  }
  return all;
}

// The filters of the first layer, blue below zero and red above.
inline Image first_filters(Sequential& net) {
  const Tensor& weight = dynamic_cast<Conv2d&>(net[0]).weight;  // [filters, k, k, 1]
  const int k = int(weight.dim(1));
  const auto each = lesson02::weight_images(weight.values(), k, k);
  return lesson02::grid(each,
                        {.columns = std::min(16, int(each.size())), .scale = 16, .padding = 6});
}

// One image and what it becomes behind the first and the second convolution, channel by channel.
inline Image feature_maps(Sequential& net, const Tensor& image) {
  const NoGrad no_grad;
  std::vector<Image> rows;
  const auto show = [&](const Tensor& maps, int scale) {
    const int64_t h = maps.dim(1), w = maps.dim(2), n = maps.dim(3);
    const Tensor planes = reshape(transpose(reshape(maps, {h * w, n})), {n, h, w});
    const double low = -double(max(neg(planes)).item()), high = double(max(planes).item());
    rows.push_back(lesson02::grid(
        lesson02::to_images(planes.values(), int(h), int(w), 1, low, std::max(high, low + 1e-9)),
        {.columns = 8, .scale = scale, .padding = 4}));
  };
  Tensor x = image;
  show(x, 3);
  for (size_t i = 0; i < 5; ++i) {
    x = net[i].forward(x);
    if (i == 1) show(x, 3);  // behind ReLU
    if (i == 4) show(x, 6);
  }
  return below(rows);
}

// The pictures of a LeNet.
inline void show_learned(Report& report, Sequential& net, const ImageSet& test) {
  write_file(report.path("learned.png"), encode_png(first_filters(net)));
  Random unused(0);
  const Tensor image = test.batch(std::array{int32_t{0}}, unused).x;
  write_file(report.path("maps.png"), encode_png(feature_maps(net, image)));
  fmt::print(
      "   {}: the filters of the first layer\n"
      "   {}: an image, and what they and those of the second make of it\n",
      report.path("learned.png"), report.path("maps.png"));
}

// Seconds that forward and backward of one batch take here; the weights stay as they are.
inline double seconds_a_step(Module& model, const Dataset& data, int64_t batch, const Loss& loss) {
  Loader loader(data, {.batch = batch, .ahead = false});
  const auto first = loader.next();
  constexpr int kSteps = 5;
  double start = 0;
  for (int i = 0; i <= kSteps; ++i) {  // the first one warms up
    if (i == 1) start = clock_seconds();
    loss(*first).backward();
  }
  zero_grad(model);
  return (clock_seconds() - start) / kSteps;
}

}  // namespace lesson04
