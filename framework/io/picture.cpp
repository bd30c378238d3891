// Pictures: pixels for PNG files, charts as SVG. Page: docs/02-perceptron.md
#include "io/picture.h"

#include <stb/stb_image_write.h>

#include "base/check.h"

namespace kindling {

Rgb mix(Rgb a, Rgb b, double share) {
  if (std::isnan(share)) return kNotANumber;
  const auto blend = [t = std::clamp(share, 0.0, 1.0)](uint8_t from, uint8_t to) {
    return uint8_t(std::lround((1 - t) * from + t * to));
  };
  return {blend(a.r, b.r), blend(a.g, b.g), blend(a.b, b.b)};
}

Rgb sequential_colour(double t) {
  return mix(mix({248, 248, 248}, {42, 161, 172}, 2 * t), {14, 48, 103}, 2 * t - 1);
}

std::vector<Image> to_images(std::span<const real> values, int height, int width, int channels,
                             double low, double high, Rgb (*colour)(double)) {
  ENSURE(channels == 1 || channels == 3, "to_images: {} channels; an image has 1 or 3", channels);
  const size_t area = size_t(height) * size_t(width), depth = size_t(channels);
  ENSURE(area > 0 && values.size() % (area * depth) == 0,
         "to_images: {} values do not fill images of {} values", values.size(), area * depth);
  std::vector<Image> images(values.size() / (area * depth), Image(height, width));
  for (size_t i = 0; i < images.size() * area; ++i) {
    const auto v = values.subspan(i * depth, depth);
    const auto of = [&](real one) { return colour((one - low) / (high - low)); };
    const bool bad = std::ranges::any_of(v, [](real one) { return std::isnan(one); });
    images[i / area].pixels[i % area] =
        bad ? kNotANumber : Rgb{of(v[0]).r, of(v[depth / 2]).g, of(v[depth - 1]).b};
  }
  return images;
}

Image grid(const std::vector<Image>& images, const GridStyle& style) {
  ENSURE(!images.empty(), "grid: no images");
  const int n = int(images.size()), scale = style.scale, gap = style.padding;
  const int columns = style.columns > 0 ? std::min(n, style.columns) : int(std::ceil(std::sqrt(n)));
  const int height = images[0].height, width = images[0].width;
  const int down = height * scale + gap, across = width * scale + gap;
  Image out((n + columns - 1) / columns * down + gap, columns * across + gap);
  for (int i = 0; i < n; ++i) {
    const Image& one = images[size_t(i)];
    ENSURE(one.height == height && one.width == width, "grid: image {} is {} x {}, image 0 {} x {}",
           i, one.height, one.width, height, width);
    const int top = i / columns * down + gap, left = i % columns * across + gap;
    for (int y = 0; y < height * scale; ++y) {
      for (int x = 0; x < width * scale; ++x) {
        out.at(top + y, left + x) = one.at(y / scale, x / scale);
      }
    }
  }
  return out;
}

std::string encode_png(const Image& image) {
  static_assert(sizeof(Rgb) == 3, "stb expects three bytes a pixel");
  std::string bytes;
  const auto append = [](void* out, void* data, int size) {
    static_cast<std::string*>(out)->append(static_cast<const char*>(data), size_t(size));
  };
  ENSURE(!image.pixels.empty() && stbi_write_png_to_func(append, &bytes, image.width, image.height,
                                                         3, image.pixels.data(), 3 * image.width),
         "encode_png: an image of {} x {} pixels cannot be encoded", image.height, image.width);
  return bytes;
}

// --- Charts.

namespace {

constexpr int kStart = 0, kMiddle = 1, kEnd = 2;  // what of a text stands at its x
constexpr Rgb kPale{228, 228, 228}, kGrey{110, 110, 110};

std::string hex(Rgb c) { return fmt::format("#{:02x}{:02x}{:02x}", c.r, c.g, c.b); }

// An SVG file cannot know how wide the reader's font is: 7 of its 12 units a letter is a wide one.
double text_width(const std::string& text) { return 7.0 * double(text.size()); }

std::string rectangle(double x, double y, double width, double height, Rgb fill) {
  return fmt::format("<rect x='{:.1f}' y='{:.1f}' width='{:.1f}' height='{:.1f}' fill='{}'/>\n", x,
                     y, width, height, hex(fill));
}

std::string text(double x, double y, int anchor, const std::string& words, Rgb fill = kInk,
                 const std::string& style = "") {
  constexpr const char* kNames[] = {"start", "middle", "end"};
  std::string escaped;
  for (char c : words) escaped += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
  return fmt::format("<text x='{:.1f}' y='{:.1f}' text-anchor='{}' {} fill='{}'>{}</text>\n", x, y,
                     kNames[anchor], style, hex(fill), escaped);
}

// The file: a bold title, a grey note, and below them what is drawn from (left, top) to (right,
// bottom). The origin is where the drawing function likes it, so `left` and `top` are negative.
std::string svg_file(const std::string& title, const std::string& note, double left, double top,
                     double right, double bottom, const std::string& body) {
  right = std::max({right, left + 1.35 * text_width(title), left + text_width(note)});
  return fmt::format(
      "<svg xmlns='http://www.w3.org/2000/svg' width='{2:.0f}' height='{3:.0f}' "
      "viewBox='{0:.0f} {1:.0f} {2:.0f} {3:.0f}' font-family='Helvetica, Arial, sans-serif' "
      "font-size='12'>\n<rect x='{0:.0f}' y='{1:.0f}' width='100%' height='100%' fill='#fff'/>\n"
      "{4}{5}{6}</svg>\n",
      left - 14, top - 64, right - left + 28, bottom - top + 78,
      text(left, top - 38, kStart, title, kInk, "font-size='15' font-weight='bold'"),
      text(left, top - 16, kStart, note, kGrey), body);
}

// The values of one direction, placed from 0 to 1.
struct Axis {
  bool log;  // then low and high are exponents of ten
  double low = INFINITY, high = -INFINITY;
  std::vector<double> ticks = {};  // about `count` round numbers; none if no value can be shown

  Axis(bool is_log, const std::vector<Series>& all, std::vector<double> Series::*values, int count)
      : log(is_log) {
    for (const Series& one : all) {
      for (double v : one.*values) {
        if (std::isfinite(on(v))) low = std::min(low, on(v)), high = std::max(high, on(v));
      }
    }
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
  double place(double v) const { return (on(v) - low) / (high - low); }
};

}  // namespace

std::string line_chart(const Chart& chart, const std::vector<Series>& series) {
  constexpr double kWidth = 520, kHeight = 280;  // between the axes
  constexpr auto kDot = "<circle cx='{:.1f}' cy='{:.1f}' r='3.5' fill='{}'/>\n";
  constexpr auto kLine = "<path d='{}' fill='none' stroke='{}' stroke-width='2'/>\n";
  const Axis x(chart.log_x, series, &Series::x, 6), y(chart.log_y, series, &Series::y, 5);
  std::string svg;
  double right = kWidth;
  for (double tick : y.ticks) {
    const double py = kHeight * (1 - y.place(tick));
    svg += rectangle(0, py - 0.5, kWidth, 1, kPale);
    svg += text(-8, py + 4, kEnd, fmt::format("{:.6g}", tick), kGrey);
  }
  for (double tick : x.ticks) {
    const double px = kWidth * x.place(tick);
    svg += rectangle(px - 0.5, kHeight, 1, 5, kGrey);
    svg += text(px, kHeight + 19, kMiddle, fmt::format("{:.6g}", tick), kGrey);
  }
  svg += rectangle(0, kHeight - 0.5, kWidth, 1, kGrey);
  svg += text(kWidth / 2, kHeight + 38, kMiddle, chart.x_label, kGrey);
  const bool nothing = x.ticks.empty() || y.ticks.empty();
  if (nothing) svg += text(kWidth / 2, kHeight / 2, kMiddle, "no value can be shown", kGrey);

  for (size_t s = 0; s < series.size(); ++s) {
    const auto& [name, xs, ys, joined] = series[s];
    ENSURE(xs.size() == ys.size(), "line_chart: series \"{}\" has {} x and {} y", name, xs.size(),
           ys.size());
    const Rgb colour = kCategories[s % std::size(kCategories)];
    const bool dots = !joined || xs.size() <= 20;
    std::string line;
    char pen = 'M';  // moves to the first point after a gap, draws a line to the next ones
    for (size_t i = 0; i < xs.size(); ++i) {
      const double px = kWidth * x.place(xs[i]), py = kHeight * (1 - y.place(ys[i]));
      const bool shown = std::isfinite(px) && std::isfinite(py);
      if (shown) line += fmt::format("{}{:.1f} {:.1f}", pen, px, py);
      if (shown && dots) svg += fmt::format(kDot, px, py, hex(colour));
      pen = shown ? 'L' : 'M';
    }
    if (joined) svg += fmt::format(kLine, line, hex(colour));
    if (series.size() == 1) break;  // which needs no legend
    svg += rectangle(kWidth + 24, 18 * double(s), 14, 5, colour);
    svg += text(kWidth + 44, 18 * double(s) + 7, kStart, name);
    right = std::max(right, kWidth + 44 + text_width(name));
  }
  return svg_file(chart.title, chart.y_label, -60, 0, right, kHeight + 42, svg);
}

std::string confusion_matrix(const std::string& title, const std::vector<std::string>& class_names,
                             std::span<const int64_t> counts) {
  const size_t n = class_names.size();
  ENSURE(n > 0 && counts.size() == n * n, "confusion_matrix: {} counts for {} classes",
         counts.size(), n);
  const double size = 15 + text_width(fmt::to_string(std::ranges::max(counts)));  // of a cell
  const double widest = text_width(std::ranges::max(class_names, {}, &std::string::size));
  // Names that are too wide for a column stand above it at 45 degrees.
  const int turn = widest > size - 4 ? -45 : 0;
  std::string svg;
  int64_t right = 0, all = 0;
  for (size_t truth = 0; truth < n; ++truth) {
    const double y = size * double(truth), middle = y + size / 2;
    svg += text(-8, middle + 4, kEnd, class_names[truth]);
    svg += text(middle, -6, turn ? kStart : kMiddle, class_names[truth], kInk,
                fmt::format("transform='rotate({} {:.1f} -6)'", turn, middle));
    const auto row = counts.subspan(truth * n, n);
    const int64_t in_row = std::accumulate(row.begin(), row.end(), int64_t{0});
    right += row[truth], all += in_row;
    for (size_t guess = 0; guess < n; ++guess) {
      const double x = size * double(guess), count = double(row[guess]);
      // The root keeps the few wrong ones visible beside the many right ones.
      const double share = count > 0 ? std::sqrt(count / double(in_row)) : 0;
      svg += rectangle(x, y, size - 1, size - 1, sequential_colour(0.9 * share));
      svg += text(x + size / 2, middle + 4, kMiddle, count > 0 ? fmt::to_string(row[guess]) : "",
                  share > 0.6 ? kWhite : kInk);
    }
  }
  const double edge = size * double(n), above = turn ? 0.71 * widest : 0;
  return svg_file(title,
                  fmt::format("rows: true class, columns: predicted; {} of {} right", right, all),
                  -8 - widest, -12 - above, edge + above, edge, svg);
}

}  // namespace kindling
