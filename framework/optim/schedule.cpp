// Learning-rate schedules. Page: docs/optim.md
#include "optim/schedule.h"

#include "base/check.h"

namespace kindling {
namespace {

// How far step is on the way from 0 to total: 0 to 1, and 1 afterwards.
double progress(int64_t step, int64_t total) {
  return double(std::min(step, total)) / double(total);
}

}  // namespace

Schedule constant_schedule() {
  return [](int64_t) { return 1.0; };
}

Schedule step_schedule(int64_t every, double factor) {
  ENSURE(every > 0, "step_schedule: every {} steps; it must be at least 1", every);
  return [=](int64_t step) { return std::pow(factor, double(step / every)); };
}

Schedule cosine_schedule(int64_t total, double end) {
  ENSURE(total > 0, "cosine_schedule: {} steps; there must be at least 1", total);
  return [=](int64_t step) {
    return end + (1 - end) * (1 + std::cos(3.14159265358979323846 * progress(step, total))) / 2;
  };
}

Schedule linear_schedule(int64_t total, double end) {
  ENSURE(total > 0, "linear_schedule: {} steps; there must be at least 1", total);
  return [=](int64_t step) { return 1 + (end - 1) * progress(step, total); };
}

Schedule warm_up(int64_t steps, Schedule after) {
  ENSURE(steps >= 0 && after, "warm_up: needs steps >= 0, not {}, and a schedule to go on with",
         steps);
  return [=, after = std::move(after)](int64_t step) {
    return step < steps ? double(step + 1) / double(steps) : after(step - steps);
  };
}

}  // namespace kindling
