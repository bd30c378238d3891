// What the graph costs: a chain of y = x w on one float, forward and backward, in nodes a second.
// BENCH=train has the XOR training step of nine parameters. Page: docs/autograd.md
#include "bench/race.h"

namespace kindling::bench {
namespace {

void chain(Bench& bench, int64_t length) {
  const std::string name = fmt::format("chain_{}", length);
  if (!bench.wants(name)) return;
  Tensor w = scalar(1.0000001), x = scalar(1);
  w.set_requires_grad(), x.set_requires_grad();
  bench.race({.kind = "graph",
              .name = name,
              .work = 1e3 * double(length),
              .unit = "Mnode/s",
              .limit = Row::none,
              .contenders = {{"ours", [&] {
                                Tensor y = x;
                                for (int64_t i = 0; i < length; ++i) y = y * w;
                                y.backward();
                                w.zero_grad(), x.zero_grad();
                              }}}});
}

}  // namespace

void graph(Bench& bench) {
  chain(bench, 1000);
  chain(bench, 200000);
}

}  // namespace kindling::bench
