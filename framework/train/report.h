// A lesson's run folder, its records, and its verdict: did this run give what recorded runs say it
// should? Page: docs/contributing.md
#pragma once

#include "train/cli.h"

namespace kindling {

// The 99 % prediction interval for one more run after n recorded ones: mean -+ t(0.995, n-1) s
// sqrt(1 + 1/n) with the sample's deviation s, and at least mean -+ smallest.
struct Band {
  double low, high;
};
inline Band band_of(const std::vector<double>& values, double smallest) {
  // t(0.995, f) of Student's distribution for f = n - 1 = 1, 2, ... degrees of freedom. The last
  // stands for all above it, which makes the band of more than 31 runs up to 7 % too wide.
  constexpr double kT[] = {63.6567, 9.9248, 5.8409, 4.6041, 4.0321, 3.7074, 3.4995, 3.3554,
                           3.2498,  3.1693, 3.1058, 3.0545, 3.0123, 2.9768, 2.9467, 2.9208,
                           2.8982,  2.8784, 2.8609, 2.8453, 2.8314, 2.8188, 2.8073, 2.7969,
                           2.7874,  2.7787, 2.7707, 2.7633, 2.7564, 2.7500};
  const double t = kT[std::min(values.size() - 2, std::size(kT) - 1)];
  const auto n = double(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  const double half = std::max(smallest, t * std::sqrt(squares / (n - 1)) * std::sqrt(1 + 1 / n));
  return {mean - half, mean + half};
}

// The column `column` of the rows whose experiment is `experiment`, in the text of record files
// (tab-separated; lines starting with # are comments, and "# file" begins another file, with a
// header line of its own).
std::vector<double> recorded(const std::string& records, const std::string& experiment,
                             const std::string& column);

// One run of a lesson: creates out/<lesson>/run-001/ (or the next free number; with --resume it
// goes on in the folder given), writes config.json at once and metrics.csv line by line, and ends
// with the verdict.
class Report {
 public:
  // `records` is the text of the lesson's record files (#include "records.inc"). Throws UsageError
  // when --resume names a run that had other options or another instruction set.
  Report(const Cli& cli, std::string records);

  const std::string& folder() const { return folder_; }
  std::string path(const std::string& file) const { return folder_ + "/" + file; }

  using Numbers = std::vector<std::pair<std::string, double>>;
  // One line of metrics.csv: the first call fixes the columns. A run that was killed and resumed
  // has the lines after its last checkpoint twice.
  void metrics(const Numbers& values);
  // A number worth keeping in the record line, such as a loss.
  void note(const std::string& name, double value) { numbers_.emplace_back(name, value); }
  // An exact claim of the lesson ("14 of 16 gates are learned"): prints it with ok or WRONG; one
  // wrong claim fails the run.
  void claim(const std::string& what, bool holds);
  // The headline result, one a run, with its band from the records of `experiment`, at least
  // `smallest` wide on each side (percent values are in 0 .. 100). Above the band is a pass with a
  // note.
  void result(const std::string& name, double value, const std::string& unit,
              const std::string& experiment, double smallest = 0.3);

  // Prints `PASS accuracy 91.8% (expected 91.2–92.3). Next: make lesson-03`, with `changed: ...`
  // where options were changed; writes verdict.tsv and the --record line; gives the exit code.
  // A result without a band cannot pass: NOT JUDGED, exit code 3.
  Exit verdict(const std::string& next);

 private:
  std::string coloured(bool good, const std::string& text) const;

  const Cli& cli_;
  const std::string records_;
  std::string folder_;
  const double start_ = clock_seconds();
  int claims_ = 0, right_claims_ = 0;
  std::string result_, expected_, text_;  // "accuracy 91.8%", "91.2–92.3", both in a sentence
  std::string word_ = "PASS";             // of the verdict
  Numbers numbers_;                       // for the record line: the result, the notes
};

}  // namespace kindling
