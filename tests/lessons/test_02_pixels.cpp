// Tests of lesson 02's pixels: images from values, colour maps, grids, PNG files.
#include "02-perceptron/pixels.h"

#include <stb/stb_image.h>

#include <cmath>
#include <limits>

#include "base/check.h"
#include "support/catch.h"

using namespace lesson02;
using lesson01::kCategories, lesson01::kInk;

namespace {

constexpr real kNan = std::numeric_limits<real>::quiet_NaN();

Image decode(const std::string& png) {
  int width = 0, height = 0, channels = 0;
  unsigned char* bytes =
      stbi_load_from_memory(reinterpret_cast<const unsigned char*>(png.data()),
                            static_cast<int>(png.size()), &width, &height, &channels, 3);
  REQUIRE(bytes != nullptr);
  Image image(height, width);
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    image.pixels[i] = {bytes[3 * i], bytes[3 * i + 1], bytes[3 * i + 2]};
  }
  stbi_image_free(bytes);
  return image;
}

}  // namespace

TEST_CASE("to_images maps values to pixels in NHWC order", "[picture]") {
  const std::vector<real> grey = {0, real(0.2), 1, 2, -1, real(0.6)};  // two images of 1 x 3
  const auto images = to_images(grey, 1, 3, 1);
  REQUIRE(images.size() == 2);
  CHECK(images[0].at(0, 1) == Rgb{51, 51, 51});
  CHECK(images[0].at(0, 2) == kWhite);
  CHECK(images[1].at(0, 0) == kWhite);        // 2 is clamped
  CHECK(images[1].at(0, 1) == Rgb{0, 0, 0});  // -1 is clamped
  CHECK(images[1].at(0, 2) == Rgb{153, 153, 153});

  const std::vector<real> colour = {0, 1, 2, 4, 3, 2};  // one image of 2 x 1, three channels
  const auto scaled = to_images(colour, 2, 1, 3, 0, 5);
  REQUIRE(scaled.size() == 1);
  CHECK(scaled[0].at(0, 0) == Rgb{0, 51, 102});
  CHECK(scaled[0].at(1, 0) == Rgb{204, 153, 102});

  CHECK(to_images(std::vector<real>{0, kNan, 1}, 1, 1, 3)[0].at(0, 0) == kNotANumber);
  CHECK_THROWS_WITH(to_images(grey, 1, 3, 2), "to_images: 2 channels; an image has 1 or 3");
  CHECK_THROWS_WITH(to_images(grey, 2, 2, 1), "to_images: 6 values do not fill images of 4 values");
  CHECK(to_images(std::vector<real>{2, 3}, 1, 2, 1, 2, 7)[0].at(0, 1) == Rgb{51, 51, 51});
  const auto fading = [](double t) { return mix(kInk, kWhite, t); };
  CHECK(to_images(grey, 1, 3, 1, 0, 1, fading)[0].at(0, 1) == fading(0.2F));
}

TEST_CASE("classes have colours of their own, and colours are mixed", "[picture]") {
  for (const Rgb& a : kCategories) {
    for (const Rgb& b : kCategories) CHECK((a == b) == (&a == &b));
  }
  CHECK(mix(Rgb{0, 100, 200}, Rgb{100, 100, 100}, 0.25) == Rgb{25, 100, 175});
  CHECK(mix(kWhite, kInk, -1) == kWhite);
  CHECK(mix(kWhite, kInk, 2) == kInk);
  CHECK(mix(kWhite, kInk, std::nan("")) == kNotANumber);
}

TEST_CASE("grid places the images row by row", "[picture]") {
  const Rgb colours[] = {{1, 0, 0}, {2, 0, 0}, {3, 0, 0}};
  std::vector<Image> images;
  for (Rgb colour : colours) images.emplace_back(2, 3, colour);
  const Image out = grid(images, {2, 2, 1});
  REQUIRE(out.height == 2 * (2 * 2 + 1) + 1);
  REQUIRE(out.width == 2 * (2 * 3 + 1) + 1);
  CHECK(out.at(0, 0) == kWhite);
  CHECK(out.at(1, 1) == colours[0]);
  CHECK(out.at(4, 6) == colours[0]);
  CHECK(out.at(4, 7) == kWhite);
  CHECK(out.at(1, 8) == colours[1]);
  CHECK(out.at(6, 1) == colours[2]);
  CHECK(out.at(6, 8) == kWhite);  // there is no fourth image

  CHECK(grid(images).width == 2 * (3 + 2) + 2);  // as square as can be: two columns
  images.emplace_back(3, 3);
  CHECK_THROWS_WITH(grid(images), "grid: image 3 is 3 x 3, image 0 2 x 3");
  CHECK_THROWS_WITH(grid({}), "grid: no images");
}

TEST_CASE("a grid of one image enlarges it", "[picture]") {
  Image image(1, 2);
  image.at(0, 0) = {5, 6, 7};
  const Image large = grid({image}, {.scale = 3, .padding = 0});
  REQUIRE((large.height == 3 && large.width == 6));
  for (int y = 0; y < 3; ++y) {
    for (int x = 0; x < 6; ++x) CHECK(large.at(y, x) == image.at(0, x / 3));
  }
}

TEST_CASE("a PNG holds the pixels and always the same bytes", "[picture]") {
  Image image(7, 5);
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    image.pixels[i] = {static_cast<uint8_t>(7 * i), static_cast<uint8_t>(255 - i), 3};
  }
  const std::string png = encode_png(image);
  CHECK(png == encode_png(image));
  const Image back = decode(png);
  REQUIRE((back.height == 7 && back.width == 5));
  CHECK(back.pixels == image.pixels);
  CHECK_THROWS_WITH(encode_png(Image()), ContainsSubstring("0 x 0 pixels cannot be encoded"));
}
