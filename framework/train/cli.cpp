// Options: a table of names with the variables that they set. Page: docs/contributing.md
#include "train/cli.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <charconv>

#include "autograd/profile.h"
#include "base/check.h"
#include "base/parallel.h"
#include "kernels/dispatch.h"

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
  size_t most = given.starts_with("--") ? std::max<size_t>(given.size() / 2, 2) : 1;
  std::string hint;
  for (const std::string& name : names) {
    const auto differs = std::mismatch(given.begin(), given.end(), name.begin(), name.end()).first;
    const auto common = size_t(differs - given.begin());
    if (common > most) most = common, hint = fmt::format(" Did you mean {}?", name);
  }
  return hint;
}

}  // namespace

// ---- Declaring ----------------------------------------------------------------------------------

Cli::Cli(std::string lesson, std::string about)
    : lesson_(std::move(lesson)), about_(std::move(about)) {}

void Cli::choice(const std::string& name, std::string& value,
                 const std::vector<std::string>& choices, const std::string& help) {
  own_.push_back({name, "NAME", help, &value, Effect::off_band, {}, choices});
}
void Cli::data_choice(const std::vector<std::string>& choices) {
  data_choices_ = choices, shared.data = choices.at(0);
}

std::vector<Cli::Option> Cli::shared_options() {
  SharedOptions& s = shared;
  using E = Effect;
  return {
      {"--seed", "N", "all random numbers follow from it", &s.seed, E::inside_band},
      {"--threads", "N", "processors to use; 0: all of them", &s.threads, E::none, {0, 1024}},
      {"--isa", "NAME", "instruction set of the kernels: scalar, avx2, ...", &s.isa, E::none},
      {"--quick", "", "a small version that ends within a minute", &s.quick, E::other_band},
      {"--epochs", "N", "passes over the data", &s.epochs, E::off_band, {1, 1e6}},
      {"--batch", "N", "samples in a step", &s.batch, E::off_band, {1, 1e6}},
      {"--lr", "N", "learning rate", &s.lr, E::off_band, {0, 1e6}},
      {"--data", "NAME", "data set", &s.data, E::other_band, {}, data_choices_},
      {"--out", "FOLDER", "folder for the run folders", &s.out, E::none},
      {"--resume", "FOLDER", "go on with a run; give the options it had", &s.resume, E::none},
      {"--record", "FILE", "append the result to a file of records", &s.record, E::none},
      {"--profile", "", "time, FLOPs and bytes of every operation", &s.profile, E::none},
      {"--graph", "", "draw the graph of one step", &s.graph, E::none},
      {"--no-color", "", "plain text on a terminal too", &s.no_color, E::none},
  };
}

// ---- Reading ------------------------------------------------------------------------------------

std::string Cli::Option::text() const {
  return std::visit([](const auto* v) { return fmt::format("{}", *v); }, value);
}

void Cli::Option::set(const std::string& word) {
  if (!choices.empty() && std::find(choices.begin(), choices.end(), word) == choices.end()) {
    throw UsageError(fmt::format("{}: '{}' is none of {}.{}", name, word, fmt::join(choices, ", "),
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
      const bool whole_word = error == std::errc() && stop == end;
      // NaN fails both comparisons.
      if (!whole_word || !(double(number) >= range.low && double(number) <= range.high)) {
        throw UsageError(fmt::format(
            "{}: '{}' is not a {}number {}", name, word, std::is_integral_v<Value> ? "whole " : "",
            range.high < Range{}.high ? fmt::format("from {} to {}", range.low, range.high)
                                      : fmt::format("of at least {}", range.low)));
      }
      *variable = number;
    }
  };
  std::visit(assign, value);
}

bool Cli::parse(int argc, const char* const* argv) {
  all_ = shared_options();
  for (auto* list : {&all_, &own_}) {
    for (Option& option : *list) option.initial = option.text();
  }
  std::erase_if(all_, [](const Option& o) {
    return o.effect >= Effect::other_band && (o.initial == "0" || o.initial.empty());
  });
  all_.insert(all_.end(), own_.begin(), own_.end());
  std::vector<std::string> names = {"--help"};
  for (const Option& option : all_) names.push_back(option.name);

  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i], name = word.substr(0, word.find('='));
    const bool joined = name.size() < word.size();
    if (name == "--help" || name == "-h") {
      fmt::print("{}", help());
      return false;
    }
    const auto option =
        std::find_if(all_.begin(), all_.end(), [&](const Option& o) { return o.name == name; });
    if (option == all_.end()) {
      throw UsageError(
          fmt::format("unknown option '{}'.{} See --help", name, nearest(name, names)));
    }
    const bool flag = option->takes.empty();
    if (flag && joined) throw UsageError(name + " takes no value. See --help");
    if (!flag && !joined && (i + 1 == argc || std::string(argv[i + 1]).starts_with("--"))) {
      throw UsageError(fmt::format("{} needs a value: {} {}", name, name, option->takes));
    }
    option->set(joined ? word.substr(name.size() + 1) : flag ? "" : argv[++i]);
  }
  if (shared.threads > 0) set_threads(int(shared.threads));
  if (!shared.isa.empty()) set_isa(shared.isa);
  return true;
}

// ---- Telling ------------------------------------------------------------------------------------

std::string Cli::help() const {
  std::string text = fmt::format("{0}: {1}\n\nusage: lesson-{0} [options]\n\n", lesson_, about_);
  text += fmt::format("  {:20}show this text\n", "--help");
  for (size_t i = 0; i < all_.size(); ++i) {
    const Option& o = all_[i];
    if (i + own_.size() == all_.size()) text += "\nOptions of this lesson:\n\n";
    text += fmt::format("  {:19} {}", o.name + " " + o.takes, o.help);
    if (!o.choices.empty()) text += fmt::format(":\n{:22}{}", "", fmt::join(o.choices, ", "));
    const bool shows_default = !o.takes.empty() && !o.initial.empty();
    text += shows_default ? fmt::format(" (default: {})\n", o.initial) : "\n";
  }
  return text;
}

std::string Cli::listed(Effect at_least, bool unchanged) const {
  std::string text;
  for (const Option& option : all_) {
    const bool flag = option.takes.empty(), same = option.text() == option.initial;
    if (option.effect < at_least || (same && (flag || !unchanged))) continue;
    text += (text.empty() ? "" : " ") + option.name + (flag ? "" : " " + option.text());
  }
  return text;
}

bool interrupted() { return ctrl_c; }

int lesson_main(int argc, const char* const* argv, Cli& cli, const std::function<Exit()>& body) {
  ctrl_c = false;
  signal(SIGINT, on_ctrl_c);
  try {
    if (!cli.parse(argc, argv)) return int(Exit::pass);
    fmt::print("{} · seed {} · {} {} · {}{}\n", cli.lesson(), cli.shared.seed, threads(),
               threads() == 1 ? "thread" : "threads", kernels().name,
               cli.shared.data.empty() ? "" : " · data " + cli.shared.data);
    std::optional<Profiler> profiler;
    if (cli.shared.profile) profiler.emplace();
    const Exit code = body();
    if (profiler) fmt::print("\n{}", profiler->table());
    return int(code);
  } catch (const std::exception& error) {
    std::fflush(stdout);
    fmt::print(stderr, "{}: {}\n", cli.lesson(), error.what());
    if (dynamic_cast<const UsageError*>(&error)) return int(Exit::usage);
    if (dynamic_cast<const DataMissing*>(&error)) return int(Exit::data_missing);
    if (dynamic_cast<const Interrupted*>(&error)) return int(Exit::interrupted);
    return int(Exit::error);
  }
}

}  // namespace kindling
