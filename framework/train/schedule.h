// Learning-rate schedules: a factor of the base rate as a function of the step. Page: docs/optim.md
#pragma once

#include "base/check.h"

namespace kindling {

// step 0, 1, ... -> factor:  optimizer.rate = base_rate * schedule(step)
using Schedule = std::function<double(int64_t step)>;

// How far step is on the way from 0 to total: 0 to 1, and 1 afterwards.
inline double progress(int64_t step, int64_t total) {
  return double(std::min(step, total)) / double(total);
}

inline Schedule constant_schedule() {
  return [](int64_t) { return 1.0; };
}

// factor^floor(step / every)
inline Schedule step_schedule(int64_t every, double factor) {
  ENSURE(every > 0, "step_schedule: every {} steps; it must be at least 1", every);
  return [=](int64_t step) { return std::pow(factor, double(step / every)); };
}

// From 1 to `end` along half a cosine (1608.03983, equation 5, without restarts); then `end`.
inline Schedule cosine_schedule(int64_t total, double end = 0) {
  ENSURE(total > 0, "cosine_schedule: {} steps; there must be at least 1", total);
  return [=](int64_t step) {
    return end + (1 - end) * (1 + std::cos(std::numbers::pi * progress(step, total))) / 2;
  };
}

// From 1 to `end` on a line; then `end`.
inline Schedule linear_schedule(int64_t total, double end = 0) {
  ENSURE(total > 0, "linear_schedule: {} steps; there must be at least 1", total);
  return [=](int64_t step) { return 1 + (end - 1) * progress(step, total); };
}

// (step + 1) / steps while step < steps, then `after` counted from 0.
inline Schedule warm_up(int64_t steps, Schedule after) {
  ENSURE(steps >= 0 && after, "warm_up: needs steps >= 0, not {}, and a schedule to go on with",
         steps);
  return [steps, after = std::move(after)](int64_t step) {
    return step < steps ? double(step + 1) / double(steps) : after(step - steps);
  };
}

}  // namespace kindling
