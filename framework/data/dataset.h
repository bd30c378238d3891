// Dataset: numbered samples, and how a batch of them is put together. Page: docs/data.md
#pragma once

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

// Images in memory, as bytes: 60,000 of 28x28 take 47 MB.
struct Images {
  std::string name;
  Shape image;                       // [H, W, C]
  std::vector<uint8_t> bytes;        // [N, H, W, C], row by row
  std::vector<int32_t> labels;       // [N]
  std::vector<std::string> classes;  // their names
  double mean = 0, deviation = 1;    // a batch holds (byte / 255 - mean) / deviation
};

struct ImageSet : Dataset, Images {
  // Throws unless the bytes are as many as the labels ask for, and every label has a class.
  explicit ImageSet(Images images) : Images(std::move(images)) {
    ENSURE(image.rank() == 3 && image.elements() > 0, "{}: an image is [H, W, C], not {}", name,
           image);
    ENSURE(int64_t(bytes.size()) == size() * image.elements(),
           "{}: {} bytes are not {} images of {}", name, bytes.size(), size(), image);
    for (size_t i = 0; i < labels.size(); ++i) {
      ENSURE(labels[i] >= 0 && size_t(labels[i]) < classes.size(),
             "{}: sample {} has label {} of {} classes", name, i, labels[i], classes.size());
    }
  }

  int64_t size() const override { return int64_t(labels.size()); }

  std::span<const uint8_t> pixels(int64_t i) const {
    ENSURE(i >= 0 && i < size(), "{}: sample {} of {}", name, i, size());
    const size_t length = size_t(image.elements());
    return std::span(bytes).subspan(size_t(i) * length, length);
  }

  Batch batch(std::span<const int32_t> samples, Random&) const override {
    std::array<real, 256> value;  // a byte has only 256 values
    for (size_t i = 0; i < 256; ++i) value[i] = real((double(i) / 255 - mean) / deviation);
    const int64_t n = int64_t(samples.size());
    Batch batch{Tensor(image.inserted(0, n)), Indices(Shape{n}), Indices({n}, samples)};
    real* x = batch.x.mutable_data();
    int32_t* label = batch.labels.mutable_data();
    for (int32_t sample : samples) {
      for (uint8_t byte : pixels(sample)) *x++ = value[byte];
      *label++ = labels[size_t(sample)];
    }
    return batch;
  }

  ImageSet subset(std::span<const int32_t> samples) const {
    Images part{name, image, {}, {}, classes, mean, deviation};
    for (int32_t sample : samples) {
      const auto chosen = pixels(sample);
      part.bytes.insert(part.bytes.end(), chosen.begin(), chosen.end());
      part.labels.push_back(labels[size_t(sample)]);
    }
    return ImageSet(std::move(part));
  }
};

struct ImageData {
  ImageSet train, test;
};

// Both sets, scaled by the mean and deviation of all bytes of `train`, divided by 255.
inline ImageData scaled(ImageSet train, ImageSet test) {
  ENSURE(train.image == test.image, "{}: images of {} for training, {} for the test", train.name,
         train.image, test.image);
  int64_t sum = 0, squares = 0;  // whole numbers: millions of additions without rounding
  for (int64_t byte : train.bytes) sum += byte, squares += byte * byte;
  const double n = double(train.bytes.size()), mean = double(sum) / n / 255;
  const double variance = double(squares) / n / (255 * 255) - mean * mean;
  ENSURE(variance > 1e-12, "{}: all pixels of the training set are the same", train.name);
  train.mean = test.mean = mean;
  train.deviation = test.deviation = std::sqrt(variance);
  return {std::move(train), std::move(test)};
}

// The numbers 0 .. n-1 in random order, each order equally likely (Fisher and Yates; Durstenfeld,
// "Algorithm 235: random permutation", 1964).
inline std::vector<int32_t> permutation(int64_t n, Random& random) {
  std::vector<int32_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  for (int64_t i = n; i > 1; --i) std::swap(order[size_t(i - 1)], order[size_t(random.below(i))]);
  return order;
}

}  // namespace kindling
