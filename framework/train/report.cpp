// Run folders, records and verdicts. Page: docs/contributing.md
#include "train/report.h"

#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/parallel.h"
#include "io/file.h"
#include "kernels/dispatch.h"

namespace kindling {
namespace {

namespace fs = std::filesystem;

std::string cpu_model() {
  const std::string text = read_file("/proc/cpuinfo");
  const size_t key = text.find("model name"), begin = text.find(": ", key) + 2;
  return key == text.npos ? "unknown" : text.substr(begin, text.find('\n', begin) - begin);
}

// A new folder below out/<lesson>: mkdir fails where one exists, so two runs never share one.
std::string new_run_folder(const std::string& out, const std::string& lesson) {
  const std::string parent = fs::path(out) / lesson;
  std::error_code error;
  fs::create_directories(parent, error);
  for (int number = 1; !error; ++number) {
    const std::string folder = fmt::format("{}/run-{:03}", parent, number);
    if (fs::create_directory(folder, error)) return folder;
  }
  throw Error(fmt::format("report: cannot make a run folder in {}: {}. Choose another with --out",
                          parent, error.message()));
}

// Adds a row to a table, whose first line, comments aside, names its columns. Locked, because of
// two runs that end together one writes that line; closing unlocks.
void append_row(const std::string& file, const std::string& columns, const std::string& row) {
  const std::unique_ptr<FILE, int (*)(FILE*)> out(std::fopen(file.c_str(), "a"), std::fclose);
  ENSURE(out && flock(fileno(out.get()), LOCK_EX) == 0, "{}: cannot be written: {}", file,
         std::strerror(errno));
  std::ifstream in(file);
  std::string present;
  while (std::getline(in, present) && present.starts_with('#')) continue;
  ENSURE(present.empty() || present == columns,
         "{} has the columns '{}', this run '{}'. Write to a new file", file, present, columns);
  fmt::print(out.get(), "{}{}\n", present.empty() ? columns + '\n' : "", row);
  ENSURE(std::fflush(out.get()) == 0, "{}: cannot be written: {}", file, std::strerror(errno));
}

}  // namespace

std::vector<double> recorded(const std::string& records, const std::string& experiment,
                             const std::string& column) {
  std::vector<std::string> columns;
  std::vector<double> values;
  std::istringstream lines(records);
  for (std::string line, cell; std::getline(lines, line);) {
    if (line.starts_with("# file")) columns.clear();
    if (line.empty() || line[0] == '#') continue;
    std::istringstream cells(line);
    std::map<std::string, std::string> row;
    for (const std::string& name : columns) std::getline(cells, row[name], '\t');
    const bool header = columns.empty();
    while (header && std::getline(cells, cell, '\t')) columns.push_back(cell);
    if (header || row["experiment"] != experiment) continue;
    const std::string text = row[column];
    char* end = nullptr;
    values.push_back(std::strtod(text.c_str(), &end));
    ENSURE(!text.empty() && *end == 0 && std::isfinite(values.back()),
           "records: {} '{}' of a run of {} is not a number", column, text, experiment);
  }
  return values;
}

Report::Report(const Cli& cli, std::string records)
    : cli_(cli), records_(std::move(records)), folder_(cli.shared.resume) {
  const std::string record = cli.shared.record;
  // No value needs a backslash: they are numbers, and names from a lesson's source.
  const std::string config = fmt::format(
      "{{\n  \"lesson\": \"{}\",\n  \"isa\": \"{}\",\n  \"options\": [\n    \"{}\"\n  ],\n",
      cli.lesson, kernels().name, joined(cli.settings(), "\",\n    \""));
  if (folder_.empty()) {
    // Found out now, not after the training.
    ENSURE(record.empty() || std::ofstream(record, std::ios::app),
           "{}: cannot be written: {}. Choose another with --record", record, std::strerror(errno));
    ENSURE(record.empty() || fs::is_regular_file(record),
           "{}: is no file to keep records in. Choose another with --record", record);
    folder_ = new_run_folder(cli.shared.out, cli.lesson);
    write_file(path("config.json"), fmt::format("{}  \"threads\": {},\n  \"cpu\": \"{}\"\n}}\n",
                                                config, threads(), cpu_model()));
  } else if (!record.empty()) {
    throw UsageError("--record needs a run from its start: leave out --resume");
  } else if (!fs::exists(path("checkpoint.safetensors")) || !fs::exists(path("config.json"))) {
    throw UsageError(fmt::format(
        "--resume {}: there is no checkpoint to go on from. Give the folder of a run that trained",
        folder_));
  } else if (const std::string had = read_file(path("config.json")); !had.starts_with(config)) {
    const auto at = size_t(std::ranges::mismatch(had, config).in2 - config.begin());
    const auto line = [at](const std::string& text) {
      const size_t begin = text.find_first_not_of(' ', text.rfind('\n', at) + 1);
      return text.substr(std::min(begin, text.size()), text.find_first_of(",\n", at) - begin);
    };
    throw UsageError(fmt::format("--resume {}: that run has {}, this one {}. See {}", folder_,
                                 line(had), line(config), path("config.json")));
  }
  fmt::print("run folder: {}\n", folder_);
  std::fflush(stdout);  // a run that is killed has said where it was
}

void Report::metrics(const Numbers& values) {
  std::string columns, row;
  for (const auto& [name, value] : values) columns += ',' + name, row += fmt::format(",{}", value);
  append_row(path("metrics.csv"), columns.substr(1), row.substr(1));
}

std::string Report::coloured(bool good, const std::string& text) const {
  const bool colour = isatty(STDOUT_FILENO) && !cli_.shared.no_color && !std::getenv("NO_COLOR");
  return colour ? fmt::format("\033[1;{}m{}\033[0m", good ? 32 : 31, text) : text;
}

void Report::claim(const std::string& what, bool holds) {
  if (interrupted()) throw Interrupted("interrupted");
  ++claims_, right_claims_ += holds;
  if (!holds) word_ = "FAIL";
  fmt::print("   {}  {}\n", coloured(holds, holds ? "ok   " : "WRONG"), what);
}

void Report::result(const std::string& name, double value, const std::string& unit,
                    const std::string& experiment, double smallest) {
  ENSURE(result_.empty(), "report: {} is a second result; a run has one, others are notes", name);
  numbers_.insert(numbers_.begin(), {name, value});
  const std::vector<double> runs = recorded(records_, experiment, name);
  const bool known = runs.size() >= 3;
  const Band band = known ? band_of(runs, smallest) : Band{0, 0.1};
  // Enough digits to tell values inside the band apart. Judged as shown, so that the line never
  // contradicts itself.
  const double width = std::max(band.high - band.low, 1e-5);
  const int decimals = std::max(0, int(std::ceil(1 - std::log10(width))));
  const auto shown = [&](double x) { return fmt::format("{:.{}f}", x, decimals); };
  const double rounded = std::stod(shown(value));
  const bool above = rounded > std::stod(shown(band.high));
  const bool inside = known && rounded >= std::stod(shown(band.low));  // false for NaN
  if (!inside) word_ = known ? "FAIL" : "NOT JUDGED";
  result_ = fmt::format("{} {}{}{}", name, shown(value), unit.size() > 1 ? " " : "", unit);
  expected_ = known ? fmt::format("{}–{}", shown(band.low), shown(band.high)) : "not recorded";
  text_ = known ? fmt::format("{} ({}expected {})", result_, above ? "above the " : "", expected_)
                : result_ + " (no recorded runs to judge it by)";
}

Exit Report::verdict(const std::string& next) {
  if (interrupted()) throw Interrupted("interrupted");
  ENSURE(claims_ > 0 || !result_.empty(), "verdict: this run claims nothing");
  const double seconds = clock_seconds() - start_;
  const std::string record = cli_.shared.record, changed = cli_.changed();
  const std::string claims = fmt::format("{} of {} claims", right_claims_, claims_);
  if (claims_ > 0) text_ += (text_.empty() ? "" : ", ") + claims + " hold";
  if (!changed.empty()) text_ += ", changed: " + changed;
  if (result_.empty()) result_ = claims, expected_ = "all claims";
  append_row(path("verdict.tsv"), "lesson\tresult\texpected\tseconds\tverdict\tfolder",
             fmt::format("{}\t{}\t{}\t{:.1f}\t{}\t{}", cli_.lesson, result_, expected_, seconds,
                         word_, folder_));
  const bool pass = word_ == "PASS";
  fmt::print("\n{} {}.{}\n", coloured(pass, word_), text_, pass ? " Next: " + next : "");
  if (!record.empty()) {
    std::string columns = "experiment\tseed\tisa\tthreads\tcpu\tseconds\toptions";
    std::string row = fmt::format("{}\t{}\t{}\t{}\t{}\t{:.1f}\t{}",
                                  fs::path(record).stem().string(), cli_.shared.seed,
                                  kernels().name, threads(), cpu_model(), seconds, cli_.chosen());
    for (const auto& [name, value] : numbers_) {
      columns += '\t' + name, row += fmt::format("\t{:.8g}", value);
    }
    append_row(record, columns, row);
  }
  return pass ? Exit::pass : Exit::outside;
}

}  // namespace kindling
