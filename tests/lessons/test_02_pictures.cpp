// Tests of the pictures of lesson 02: the decision plane, weights as images, images with captions,
// the confusion matrix.
#include "02-perceptron/pictures.h"

#include <limits>
#include <regex>

#include "support/catch.h"
#include "support/ink.h"
#include "support/luminance.h"
#include "support/skip.h"

using namespace kindling;
using namespace lesson02;
using lesson01::kCategories;

namespace {

constexpr real kNan = std::numeric_limits<real>::quiet_NaN();

bool nearer(Rgb c, Rgb to, Rgb than) {
  const auto distance = [&](Rgb o) { return std::hypot(c.r - o.r, c.g - o.g, c.b - o.b); };
  return distance(to) < distance(than);
}

std::string decode_base64(const std::string& digits) {
  const std::string kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  unsigned bits = 0;
  int held = 0;
  for (char c : digits) {
    if (c == '=') break;
    const size_t digit = kDigits.find(c);
    REQUIRE(digit != std::string::npos);
    bits = bits << 6 | static_cast<unsigned>(digit);
    if ((held += 6) >= 8) bytes += static_cast<char>(bits >> (held -= 8));
  }
  return bytes;
}

std::vector<std::smatch> all_matches(const std::string& svg, const char* pattern) {
  const std::regex regex(pattern);
  return {std::sregex_iterator(svg.begin(), svg.end(), regex), std::sregex_iterator()};
}

const std::vector<std::string> kNames = {"T-shirt/top", "Trouser", "Ankle boot"};
const std::vector<int64_t> kCounts = {90, 10, 0, 0, 100, 0, 3, 4, 93};

struct Text {
  double x, y;
};
Text text(const std::string& svg, const std::string& wanted) {
  const auto found = all_matches(svg, "<text x='([^']*)' y='([^']*)'[^>]*>([^<]*)</text>");
  for (const auto& m : found) {
    if (m.str(3) == wanted) return {std::stod(m.str(1)), std::stod(m.str(2))};
  }
  FAIL("no text \"" << wanted << "\" in\n" << svg);
  return {};
}

}  // namespace

TEST_CASE("a decision picture shows classes, boundary and samples where they are") {
  const Plane plane{0, 10, 0, 5, 100};
  REQUIRE(plane.height() == 50);
  const auto centres = pixel_centres(plane);
  REQUIRE(centres.size() == 2 * 100 * 50);
  CHECK(centres[0] == Approx(0.05));  // the first pixel is at the top left: small x, large y
  CHECK(centres[1] == Approx(4.95));
  CHECK(centres[2] == Approx(0.15));
  CHECK(centres[centres.size() - 1] == Approx(0.05));

  std::vector<real> scores;  // class 1 to the right of x = 6
  for (size_t i = 0; i < centres.size(); i += 2) scores.push_back(std::tanh(centres[i] - 6));
  const Image image = decision_picture(plane, scores, {{2, 4, 0}, {8, 4, 1}, {2, 1, 1}});
  const Rgb blue = kCategories[0], orange = kCategories[1];
  CHECK(nearer(image.at(25, 10), blue, orange));
  CHECK(nearer(image.at(25, 90), orange, blue));
  CHECK(luminance(image.at(25, 10)) > luminance(blue));  // soft, so that samples stand out
  CHECK(luminance(image.at(25, 59)) < 0.1);              // the boundary is drawn in ink
  CHECK(luminance(image.at(25, 55)) > 0.5);              // and is thin; near it the colour is pale
  CHECK(image.at(10, 20) == blue);                       // y = 4 is near the top
  CHECK(image.at(10, 80) == orange);
  CHECK(image.at(40, 20) == orange);  // y = 1, on the wrong side: a dark ring
  const auto ring = [&](int y, int x) { return luminance(image.at(y, x + 3)); };
  CHECK(ring(10, 20) > 0.8);
  CHECK(ring(40, 20) < 0.2);

  scores[10 * 100 + 30] = kNan;
  CHECK(decision_picture(plane, scores, {}).at(10, 30) == kNotANumber);
  CHECK_NOTHROW(decision_picture(plane, scores, {{1e30, 0, 0}, {kNan, 0, 0}}));  // not on the plane
  CHECK_THROWS_WITH(decision_picture(plane, scores, {{1, 1, 2}}),
                    "decision_picture: label 2 is not 0 or 1");
  scores.pop_back();
  CHECK_THROWS_WITH(decision_picture(plane, scores, {}),
                    "decision_picture: 4999 scores for 50 x 100 pixels");
  CHECK_THROWS_WITH((Plane{1, 1, 0, 1, 10}.height()),
                    "plane: [1, 1] x [0, 1] at 10 pixels is empty");
}

TEST_CASE("weight_images share one scale with white at zero") {
  const auto images = weight_images(std::vector<real>{-4, 0, 2, 4}, 1, 2);
  REQUIRE(images.size() == 2);
  CHECK(images[0].at(0, 0) == diverging_colour(-1));
  CHECK(images[0].at(0, 1) == diverging_colour(0));
  CHECK(images[1].at(0, 0) == diverging_colour(0.5));
  CHECK(images[1].at(0, 1) == diverging_colour(1));
  CHECK(weight_images(std::vector<real>{0}, 1, 1)[0].at(0, 0) == diverging_colour(0));
  CHECK(weight_images(std::vector<real>{1, kNan}, 1, 2)[0].at(0, 1) == kNotANumber);
}

TEST_CASE("blue and red of one size look equally strong") {
  const Rgb blue = diverging_colour(-1), red = diverging_colour(1), white = diverging_colour(0);
  CHECK((blue.b > 150 && blue.r < 50));
  CHECK((red.r > 150 && red.b < 60));
  CHECK((white.r > 245 && white.r == white.g && white.g == white.b));
  // 0.04 is a fifth of their luminance.
  CHECK(luminance(blue) == Approx(luminance(red)).margin(0.04));
}

TEST_CASE("the sequential colours change lightness evenly") {
  double last = 2;
  for (int i = 0; i <= 20; ++i) {
    const double now = luminance(sequential_colour(i / 20.0));
    CHECK(now < last - 0.002);  // the darkest of the 20 steps is 0.006
    last = now;
  }
  CHECK(sequential_colour(7) == sequential_colour(1));
  CHECK(sequential_colour(-7) == sequential_colour(0));
}

TEST_CASE("an image table holds its images and captions") {
  std::vector<Image> images = {Image(2, 3, {10, 20, 30}), Image(2, 3, {40, 50, 60}), Image(2, 3)};
  const std::string svg = image_table("Most wrong", images, {"true 1\nsaid 7", "b", "c"}, 2, 4);
  const auto found =
      all_matches(svg, "width='([0-9]+)' height='([0-9]+)' href='data:image/png;base64,([^']*)'");
  REQUIRE(found.size() == 3);
  CHECK((found[1].str(1) == "12" && found[1].str(2) == "8"));
  for (int n = 1; n < 9; ++n) {  // files of various sizes
    const std::string table = image_table("", {Image(n, 1)}, {""}, 1);
    const auto one = all_matches(table, "base64,([^']*)'");  // which points into the table
    CHECK(one.at(0).str(1).size() % 4 == 0);
  }
  CHECK(decode_base64(found[1].str(3)) ==
        encode_png(grid({images[1]}, {.scale = 4, .padding = 0})));
  CHECK(text(svg, "true 1").y < text(svg, "said 7").y);
  CHECK(text(svg, "true 1").x == text(svg, "c").x);  // two columns: the third is under the first
  CHECK(text(svg, "true 1").y == text(svg, "b").y);
  CHECK(text(svg, "c").y > text(svg, "said 7").y + 8);
  CHECK_THAT(image_table("", {Image(2, 2)}, {"a < b & c"}, 1),
             ContainsSubstring("a &lt; b &amp; c"));
  CHECK_THROWS_WITH(image_table("", images, {"a"}, 2),
                    "image_table: 3 images, 1 captions, 2 columns");
}

TEST_CASE("a confusion matrix shows counts, shades by row and sums up") {
  const std::string svg = confusion_matrix("Fashion", kNames, kCounts);
  text(svg, "rows: true class, columns: predicted; 283 of 300 right");
  // 93 of row 3 is in the last column, 3 in the first.
  CHECK(text(svg, "93").x > text(svg, "3").x);
  CHECK(text(svg, "93").y == text(svg, "Ankle boot").y);
  CHECK(text(svg, "10").y == text(svg, "T-shirt/top").y);
  CHECK_THAT(svg, !ContainsSubstring(">0<"));  // a zero is left out
  const auto cells = all_matches(svg, "<rect x='[^>]*\\.[0-9]' fill='#([0-9a-f]{6})'");
  REQUIRE(cells.size() == 9);
  const auto green = [&](size_t i) { return std::stoi(cells[i].str(1).substr(2, 2), nullptr, 16); };
  CHECK(green(4) < green(0));  // 100 of 100 is darker than 90 of 100
  CHECK(green(1) < green(2));  // 10 is darker than none
  CHECK(green(2) > 240);
  CHECK_THAT(svg, ContainsSubstring("fill='#ffffff'>100<"));  // light on dark
  CHECK_THAT(svg, ContainsSubstring("fill='#282828'>10<"));   // in ink on a pale cell
  CHECK_THAT(svg, ContainsSubstring("rotate(-45"));           // the names are wider than a cell
  CHECK_THAT(confusion_matrix("", {"0", "1"}, std::vector<int64_t>(4)),
             !ContainsSubstring("rotate(-45"));
  CHECK_THROWS_WITH(confusion_matrix("", kNames, std::vector<int64_t>(8)),
                    "confusion_matrix: 8 counts for 3 classes");
  // A class without samples is pale, not the colour of 0 / 0.
  CHECK_THAT(confusion_matrix("", kNames, std::vector<int64_t>(9)), !ContainsSubstring("ff00ff"));
}

TEST_CASE("tables are pictures that librsvg draws") {
  if (!has_program("rsvg-convert")) return skip("rsvg-convert is not installed: run make deps-dev");
  CHECK(dark_pixels(image_table("a < b & c", {Image(2, 2)}, {"caption"}, 1)) > 50);
  CHECK(dark_pixels(confusion_matrix("Fashion", kNames, kCounts)) > 50);
}
