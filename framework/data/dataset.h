// Dataset: numbered samples, and how a batch of them is put together. Page: docs/data.md
#pragma once

#include "base/random.h"
#include "tensor/tensor.h"

namespace kindling {

// What a training step gets: B samples. A set without labels leaves them undefined.
struct Batch {
  Tensor x;         // [B, ...]
  Indices labels;   // [B]
  Indices samples;  // [B]: numbers of the samples in the dataset
};

class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  // Samples `samples` as a batch. `random` is this batch's own generator, for augmentation: the
  // same seed and epoch give the same batch whatever the number of threads. Must be callable from
  // the loader's thread while others only read the set.
  virtual Batch batch(std::span<const int32_t> samples, Random& random) const = 0;
};

// Samples held in memory: pixels or features as bytes, scaled to (byte / 255 - mean) / deviation
// when a batch is made, so 60,000 images of 28x28 take 47 MB.
struct ImageSet : Dataset {
  // Throws unless the bytes are as many as the labels ask for, and every label has a class.
  ImageSet(std::string set, const Shape& hwc, std::vector<uint8_t> pixels,
           std::vector<int32_t> class_of, std::vector<std::string> class_names);

  int64_t size() const override { return int64_t(labels.size()); }
  Batch batch(std::span<const int32_t> samples, Random& random) const override;
  std::span<const uint8_t> pixels(int64_t i) const;
  ImageSet subset(std::span<const int32_t> samples) const;

  std::string name;
  Shape image;                       // [H, W, C]
  std::vector<uint8_t> bytes;        // [N, H, W, C], row by row
  std::vector<int32_t> labels;       // [N]
  std::vector<std::string> classes;  // their names
  double mean = 0, deviation = 1;
};

struct ImageData {
  ImageSet train, test;
};
// Both sets, scaled by the mean and deviation of all bytes of `train`, divided by 255.
ImageData scaled(ImageSet train, ImageSet test);

// The numbers 0 .. n-1 in random order, each order equally likely (Fisher and Yates; Durstenfeld,
// "Algorithm 235: random permutation", 1964).
std::vector<int32_t> permutation(int64_t n, Random& random);

}  // namespace kindling
