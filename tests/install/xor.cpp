// XOR learned by four hidden units, in a program outside the repository. Page: docs/00-start.md
#include <kindling.h>

#include <cstdio>

using namespace kindling;

int main() {
  Random random(1);
  Sequential network{Linear(2, 4, random), Activation(tanh), Linear(4, 1, random)};
  Sgd optimizer(network, {.rate = 0.5});
  const Tensor x = tensor({4, 2}, {0, 0, 0, 1, 1, 0, 1, 1}), y = tensor({4, 1}, {0, 1, 1, 0});
  for (int step = 0; step < 2000; ++step) {
    optimizer.zero_grad();
    binary_cross_entropy(network(x), y).backward();
    optimizer.step();
  }
  const Tensor p = sigmoid(network(x));
  for (int i = 0; i < 4; ++i) {
    std::printf("%.0f xor %.0f = %.3f\n", x.at({i, 0}), x.at({i, 1}), p.at({i, 0}));
  }
}
