// What the graph costs: the XOR training step of nine parameters, and a chain of y = x w on one
// float. Run: make bench. Prints medians; nothing is judged here.
// Page: docs/autograd.md
#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "kindling.h"

using namespace kindling;

namespace {

template <class F> double nanoseconds(F&& f) {
  const double start = clock_seconds();
  f();
  return (clock_seconds() - start) * 1e9;
}

double median(std::vector<double> v) {
  std::nth_element(v.begin(), v.begin() + std::ptrdiff_t(v.size() / 2), v.end());
  return v[v.size() / 2];
}

// 4 samples, 2-2-1 with tanh, binary cross-entropy, SGD: forward, backward, step, zero_grad.
void xor_step() {
  Random random(1);
  Sequential network{Linear(2, 2, random), Activation(tanh), Linear(2, 1, random)};
  const Tensor x = tensor({4, 2}, {0, 0, 0, 1, 1, 0, 1, 1}), t = tensor({4, 1}, {0, 1, 1, 0});
  Sgd optimizer(network, {.rate = 0.5});
  const auto step = [&] {
    optimizer.zero_grad();
    const Tensor loss = binary_cross_entropy(network(x), t);
    loss.backward();
    optimizer.step();
  };
  for (int i = 0; i < 1000; ++i) step();
  const auto before = memory::stats();
  std::vector<double> times;
  for (int i = 0; i < 10000; ++i) times.push_back(nanoseconds(step));
  const auto after = memory::stats();
  fmt::print("xor_step_us {:.3f}\n", median(times) / 1000);
  fmt::print("xor_step_live_bytes_grown {}\nxor_step_system_requests {}\n",
             after.live_bytes - before.live_bytes, after.system_requests - before.system_requests);
}

void chain(int64_t length, int rounds) {
  Tensor w = scalar(1.0000001), x = scalar(1);
  w.set_requires_grad(), x.set_requires_grad();
  const auto run = [&] {
    Tensor y = x;
    for (int64_t i = 0; i < length; ++i) y = y * w;
    y.backward();
    w.zero_grad(), x.zero_grad();
  };
  run();
  std::vector<double> times;
  for (int i = 0; i < rounds; ++i) times.push_back(nanoseconds(run) / double(length));
  fmt::print("chain_{}_ns_per_node {:.1f}\n", length, median(times));
}

}  // namespace

int main() {
  set_threads(1);
  xor_step();
  chain(1000, 1000);
  chain(200000, 7);
}
