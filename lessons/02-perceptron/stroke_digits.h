// Digits drawn from strokes: images that need no files. Page: docs/data.md
#pragma once

#include <numbers>
#include <sstream>

#include "kindling.h"

namespace lesson02 {

inline constexpr int kSide = 28;       // pixels
inline constexpr double kHeight = 20;  // of an upright digit, in pixels
inline constexpr double kPi = std::numbers::pi;

struct Point {
  double x, y;  // in the unit square, y downwards, or in pixels
};
using Stroke = std::vector<Point>;  // a smooth curve through these points

// How the pen moves for each digit: points xxyy in hundredths, "/" where it is lifted.
inline constexpr std::array<const char*, 10> kPen = {
    "5005 2720 2050 2780 5095 7380 8050 7320 5005",
    "3325 5405 / 5405 5095",
    "2228 3310 5806 7425 6252 2293 / 2293 8092",
    "2513 5005 7218 6638 4247 / 4247 7055 7677 5295 2386",
    "5805 1864 / 1864 8462 / 6636 6095",
    "7407 3407 / 3407 2946 / 2946 5540 7658 7084 4795 2286",
    "6606 4226 2660 3387 5395 7478 6658 4654 2770",
    "2008 7808 / 7808 5648 4295",
    "7020 5005 2920 4041 6357 7578 5095 2578 3857 6140 7020",
    "7230 5606 2922 3447 5650 7230 / 7230 7062 5895",
};

inline std::vector<Stroke> strokes_of(const char* pen) {
  std::vector<Stroke> strokes(1);
  std::istringstream words(pen);
  for (std::string word; words >> word;) {
    if (word == "/") {
      strokes.emplace_back();
    } else {
      const int xxyy = std::stoi(word);
      strokes.back().push_back({xxyy / 100 / 100.0, xxyy % 100 / 100.0});
    }
  }
  return strokes;
}

// Catmull and Rom's cubic from b to c, at t in 0 .. 1; a and d are the points before and after
// ("A class of local interpolating splines", 1974).
inline Point spline(Point a, Point b, Point c, Point d, double t) {
  const auto mix = [t](double p, double q, double r, double s) {
    return q + t / 2 * (r - p + t * (2 * p - 5 * q + 4 * r - s + t * (3 * (q - r) + s - p)));
  };
  return {mix(a.x, b.x, c.x, d.x), mix(a.y, b.y, c.y, d.y)};
}

// How one writer writes: bends the unit square a little and puts it on the pixels.
class Hand {
 public:
  explicit Hand(kindling::Random& random)
      : bend_x_(random.uniform(-.12, .12)),
        bend_y_(random.uniform(-.09, .09)),
        phase_x_(random.uniform()),
        phase_y_(random.uniform()) {
    const double angle = random.uniform(-15, 15) * kPi / 180, shear = random.uniform(-.4, .4);
    const double width = kHeight * random.uniform(.7, 1.1),
                 height = kHeight * random.uniform(.8, 1.1);
    const double c = std::cos(angle), s = std::sin(angle);
    xx_ = c * width, xy_ = (c * shear - s) * height;
    yx_ = s * width, yy_ = (s * shear + c) * height;
    x0_ = kSide / 2.0 + random.uniform(-3, 3);
    y0_ = kSide / 2.0 + random.uniform(-3, 3);
  }

  Point place(Point p) const {
    const double x = p.x - .5 + bend_x_ * std::sin(2 * kPi * (p.y + phase_x_));
    const double y = p.y - .5 + bend_y_ * std::sin(2 * kPi * (p.x + phase_y_));
    return {x0_ + xx_ * x + xy_ * y, y0_ + yx_ * x + yy_ * y};
  }

 private:
  double bend_x_, bend_y_, phase_x_, phase_y_;
  double xx_, xy_, yx_, yy_, x0_, y0_;
};

// The squared distance of every pixel's centre to the nearest piece of the strokes; pixels further
// than `reach` are not looked at.
class Canvas {
 public:
  explicit Canvas(double reach) : reach_(reach) { squares_.fill(reach * reach); }

  void line(Point a, Point b) {
    const double dx = b.x - a.x, dy = b.y - a.y, length = std::max(dx * dx + dy * dy, 1e-12);
    const auto [y_low, y_high] = pixels(std::min(a.y, b.y), std::max(a.y, b.y));
    const auto [x_low, x_high] = pixels(std::min(a.x, b.x), std::max(a.x, b.x));
    for (int y = y_low; y < y_high; ++y) {
      for (int x = x_low; x < x_high; ++x) {
        const double px = x + .5 - a.x, py = y + .5 - a.y;
        const double t = std::clamp((px * dx + py * dy) / length, 0.0, 1.0);
        const double ex = px - t * dx, ey = py - t * dy;
        double& square = squares_[size_t(y * kSide + x)];
        square = std::min(square, ex * ex + ey * ey);
      }
    }
  }

  double distance(size_t pixel) const { return std::sqrt(squares_[pixel]); }

 private:
  std::pair<int, int> pixels(double low, double high) const {
    return {std::clamp(int(low - reach_), 0, kSide), std::clamp(int(high + reach_) + 1, 0, kSide)};
  }
  double reach_;
  std::array<double, size_t{kSide} * kSide> squares_;
};

inline void draw_digit(const std::vector<Stroke>& strokes, kindling::Random& random,
                       uint8_t* pixels) {
  constexpr int kPieces = 6;  // straight pieces between two points of a stroke
  const Hand hand(random);
  const double radius = random.uniform(.7, 1.7), ink = random.uniform(180, 255);
  Canvas canvas(radius + .5);
  for (const Stroke& stroke : strokes) {
    const int last = int(stroke.size()) - 1;
    const auto point = [&](int i) { return stroke[size_t(std::clamp(i, 0, last))]; };
    Point from = hand.place(point(0));
    for (int i = 0; i < last * kPieces; ++i) {
      const int k = i / kPieces;
      const double t = double(i % kPieces + 1) / kPieces;
      const Point to = hand.place(spline(point(k - 1), point(k), point(k + 1), point(k + 2), t));
      canvas.line(from, to);
      from = to;
    }
  }
  const double noise = random.uniform(0, 30);
  for (size_t i = 0; i < size_t{kSide} * kSide; ++i) {
    const double covered = std::clamp(radius + .5 - canvas.distance(i), 0.0, 1.0);
    // The sum of four random bytes is nearly normal, with mean 510 and deviation 148.
    const uint32_t word = random.bits();
    const double sum = (word & 255) + (word >> 8 & 255) + (word >> 16 & 255) + (word >> 24);
    pixels[i] = uint8_t(std::clamp(ink * covered + noise * (sum - 510) / 148, 0.0, 255.0));
  }
}

inline kindling::ImageSet stroke_part(int64_t n, const kindling::Random& random) {
  std::vector<std::vector<Stroke>> digits;
  for (const char* pen : kPen) digits.push_back(strokes_of(pen));
  std::vector<uint8_t> pixels(size_t(n) * kSide * kSide);
  std::vector<int32_t> labels(size_t(n), 0);
  kindling::parallel_for(n, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      kindling::Random of_image = random.fork(uint64_t(i));
      labels[size_t(i)] = int32_t(i % 10);
      draw_digit(digits[size_t(i % 10)], of_image, pixels.data() + i * kSide * kSide);
    }
  });
  return kindling::ImageSet({.name = "stroke-digits",
                             .image = {kSide, kSide, 1},
                             .bytes = std::move(pixels),
                             .labels = std::move(labels),
                             .classes = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}});
}

// Ten classes of stroke digits, 28x28x1, each with its own random slant, scale, rotation, place,
// thickness and noise. The same seed gives the same images; train and test never share a stream.
inline kindling::ImageData stroke_digits(int64_t train, int64_t test, uint64_t seed) {
  const kindling::Random random(seed);
  return kindling::scaled(stroke_part(train, random.fork(0)), stroke_part(test, random.fork(1)));
}

}  // namespace lesson02
