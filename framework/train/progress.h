// One line that shows how training goes: rewritten in place on a terminal, a plain line every few
// seconds in a file. Page: docs/contributing.md
#pragma once

#include "base/check.h"

#include <unistd.h>

namespace kindling {

class Progress {
 public:
  // "training", and the number of calls of step() to come. In a file there are at least `every`
  // seconds between two lines.
  Progress(std::string what, int64_t total_steps, double every = 5)
      : what_(std::move(what)),
        total_(std::max(1.0, double(total_steps))),
        every_(terminal_ ? 0.1 : every) {}
  Progress(const Progress&) = delete;
  ~Progress() {  // ends the line; in a file, writes the last one
    if (stale_) show();
    if (terminal_ && done_ > 0) fmt::print("\n");
  }

  // After a step of `samples` samples: shows the share done, the loss (smoothed), samples a second
  // and the time left.
  void step(int64_t samples, double loss) {
    ++done_, samples_ += double(samples);
    // One batch says little: what is shown is a mean over about the last 20.
    loss_ += (loss - loss_) * std::max(1 / done_, 0.05);
    stale_ = true;
    if (clock_seconds() - shown_ >= every_) show();
  }

  // A line of its own, for instance after an epoch.
  void say(const std::string& line) {
    fmt::print("{}{}\n", begin_, line);
    if (terminal_) show();
  }

 private:
  void show() {
    shown_ = clock_seconds(), stale_ = false;
    const double used = shown_ - start_;
    const double share = std::min(1.0, done_ / total_);
    const int full = int(24 * share);
    const bool more = share < 1;
    const auto whole = int64_t(0.5 + (!more ? used : done_ > 0 ? used * (1 / share - 1) : 0));
    fmt::print("{}{} ", begin_, what_);
    if (terminal_) fmt::print("{:█<{}}{:░<{}} ", "", full, "", 24 - full);
    fmt::print("{:3.0f} %  loss {:.4f}  {:.0f} samples/s  ", 100 * share, loss_, samples_ / used);
    if (whole >= 60) fmt::print("{} min ", whole / 60);
    fmt::print("{} s{}{}", whole % 60, more ? " left" : "", terminal_ ? "" : "\n");
    std::fflush(stdout);
  }

  const bool terminal_ = isatty(STDOUT_FILENO);
  const char* const begin_ = terminal_ ? "\r\033[K" : "";  // first column, erase to the end
  const std::string what_;
  const double total_, every_, start_ = clock_seconds();
  double shown_ = start_;
  double done_ = 0, samples_ = 0, loss_ = 0;
  bool stale_ = false;  // steps were made since the line was shown
};

}  // namespace kindling
