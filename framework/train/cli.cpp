// Options: a table of names with the variables that they set. Page: docs/contributing.md
#include "train/cli.h"

#include <signal.h>
#include <unistd.h>

#include <charconv>

#include "base/parallel.h"
#include "kernels/dispatch.h"
#include "train/profile.h"

namespace kindling {
namespace {

std::atomic<bool> ctrl_c = false;
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may not wait for a lock");

void on_ctrl_c(int) {
  if (ctrl_c.exchange(true)) _exit(int(Exit::interrupted));
}

// " Did you mean --epochs?": the name that begins like `given` for the most letters, an option for
// more than half of them, or nothing.
std::string nearest(const std::string& given, const std::vector<std::string>& names) {
  const auto common = [&](const std::string& name) {
    return size_t(std::ranges::mismatch(given, name).in1 - given.begin());
  };
  const std::string best = std::ranges::max(names, {}, common);
  const size_t few = given.starts_with("--") ? std::max<size_t>(given.size() / 2, 2) : 1;
  return common(best) > few ? fmt::format(" Did you mean {}?", best) : "";
}

}  // namespace

// ---- Declaring ----------------------------------------------------------------------------------

Cli::Cli(std::string lesson_name, std::string one_line)
    : lesson(std::move(lesson_name)), about(std::move(one_line)) {
  SharedOptions& s = shared;
  options_ = {
      {"--help", "", "show this text", &s.help, none},
      {"--seed", "N", "all random numbers follow from it", &s.seed, inside_band},
      {"--threads", "N", "processors to use; 0: all of them", &s.threads, none, {0, 1024}},
      {"--isa", "NAME", "instruction set of the kernels: scalar, avx2, ...", &s.isa, none},
      {"--quick", "", "a small version that ends within a minute", &s.quick, other_band},
      {"--epochs", "N", "passes over the data", &s.epochs, off_band, {1, 1e6}},
      {"--batch", "N", "samples in a step", &s.batch, off_band, {1, 1e6}},
      {"--lr", "N", "learning rate", &s.lr, off_band, {0, 1e6}},
      {"--data", "NAME", "data set", &s.data, other_band},
      {"--out", "FOLDER", "folder for the run folders", &s.out, none},
      {"--resume", "FOLDER", "go on with a run; give the options it had", &s.resume, none},
      {"--record", "FILE", "append the result to a file of records", &s.record, none},
      {"--profile", "", "time, FLOPs and bytes of every operation", &s.profile, none},
      {"--graph", "", "draw the graph of one step", &s.graph, none},
      {"--no-color", "", "no colours on a terminal", &s.no_color, none},
  };
}

void Cli::data_choice(const std::vector<std::string>& choices) {
  std::ranges::find(options_, "--data", &Option::name)->choices = choices;
  shared.data = choices.at(0);
}

void Cli::without(const std::string& name) {
  const auto there = std::erase_if(options_, [&](const Option& o) { return o.name == name; });
  ENSURE(there == 1, "cli: there is no shared option {} to take away", name);
}

// ---- Reading ------------------------------------------------------------------------------------

std::string Cli::Option::text() const {
  return std::visit([](const auto* v) { return fmt::format("{}", *v); }, value);
}

void Cli::Option::set(const std::string& word) {
  if (!choices.empty() && !std::ranges::count(choices, word)) {
    throw UsageError(fmt::format("{}: '{}' is not one of {}.{}", name, word, joined(choices),
                                 nearest(word, choices)));
  }
  const auto assign = [&]<class Value>(Value* variable) {
    if constexpr (std::is_same_v<Value, bool>) {
      *variable = true;
    } else if constexpr (std::is_same_v<Value, std::string>) {
      *variable = word;
    } else {
      Value number{};
      const char* const end = word.data() + word.size();
      const auto [stop, error] = std::from_chars(word.data(), end, number);
      const auto size = double(number);  // NaN fails both comparisons
      const bool whole_word = error == std::errc() && stop == end;
      if (whole_word && size >= range.low && size <= range.high) return void(*variable = number);
      throw UsageError(fmt::format(
          "{}: '{}' is not a {}number {}", name, word, std::is_integral_v<Value> ? "whole " : "",
          range.high < Range{}.high ? fmt::format("from {} to {}", range.low, range.high)
                                    : fmt::format("of at least {}", range.low)));
    }
  };
  std::visit(assign, value);
}

bool Cli::parse(int argc, const char* const* argv) {
  for (Option& option : options_) option.initial = option.text();
  std::erase_if(options_, [](const Option& o) {  // what this lesson does not have
    return !o.of_lesson && o.effect >= other_band && (o.initial == "0" || o.initial.empty());
  });
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i] == std::string("-h") ? "--help" : argv[i],
                      name = word.substr(0, word.find('='));
    const auto option = std::ranges::find(options_, name, &Option::name);
    if (option == options_.end()) {
      std::vector<std::string> names;
      for (const Option& one : options_) names.push_back(one.name);
      throw UsageError(
          fmt::format("unknown option '{}'.{} See --help", name, nearest(name, names)));
    }
    const bool flag = option->takes.empty(), joined = name.size() < word.size();
    if (flag && joined) throw UsageError(name + " takes no value. See --help");
    const bool next = !flag && !joined && i + 1 < argc;  // the value is the next word
    const std::string value = joined ? word.substr(name.size() + 1) : next ? argv[++i] : "";
    if (!flag && (value.empty() || (next && value.starts_with("--")))) {
      throw UsageError(fmt::format("{0} needs a value: {0} {1}", name, option->takes));
    }
    option->set(value);
    if (shared.help) return fmt::print("{}", help()), false;
  }
  if (shared.threads > 0) set_threads(int(shared.threads));
  if (!shared.isa.empty()) set_isa(shared.isa);
  return true;
}

// ---- Telling ------------------------------------------------------------------------------------

std::string Cli::help() const {
  std::string text = fmt::format("{0}: {1}\n\nusage: lesson-{0} [options]\n\n", lesson, about);
  bool own = false;
  for (const Option& o : options_) {
    if (o.of_lesson && !std::exchange(own, true)) text += "\nOptions of this lesson:\n\n";
    text += fmt::format("  {:19} {}", o.name + " " + o.takes, o.help);
    if (!o.choices.empty()) text += fmt::format(":\n{:22}{}", "", joined(o.choices));
    const bool shows_default = !o.takes.empty() && !o.initial.empty();
    text += shows_default ? fmt::format(" (default: {})\n", o.initial) : "\n";
  }
  return text;
}

std::vector<std::string> Cli::listed(Effect at_least, bool unchanged) const {
  std::vector<std::string> all;
  for (const Option& option : options_) {
    const bool flag = option.takes.empty(), same = option.text() == option.initial;
    if (option.effect < at_least || (same && !unchanged)) continue;
    all.push_back(option.name + (flag && !unchanged ? "" : " " + option.text()));
  }
  return all;
}

bool interrupted() { return ctrl_c; }

int lesson_main(int argc, const char* const* argv, Cli& cli, const std::function<Exit()>& body) {
  ctrl_c = false;
  for (int number : {SIGINT, SIGTERM}) signal(number, on_ctrl_c);
  try {
    if (!cli.parse(argc, argv)) return int(Exit::pass);
    const SharedOptions& shared = cli.shared;
    fmt::print("{} · seed {} · {} thread{} · {}{}{}\n", cli.lesson, shared.seed, threads(),
               threads() == 1 ? "" : "s", kernels().name, shared.data.empty() ? "" : " · data ",
               shared.data);
    std::optional<Profiler> profiler;
    if (shared.profile) profiler.emplace();
    const Exit code = body();
    if (profiler) fmt::print("\n{}", profiler->table());
    ENSURE(std::fflush(stdout) == 0, "the output cannot be written: {}", std::strerror(errno));
    return int(code);
  } catch (const std::exception& error) {
    std::fflush(stdout);
    fmt::print(stderr, "{}: {}\n", cli.lesson, error.what());
    if (dynamic_cast<const UsageError*>(&error)) return int(Exit::usage);
    if (dynamic_cast<const DataMissing*>(&error)) return int(Exit::data_missing);
    if (dynamic_cast<const Interrupted*>(&error)) return int(Exit::interrupted);
    return int(Exit::error);
  }
}

}  // namespace kindling
