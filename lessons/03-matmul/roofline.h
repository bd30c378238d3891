// How many bytes a rung moves, and the picture that sets its speed beside what the machine allows.
// Page: docs/03-matmul.md
#pragma once

#include <numeric>

#include "01-graph/chart.h"
#include "03-matmul/measure.h"

namespace lesson03 {

// A column of B touches one line in each of K rows, ldb numbers apart. Whether the cache keeps them
// all until the next column, which has its numbers in the same lines: each address has one set of
// `ways` places that it may take, and a stride of many lines reaches few of the sets.
inline bool keeps_column(int64_t K, int64_t ldb, const Cache& cache) {
  const int64_t sets = cache.bytes / cache.line / cache.ways, stride = ldb * 4;
  const int64_t shared = stride % cache.line ? 1 : std::gcd(stride / cache.line, sets);
  return K <= sets / shared * cache.ways;
}

// Bytes that pass between the second cache and what lies behind it, if each loop of the rung finds
// there what it has just used and fits, and nothing else.
inline double bytes_moved(const Rung& rung, const Product& p, Blocks blocks, const Cache& cache) {
  const double A = 4 * double(p.M * p.K), B = 4 * double(p.K * p.N), C = 4 * double(p.M * p.N);
  const auto times = [&](double matrix, int64_t passes) {  // once, if the cache holds on to it
    return matrix * (matrix <= double(cache.bytes) / 2 ? 1 : double(passes));
  };
  const auto parts = [](int64_t n, int64_t block) { return (n + block - 1) / block; };
  switch (rung.kind) {
    case Rung::naive: {  // B for each row of C; whole lines for one number each, if they are lost
      const double lines = keeps_column(p.K, p.ldb, cache) ? 1 : double(cache.line) / 4;
      return A + (lines > 1 ? B * lines * double(p.M) : times(B, p.M)) + 2 * C;
    }
    case Rung::loop_order: return A + times(B, p.M) + 2 * C;
    case Rung::engine: blocks = {512, 256}; break;  // kDepth, and four panels of four vectors
    default: break;
  }
  // A for each block of columns, B once; C is read and written for each block of k.
  return times(A, parts(p.N, blocks.width)) + B + 2 * times(C, parts(p.K, blocks.depth));
}

struct Dot {
  std::string name;
  double flops_per_byte, gflops;
};

// Both axes in powers of ten. Below the roof: what the bytes allow, on the slope, and what the
// registers allow, on the flat.
inline std::string roofline(const std::string& title, const Machine& m,
                            const std::vector<Dot>& dots) {
  using namespace lesson01;
  constexpr double kWidth = 620, kHeight = 380;
  Axis x{true, 0, kWidth}, y{true, kHeight, 0};
  for (const Dot& dot : dots) x.cover({dot.flops_per_byte}), y.cover({dot.gflops});
  x.cover({0.02, 1000}), y.cover({0.1, m.peak});
  x.choose_ticks(6), y.choose_ticks(5);
  Drawing d;
  for (double tick : x.ticks) {
    d.rectangle(x.place(tick) - 0.5, 0, 1, kHeight, kPale);
    d.text(x.place(tick), kHeight + 19, d.middle, fmt::format("{:g}", tick), kGrey);
  }
  for (double tick : y.ticks) {
    d.rectangle(0, y.place(tick) - 0.5, kWidth, 1, kPale);
    d.text(-8, y.place(tick) + 4, d.end, fmt::format("{:g}", tick), kGrey);
  }
  d.text(kWidth / 2, kHeight + 38, d.middle,
         "operations for each byte that passes the second cache", kGrey);
  const auto line = [&](double x1, double y1, double x2, double y2, Rgb colour, const char* more) {
    d.elements += fmt::format(
        "<line x1='{:.1f}' y1='{:.1f}' x2='{:.1f}' y2='{:.1f}' stroke='{}' stroke-width='2' {}/>\n",
        x.place(x1), y.place(y1), x.place(x2), y.place(y2), hex(colour), more);
  };
  const double left = std::pow(10, x.low), right = std::pow(10, x.high);
  // Names are written over lines, on white of their own.
  const std::string on_white = "stroke='white' stroke-width='4' paint-order='stroke' ";
  const auto roof = [&](double bandwidth, double flops, Rgb colour, double above,
                        const std::string& name) {
    const double ridge = flops / bandwidth, start = std::max(left, std::pow(10, y.low) / bandwidth);
    line(start, start * bandwidth, ridge, flops, colour, "");
    const double middle = std::pow(start, 0.25) * std::pow(ridge, 0.75);  // where no rung is
    const double slope =
        -180 / 3.14159265 *
        std::atan2(y.place(start * bandwidth) - y.place(flops), x.place(ridge) - x.place(start));
    const double px = x.place(middle), py = y.place(middle * bandwidth) - above;
    d.text(px, py, d.middle, name, colour,
           on_white + fmt::format("transform='rotate({:.1f} {:.1f} {:.1f})'", slope, px, py));
  };
  const double fastest = std::max(m.next_cache, m.memory);
  line(m.peak / fastest, m.peak, right, m.peak, kInk, "");
  line(m.one_lane / fastest, m.one_lane, right, m.one_lane, kGrey, "stroke-dasharray='5 4'");
  roof(m.next_cache, m.peak, kCategories[0], 7,
       fmt::format("next cache {:.0f} GB/s", m.next_cache));
  roof(m.memory, m.peak, kCategories[1], -17, fmt::format("memory {:.0f} GB/s", m.memory));
  d.text(kWidth, y.place(m.peak) - 7, d.end,
         fmt::format("multiply-adds in registers {:.0f} GFLOP/s", m.peak));
  d.text(kWidth, y.place(m.one_lane) - 7, d.end,
         fmt::format("one number at a time {:.0f}", m.one_lane), kGrey);
  struct Box {
    double left, right, middle;  // as high as a line of text
    bool touches(const Box& b) const {
      return left < b.right && b.left < right && std::abs(middle - b.middle) < 15;
    }
  };
  std::vector<Box> taken = {{kWidth - 150, kWidth, y.place(m.one_lane) - 11},
                            {kWidth - 250, kWidth, y.place(m.peak) - 11}};
  for (const Dot& dot : dots) {
    const double px = x.place(dot.flops_per_byte), py = y.place(dot.gflops);
    taken.push_back({px - 5, px + 5, py});
    d.elements += fmt::format("<circle cx='{:.1f}' cy='{:.1f}' r='4.5' fill='{}'/>\n", px, py,
                              hex(kCategories[2]));
  }
  // A name stands right of its dot, or where it would lie on something else left, below or above,
  // or beside it some lines lower.
  for (const Dot& dot : dots) {
    const double px = x.place(dot.flops_per_byte), py = y.place(dot.gflops);
    const double wide = 7 * double(dot.name.size());
    std::vector<Box> places = {{px + 9, px + 9 + wide, py},
                               {px - 9 - wide, px - 9, py},
                               {px - wide / 2, px + wide / 2, py + 16},
                               {px - wide / 2, px + wide / 2, py - 16}};
    for (int lower = 16; lower <= 48; lower += 16) {
      places.push_back({px + 9, px + 9 + wide, py + lower});
      places.push_back({px - 9 - wide, px - 9, py + lower});
    }
    const auto best = std::ranges::find_if(places, [&](const Box& place) {
      return std::ranges::none_of(taken, [&](const Box& box) { return box.touches(place); });
    });
    const Box place = best == places.end() ? places[0] : *best;
    taken.push_back(place);
    d.text((place.left + place.right) / 2, place.middle + 4, d.middle, dot.name, kInk, on_white);
  }
  return d.file(title, "GFLOP/s");
}

}  // namespace lesson03
