// Run folders, records and verdicts. Page: docs/contributing.md
#include "train/report.h"

#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "base/check.h"
#include "base/parallel.h"
#include "kernels/dispatch.h"

namespace kindling {
namespace {

namespace fs = std::filesystem;

std::string read_text(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_text(const std::string& path, const std::string& text,
                std::ios::openmode mode = std::ios::trunc) {
  std::ofstream out(path, mode | std::ios::out);
  out << text << std::flush;
  ENSURE(out, "report: cannot write {}: {}", path, std::strerror(errno));
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);) parts.push_back(part);
  return parts;
}

std::string cpu_model() {
  for (const std::string& line : split(read_text("/proc/cpuinfo"), '\n')) {
    if (line.starts_with("model name")) return line.substr(line.find(": ") + 2);
  }
  return "unknown";
}

// A new folder below out/<lesson>: mkdir fails where one exists, so two runs never share one.
std::string new_run_folder(const std::string& out, const std::string& lesson) {
  const std::string parent = (fs::path(out) / lesson).string();
  std::error_code error;
  fs::create_directories(parent, error);
  for (int number = 1; !error; ++number) {
    const std::string folder = fmt::format("{}/run-{:03}", parent, number);
    if (fs::create_directory(folder, error)) return folder;
  }
  throw Error(fmt::format("report: cannot make a run folder in {}: {}. Choose another with --out",
                          parent, error.message()));
}

}  // namespace

// ---- Bands --------------------------------------------------------------------------------------

std::optional<Band> band_of(const std::string& records, const std::string& experiment,
                            const std::string& column, double smallest) {
  std::vector<std::string> columns;
  std::vector<double> values;
  for (const std::string& line : split(records, '\n')) {
    if (line.starts_with("# file")) columns.clear();
    if (line.empty() || line[0] == '#') continue;
    const std::vector<std::string> cells = split(line, '\t');
    if (columns.empty()) {
      columns = cells;
      continue;
    }
    std::map<std::string, std::string> row;
    for (size_t i = 0; i < std::min(cells.size(), columns.size()); ++i) row[columns[i]] = cells[i];
    if (row["experiment"] != experiment) continue;
    const std::string text = row[column];
    char* end = nullptr;
    values.push_back(std::strtod(text.c_str(), &end));
    ENSURE(!text.empty() && *end == 0 && std::isfinite(values.back()),
           "records: {} '{}' of a run of {} is not a number", column, text, experiment);
  }
  if (values.size() < 3) return std::nullopt;

  // t(0.995, f) of Student's distribution for f = n - 1 = 2, 3, ... degrees of freedom. The last
  // stands for all above it, which makes the band of more than 31 runs up to 7 % too wide.
  constexpr double kT[] = {9.9248, 5.8409, 4.6041, 4.0321, 3.7074, 3.4995, 3.3554, 3.2498,
                           3.1693, 3.1058, 3.0545, 3.0123, 2.9768, 2.9467, 2.9208, 2.8982,
                           2.8784, 2.8609, 2.8453, 2.8314, 2.8188, 2.8073, 2.7969, 2.7874,
                           2.7787, 2.7707, 2.7633, 2.7564, 2.7500};
  const double t = kT[std::min(values.size() - 3, std::size(kT) - 1)];
  const auto n = double(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  const double half = std::max(smallest, t * std::sqrt(squares / (n - 1)) * std::sqrt(1 + 1 / n));
  return Band{mean - half, mean + half};
}

// ---- Report -------------------------------------------------------------------------------------

Report::Report(const Cli& cli, std::string records)
    : cli_(cli), records_(std::move(records)), folder_(cli.shared.resume) {
  // No value needs a backslash: they are numbers, and names from a lesson's source.
  const std::string options = fmt::format("{{\n  \"lesson\": \"{}\",\n  \"options\": \"{}\",\n",
                                          cli.lesson, cli.settings());
  if (folder_.empty()) {
    folder_ = new_run_folder(cli.shared.out, cli.lesson);
    write_text(path("config.json"),
               fmt::format("{}  \"threads\": {},\n  \"isa\": \"{}\",\n  \"cpu\": \"{}\"\n}}\n",
                           options, threads(), kernels().name, cpu_model()));
  } else if (!cli.shared.record.empty()) {
    throw UsageError("--record needs a run from its start: leave out --resume");
  } else if (!read_text(path("config.json")).starts_with(options)) {
    throw UsageError(
        fmt::format("--resume {0}: no run of {1} with these options: {2}. See "
                    "{0}/config.json",
                    folder_, cli.lesson, cli.settings()));
  }
  fmt::print("run folder: {}\n", folder_);
  std::fflush(stdout);               // a run that is killed has said where it was
  if (!cli.shared.record.empty()) {  // found out now, not after the training
    ENSURE(std::ofstream(cli.shared.record, std::ios::app), "record: cannot write {}: {}",
           cli.shared.record, std::strerror(errno));
  }
}

void Report::metrics(const Numbers& values) {
  std::string columns, line;
  for (const auto& [name, value] : values) {
    columns += (columns.empty() ? "" : ",") + name;
    line += fmt::format("{}{}", line.empty() ? "" : ",", value);
  }
  const std::string file = path("metrics.csv");
  if (!fs::exists(file)) write_text(file, columns + '\n');
  std::string header;
  std::getline(std::ifstream(file) >> std::ws, header);
  ENSURE(columns == header, "metrics: {} has the columns '{}', this line '{}'", file, header,
         columns);
  write_text(file, line + '\n', std::ios::app);
}

std::string Report::coloured(bool good, const std::string& text) const {
  const bool colour = isatty(STDOUT_FILENO) && !cli_.shared.no_color && !std::getenv("NO_COLOR");
  return colour ? fmt::format("\033[1;{}m{}\033[0m", good ? 32 : 31, text) : text;
}

void Report::claim(const std::string& what, bool holds) {
  if (interrupted()) throw Interrupted("interrupted");
  ++claims_, right_claims_ += holds;
  fmt::print("   {}  {}\n", coloured(holds, holds ? "ok   " : "WRONG"), what);
}

void Report::result(const std::string& name, double value, const std::string& unit,
                    const std::string& experiment, double smallest) {
  ENSURE(results_.empty(), "report: {} is a second result; a run has one, others are notes", name);
  results_ = {{name, value}};
  const std::optional<Band> band = band_of(records_, experiment, name, smallest);
  // Enough digits to tell values inside the band apart.
  const double width = band ? std::max(band->high - band->low, 1e-5) : 0.1;
  const int decimals = std::max(0, int(std::ceil(1 - std::log10(width))));
  const auto shown = [&](double x) { return fmt::format("{:.{}f}", x, decimals); };
  shown_result_ = fmt::format("{} {}{}{}", name, shown(value), unit.size() > 1 ? " " : "", unit);
  if (!band) {
    inside_ = false, failed_ = "NOT JUDGED";
    expected_ = "not recorded", judged_ = shown_result_ + " (no recorded runs to judge it by)";
    return;
  }
  // Judged as shown, so that the line never contradicts itself.
  const double rounded = std::stod(shown(value));
  inside_ = rounded >= std::stod(shown(band->low));  // false for NaN
  const bool above = rounded > std::stod(shown(band->high));
  expected_ = fmt::format("{}–{}", shown(band->low), shown(band->high));
  judged_ = fmt::format("{} ({}expected {})", shown_result_, above ? "above the " : "", expected_);
}

Exit Report::verdict(const std::string& next) {
  ENSURE(claims_ > 0 || !results_.empty(), "verdict: this run claims nothing");
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  const bool pass = inside_ && right_claims_ == claims_;
  const std::string claims = fmt::format("{} of {} claims", right_claims_, claims_);
  const std::string changed = cli_.changed();
  std::string text = judged_;
  if (claims_ > 0) text += (text.empty() ? "" : ", ") + claims + " hold";
  if (!changed.empty()) text += ", changed: " + changed;
  write_text(path("verdict.tsv"),
             fmt::format("lesson\tresult\texpected\tseconds\tverdict\tfolder\n"
                         "{}\t{}\t{}\t{:.1f}\t{}\t{}\n",
                         cli_.lesson, judged_.empty() ? claims : shown_result_,
                         judged_.empty() ? "all claims" : expected_, seconds,
                         pass ? "PASS" : failed_, folder_));
  if (!cli_.shared.record.empty()) append_record(seconds);
  fmt::print("\n{} {}.{}\n", coloured(pass, pass ? "PASS" : failed_), text,
             pass ? " Next: " + next : "");
  return pass ? Exit::pass : Exit::outside;
}

void Report::append_record(double seconds) const {
  const std::string& file = cli_.shared.record;
  std::string header = "experiment\tseed\tisa\tthreads\tcpu\tseconds\toptions";
  std::string row =
      fmt::format("{}\t{}\t{}\t{}\t{}\t{:.1f}\t{}", fs::path(file).stem().string(),
                  cli_.shared.seed, kernels().name, threads(), cpu_model(), seconds, cli_.chosen());
  for (const Numbers* numbers : {&results_, &notes_}) {
    for (const auto& [name, value] : *numbers) {
      header += '\t' + name, row += fmt::format("\t{:.8g}", value);
    }
  }
  // Locked, because of two runs that end together one writes the header. Closing unlocks.
  const std::unique_ptr<FILE, int (*)(FILE*)> out(std::fopen(file.c_str(), "a"), std::fclose);
  ENSURE(out && flock(fileno(out.get()), LOCK_EX) == 0, "record: cannot write {}: {}", file,
         std::strerror(errno));
  std::string present;
  for (const std::string& line : split(read_text(file), '\n')) {
    if (present.empty() && !line.starts_with('#')) present = line;
  }
  ENSURE(present.empty() || present == header,
         "record: {} has other columns than this run: '{}' against '{}'. Record to a new file",
         file, present, header);
  fmt::print(out.get(), "{}{}\n", present.empty() ? header + '\n' : "", row);
  ENSURE(std::fflush(out.get()) == 0, "record: cannot write {}: {}", file, std::strerror(errno));
}

}  // namespace kindling
