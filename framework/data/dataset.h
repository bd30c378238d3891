// Dataset: numbered samples, and how a batch of them is put together. Page: docs/data.md
#pragma once

#include "base/random.h"
#include "tensor/indices.h"
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
class ImageSet : public Dataset {
 public:
  // `pixels` [N, H, W, C] row-major, `labels` one per image, `classes` their names.
  ImageSet(std::string name, Shape image, std::vector<uint8_t> pixels, std::vector<int32_t> labels,
           std::vector<std::string> classes);

  int64_t size() const override { return int64_t(labels_.size()); }
  Batch batch(std::span<const int32_t> samples, Random& random) const override;

  const std::string& name() const { return name_; }
  const Shape& image() const { return image_; }  // [H, W, C]
  const std::vector<std::string>& classes() const { return classes_; }
  const std::vector<int32_t>& labels() const { return labels_; }
  std::span<const uint8_t> pixels(int64_t i) const;
  // Mean and deviation of all bytes / 255; batches use those of the training set for every part.
  struct Scale {
    double mean, deviation;
  };
  Scale measure() const;
  void set_scale(const Scale& scale);
  const Scale& scale() const { return scale_; }
  ImageSet subset(std::span<const int32_t> samples) const;
  // For the known mistake of a lesson: labels exchanged at random among the samples.
  void shuffle_labels(Random& random);

 private:
  std::string name_;
  Shape image_;
  std::vector<uint8_t> pixels_;
  std::vector<int32_t> labels_;
  std::vector<std::string> classes_;
  Scale scale_{0, 1};
};

// The numbers 0 .. n-1 in random order, each order equally likely (Fisher and Yates; Durstenfeld,
// "Algorithm 235: random permutation", 1964).
std::vector<int32_t> permutation(int64_t n, Random& random);

struct ImageData {
  ImageSet train, test;
};

}  // namespace kindling
