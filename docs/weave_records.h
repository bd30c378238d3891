// Record files (.tsv): a line of column names, then one line per run, all separated by tabs; lines
// that begin with # are comments. Their statistics, for numbers in the pages. See docs/weave.cpp.
#pragma once

#include <cmath>
#include <numeric>

#include "train/report.h"
#include "weave_text.h"

namespace weave {

struct Records {
  std::string file;
  Lines columns;
  std::vector<Lines> rows;

  size_t column(const std::string& name) const {
    const auto found = std::find(columns.begin(), columns.end(), name);
    if (found == columns.end()) {
      fail("{}: has no column \"{}\", only: {}", file, name, fmt::join(columns, ", "));
    }
    return static_cast<size_t>(found - columns.begin());
  }
};

inline Lines split_tabs(const std::string& line) {
  Lines cells;
  for (size_t begin = 0; begin <= line.size();) {
    const size_t end = std::min(line.find('\t', begin), line.size());
    cells.push_back(line.substr(begin, end - begin));
    begin = end + 1;
  }
  return cells;
}

// Whether a row passes a filter: "column=value", "column~text" (has the text in it), or either
// with a ! before the sign, where it must not.
inline bool passes(const Records& records, const Lines& cells, const std::string& filter) {
  const size_t sign = filter.find_first_of("=~");
  const bool negated = sign > 0 && filter[sign - 1] == '!';
  const std::string& cell = cells[records.column(filter.substr(0, sign - negated))];
  const std::string value = filter.substr(sign + 1);
  const bool found = filter[sign] == '=' ? cell == value : cell.find(value) != std::string::npos;
  return found != negated;
}

// The rows of a file that pass all filters.
inline Records read_records(const std::string& file, const Lines& filters) {
  Records records{file, {}, {}};
  const Lines lines = read_lines(file);
  for (size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].empty() || lines[i][0] == '#') continue;
    Lines cells = split_tabs(lines[i]);
    if (records.columns.empty()) {
      records.columns = cells;
      continue;
    }
    if (cells.size() != records.columns.size()) {
      fail("{}:{}: has {} cells for {} columns", file, i + 1, cells.size(), records.columns.size());
    }
    const auto wanted = [&](const std::string& filter) { return passes(records, cells, filter); };
    if (std::all_of(filters.begin(), filters.end(), wanted)) records.rows.push_back(cells);
  }
  if (records.rows.empty()) fail("{}: no row is left by {}", file, fmt::join(filters, " "));
  return records;
}

inline std::vector<double> numbers(const Records& records, const std::string& column) {
  const size_t c = records.column(column);
  std::vector<double> values;
  for (const Lines& row : records.rows) {
    char* end = nullptr;
    values.push_back(std::strtod(row[c].c_str(), &end));
    if (end == row[c].c_str() || *end != '\0') {
      fail("{}: column \"{}\" holds \"{}\", which is no number", records.file, column, row[c]);
    }
  }
  return values;
}

// ".1" is one decimal; ".2e" and ".3g" as in printf.
inline std::string format_number(double value, const std::string& format) {
  const bool plain = format.size() >= 2 && std::isdigit(static_cast<unsigned char>(format.back()));
  const std::string spec = plain ? format + "f" : format;
  if (spec.size() != 3 || spec[0] != '.' || !std::isdigit(static_cast<unsigned char>(spec[1])) ||
      std::string_view("efg").find(spec[2]) == std::string_view::npos) {
    fail("\"{}\" is not a number format such as .1 or .2e", format);
  }
  return fmt::format(fmt::runtime("{:" + spec + "}"), value);
}

inline double mean(const std::vector<double>& v) {
  return std::accumulate(v.begin(), v.end(), 0.0) / static_cast<double>(v.size());
}

inline double deviation(const std::vector<double>& v) {  // of a sample: divides by n - 1
  double sum = 0;
  for (double x : v) sum += (x - mean(v)) * (x - mean(v));
  return std::sqrt(sum / static_cast<double>(v.size() - 1));
}

// One number of a column. "band" is the 99 % prediction interval for one more run, and "band:0.3"
// is the same, at least 0.3 to each side.
inline std::string statistic(const Records& records, const std::string& column,
                             const std::string& name, const std::string& format) {
  if (name == "n") return fmt::format("{}", records.rows.size());
  const size_t c = records.column(column);
  if (format.empty() && name == "first") return records.rows.front()[c];
  if (format.empty() && name == "last") return records.rows.back()[c];
  std::vector<double> v = numbers(records, column);
  const auto n = static_cast<double>(v.size());
  if ((name == "sd" || name.rfind("band", 0) == 0) && v.size() < 2) {
    fail("{}: {} of \"{}\" needs at least 2 rows", records.file, name, column);
  }
  double value = 0;
  if (name == "mean")
    value = mean(v);
  else if (name == "geomean") {
    double logs = 0;
    for (const double x : v) logs += std::log(x);
    value = std::exp(logs / n);
  } else if (name == "sum")
    value = n * mean(v);
  else if (name == "sd")
    value = deviation(v);
  else if (name == "first")
    value = v.front();
  else if (name == "last")
    value = v.back();
  else if (name == "min")
    value = *std::min_element(v.begin(), v.end());
  else if (name == "max")
    value = *std::max_element(v.begin(), v.end());
  else if (name == "median") {
    std::sort(v.begin(), v.end());
    value = (v[v.size() / 2] + v[(v.size() - 1) / 2]) / 2;
  } else if (name == "band" || name.rfind("band:", 0) == 0) {
    const double least = name.size() > 5 ? std::strtod(name.c_str() + 5, nullptr) : 0;
    const kindling::Band band = kindling::band_of(v, least);  // the one that the lesson prints
    return format_number(band.low, format) + "–" + format_number(band.high, format);
  } else {
    fail("unknown statistic \"{}\": mean geomean sd min max median n sum first last band", name);
  }
  return format_number(value, format);
}

}  // namespace weave
