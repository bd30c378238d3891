// The progress line. Page: docs/contributing.md
#include "train/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace kindling {

Progress::Progress(std::string what, int64_t total_steps, double every)
    : what_(std::move(what)),
      total_(std::max<int64_t>(total_steps, 1)),
      terminal_(isatty(STDOUT_FILENO)),
      every_(terminal_ ? 0.1 : every) {}

Progress::~Progress() {
  if (stale_) show();
  if (terminal_ && done_ > 0) fmt::print("\n");
}

void Progress::step(int64_t samples, double loss) {
  ++done_, samples_ += samples;
  // One batch says little: what is shown is a mean over about the last 20.
  loss_ += (loss - loss_) * std::max(1 / double(done_), 0.05);
  stale_ = true;
  if (std::chrono::duration<double>(Clock::now() - shown_).count() >= every_) show();
}

void Progress::say(const std::string& line) {
  fmt::print("{}{}\n", terminal_ ? "\r\033[K" : "", line);
  if (terminal_) show();
}

void Progress::show() {
  shown_ = Clock::now();
  stale_ = false;
  const double seconds = std::chrono::duration<double>(shown_ - start_).count();
  const double share = double(done_) / double(total_);
  const int full = std::min(24, int(24 * share));
  const std::string bar = terminal_ ? fmt::format("{:█<{}}{:░<{}} ", "", full, "", 24 - full) : "";
  const bool more = done_ < total_;
  const double shown_seconds = !more ? seconds : done_ ? seconds * (1 / share - 1) : 0;
  const auto whole = int64_t(shown_seconds + 0.5);
  // To the first column, erase to the end of the line.
  fmt::print("{}{} {}{:3.0f} %  loss {:.4f}  {:.0f} samples/s  {}{} s{}{}",
             terminal_ ? "\r\033[K" : "", what_, bar, 100 * share, loss_,
             double(samples_) / std::max(seconds, 1e-9),
             whole < 60 ? "" : fmt::format("{} min ", whole / 60), whole % 60, more ? " left" : "",
             terminal_ ? "" : "\n");
  std::fflush(stdout);
}

}  // namespace kindling
