// Part 3: two clouds away from the origin, and the line a perceptron draws between them with and
// without a bias. Page: docs/02-perceptron.md
#pragma once

#include <fmt/core.h>

#include <vector>

#include "02-perceptron/perceptron.h"
#include "02-perceptron/pictures.h"
#include "kindling.h"

namespace lesson02 {

inline constexpr Plane kPlane{.x_low = -0.5, .x_high = 4.5, .y_low = -0.5, .y_high = 4.5};

// Two round clouds around these centres; both classes have n / 2 samples.
inline std::vector<Sample> clouds(int n, std::array<double, 2> centre0,
                                  std::array<double, 2> centre1, double deviation,
                                  kindling::Random& random) {
  std::vector<Sample> samples;
  for (int i = 0; i < n; ++i) {
    const auto& centre = i % 2 ? centre1 : centre0;
    const auto x = kindling::real(centre[0] + deviation * random.normal());
    const auto y = kindling::real(centre[1] + deviation * random.normal());
    samples.push_back({{x, y}, i % 2});
  }
  return samples;
}

inline std::vector<Sample> make_blobs(uint64_t seed) {
  kindling::Random random(seed, 2);
  return clouds(200, {1.3, 1.3}, {3.2, 3.2}, 0.32, random);
}

inline Image draw(const Perceptron& unit, const std::vector<Sample>& samples) {
  const double length = std::hypot(unit.w[0], unit.w[1]) + 1e-9;
  const auto centres = pixel_centres(kPlane);
  std::vector<kindling::real> scores;
  for (size_t i = 0; i < centres.size(); i += 2) {
    const double distance = unit.score({centres[i], centres[i + 1]}) / length;  // from the line
    scores.push_back(kindling::real(std::tanh(2 * distance)));
  }
  std::vector<Dot> dots;
  for (const Sample& s : samples) dots.push_back({s.x[0], s.x[1], s.target});
  return decision_picture(kPlane, scores, dots);
}

// Trains one perceptron; `strip` gets a picture at the start and after 1, 2, 4, 8, ... mistakes.
inline Perceptron learn_blobs(const std::vector<Sample>& samples, bool with_bias,
                              const std::string& name, std::vector<Image>& strip) {
  Perceptron unit;
  unit.with_bias = with_bias;
  strip.push_back(draw(unit, samples));
  const Training t = train(unit, samples, 1000, [&](int mistake) {
    if ((mistake & (mistake - 1)) == 0 && strip.size() < 7) strip.push_back(draw(unit, samples));
  });
  strip.push_back(draw(unit, samples));
  fmt::print("   {}: {} of {} right after {} passes and {} mistakes{}\n", name,
             right_answers(unit, samples), samples.size(), t.passes, t.mistakes,
             t.converged ? "" : " (stopped)");
  return unit;
}

inline void blobs(kindling::Report& report, uint64_t seed, bool no_bias) {
  fmt::print("\n3. Clouds away from the origin\n\n");
  const auto samples = make_blobs(seed);
  std::vector<Image> strip, strip_without;
  const Perceptron with = learn_blobs(
      samples, !no_bias, no_bias ? "the bias taken away by --no-bias" : "with bias", strip);
  const Perceptron without = learn_blobs(samples, false, "without bias", strip_without);
  const auto row = [](const std::vector<Image>& images) {
    return encode_png(grid(images, {.columns = int(images.size()), .padding = 6}));
  };
  const std::string boundary = report.path("boundary.png"), learning = report.path("learning.png");
  kindling::write_file(boundary, row({strip.back(), strip_without.back()}));
  kindling::write_file(learning, row(strip));
  fmt::print("   {}: both lines, the one without bias on the right\n", boundary);
  fmt::print("   {}: the first unit after 0, 1, 2, 4, 8, ... mistakes\n", learning);
  report.claim("the unit draws a line that puts every blob sample on its side",
               right_answers(with, samples) == int(samples.size()));
  report.claim("without a bias the line must pass through the origin, and cannot",
               right_answers(without, samples) < int(samples.size()));
}

}  // namespace lesson02
