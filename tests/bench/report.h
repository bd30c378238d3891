// The lines of the bench: how one is written, what a part sums up to, and how lines get into the
// file of results. Page: docs/contributing.md
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace kindling::bench {

inline constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
inline const std::string kHeader =
    "kind\tname\tthreads\tisa\tours_ms\trate\tunit\tlimit_pct\tbest_peer\tpeer_ms\tratio\n";

// What was measured of one thing. Missing numbers are NaN, and written "-".
struct Line {
  std::string kind, name;
  int threads;
  std::string isa;
  double ours_ms = kNone, rate = kNone;  // in lines of memory these milliseconds are MiB
  std::string unit = "-";
  double limit_pct = kNone;  // of what this machine can do at best
  std::string best_peer = "-";
  double peer_ms = kNone;

  double ratio() const { return peer_ms / ours_ms; }  // above 1: ours is faster
  std::string key() const { return fmt::format("{}\t{}\t{}\t{}\t", kind, name, threads, isa); }
  std::string text() const {
    const auto number = [](const char* format, double x) {
      return std::isnan(x) ? "-" : fmt::format(fmt::runtime(format), x);
    };
    return key() + number("{:.5g}", ours_ms) + "\t" + number("{:.4g}", rate) + "\t" + unit + "\t" +
           number("{:.1f}", limit_pct) + "\t" + best_peer + "\t" + number("{:.5g}", peer_ms) +
           "\t" + number("{:.3f}", ratio()) + "\n";
  }
};

// The geometric mean and the smallest of the ratios, in a comment; empty without peers. A product
// at 95 % of the machine's peak is as good as any: it counts as 1 where a peer is faster.
inline std::string summary(const std::vector<Line>& lines) {
  int rows = 0;
  double logs = 0, smallest = std::numeric_limits<double>::infinity();
  std::string slowest;
  for (const Line& line : lines) {
    double ratio = line.ratio();
    if (std::isnan(ratio)) continue;
    if (line.kind == "gemm" && line.limit_pct >= 95) ratio = std::max(ratio, 1.0);
    ++rows, logs += std::log(ratio);
    if (ratio < smallest) smallest = ratio, slowest = line.name;
  }
  if (rows == 0) return "";
  return fmt::format(
      "# {}, {} threads, {}: {} lines with peers, geometric mean of ratios {:.3f}, smallest {:.3f} "
      "({})\n",
      lines[0].kind, lines[0].threads, lines[0].isa, rows, std::exp(logs / rows), smallest,
      slowest);
}

// The text of a file of results in which `lines` replace those of the same kind, name, threads and
// instruction set, or follow at the end.
inline std::string merged(const std::string& file, const std::vector<Line>& lines) {
  std::string text = file.empty() ? kHeader : file;
  for (const Line& line : lines) {
    const size_t found = text.find("\n" + line.key());
    if (found == std::string::npos) {
      text += line.text();
    } else {
      text.replace(found + 1, text.find('\n', found + 1) - found, line.text());
    }
  }
  return text;
}

// A name for the processor of /proc/cpuinfo, fit for a file: amd-zen5, intel-core-i7-8550u.
inline std::string processor(const std::string& cpuinfo) {
  const auto value = [&](const char* key) {
    const size_t begin = cpuinfo.find(":", std::min(cpuinfo.find(key), cpuinfo.size()));
    return begin == std::string::npos
               ? std::string()
               : cpuinfo.substr(begin + 1, cpuinfo.find('\n', begin) - begin - 1);
  };
  if (value("vendor_id") == " AuthenticAMD" && value("cpu family") == " 26") return "amd-zen5";
  std::string name, model = value("model name").substr(0, value("model name").find('@'));
  for (const char* mark : {"(R)", "(TM)", "CPU"}) {
    for (size_t at; (at = model.find(mark)) != std::string::npos;) {
      model.erase(at, std::string(mark).size());
    }
  }
  for (const char c : model) {
    if (std::isalnum(static_cast<unsigned char>(c))) {
      name += char(std::tolower(c));
    } else if (!name.empty() && name.back() != '-') {
      name += '-';
    }
  }
  if (!name.empty() && name.back() == '-') name.pop_back();
  return name.empty() ? "unknown" : name;
}

}  // namespace kindling::bench
