// Charts as SVG files, the same bytes for the same arguments; later lessons draw with this, too.
// Write them with write_file (io/file.h). Page: docs/01-graph.md
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/check.h"

namespace lesson01 {

// ---- Colours ------------------------------------------------------------------------------------

struct Rgb {
  uint8_t r = 0, g = 0, b = 0;
  bool operator==(const Rgb&) const = default;
};

inline constexpr Rgb kWhite{255, 255, 255}, kInk{40, 40, 40};
inline constexpr Rgb kNotANumber{255, 0, 255};  // magenta: how a NaN shows in any picture

// Classes and series in colours that colour-blind readers can tell apart. Source: Okabe and Ito,
// "Color universal design", 2008; without the yellow, too pale on white.
inline constexpr Rgb kCategories[] = {{0, 114, 178}, {213, 94, 0},   {0, 158, 115}, {204, 121, 167},
                                      {230, 159, 0}, {86, 180, 233}, {80, 80, 80}};

// From a to b as the share goes from 0 to 1; beyond it is clamped, and a NaN gives kNotANumber.
inline Rgb mix(Rgb a, Rgb b, double share) {
  if (std::isnan(share)) return kNotANumber;
  const auto blend = [t = std::clamp(share, 0.0, 1.0)](uint8_t from, uint8_t to) {
    return uint8_t(std::lround((1 - t) * from + t * to));
  };
  return {blend(a.r, b.r), blend(a.g, b.g), blend(a.b, b.b)};
}

inline constexpr Rgb kPale{228, 228, 228}, kGrey{110, 110, 110};

inline std::string hex(Rgb c) { return fmt::format("#{:02x}{:02x}{:02x}", c.r, c.g, c.b); }

// ---- Drawings -----------------------------------------------------------------------------------

// A drawing with text, as the elements of an SVG file. One unit is a pixel, y grows downwards, and
// the origin is wherever it is convenient: the file is made as large as what was drawn.
struct Drawing {
  enum Anchor { start, middle, end };  // what of a text stands at its x

  void reach(double x, double y);  // makes the file large enough to show this point
  void rectangle(double x, double y, double width, double height, Rgb fill);
  void text(double x, double y, Anchor anchor, const std::string& words, Rgb fill = kInk,
            const std::string& attributes = "");
  // The file: a bold title, a grey note, and below them what was drawn.
  std::string file(const std::string& title, const std::string& note = "") const;

  std::string elements;  // for what the functions above do not draw
  double left = 0, top = 0, right = 0, bottom = 0;
};
// Nobody knows how wide the reader's font is: 7 of its 12 units a letter is a wide one.
inline double text_width(const std::string& words) { return 7.0 * double(words.size()); }

inline void Drawing::reach(double x, double y) {
  left = std::min(left, x), right = std::max(right, x);
  top = std::min(top, y), bottom = std::max(bottom, y);
}

inline void Drawing::rectangle(double x, double y, double width, double height, Rgb fill) {
  reach(x, y), reach(x + width, y + height);
  elements +=
      fmt::format("<rect x='{:.1f}' y='{:.1f}' width='{:.1f}' height='{:.1f}' fill='{}'/>\n", x, y,
                  width, height, hex(fill));
}

inline void Drawing::text(double x, double y, Anchor anchor, const std::string& words, Rgb fill,
                          const std::string& attributes) {
  constexpr const char* kNames[] = {"start", "middle", "end"};
  const double begin = x - text_width(words) * int(anchor) / 2;
  reach(begin, y), reach(begin + text_width(words), y);
  std::string escaped;
  for (char c : words) escaped += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
  elements += fmt::format("<text x='{:.1f}' y='{:.1f}' text-anchor='{}' {} fill='{}'>{}</text>\n",
                          x, y, kNames[anchor], attributes, hex(fill), escaped);
}

inline std::string Drawing::file(const std::string& title, const std::string& note) const {
  Drawing all = *this;
  all.text(left, top - 38, start, title, kInk, "font-size='15' font-weight='bold'");
  all.text(left, top - 16, start, note, kGrey);
  all.reach(left + 1.35 * text_width(title), top - 50);
  return fmt::format(
      "<svg xmlns='http://www.w3.org/2000/svg' width='{2:.0f}' height='{3:.0f}' "
      "viewBox='{0:.0f} {1:.0f} {2:.0f} {3:.0f}' font-family='Helvetica, Arial, sans-serif' "
      "font-size='12'>\n<rect x='{0:.0f}' y='{1:.0f}' width='100%' height='100%' fill='#fff'/>\n"
      "{4}</svg>\n",
      all.left - 14, all.top - 14, all.right - all.left + 28, all.bottom - all.top + 28,
      all.elements);
}

// ---- Charts -------------------------------------------------------------------------------------

struct Chart {
  std::string title, x_label, y_label;
  bool log_x = false, log_y = false;
};

// Points (x[i], y[i]), joined by a line or dots alone (a scatter chart). What cannot be shown (NaN,
// infinity, zero on a log axis) leaves a gap.
struct Series {
  std::string name;  // in the legend when there are several series
  std::vector<double> x, y;
  bool joined = true;
};

// The values of one direction, placed between two ends.
struct Axis {
  bool log;         // then low and high are exponents of ten
  double from, to;  // where low and high are drawn
  double low = INFINITY, high = -INFINITY;
  std::vector<double> ticks = {};

  void cover(const std::vector<double>& values) {
    for (double v : values) {
      if (std::isfinite(on(v))) low = std::min(low, on(v)), high = std::max(high, on(v));
    }
  }
  // About `count` round numbers; none if no value can be shown.
  void choose_ticks(int count) {
    if (low > high) return;
    const double size = std::max(std::abs(low), std::abs(high));
    const double room = size > 0 ? size / 10 : 0.5;  // all values equal, up to rounding
    if (high - low <= 1e-9 * size) low -= room, high += room;

    // Steps of 1, 2 or 5 times a power of ten.
    const double rough = (high - low) / count;
    double step = std::pow(10, std::floor(std::log10(rough)));
    step *= rough < 1.5 * step ? 1 : rough < 3.5 * step ? 2 : rough < 7.5 * step ? 5 : 10;
    // On a log axis whole decades, or if there are few, thirds of them, which are near 2 and 5.
    if (log) step = high - low < 2 ? 1.0 / 3 : std::max(1.0, step);
    // The axis begins and ends at a tick. The slack is there because 0.3 / 0.1 is less than 3.
    const double last = std::ceil(high / step - 1e-9);
    for (double i = std::floor(low / step + 1e-9); i <= last; ++i) {
      const std::string one_digit = fmt::format("{:.0e}", std::pow(10, i * step));
      ticks.push_back(log ? std::strtod(one_digit.c_str(), nullptr) : i * step);
    }
    low = std::min(low, on(ticks.front())), high = std::max(high, on(ticks.back()));
  }
  double on(double v) const { return log ? std::log10(v) : v; }
  double place(double v) const { return std::lerp(from, to, (on(v) - low) / (high - low)); }
};

// An SVG file.
inline std::string line_chart(const Chart& chart, const std::vector<Series>& series) {
  constexpr double kWidth = 520, kHeight = 280;  // between the axes
  constexpr auto kDot = "<circle cx='{:.1f}' cy='{:.1f}' r='3.5' fill='{}'/>\n";
  constexpr auto kLine = "<path d='{}' fill='none' stroke='{}' stroke-width='2'/>\n";
  Axis x{chart.log_x, 0, kWidth}, y{chart.log_y, kHeight, 0};
  for (const Series& one : series) x.cover(one.x), y.cover(one.y);
  x.choose_ticks(6), y.choose_ticks(5);
  Drawing d;
  for (double tick : y.ticks) {
    d.rectangle(0, y.place(tick) - 0.5, kWidth, 1, kPale);
    d.text(-8, y.place(tick) + 4, d.end, fmt::format("{:.6g}", tick), kGrey);
  }
  for (double tick : x.ticks) {
    d.rectangle(x.place(tick) - 0.5, kHeight, 1, 5, kGrey);
    d.text(x.place(tick), kHeight + 19, d.middle, fmt::format("{:.6g}", tick), kGrey);
  }
  d.rectangle(0, kHeight - 0.5, kWidth, 1, kGrey);
  d.text(kWidth / 2, kHeight + 38, d.middle, chart.x_label, kGrey);
  const bool nothing = x.ticks.empty() || y.ticks.empty();
  if (nothing) d.text(kWidth / 2, kHeight / 2, d.middle, "no value can be shown", kGrey);

  for (size_t s = 0; s < series.size(); ++s) {
    const auto& [name, xs, ys, joined] = series[s];
    ENSURE(xs.size() == ys.size(), "line_chart: series \"{}\" has {} x and {} y", name, xs.size(),
           ys.size());
    const Rgb colour = kCategories[s % std::size(kCategories)];
    const bool dots = !joined || xs.size() <= 20;
    std::string line;
    char pen = 'M';  // moves to the first point after a gap, draws a line to the next ones
    for (size_t i = 0; i < xs.size(); ++i) {
      const double px = x.place(xs[i]), py = y.place(ys[i]);
      const bool shown = std::isfinite(px) && std::isfinite(py);
      if (shown) line += fmt::format("{}{:.1f} {:.1f}", pen, px, py);
      if (shown && dots) d.elements += fmt::format(kDot, px, py, hex(colour));
      pen = shown ? 'L' : 'M';
    }
    if (joined) d.elements += fmt::format(kLine, line, hex(colour));
    if (series.size() == 1) break;  // which needs no legend
    d.rectangle(kWidth + 24, 18 * double(s), 14, 5, colour);
    d.text(kWidth + 44, 18 * double(s) + 7, d.start, name);
  }
  return d.file(chart.title, chart.y_label);
}

}  // namespace lesson01
