// Tests of framework/train/progress: plain lines in a file, one rewritten line on a terminal.
#include "train/progress.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "support/capture.h"
#include "support/catch.h"

using namespace kindling;

namespace {

int64_t lines(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

}  // namespace

TEST_CASE("progress: a file gets the last line and none before its time", "[progress]") {
  Capture out;
  {
    Progress progress("training", 10);
    for (int i = 0; i < 10; ++i) progress.step(128, 0.5);
  }
  const std::string text = out.text();
  CHECK(lines(text) == 1);
  CHECK_THAT(text, ContainsSubstring("training 100 %  loss 0.5000  "));
  CHECK_THAT(text, ContainsSubstring(" samples/s  0 s\n"));
  CHECK(text.find('\r') == std::string::npos);
  CHECK(text.find('\033') == std::string::npos);
}

TEST_CASE("progress: a file gets a line whenever the interval has passed", "[progress]") {
  Capture out;
  {
    Progress progress("training", 4, 0);
    for (int i = 0; i < 4; ++i) progress.step(1, 2);
  }
  const std::string text = out.text();
  CHECK(lines(text) == 4);  // and not the last one twice
  CHECK_THAT(text, ContainsSubstring("training  25 %"));
  CHECK_THAT(text, ContainsSubstring(" left\n"));
}

TEST_CASE("progress: rate and time left follow from the time used", "[progress]") {
  Capture out;
  {
    Progress progress("training", 4, 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(600));
    progress.step(60, 1);  // a quarter in 0.6 s or more: at least 1.8 s left, at most 100 samples/s
  }
  double share = 0, loss = 0, rate = 0;
  int left = 0;
  REQUIRE(std::sscanf(out.text().c_str(), "training %lf %%  loss %lf %lf samples/s %d s left",
                      &share, &loss, &rate, &left) == 4);
  CHECK(share == 25);
  CHECK(rate <= 100);
  CHECK(rate > 1);  // 60 s for a sleep of 0.6 s would be a very busy machine
  CHECK(left >= 2);
}

TEST_CASE("progress: the loss is the mean of the last losses", "[progress]") {
  Capture out;
  {
    Progress progress("training", 100);
    progress.step(1, 4);
    progress.step(1, 2);
  }
  CHECK_THAT(out.text(), ContainsSubstring("loss 3.0000"));
  Capture later;
  {
    Progress progress("training", 1000);
    progress.step(1, 1000);
    for (int i = 0; i < 400; ++i) progress.step(1, 1);  // 1000 0.95^400 is less than 1e-5
  }
  CHECK_THAT(later.text(), ContainsSubstring("loss 1.0000"));
}

TEST_CASE("progress: say writes a line of its own", "[progress]") {
  Capture out;
  {
    Progress progress("training", 2);
    progress.say("epoch 1: done");
  }
  CHECK(out.text() == "epoch 1: done\n");
}

TEST_CASE("progress: a terminal has one line that is rewritten", "[progress]") {
  const int control = posix_openpt(O_RDWR | O_NOCTTY);
  REQUIRE(control >= 0);
  REQUIRE(grantpt(control) == 0);
  REQUIRE(unlockpt(control) == 0);
  const int terminal = open(ptsname(control), O_RDWR | O_NOCTTY);
  REQUIRE(terminal >= 0);

  std::fflush(stdout);
  const int before = dup(STDOUT_FILENO);
  dup2(terminal, STDOUT_FILENO);
  {
    Progress progress("training", 2);
    progress.step(1, 1);
    progress.say("half way");
    progress.step(1, 1);
  }
  std::fflush(stdout);
  dup2(before, STDOUT_FILENO);
  close(before);

  close(terminal);
  // One read may give only a part; after the last there is an error, as nobody can write any more.
  std::string seen;
  char part[512];
  for (ssize_t n; (n = read(control, part, sizeof part)) > 0;) seen.append(part, size_t(n));
  close(control);
  CHECK_THAT(seen, ContainsSubstring("\r\033[Khalf way\r\n"));
  CHECK_THAT(seen, ContainsSubstring("training ████████████░░░░░░░░░░░░  50 %"));
  CHECK_THAT(seen, ContainsSubstring("\r\033[Ktraining ████████████████████████ 100 %"));
  CHECK(lines(seen) == 2);
}
