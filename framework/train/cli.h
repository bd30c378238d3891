// The command line every lesson shares, and the exit codes. Page: docs/contributing.md
#pragma once

#include "base/check.h"

#include <variant>

namespace kindling {

// 0 inside the band, 1 error, 2 usage, 3 ran but outside the band, 4 data missing, 130 interrupted.
enum class Exit { pass, error, usage, outside, data_missing, interrupted = 130 };

// Options of every lesson. A lesson sets its own defaults before parse(); one that leaves epochs,
// batch or lr at 0, or names no data, does not have that option.
struct SharedOptions {
  uint64_t seed = 1;
  int64_t threads = 0;  // 0: all processors this process may use
  std::string isa;      // empty: the widest available
  bool quick = false;   // ends within a minute, with a band of its own
  int64_t epochs = 0, batch = 0;
  double lr = 0;
  std::string data;  // the data set by name; each lesson lists its choices
  std::string out = "out";
  std::string resume;  // a run folder to go on with
  std::string record;  // a file that gets one line with the result (make record)
  bool profile = false, graph = false, no_color = false, help = false;
};

// What a number may be, both ends included. Infinity and NaN never are.
struct Range {
  double low = 0, high = std::numeric_limits<double>::max();
};

// The lesson's command line. Options keep the value they have as their default.
class Cli {
 public:
  Cli(std::string lesson, std::string about);  // "02-perceptron", one line
  Cli(const Cli&) = delete;                    // options point to `shared`

  const std::string lesson, about;
  SharedOptions shared;

  // Options of this lesson; `name` is written as on the command line: "--hidden".
  // Value is int64_t, double, or bool for a flag.
  template <class Value>
  void option(const std::string& name, Value& value, const std::string& help, Range range = {}) {
    const char* const takes = std::is_same_v<Value, bool> ? "" : "N";
    options_.push_back({name, takes, help, &value, off_band, range, {}, true});
  }
  void choice(const std::string& name, std::string& value, const std::vector<std::string>& choices,
              const std::string& help) {
    options_.push_back({name, "NAME", help, &value, off_band, {}, choices, true});
  }
  void data_choice(const std::vector<std::string>& choices);  // of --data; the first is the default
  void without(const std::string& name);  // takes away a shared option that means nothing here

  // Throws UsageError for what it does not know; answers --help itself and returns false. Applies
  // --threads and --isa.
  bool parse(int argc, const char* const* argv);

  std::string help() const;  // after parse
  // What the reader changed among the options that move a result off its band: "--epochs 1 --lr 0".
  std::string changed() const { return joined(listed(off_band, false), " "); }
  // The same with the options that choose another band, --quick and --data: for a record.
  std::string chosen() const { return joined(listed(other_band, false), " "); }
  // Every option that a result may depend on, changed or not: for config.json.
  std::vector<std::string> settings() const { return listed(inside_band, true); }

 private:
  // What an option does to the result: nothing, what the band allows for, choose another band, or
  // move the result off its band.
  enum Effect { none, inside_band, other_band, off_band };
  struct Option {
    std::string name, takes, help;  // takes: "N"; empty for a flag
    std::variant<uint64_t*, int64_t*, double*, std::string*, bool*> value;
    Effect effect;
    Range range = {};
    std::vector<std::string> choices = {};  // empty: any value
    bool of_lesson = false;                 // not one that all lessons share
    std::string initial = {};               // the value before parse

    std::string text() const;
    void set(const std::string& text);
  };
  std::vector<std::string> listed(Effect at_least, bool unchanged) const;

  std::vector<Option> options_;  // the shared ones that this lesson has, and its own
};

// What main() of a lesson does after it has declared its options: parse, print the header line, run
// `body`, print the table of --profile, and turn exceptions into one line on stderr and the exit
// code. Ctrl-C (or SIGTERM) sets interrupted(); a second one ends the process.
int lesson_main(int argc, const char* const* argv, Cli& cli, const std::function<Exit()>& body);

// True once Ctrl-C was pressed; training loops ask after each step, save, and throw Interrupted.
bool interrupted();

}  // namespace kindling
