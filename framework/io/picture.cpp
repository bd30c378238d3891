// Pictures: pixels as PNG, charts as SVG. Page: docs/02-perceptron.md
#include "io/picture.h"

#include <fmt/format.h>
#include <stb/stb_image_write.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "base/check.h"

namespace kindling {

Rgb mix(Rgb a, Rgb b, double share) {
  if (std::isnan(share)) return kNotANumber;
  const auto blend = [t = std::clamp(share, 0.0, 1.0)](uint8_t from, uint8_t to) {
    return uint8_t(std::lround((1 - t) * from + t * to));
  };
  return {blend(a.r, b.r), blend(a.g, b.g), blend(a.b, b.b)};
}

Rgb grey_colour(double t) { return mix({}, kWhite, t); }

Rgb sequential_colour(double t) {
  return mix(mix({248, 248, 248}, {42, 161, 172}, 2 * t), {14, 48, 103}, 2 * t - 1);
}

Rgb diverging_colour(double t) {
  return mix(kWhite, t < 0 ? Rgb{0, 94, 199} : Rgb{179, 35, 34}, std::abs(t));
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
    const bool bad = std::any_of(v.begin(), v.end(), [](real one) { return std::isnan(one); });
    images[i / area].pixels[i % area] =
        bad ? kNotANumber : Rgb{of(v[0]).r, of(v[depth / 2]).g, of(v[depth - 1]).b};
  }
  return images;
}

std::vector<Image> weight_images(std::span<const real> weights, int height, int width) {
  double largest = 1e-30;  // so that nothing but zeros is white
  for (real w : weights) largest = std::max(largest, std::abs(double(w)));
  return to_images(weights, height, width, 1, 0, largest, diverging_colour);
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
    ENSURE(one.height == height && one.width == width,
           "grid: image {} is {} x {}, image 0 is {} x {}", i, one.height, one.width, height,
           width);
    const int top = i / columns * down + gap, left = i % columns * across + gap;
    for (int y = 0; y < height * scale; ++y) {
      for (int x = 0; x < width * scale; ++x) {
        out.at(top + y, left + x) = one.at(y / scale, x / scale);
      }
    }
  }
  return out;
}

// --- The plane of a two-class problem.

int Plane::height() const {
  ENSURE(x_low < x_high && y_low < y_high && width > 0,
         "plane: [{}, {}] x [{}, {}] at {} pixels is empty", x_low, x_high, y_low, y_high, width);
  return std::max(1, int(std::lround((y_high - y_low) * unit())));
}

std::vector<real> pixel_centres(const Plane& plane) {
  std::vector<real> centres;
  const int n = plane.height() * plane.width;
  for (int i = 0; i < n; ++i) {  // row by row; the first has the largest y
    centres.push_back(real(plane.x_low + (i % plane.width + 0.5) / plane.unit()));
    centres.push_back(real(plane.y_high - (i / plane.width + 0.5) / plane.unit()));
  }
  return centres;
}

Image decision_picture(const Plane& plane, std::span<const real> scores,
                       const std::vector<Dot>& dots) {
  const int height = plane.height(), width = plane.width;
  Image image(height, width);
  ENSURE(scores.size() == image.pixels.size(), "decision_picture: {} scores for {} x {} pixels",
         scores.size(), height, width);
  const auto score = [&](int y, int x) {
    y = std::clamp(y, 0, height - 1), x = std::clamp(x, 0, width - 1);
    return double(scores[size_t(y) * size_t(width) + size_t(x)]);
  };

  // Ink that covers a pixel only in part is mixed in by that part: no jagged edges.
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const double s = score(y, x), size = std::min(std::abs(s), 1.0);
      // Twelve steps read as contours and make a small file.
      Rgb colour = mix(kWhite, kCategories[s > 0], 0.12 + 0.33 * std::round(12 * size) / 12);
      const double axis = std::min(std::abs(x - plane.column(0)), std::abs(y - plane.row(0)));
      colour = mix(colour, kInk, 0.3 * (1 - axis));
      // |s| / |gradient of s| is the distance to the boundary s = 0, in pixels.
      const double across = score(y, x + 1) - score(y, x - 1);
      const double slope = std::hypot(across, score(y + 1, x) - score(y - 1, x)) / 2;
      image.at(y, x) = mix(colour, kInk, slope > 0 ? 1.4 - std::abs(s) / slope : 0);
    }
  }

  const double radius = std::max(2.5, width / 70.0);
  const int reach = int(radius + 3);
  for (const Dot& dot : dots) {
    ENSURE(dot.label == 0 || dot.label == 1, "decision_picture: label {} is not 0 or 1", dot.label);
    const double x = plane.column(dot.x), y = plane.row(dot.y);
    if (!(x > -1 && x < width && y > -1 && y < height)) continue;  // not on this piece of the plane
    const bool right = (score(int(std::lround(y)), int(std::lround(x))) > 0) == (dot.label == 1);
    const int top = std::max(0, int(y) - reach), left = std::max(0, int(x) - reach);
    for (int row = top; row < std::min(height, int(y) + reach); ++row) {
      for (int column = left; column < std::min(width, int(x) + reach); ++column) {
        const double distance = std::hypot(column - x, row - y);
        Rgb& pixel = image.at(row, column);
        pixel = mix(pixel, right ? kWhite : kInk, radius + 2 - distance);
        pixel = mix(pixel, kCategories[dot.label], radius + 0.5 - distance);
      }
    }
  }
  return image;
}

// --- Charts.

namespace {

std::string hex(Rgb c) { return fmt::format("#{:02x}{:02x}{:02x}", c.r, c.g, c.b); }

// The width of the longest line. An SVG file cannot know how wide the reader's font is: 0.58 of
// the size per letter is a wide one.
double text_width(const std::string& text) {
  const auto letter = [](char c) { return (c & 0xC0) != 0x80; };  // not a later byte of UTF-8
  std::istringstream lines(text);
  double width = 0;
  for (std::string line; std::getline(lines, line);) {
    width = std::max(width, 0.58 * 12 * double(std::count_if(line.begin(), line.end(), letter)));
  }
  return width;
}

constexpr int kStart = 0, kMiddle = 1, kEnd = 2;  // what of a text stands at its x
constexpr const char* kGrey = "fill='#6e6e6e'";

// A picture that grows with what is painted on it, later shapes over earlier ones. Its origin is
// wherever the drawing function likes it, so what stands to the left of it has a negative x.
struct Svg {
  std::string body;
  double left = 0, top = 0, right = 0, bottom = 0;

  void cover(double x, double y, double width, double height) {
    left = std::min(left, x), right = std::max(right, x + width);
    top = std::min(top, y), bottom = std::max(bottom, y + height);
  }
  void rectangle(double x, double y, double width, double height, Rgb fill) {
    cover(x, y, width, height);
    body += fmt::format("<rect x='{:.1f}' y='{:.1f}' width='{:.1f}' height='{:.1f}' fill='{}'/>\n",
                        x, y, width, height, hex(fill));
  }
  // The start, middle or end of each line stands at x; y is the baseline of the first.
  void text(double x, double y, int anchor, const std::string& text, std::string_view style = "") {
    constexpr const char* kNames[] = {"start", "middle", "end"};
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line); y += 16) {
      const double width = text_width(line);
      cover(x - width * anchor / 2, y - 11, width, 15);
      body += fmt::format("<text x='{:.1f}' y='{:.1f}' ", x, y);
      body += fmt::format("text-anchor='{}' {}>", kNames[anchor], style);
      for (char c : line) body += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
      body += "</text>\n";
    }
  }
  // The file: all this under a bold title and a grey note.
  std::string finish(const std::string& title, const std::string& note) {
    text(left, top - 12, kStart, note, kGrey);
    text(left, top - 11, kStart, title, "font-size='15' font-weight='bold'");
    cover(left, top, 1.35 * text_width(title), 0);
    cover(left - 14, top - 14, right - left + 28, bottom - top + 28);  // a margin
    return fmt::format(
        "<svg xmlns='http://www.w3.org/2000/svg' width='{2:.0f}' height='{3:.0f}' fill='{4}' "
        "viewBox='{0:.0f} {1:.0f} {2:.0f} {3:.0f}' font-family='Helvetica, Arial, sans-serif' "
        "font-size='12' stroke-linejoin='round'>\n<rect x='{0:.0f}' y='{1:.0f}' width='{2:.0f}' "
        "height='{3:.0f}' fill='#ffffff'/>\n{5}</svg>\n",
        left, top, right - left, bottom - top, hex(kInk), body);
  }
};

// The values of one direction, placed from 0 to 1.
struct Axis {
  bool log;  // then low and high are exponents of ten
  double low = INFINITY, high = -INFINITY;
  std::vector<double> ticks = {};  // about `count` round numbers; none if no value can be shown

  Axis(Scale scale, const std::vector<Series>& all, std::vector<double> Series::*values, int count)
      : log(scale == Scale::log) {
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
    const double first = std::floor(low / step + 1e-9), last = std::ceil(high / step - 1e-9);
    for (double i = first; i <= last; ++i) {
      const std::string one_digit = fmt::format("{:.0e}", std::pow(10, i * step));
      ticks.push_back(log ? std::strtod(one_digit.c_str(), nullptr) : i * step);
    }
    low = std::min(low, on(ticks.front())), high = std::max(high, on(ticks.back()));
  }
  double on(double v) const { return log ? std::log10(v) : v; }
  double place(double v) const { return (on(v) - low) / (high - low); }
};

std::string base64(const std::string& bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t bit = 0; bit < 8 * bytes.size(); bit += 6) {  // bytes[bytes.size()] is 0
    const int pair = uint8_t(bytes[bit / 8]) << 8 | uint8_t(bytes[bit / 8 + 1]);
    out += kDigits[pair >> (10 - bit % 8) & 63];
  }
  return out.append((4 - out.size() % 4) % 4, '=');
}

}  // namespace

std::string line_chart(const Chart& chart, const std::vector<Series>& series) {
  constexpr double kWidth = 520, kHeight = 280;  // between the axes
  const Axis x(chart.x_scale, series, &Series::x, 6), y(chart.y_scale, series, &Series::y, 5);
  Svg svg;
  for (double tick : y.ticks) {
    const double py = kHeight * (1 - y.place(tick));
    svg.rectangle(0, py - 0.5, kWidth, 1, {228, 228, 228});
    svg.text(-8, py + 4, kEnd, fmt::format("{:.6g}", tick), kGrey);
  }
  for (double tick : x.ticks) {
    const double px = kWidth * x.place(tick);
    svg.rectangle(px - 0.5, kHeight, 1, 5, {110, 110, 110});
    svg.text(px, kHeight + 19, kMiddle, fmt::format("{:.6g}", tick), kGrey);
  }
  svg.rectangle(0, kHeight - 0.5, kWidth, 1, {110, 110, 110});
  svg.text(kWidth / 2, kHeight + 38, kMiddle, chart.x_label, kGrey);
  const bool nothing = x.ticks.empty() || y.ticks.empty();
  if (nothing) svg.text(kWidth / 2, kHeight / 2, kMiddle, "no value can be shown", kGrey);

  for (size_t s = 0; s < series.size(); ++s) {
    const Series& one = series[s];
    ENSURE(one.x.size() == one.y.size(), "line_chart: series \"{}\" has {} x and {} y", one.name,
           one.x.size(), one.y.size());
    const Rgb colour = kCategories[s % std::size(kCategories)];
    std::string line, points;
    char pen = 'M';  // moves to the first point after a gap, draws a line to the next ones
    for (size_t i = 0; i < one.x.size(); ++i) {
      const double px = kWidth * x.place(one.x[i]), py = kHeight * (1 - y.place(one.y[i]));
      const bool shown = std::isfinite(px) && std::isfinite(py);
      if (shown) line += fmt::format("{}{:.1f} {:.1f}", pen, px, py);
      if (shown) points += fmt::format("<circle cx='{:.1f}' cy='{:.1f}' r='3.5'/>", px, py);
      pen = shown ? 'L' : 'M';
    }
    if (!one.joined) line.clear();
    if (one.joined && one.x.size() > 20) points.clear();
    svg.body += fmt::format(
        "<g fill='{0}'>{1}<path d='{2}' fill='none' stroke='{0}' stroke-width='2'/></g>\n",
        hex(colour), points, line);
    if (series.size() == 1) break;  // which needs no legend
    svg.rectangle(kWidth + 24, 18 * double(s), 14, 5, colour);
    svg.text(kWidth + 44, 18 * double(s) + 7, kStart, one.name);
  }
  return svg.finish(chart.title, chart.y_label);
}

std::string confusion_matrix(const std::string& title, const std::vector<std::string>& class_names,
                             std::span<const int64_t> counts) {
  const size_t n = class_names.size();
  ENSURE(n > 0 && counts.size() == n * n, "confusion_matrix: {} counts for {} classes",
         counts.size(), n);
  const double size = 15 + text_width(fmt::to_string(std::ranges::max(counts)));  // of a cell
  // Names that are too wide for a column stand above it at 45 degrees.
  const double widest = text_width(fmt::format("{}", fmt::join(class_names, "\n")));
  const bool slanted = widest > size - 4;
  Svg svg;
  if (slanted) svg.cover(0, -0.71 * widest - 10, 0, 0);
  int64_t right = 0, all = 0;
  for (size_t truth = 0; truth < n; ++truth) {
    const double y = size * double(truth), middle = y + size / 2;
    svg.text(-8, middle + 4, kEnd, class_names[truth]);
    svg.text(middle, -6, slanted ? kStart : kMiddle, class_names[truth],
             slanted ? fmt::format("transform='rotate(-45 {:.1f} -6)'", middle) : "");
    const auto row = counts.subspan(truth * n, n);
    const int64_t in_row = std::accumulate(row.begin(), row.end(), int64_t{0});
    right += row[truth], all += in_row;
    for (size_t guess = 0; guess < n; ++guess) {
      const double x = size * double(guess), count = double(row[guess]);
      // The root keeps the few wrong ones visible beside the many right ones.
      const double share = count > 0 ? std::sqrt(count / double(in_row)) : 0;
      svg.rectangle(x, y, size - 1, size - 1, sequential_colour(0.9 * share));
      svg.text(x + size / 2, middle + 4, kMiddle, count > 0 ? fmt::to_string(row[guess]) : "",
               share > 0.6 ? "fill='#ffffff'" : "");
    }
  }
  return svg.finish(
      title, fmt::format("rows: true class, columns: predicted; {} of {} right", right, all));
}

std::string image_table(const std::string& title, const std::vector<Image>& images,
                        const std::vector<std::string>& captions, int columns, int scale) {
  ENSURE(!images.empty() && images.size() == captions.size() && columns >= 1,
         "image_table: {} images, {} captions, {} columns", images.size(), captions.size(),
         columns);
  const double wide = images[0].width * scale, high = images[0].height * scale;
  const double width = std::max(wide, text_width(fmt::format("{}", fmt::join(captions, "\n"))));
  Svg svg;
  double y = 0;
  for (int i = 0; i < int(images.size()); ++i) {
    if (i > 0 && i % columns == 0) y = svg.bottom + 14;
    const double x = (width + 12) * (i % columns);
    const std::string png = encode_png(grid({images[size_t(i)]}, {.scale = scale, .padding = 0}));
    svg.body += fmt::format(
        "<image x='{:.1f}' y='{:.1f}' width='{}' height='{}' href='data:image/png;base64,{}'/>\n",
        x - wide / 2, y, wide, high, base64(png));
    svg.cover(x - width / 2, y, width, high);
    svg.text(x, y + high + 14, kMiddle, captions[size_t(i)]);
  }
  return svg.finish(title, "");
}

// --- Files.

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

void write_picture(const std::string& path, const std::string& bytes) {
  const std::string part = path + ".part";
  std::ofstream out(part, std::ios::binary);
  out.write(bytes.data(), std::streamsize(bytes.size()));
  out.close();
  if (out && std::rename(part.c_str(), path.c_str()) == 0) return;
  const int problem = errno;
  std::remove(part.c_str());
  throw Error(fmt::format("{}: cannot be written: {}", path, std::strerror(problem)));
}

}  // namespace kindling
