// A lesson's run folder, its records, and its verdict: did this run give what recorded runs say it
// should? Page: docs/contributing.md
#pragma once

#include <chrono>

#include "train/cli.h"

namespace kindling {

// The 99 % prediction interval for one more run after n recorded ones: mean -+ t(0.995, n-1) s
// sqrt(1 + 1/n) with the sample's deviation s, and at least mean -+ smallest.
struct Band {
  double low, high;
};
// From the column `column` of the rows whose experiment is `experiment`, in the text of record
// files (tab-separated; lines starting with # are comments, and "# file" begins another file, with
// a header line of its own). Nothing when there are fewer than 3 rows.
std::optional<Band> band_of(const std::string& records, const std::string& experiment,
                            const std::string& column, double smallest);

// One run of a lesson: creates out/<lesson>/run-001/ (or the next free number; with --resume it
// goes on in the folder given), writes config.json at once and metrics.csv line by line, and ends
// with the verdict.
class Report {
 public:
  // `records` is the text of the lesson's record files (#include "records.inc"). Throws UsageError
  // when --resume names a run that had other options.
  Report(const Cli& cli, std::string records);

  const std::string& folder() const { return folder_; }
  std::string path(const std::string& file) const { return folder_ + "/" + file; }

  using Numbers = std::vector<std::pair<std::string, double>>;
  // One line of metrics.csv: the first call fixes the columns. A run that was killed and resumed
  // has the lines after its last checkpoint twice.
  void metrics(const Numbers& values);
  // A number worth keeping in the record line, such as a loss.
  void note(const std::string& name, double value) { notes_.emplace_back(name, value); }
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
  void append_record(double seconds) const;
  std::string coloured(bool good, const std::string& text) const;

  const Cli& cli_;
  const std::string records_;
  std::string folder_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  int claims_ = 0, right_claims_ = 0;
  bool inside_ = true;                   // the result, if there is one, is not below its band
  std::string shown_result_, expected_;  // "accuracy 91.8%", "91.2–92.3"; empty without a result
  std::string judged_;                   // both in a sentence
  std::string failed_ = "FAIL";          // the word for a run that does not pass
  Numbers results_, notes_;              // for the record line
};

}  // namespace kindling
