// Learning-rate schedules: a factor of the base rate as a function of the step. Page: docs/optim.md
#pragma once

#include "base/standard.h"

#include <functional>

namespace kindling {

// step 0, 1, ... -> factor:  optimizer.rate = base_rate * schedule(step)
using Schedule = std::function<double(int64_t step)>;

Schedule constant_schedule();
Schedule step_schedule(int64_t every, double factor);  // factor^floor(step / every)
// From 1 to `end` along half a cosine (1608.03983, equation 5, without restarts); then `end`.
Schedule cosine_schedule(int64_t total, double end = 0);
Schedule linear_schedule(int64_t total, double end = 0);  // from 1 to `end` on a line; then `end`
// (step + 1) / steps while step < steps, then `after` counted from 0.
Schedule warm_up(int64_t steps, Schedule after);

}  // namespace kindling
