// One line that shows how training goes: rewritten in place on a terminal, a plain line every few
// seconds in a file. Page: docs/contributing.md
#pragma once

#include "base/standard.h"

#include <chrono>

namespace kindling {

class Progress {
 public:
  // "training", and the number of calls of step() to come. In a file there are at least `every`
  // seconds between two lines.
  Progress(std::string what, int64_t total_steps, double every = 5);
  ~Progress();  // ends the line; in a file, writes the last one
  Progress(const Progress&) = delete;

  // After a step of `samples` samples: shows the share done, the loss (smoothed), samples a second
  // and the time left.
  void step(int64_t samples, double loss);
  // A line of its own, for instance after an epoch.
  void say(const std::string& line);

 private:
  using Clock = std::chrono::steady_clock;
  void show();

  const std::string what_;
  const int64_t total_;
  const bool terminal_;
  const double every_;
  const Clock::time_point start_ = Clock::now();
  Clock::time_point shown_ = start_;
  int64_t done_ = 0, samples_ = 0;
  double loss_ = 0;
  bool stale_ = false;  // steps were made since the line was shown
};

}  // namespace kindling
