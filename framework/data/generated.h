// Data that needs no files: digits drawn from strokes, and points in the plane. Page: docs/data.md
#pragma once

#include "data/dataset.h"

namespace kindling {

// Ten classes of stroke digits, 28x28x1, each with its own random slant, scale, rotation, place,
// thickness and noise. The same seed gives the same images; train and test never share a stream.
ImageData stroke_digits(int64_t train, int64_t test, uint64_t seed);

// Points in the plane with labels 0 and 1.
struct Points {
  Tensor x;        // [N, 2]
  Indices labels;  // [N]
};
// Two round clouds around the given centres; each class has n / 2 points.
Points blobs(int64_t n, double centre0_x, double centre0_y, double centre1_x, double centre1_y,
             double deviation, Random& random);

}  // namespace kindling
