// LeNet, and the perceptron of as many parameters that it is compared with. Page:
// docs/04-convolution.md
#pragma once

#include "kindling.h"

namespace lesson04 {

using namespace kindling;

struct Recipe {
  int64_t filters = 6, kernel = 5;  // of the first convolution; the second has 8/3 as many filters
  std::string pool = "max";         // of each 2 x 2 pixels; or "average"
  double dropout = 0;               // behind each hidden linear layer
};

// Linear layers with ReLU (and dropout) between them.
inline void add_linear(Sequential& net, const Shape& image, const std::vector<int64_t>& widths,
                       double dropout, Random& random) {
  net.add(Flatten()).add(Linear(image, widths[0], random));
  for (size_t i = 1; i < widths.size(); ++i) {
    net.add(Activation(relu));
    if (dropout > 0) net.add(Dropout(dropout, random));
    net.add(Linear(widths[i - 1], widths[i], random));
  }
}

// Twice convolution, ReLU, pooling; then linear layers. For images [28, 28, 1] and 10 classes it
// has 61,706 parameters. LeCun et al. 1998, section II.B, with ReLU and max pooling as usual today,
// and every filter of the second layer looking at all channels of the first.
inline Sequential lenet(const Shape& image, int64_t classes, const Recipe& recipe, Random& random) {
  const int64_t k = recipe.kernel, first = recipe.filters, second = first * 16 / 6;
  const int64_t h = (image[0] / 2 - k + 1) / 2, w = (image[1] / 2 - k + 1) / 2;
  Sequential net;
  const auto pool = [&] {
    recipe.pool == "max" ? net.add(MaxPool2d({2})) : net.add(AveragePool2d({2}));
  };
  net.add(Conv2d(image[2], first, k, {.padding = k / 2}, random)).add(Activation(relu)), pool();
  net.add(Conv2d(first, second, k, {}, random)).add(Activation(relu)), pool();
  add_linear(net, {h, w, second}, {120, 84, classes}, recipe.dropout, random);
  return net;
}

// h, h / 2 and `classes` units, with h chosen so that the parameters are as near to `parameters` as
// can be.
inline Sequential perceptron_of(int64_t parameters, const Shape& image, int64_t classes,
                                double dropout, Random& random) {
  const auto distance = [&](int64_t h) {
    const int64_t half = h / 2;
    return std::abs((image.elements() + 1) * h + (h + 1) * half + (half + 1) * classes -
                    parameters);
  };
  int64_t best = 2;
  for (int64_t h = 3; distance(h) <= distance(best); ++h) best = h;
  Sequential net;
  add_linear(net, image, {best, best / 2, classes}, dropout, random);
  return net;
}

}  // namespace lesson04
