// Tests of framework/data/dataset: scaling, batches, subsets, permutations.
#include "data/dataset.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "support/catch.h"

using namespace kindling;

namespace {

// Four images of 1x2x3 whose bytes are 0, 10, 20, ...; labels 0 1 2 0.
ImageSet four_images() {
  std::vector<uint8_t> pixels;
  for (int i = 0; i < 24; ++i) pixels.push_back(uint8_t(10 * i));
  return ImageSet({"four", {1, 2, 3}, pixels, {0, 1, 2, 0}, {"a", "b", "c"}});
}

}  // namespace

TEST_CASE("a batch holds the samples asked for, scaled, in their order", "[dataset]") {
  ImageSet set = four_images();
  Random random(1);
  const std::vector<int32_t> samples = {2, 0, 2};
  const Batch raw = set.batch(samples, random);
  CHECK(raw.x.shape() == Shape{3, 1, 2, 3});
  CHECK(raw.x.at({0, 0, 0, 1}) == Approx(130 / 255.0));
  CHECK(raw.x.at({1, 0, 1, 2}) == Approx(50 / 255.0));
  CHECK(raw.x.at({2, 0, 1, 0}) == Approx(150 / 255.0));
  CHECK(raw.labels.shape() == Shape{3});
  CHECK(raw.labels[0] == 2);
  CHECK(raw.labels[1] == 0);
  CHECK(std::vector<int32_t>(raw.samples.values().begin(), raw.samples.values().end()) == samples);

  set.mean = 0.5, set.deviation = 0.25;
  const Batch scaled = set.batch(samples, random);
  CHECK(scaled.x.at({0, 0, 0, 1}) == Approx((130 / 255.0 - 0.5) / 0.25));
}

TEST_CASE("two sets are scaled by the mean and deviation of the first", "[dataset]") {
  const ImageSet bytes({"bytes", {1, 1, 2}, {0, 255, 51, 102}, {0, 0}, {"a"}});
  const ImageSet other({"other", {1, 1, 2}, {7, 9}, {0}, {"a"}});
  const ImageData data = scaled(bytes, other);
  CHECK(data.train.mean == Approx(0.4));
  CHECK(data.train.deviation == Approx(std::sqrt((0.16 + 0.36 + 0.04 + 0.0) / 4)));
  CHECK(data.test.mean == data.train.mean);
  CHECK(data.test.deviation == data.train.deviation);
  CHECK(data.test.name == "other");
  CHECK(data.test.bytes == other.bytes);

  const ImageSet flat({"flat", {1, 1, 2}, {3, 3}, {0}, {"a"}}),
      wide({"wide", {1, 2, 1}, {}, {}, {}});
  CHECK_THROWS_WITH(scaled(flat, other),
                    Equals("flat: all pixels of the training set are the same"));
  CHECK_THROWS_WITH(scaled(bytes, wide),
                    Equals("bytes: images of [1, 1, 2] for training, [1, 2, 1] for the test"));
}

TEST_CASE("a subset has the chosen samples and the scale of its set", "[dataset]") {
  ImageSet set = four_images();
  set.mean = 0.1, set.deviation = 0.2;
  const std::vector<int32_t> samples = {3, 1};
  const ImageSet part = set.subset(samples);
  CHECK(part.size() == 2);
  CHECK(part.labels == std::vector<int32_t>{0, 1});
  CHECK(part.pixels(0)[0] == 180);
  CHECK(part.pixels(1)[5] == 110);
  CHECK(part.mean == 0.1);
  CHECK(part.deviation == 0.2);
  CHECK(part.classes.size() == 3);
}

TEST_CASE("a permutation holds every number once, and every order is as likely", "[dataset]") {
  Random random(1);
  const std::vector<int32_t> order = permutation(1000, random);
  CHECK(std::set<int32_t>(order.begin(), order.end()).size() == 1000);
  CHECK(*std::min_element(order.begin(), order.end()) == 0);
  CHECK(*std::max_element(order.begin(), order.end()) == 999);
  CHECK(permutation(0, random).empty());

  std::map<std::vector<int32_t>, int> count;
  for (int i = 0; i < 6000; ++i) ++count[permutation(3, random)];
  REQUIRE(count.size() == 6);
  // Each has mean 1000 and deviation 29: outside five deviations once in two million.
  for (const auto& [each, times] : count) CHECK(std::abs(times - 1000) < 5 * 29);
}

TEST_CASE("an image set refuses what does not fit", "[dataset]") {
  CHECK_THROWS_WITH(ImageSet({"set", {2, 2, 1}, std::vector<uint8_t>(7), {0, 0}, {"a"}}),
                    Equals("set: 7 bytes are not 2 images of [2, 2, 1]"));
  CHECK_THROWS_WITH(ImageSet({"set", {1, 1, 1}, {0, 0}, {0, 3}, {"a", "b", "c"}}),
                    Equals("set: sample 1 has label 3 of 3 classes"));
  CHECK_THROWS_WITH(ImageSet({"set", {1, 1, 1}, {0}, {-1}, {"a"}}), ContainsSubstring("label -1"));
  CHECK_THROWS_WITH(ImageSet({"set", {4}, {}, {}, {"a"}}), ContainsSubstring("[H, W, C], not [4]"));
  ImageSet set = four_images();
  Random random(1);
  const std::vector<int32_t> beyond = {0, 4};
  CHECK_THROWS_WITH(set.batch(beyond, random), Equals("four: sample 4 of 4"));
  const std::vector<int32_t> below = {-1};
  CHECK_THROWS_WITH(set.subset(below), Equals("four: sample -1 of 4"));
}
