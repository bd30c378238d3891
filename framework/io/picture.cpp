// Pictures: pixels for PNG files, charts as SVG. Page: docs/02-perceptron.md
#include "io/picture.h"

#include <stb/stb_image_write.h>

#include "base/check.h"

namespace kindling {

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
  const int down = gap + height * scale, across = gap + width * scale;
  Image out((n + columns - 1) / columns * down + gap, columns * across + gap);
  for (int i = 0; i < n; ++i) {
    const Image& one = images[size_t(i)];
    ENSURE(one.height == height && one.width == width, "grid: image {} is {} x {}, image 0 {} x {}",
           i, one.height, one.width, height, width);
    const int top = i / columns * down, left = i % columns * across;
    for (int y = gap; y < down; ++y) {
      for (int x = gap; x < across; ++x) {
        out.at(top + y, left + x) = one.at((y - gap) / scale, (x - gap) / scale);
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

// ---- Drawings -----------------------------------------------------------------------------------

namespace {

constexpr Rgb kPale{228, 228, 228}, kGrey{110, 110, 110};

std::string hex(Rgb c) { return fmt::format("#{:02x}{:02x}{:02x}", c.r, c.g, c.b); }

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

}  // namespace

void Drawing::reach(double x, double y) {
  left = std::min(left, x), right = std::max(right, x);
  top = std::min(top, y), bottom = std::max(bottom, y);
}

void Drawing::rectangle(double x, double y, double width, double height, Rgb fill) {
  reach(x, y), reach(x + width, y + height);
  elements +=
      fmt::format("<rect x='{:.1f}' y='{:.1f}' width='{:.1f}' height='{:.1f}' fill='{}'/>\n", x, y,
                  width, height, hex(fill));
}

void Drawing::text(double x, double y, Anchor anchor, const std::string& words, Rgb fill,
                   const std::string& attributes) {
  constexpr const char* kNames[] = {"start", "middle", "end"};
  const double begin = x - text_width(words) * int(anchor) / 2;
  reach(begin, y), reach(begin + text_width(words), y);
  std::string escaped;
  for (char c : words) escaped += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
  elements += fmt::format("<text x='{:.1f}' y='{:.1f}' text-anchor='{}' {} fill='{}'>{}</text>\n",
                          x, y, kNames[anchor], attributes, hex(fill), escaped);
}

std::string Drawing::file(const std::string& title, const std::string& note) const {
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

std::string line_chart(const Chart& chart, const std::vector<Series>& series) {
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

}  // namespace kindling
