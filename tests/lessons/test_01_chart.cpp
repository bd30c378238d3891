// Tests of the charts that lesson 01 draws: what the SVG files say is read back from them.
#include <cmath>
#include <limits>
#include <regex>

#include "01-graph/chart.h"
#include "support/catch.h"
#include "support/ink.h"
#include "support/skip.h"

using namespace lesson01;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct Text {
  double x, y;
  std::string anchor, text;
  bool turned, bold;
};

std::vector<std::smatch> all_matches(const std::string& svg, const char* pattern) {
  const std::regex regex(pattern);
  return {std::sregex_iterator(svg.begin(), svg.end(), regex), std::sregex_iterator()};
}

std::vector<Text> texts(const std::string& svg) {
  std::vector<Text> found;
  for (const auto& m : all_matches(
           svg, "<text x='([^']*)' y='([^']*)' text-anchor='([^']*)'([^>]*)>([^<]*)</text>")) {
    const std::string more = m.str(4);
    found.push_back({std::stod(m.str(1)), std::stod(m.str(2)), m.str(3), m.str(5),
                     more.find("rotate") != std::string::npos,
                     more.find("bold") != std::string::npos});
  }
  return found;
}

Text text(const std::string& svg, const std::string& wanted) {
  for (const Text& t : texts(svg)) {
    if (t.text == wanted && !t.turned) return t;
  }
  FAIL("no text \"" << wanted << "\" in\n" << svg);
  return {};
}

struct Circle {
  double x, y;
};
std::vector<Circle> circles(const std::string& svg) {
  std::vector<Circle> found;
  for (const auto& m : all_matches(svg, "<circle cx='([^']*)' cy='([^']*)'")) {
    found.push_back({std::stod(m.str(1)), std::stod(m.str(2))});
  }
  return found;
}

// No two texts overlap and all are inside the picture, at 0.5 of the size per letter, which is the
// average of Helvetica.
void check_layout(const std::string& svg) {
  std::smatch size;
  REQUIRE(
      std::regex_search(svg, size, std::regex("viewBox='(-[0-9]+) (-[0-9]+) ([0-9]+) ([0-9]+)'")));
  const auto number = [&](size_t i) { return std::stod(size[i].str()); };
  struct Box {
    double left, right, top, bottom;
    std::string text;
  };
  std::vector<Box> boxes;
  for (const Text& t : texts(svg)) {
    if (t.turned || t.text.empty()) continue;
    const double height = t.bold ? 15 : 12,
                 width = 0.5 * height * static_cast<double>(t.text.size());
    const double left = t.anchor == "start" ? t.x
                        : t.anchor == "end" ? t.x - width
                                            : t.x - width / 2;
    boxes.push_back({left, left + width, t.y - 0.75 * height, t.y + 0.2 * height, t.text});
  }
  CHECK(boxes.size() > 2);
  for (const Box& a : boxes) {
    INFO(a.text);
    CHECK((a.left >= number(1) && a.top >= number(2)));
    CHECK((a.right <= number(1) + number(3) && a.bottom <= number(2) + number(4)));
    for (const Box& b : boxes) {
      if (&a == &b) continue;
      INFO(b.text);
      CHECK((a.right < b.left || b.right < a.left || a.bottom < b.top || b.bottom < a.top));
    }
  }
}

const Series kLoss{"train", {1, 2, 3, 4}, {0.8, 0.4, 0.2, 0.6}};
const Series kTest{"test", {1, 2, 3, 4}, {0.9, 0.7, 0.5, 0.3}};

}  // namespace

TEST_CASE("a line chart puts a point beside the tick of its value", "[chart]") {
  const std::string svg = line_chart({"Loss", "epoch", "nats"}, {kLoss, kTest});
  const auto points = circles(svg);
  REQUIRE(points.size() == 8);
  CHECK(points[0].y == Approx(text(svg, "0.8").y - 4).margin(0.11));  // a text's baseline is lower
  CHECK(points[1].y == Approx(text(svg, "0.4").y - 4).margin(0.11));  // coordinates have 1 decimal
  CHECK(points[1].x == Approx(text(svg, "2").x).margin(0.11));
  CHECK(points[7].x == Approx(text(svg, "4").x).margin(0.11));
  CHECK(points[0].y < points[1].y);  // larger values are higher up
  for (const char* wanted : {"Loss", "epoch", "nats", "train", "test"}) text(svg, wanted);
  CHECK(text(svg, "train").x > text(svg, "4").x);  // the legend is beside the plot
  check_layout(svg);
  CHECK(svg == line_chart({"Loss", "epoch", "nats"}, {kLoss, kTest}));
  // One series needs no legend.
  CHECK_THAT(line_chart({"Loss", "epoch", "nats"}, {kLoss}), !ContainsSubstring("train"));
  // Longer lines have no points, and those of dots alone no line.
  std::vector<double> many;
  for (int i = 0; i < 21; ++i) many.push_back(i);
  CHECK(circles(line_chart({}, {{"", many, many}})).empty());
  CHECK(circles(line_chart({}, {{"", many, many, false}})).size() == 21);
  const char* line = "<path d='M[^']*'";
  CHECK(all_matches(line_chart({}, {{"", many, many}}), line).size() == 1);
  CHECK(all_matches(line_chart({}, {{"", many, many, false}}), line).empty());
}

TEST_CASE("ticks are round numbers", "[chart]") {
  enum class Scale { linear, log };
  const auto ticks = [](Scale scale, std::vector<double> y) {
    Chart chart{"", "", "", false, scale == Scale::log};
    const std::string svg = line_chart(chart, {{"", std::vector<double>(y.size(), 1), y}});
    std::string labels;
    for (const Text& t : texts(svg)) {
      if (t.anchor == "end") labels += t.text + " ";
    }
    return labels;
  };
  CHECK(ticks(Scale::linear, {0.013, 0.97}) == "0 0.2 0.4 0.6 0.8 1 ");
  CHECK(ticks(Scale::linear, {-3, 12}) == "-4 -2 0 2 4 6 8 10 12 ");
  CHECK(ticks(Scale::linear, {5, 5}) == "4.4 4.6 4.8 5 5.2 5.4 5.6 ");
  CHECK(ticks(Scale::linear, {0, 0}) == "-0.6 -0.4 -0.2 0 0.2 0.4 0.6 ");
  CHECK(ticks(Scale::linear, {0.1, 0.3}) == "0.1 0.15 0.2 0.25 0.3 ");
  CHECK(ticks(Scale::linear, {0, 3e38}) == "0 5e+37 1e+38 1.5e+38 2e+38 2.5e+38 3e+38 ");
  CHECK(ticks(Scale::linear, {0.1, 0.1 * 3}) == "0.1 0.15 0.2 0.25 0.3 ");  // 0.1 * 3 > 0.3
  CHECK(ticks(Scale::linear, {0.3, 0.8}) == "0.3 0.4 0.5 0.6 0.7 0.8 ");    // 0.3 / 0.1 < 3
  CHECK(ticks(Scale::log, {1, 1000}) == "1 10 100 1000 ");
  CHECK(ticks(Scale::log, {0.3, 20}) == "0.2 0.5 1 2 5 10 20 ");
  CHECK(ticks(Scale::log, {1e-5, 0.9}) == "1e-05 0.0001 0.001 0.01 0.1 1 ");
  CHECK(ticks(Scale::log, {1, 1e12}) == "1 100 10000 1e+06 1e+08 1e+10 1e+12 ");
  CHECK(ticks(Scale::log, {7, 7}) == "5 10 ");
  CHECK(ticks(Scale::log, {4.9, 60}) == "5 10 20 50 100 ");  // 4.9 stands just below the 5
}

TEST_CASE("equal ratios are equally far apart on a log axis", "[chart]") {
  Chart chart{"", "", "", true, true};
  const auto points = circles(line_chart(chart, {{"", {1, 10, 100}, {2, 20, 200}}}));
  REQUIRE(points.size() == 3);
  CHECK(points[1].x - points[0].x == Approx(points[2].x - points[1].x).margin(0.21));
  CHECK(points[1].y - points[0].y == Approx(points[2].y - points[1].y).margin(0.21));
}

TEST_CASE("what cannot be shown leaves a gap", "[chart]") {
  const Series broken{"", {1, 2, 3, 4, 5}, {1, 2, kNan, 2, 1}};
  const std::string svg = line_chart({}, {broken});
  CHECK(circles(svg).size() == 4);
  CHECK(all_matches(svg, "M[0-9. ]*L[0-9. ]*M[0-9. ]*L[0-9. ]*' fill").size() == 1);
  const Series zero{"", {1, 2, 3}, {1, 0, 2}};
  CHECK(circles(line_chart({"", "", "", false, true}, {zero})).size() == 2);
  CHECK_THAT(line_chart({}, {{"", {1, 2}, {kNan, kNan}}}),
             ContainsSubstring("no value can be shown"));
  CHECK_THAT(line_chart({}, {broken}), !ContainsSubstring("nan"));
}

TEST_CASE("series of unequal sizes are refused by name", "[chart]") {
  CHECK_THROWS_WITH(line_chart({}, {{"loss", {1, 2}, {1}}}),
                    "line_chart: series \"loss\" has 2 x and 1 y");
}

TEST_CASE("text is escaped", "[chart]") {
  const std::string svg = line_chart({"a < b & c", "", ""}, {kLoss});
  CHECK_THAT(svg, ContainsSubstring(">a &lt; b &amp; c</text>"));
}

TEST_CASE("every chart is a picture that librsvg draws", "[chart]") {
  if (!has_program("rsvg-convert")) return skip("rsvg-convert is not installed: run make deps-dev");
  // The letters alone are more.
  CHECK(dark_pixels(line_chart({"a < b & c", "x", "y", true, true}, {kLoss, kTest})) > 50);
  const Series dots{"dots", {1, 2}, {0.5, 0.6}, false};
  CHECK(dark_pixels(line_chart({"title", "x", "y"}, {kLoss, dots})) > 50);
}
