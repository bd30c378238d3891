// Image sets in memory and the batches made from them. Page: docs/data.md
#include "data/dataset.h"

namespace kindling {

ImageSet::ImageSet(std::string set, const Shape& hwc, std::vector<uint8_t> pixels,
                   std::vector<int32_t> class_of, std::vector<std::string> class_names)
    : name(std::move(set)),
      image(hwc),
      bytes(std::move(pixels)),
      labels(std::move(class_of)),
      classes(std::move(class_names)) {
  ENSURE(image.rank() == 3 && image.elements() > 0, "{}: an image is [H, W, C], not {}", name,
         image);
  ENSURE(int64_t(bytes.size()) == size() * image.elements(), "{}: {} bytes are not {} images of {}",
         name, bytes.size(), size(), image);
  for (size_t i = 0; i < labels.size(); ++i) {
    ENSURE(labels[i] >= 0 && size_t(labels[i]) < classes.size(),
           "{}: sample {} has label {} of {} classes", name, i, labels[i], classes.size());
  }
}

std::span<const uint8_t> ImageSet::pixels(int64_t i) const {
  ENSURE(i >= 0 && i < size(), "{}: sample {} of {}", name, i, size());
  const size_t length = size_t(image.elements());
  return std::span(bytes).subspan(size_t(i) * length, length);
}

Batch ImageSet::batch(std::span<const int32_t> samples, Random&) const {
  std::array<real, 256> value;  // a byte has only 256 values
  for (size_t byte = 0; byte < 256; ++byte) {
    value[byte] = real((double(byte) / 255 - mean) / deviation);
  }
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

ImageSet ImageSet::subset(std::span<const int32_t> samples) const {
  ImageSet part(name, image, {}, {}, classes);
  part.mean = mean, part.deviation = deviation;
  for (int32_t sample : samples) {
    const auto chosen = pixels(sample);
    part.bytes.insert(part.bytes.end(), chosen.begin(), chosen.end());
    part.labels.push_back(labels[size_t(sample)]);
  }
  return part;
}

ImageData scaled(ImageSet train, ImageSet test) {
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

std::vector<int32_t> permutation(int64_t n, Random& random) {
  std::vector<int32_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  for (int64_t i = n - 1; i > 0; --i)
    std::swap(order[size_t(i)], order[size_t(random.below(i + 1))]);
  return order;
}

}  // namespace kindling
