// Tests of framework/train/schedule against torch.optim.lr_scheduler.
#include "support/catch.h"
#include "support/golden.h"
#include "train/schedule.h"

using namespace kindling;

namespace {

void check_schedule(const Schedule& schedule, const std::string& name) {
  static const Golden golden("tests/golden/optim.txt");
  const Tensor want = golden.tensor("schedule/" + name);
  for (int64_t step = 0; step < want.size(); ++step) {
    INFO(name << " at step " << step);
    // The file has 9 digits and is read as float: 6e-8.
    CHECK(std::abs(schedule(step) - double(want.data()[step])) < 1e-6);
  }
}

}  // namespace

TEST_CASE("schedules follow PyTorch's", "[optim][schedule][golden]") {
  check_schedule(step_schedule(4, 0.7), "step");
  check_schedule(linear_schedule(20, 0.25), "linear");
  check_schedule(cosine_schedule(25, 0.1), "cosine");
  check_schedule(warm_up(5, cosine_schedule(20)), "warm_up_cosine");
}

TEST_CASE("schedules stay at their end", "[optim][schedule]") {
  CHECK(constant_schedule()(1000) == 1);
  CHECK(cosine_schedule(10)(10) == Approx(0).margin(1e-12));
  CHECK(cosine_schedule(10, 0.2)(1000) == Approx(0.2));
  CHECK(linear_schedule(10, 0.2)(1000) == Approx(0.2));
  CHECK(warm_up(0, constant_schedule())(0) == 1);
}

TEST_CASE("a schedule of no length is refused", "[optim][schedule]") {
  CHECK_THROWS_WITH(cosine_schedule(0),
                    Equals("cosine_schedule: 0 steps; there must be at least 1"));
  CHECK_THROWS_WITH(linear_schedule(0),
                    Equals("linear_schedule: 0 steps; there must be at least 1"));
  CHECK_THROWS_WITH(step_schedule(0, 0.5), ContainsSubstring("every 0 steps"));
  CHECK_THROWS_WITH(warm_up(-1, constant_schedule()), ContainsSubstring("steps >= 0, not -1"));
  CHECK_THROWS_WITH(warm_up(3, Schedule()), ContainsSubstring("a schedule to go on with"));
}
