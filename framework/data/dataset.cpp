// Image sets in memory and the batches made from them. Page: docs/data.md
#include "data/dataset.h"

namespace kindling {

ImageSet::ImageSet(std::string name, Shape image, std::vector<uint8_t> pixels,
                   std::vector<int32_t> labels, std::vector<std::string> classes)
    : name_(std::move(name)),
      image_(image),
      pixels_(std::move(pixels)),
      labels_(std::move(labels)),
      classes_(std::move(classes)) {
  ENSURE(image_.rank() == 3 && image_.elements() > 0, "{}: an image is [H, W, C], not {}", name_,
         image_);
  ENSURE(int64_t(pixels_.size()) == size() * image_.elements(),
         "{}: {} bytes are not {} images of {}", name_, pixels_.size(), size(), image_);
  for (int64_t i = 0; i < size(); ++i) {
    const int32_t label = labels_[size_t(i)];
    ENSURE(label >= 0 && size_t(label) < classes_.size(),
           "{}: sample {} has label {} of {} classes", name_, i, label, classes_.size());
  }
}

std::span<const uint8_t> ImageSet::pixels(int64_t i) const {
  ENSURE(i >= 0 && i < size(), "{}: sample {} of {}", name_, i, size());
  const size_t length = size_t(image_.elements());
  return {pixels_.data() + size_t(i) * length, length};
}

Batch ImageSet::batch(std::span<const int32_t> samples, Random&) const {
  std::array<real, 256> scaled;  // a byte has only 256 values
  for (int byte = 0; byte < 256; ++byte) {
    scaled[size_t(byte)] = real((byte / 255.0 - scale_.mean) / scale_.deviation);
  }
  const int64_t n = int64_t(samples.size());
  Batch batch{Tensor(image_.inserted(0, n)), Indices(Shape{n}), Indices({n}, samples)};
  real* x = batch.x.mutable_data();
  int32_t* label = batch.labels.mutable_data();
  for (int32_t sample : samples) {
    const auto bytes = pixels(sample);
    x = std::transform(bytes.begin(), bytes.end(), x, [&](uint8_t byte) { return scaled[byte]; });
    *label++ = labels_[size_t(sample)];
  }
  return batch;
}

ImageSet::Scale ImageSet::measure() const {
  std::array<int64_t, 256> count{};  // whole numbers: the result has no rounding of 47 million sums
  for (uint8_t byte : pixels_) ++count[byte];
  const double n = double(std::max(pixels_.size(), size_t{1}));
  double mean = 0, variance = 0;
  for (size_t byte = 0; byte < 256; ++byte) mean += double(count[byte]) / n * double(byte) / 255;
  for (size_t byte = 0; byte < 256; ++byte) {
    variance += double(count[byte]) / n * std::pow(double(byte) / 255 - mean, 2);
  }
  return {mean, std::sqrt(variance)};
}

void ImageSet::set_scale(const Scale& scale) {
  ENSURE(std::isfinite(scale.mean) && scale.deviation > 0,
         "{}: mean {} and deviation {} give no scale; are all pixels the same?", name_, scale.mean,
         scale.deviation);
  scale_ = scale;
}

ImageSet ImageSet::subset(std::span<const int32_t> samples) const {
  std::vector<uint8_t> bytes;
  std::vector<int32_t> labels;
  bytes.reserve(samples.size() * size_t(image_.elements()));
  labels.reserve(samples.size());
  for (int32_t sample : samples) {
    const auto image = pixels(sample);
    bytes.insert(bytes.end(), image.begin(), image.end());
    labels.push_back(labels_[size_t(sample)]);
  }
  ImageSet part(name_, image_, std::move(bytes), std::move(labels), classes_);
  part.scale_ = scale_;
  return part;
}

void ImageSet::shuffle_labels(Random& random) {
  const std::vector<int32_t> before = labels_;
  std::ranges::transform(permutation(size(), random), labels_.begin(),
                         [&](int32_t i) { return before[size_t(i)]; });
}

std::vector<int32_t> permutation(int64_t n, Random& random) {
  std::vector<int32_t> order(size_t(std::max(n, int64_t{0})));
  std::iota(order.begin(), order.end(), 0);
  for (int64_t i = n - 1; i > 0; --i)
    std::swap(order[size_t(i)], order[size_t(random.below(i + 1))]);
  return order;
}

}  // namespace kindling
