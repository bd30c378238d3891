// Lesson 04: its convolutions, receptive fields, moved images and networks; whole runs with their
// exit codes and pictures.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "04-convolution/filters.h"
#include "04-convolution/ladder.h"
#include "04-convolution/lenet.h"
#include "04-convolution/receptive.h"
#include "04-convolution/see.h"
#include "support/catch.h"
#include "support/command.h"
#include "support/skip.h"

using namespace kindling;
using namespace lesson04;
namespace fs = std::filesystem;

namespace {

std::string lesson() { return fs::absolute(build_folder() / "lesson-04-convolution").string(); }

CommandResult run(const TempFolder& out, const std::string& options,
                  const std::string& before = "") {
  return run_command(before + " " + lesson() + " --no-color --out " + out.path().string() + " " +
                     options);
}

fs::path first_run(const TempFolder& out) { return out.path() / "04-convolution" / "run-001"; }

// What the specification says (kernels/reference.h).
Tensor by_reference(const Tensor& x, const Tensor& weight, const ConvOptions& o) {
  const int64_t k = weight.dim(1), h = side(x.dim(1), k, o), w = side(x.dim(2), k, o);
  Tensor y({x.dim(0), h, w, weight.dim(0)});
  const Window window = {x.dim(1), x.dim(2), h,         w,         k, k,
                         o.stride, o.stride, o.padding, o.padding, 1, 1};
  reference::conv({x.dim(0), x.dim(3), weight.dim(0), 1, window}, x.data(), weight.data(), nullptr,
                  y.mutable_data());
  return y;
}

std::vector<real> values(const Tensor& t) { return {t.values().begin(), t.values().end()}; }

// Images [h, w, 1] of one class, image i filled by pixel(i, y, x).
template <class F> ImageSet images(int64_t n, int64_t h, int64_t w, const F& pixel) {
  Images all{"made", {h, w, 1}, {}, {}, {"one"}};
  for (int64_t i = 0; i < n; ++i) {
    all.labels.push_back(0);
    for (int64_t y = 0; y < h; ++y) {
      for (int64_t x = 0; x < w; ++x) all.bytes.push_back(uint8_t(pixel(i, y, x)));
    }
  }
  return ImageSet(std::move(all));
}

}  // namespace

TEST_CASE("convolution: the loops and im2col agree with the reference") {
  Random random(3);
  int shapes = 0;
  for (int64_t k : {1, 2, 3, 5}) {
    for (int64_t stride : {1, 2, 3}) {
      for (int64_t padding : {0, 1, 2}) {
        const ConvOptions o{.stride = stride, .padding = padding};
        const Tensor x = normal({2, 7, 5, 3}, random), weight = normal({4, k, k, 3}, random);
        const Tensor expected = by_reference(x, weight, o);
        INFO("kernel " << k << ", stride " << stride << ", padding " << padding);
        REQUIRE(naive_conv(x, weight, o).shape() == expected.shape());
        REQUIRE(im2col_conv(x, weight, o).shape() == expected.shape());
        // Sums of up to 75 floats.
        CHECK(relative_difference(naive_conv(x, weight, o), expected) < 1e-5);
        CHECK(relative_difference(im2col_conv(x, weight, o), expected) < 1e-5);
        ++shapes;
      }
    }
  }
  CHECK(shapes == 36);
}

TEST_CASE("convolution: im2col lays windows out row by row, zeros outside") {
  const Tensor x = tensor({1, 2, 3, 1}, {1, 2, 3, 4, 5, 6});
  const Tensor inside = im2col(x, 2, {});
  CHECK(inside.shape() == Shape{2, 4});
  CHECK(values(inside) == std::vector<real>{1, 2, 4, 5, 2, 3, 5, 6});
  const Tensor padded = im2col(x, 2, {.stride = 2, .padding = 1});
  CHECK(padded.shape() == Shape{4, 4});
  CHECK(values(padded) == std::vector<real>{0, 0, 0, 1, 0, 0, 2, 3, 0, 4, 0, 0, 5, 6, 0, 0});
}

TEST_CASE("convolution: scratch memory is what was held besides the result") {
  const int64_t bytes = 1 << 20;
  const auto held = [&](int64_t parts) {
    return measured([=] {
             for (int64_t i = 0; i < parts; ++i) zeros({bytes / 4});  // one after the other
             return zeros({3});
           })
        .scratch;
  };
  CHECK(held(0) == 0);
  CHECK(held(1) >= bytes - 4096);
  CHECK(held(3) < 2 * bytes);
}

TEST_CASE("filters: their sums, and the slope of a ramp") {
  const auto total = [](const Tensor& w) { return double(sum(w).item()); };
  CHECK(total(blur()) == Approx(1));
  CHECK(total(sharpen()) == 1);
  CHECK(total(sobel_right()) == 0);
  CHECK(total(sobel_down()) == 0);
  Tensor ramp({1, 6, 6, 1});  // 3 brighter with each column, 1 with each row
  for (int64_t i = 0; i < 36; ++i) ramp.mutable_data()[i] = real(3 * (i % 6) + i / 6);
  CHECK(largest_difference(conv2d(ramp, sobel_right()), full({1, 4, 4, 1}, 8 * 3)) == 0);
  CHECK(largest_difference(conv2d(ramp, sobel_down()), full({1, 4, 4, 1}, 8 * 1)) == 0);
  CHECK(largest_difference(conv2d(ramp, sharpen()), slice(slice(ramp, 1, 1, 5), 2, 1, 5)) == 0);
  CHECK(edges(ramp).values()[7] == Approx(std::hypot(24, 8)));
}

TEST_CASE("photograph: a file as grey numbers, and the drawing") {
  const TempFolder folder;
  lesson02::Image image(2, 3, {0, 0, 0});
  image.at(0, 1) = {255, 255, 255};
  image.at(1, 2) = {51, 51, 51};
  const std::string path = (folder.path() / "p.png").string();
  write_file(path, lesson02::encode_png(image));
  const Tensor grey = read_photograph(path);
  CHECK(grey.shape() == Shape{1, 2, 3, 1});
  CHECK(largest_difference(grey, tensor({1, 2, 3, 1}, {0, 1, 0, 0, 0, 0.2})) < 1e-6);
  CHECK_THROWS_AS(read_photograph(path + "x"), UsageError);
  write_text(folder.path() / "text.png", "not a picture");
  CHECK_THROWS_WITH(read_photograph((folder.path() / "text.png").string()),
                    ContainsSubstring("text.png: not an image that can be read") &&
                        ContainsSubstring("make data-photograph"));
  CHECK_THROWS_WITH(load_photograph(path), ContainsSubstring("3 x 2 pixels"));

  const Tensor drawing = drawn_picture();
  CHECK(double(max(drawing).item()) <= 1);
  CHECK(double(max(neg(drawing)).item()) <= 0);
  CHECK(double(var(drawing).item()) > 0.02);  // something is drawn
  CHECK(reduced(drawing, 150).shape() == Shape{1, 100, 150, 1});
  CHECK(reduced(drawing, 300).shape() == drawing.shape());
}

TEST_CASE("receptive field: the formula") {
  constexpr auto conv = Seen::conv, pool = Seen::pool;
  const std::vector<Seen> lenet = {{conv, 5}, {pool, 2, 2}, {conv, 5}, {pool, 2, 2}};
  CHECK(receptive_field({}) == 1);
  CHECK(receptive_field(std::span(lenet).first(1)) == 5);
  CHECK(receptive_field(std::span(lenet).first(2)) == 6);
  CHECK(receptive_field(std::span(lenet).first(3)) == 14);
  CHECK(receptive_field(lenet) == 16);
  CHECK(receptive_field(std::vector<Seen>{{conv, 3, 2}, {conv, 3, 1, 3}}) == 3 + 2 * 3 * 2);
  CHECK(receptive_field(std::vector<Seen>{{conv, 3, 2}, {conv, 3, 2}, {conv, 3}}) == 3 + 4 + 8);
}

TEST_CASE("receptive field: the gradient reaches as far as the formula says") {
  Random random(5);
  for (int64_t kernel : {2, 3, 4}) {
    for (int64_t stride : {1, 2}) {
      for (int64_t dilation : {1, 2}) {
        const std::vector<Seen> layers = {{Seen::conv, kernel, stride, dilation},
                                          {Seen::pool, 2, stride},
                                          {Seen::conv, 3, 1, dilation}};
        const int64_t field = receptive_field(layers);
        INFO(kernel << " " << stride << " " << dilation);
        CHECK(box_of(seen_by_the_middle(layers, 32, random)) == std::array{field, field});
      }
    }
  }
  CHECK(box_of(tensor({3, 4}, {0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 2})) ==
        std::array<int64_t, 2>{2, 3});
}

TEST_CASE("moved images: what comes in is background, and mirrors keep the rows") {
  const std::vector<real> x = {1, 2, 3, 4, 5, 6};  // two rows of three
  const auto moved = [&](const Move& move) {
    std::vector<real> y(6, -7);
    move_image({2, 3, 1}, x.data(), move, 9, y.data());
    return y;
  };
  CHECK(moved({}) == x);
  CHECK(moved({.right = 1}) == std::vector<real>{9, 1, 2, 9, 4, 5});
  CHECK(moved({.right = -2}) == std::vector<real>{3, 9, 9, 6, 9, 9});
  CHECK(moved({.down = 1}) == std::vector<real>{9, 9, 9, 1, 2, 3});
  CHECK(moved({.down = -1, .right = 1}) == std::vector<real>{9, 4, 5, 9, 9, 9});
  CHECK(moved({.mirrored = true}) == std::vector<real>{3, 2, 1, 6, 5, 4});
  CHECK(moved({.right = 1, .mirrored = true}) == std::vector<real>{9, 3, 2, 9, 6, 5});
  CHECK(moved({.down = 5}) == std::vector<real>(6, 9));
  std::vector<real> two(6, 0);  // one row of three pixels with two channels
  move_image({1, 3, 2}, x.data(), {.right = 1, .mirrored = true}, 9, two.data());
  CHECK(two == std::vector<real>{9, 9, 5, 6, 3, 4});
}

TEST_CASE("moved images: a batch follows from the seed, and every move occurs") {
  // One bright pixel in the middle and a darker one to its right: together they tell the move.
  const ImageSet set = images(500, 7, 9, [](int64_t, int64_t y, int64_t x) {
    return y == 3 && x == 4 ? 200 : y == 3 && x == 5 ? 100 : 0;
  });
  const Moved moved(set, random_moves(2));
  CHECK(moved.size() == 500);
  const auto batch = [&](uint64_t seed, bool ahead) {
    Loader loader(moved, {.batch = 500, .ahead = ahead, .seed = seed});
    return loader.next()->x;
  };
  const Tensor x = batch(1, true);
  CHECK(values(x) == values(batch(1, false)));
  CHECK(values(x) != values(batch(2, false)));

  std::set<std::array<int64_t, 3>> moves;
  for (int64_t i = 0; i < 500; ++i) {
    const auto image = x.values().subspan(size_t(i) * 63, 63);
    const auto bright = std::max_element(image.begin(), image.end()) - image.begin();
    const bool mirrored = image[size_t(bright - 1)] > real(0.2);
    CHECK((mirrored || image[size_t(bright + 1)] > real(0.2)));
    moves.insert({bright / 9 - 3, bright % 9 - 4, mirrored});
  }
  CHECK(moves.size() == 50);  // 5 down, 5 right, mirrored or not
  CHECK((*moves.begin())[0] == -2);
  CHECK((*moves.rbegin())[0] == 2);
}

TEST_CASE("moved images: pixels from outside are as dark as a byte of 0") {
  ImageSet set = images(1, 2, 2, [](int64_t, int64_t, int64_t) { return 255; });
  set.mean = 0.25, set.deviation = 0.5;
  const Moved moved(set, [](Random&) { return Move{.down = 1}; });
  Random random(0);
  const Tensor x = moved.batch(std::array{int32_t{0}}, random).x;
  CHECK(values(x) == std::vector<real>{-0.5, -0.5, 1.5, 1.5});
}

namespace {

// Class 0 if the bright pixel stands in the middle of its row of 13, otherwise class 1.
struct Middle : Layer {
  Tensor forward(const Tensor& x) override {
    Tensor scores({x.dim(0), 2});
    for (int64_t i = 0; i < x.dim(0); ++i) {
      const bool middle = x.values()[size_t(i * 169 + 6 * 13 + 6)] > real(0.5);
      scores.mutable_data()[2 * i] = middle ? 5 : -5;
      scores.mutable_data()[2 * i + 1] = 0;
      seen.insert(std::max_element(x.data() + i * 169, x.data() + (i + 1) * 169) -
                  (x.data() + i * 169));
    }
    return scores;
  }
  std::set<std::ptrdiff_t> seen;  // where the bright pixel stood
};

}  // namespace

TEST_CASE("moved images: the test moves each image so far, in one of four directions") {
  ImageSet set = images(600, 13, 13, [](int64_t i, int64_t y, int64_t x) {
    return y == 6 && x == (i < 450 ? 6 : 5) ? 255 : 0;
  });
  set.classes = {"middle", "elsewhere"};
  Middle model;
  const Answers still = answers(model, set);
  CHECK(still.percent == 75);  // 600 images, more than a batch
  // -log p of scores 5 and 0: a quarter answers 0, the class it should not, by 5.
  const double sure = std::log1p(std::exp(-5));
  CHECK(still.loss == Approx(0.75 * sure + 0.25 * (5 + sure)));
  CHECK(model.training());
  model.seen.clear();
  const std::vector<double> moved = when_moved(model, set);
  REQUIRE(moved.size() == 7);
  CHECK(moved[0] == 75);
  CHECK(moved[1] > 0);  // a quarter of those that stood at 5 comes to the middle
  CHECK(moved[1] < 15);
  CHECK(moved[2] == 0);
  CHECK(moved[6] == 0);
  for (int64_t p = 0; p <= 6; ++p) {  // up, down, left, right
    for (int64_t place : {(6 - p) * 13 + 6, (6 + p) * 13 + 6, 6 * 13 + 6 - p, 6 * 13 + 6 + p}) {
      INFO(p << " pixels, place " << place);
      CHECK(model.seen.contains(place));
    }
  }
}

TEST_CASE("lenet: 61,706 parameters, and a perceptron within 1 %") {
  Random random(1);
  Sequential net = lenet({28, 28, 1}, 10, {}, random);
  CHECK(parameter_count(net) == 61706);
  const NoGrad no_grad;
  CHECK(net(zeros({3, 28, 28, 1})).shape() == Shape{3, 10});
  Sequential mlp = perceptron_of(61706, {28, 28, 1}, 10, 0, random);
  CHECK(std::abs(parameter_count(mlp) - 61706) <= 617);
  CHECK(mlp(zeros({3, 28, 28, 1})).shape() == Shape{3, 10});
  // A unit more or less would be further away.
  for (int64_t target : {20000, 61706, 100000}) {
    Sequential one = perceptron_of(target, {28, 28, 1}, 10, 0, random);
    CHECK(std::abs(parameter_count(one) - target) <= (785 + 785 / 2 + 60) / 2 + 60);
  }
}

TEST_CASE("lenet: the options change what they say") {
  Random random(1);
  const auto parameters = [&](const Recipe& recipe) {
    Sequential net = lenet({28, 28, 1}, 10, recipe, random);
    return parameter_count(net);
  };
  // 12 and 32 filters: 26 weights, 12 x 25 + 1; then 5 x 5 x 32 inputs to the first linear layer.
  CHECK(parameters({.filters = 12}) ==
        12 * 26 + 32 * (12 * 25 + 1) + 801 * 120 + 121 * 84 + 85 * 10);
  CHECK(parameters({.kernel = 3}) ==
        6 * 10 + 16 * (6 * 9 + 1) + (576 + 1) * 120 + 121 * 84 + 85 * 10);
  CHECK(parameters({.pool = "average", .dropout = 0.5}) == 61706);
  const auto has = [&](const Recipe& recipe, auto* kind) {
    Sequential net = lenet({28, 28, 1}, 10, recipe, random);
    return std::ranges::count_if(net.layers, [&](const auto& layer) {
      return dynamic_cast<decltype(kind)>(layer.get()) != nullptr;
    });
  };
  CHECK(has({}, static_cast<MaxPool2d*>(nullptr)) == 2);
  CHECK(has({.pool = "average"}, static_cast<AveragePool2d*>(nullptr)) == 2);
  CHECK(has({.pool = "average"}, static_cast<MaxPool2d*>(nullptr)) == 0);
  CHECK(has({}, static_cast<Dropout*>(nullptr)) == 0);
  CHECK(has({.dropout = 0.5}, static_cast<Dropout*>(nullptr)) == 2);
}

TEST_CASE("lesson 04: a quick run passes and leaves its pictures") {
  const TempFolder out;
  const CommandResult r = run(out, "--quick --data digits");
  INFO(r.output);
  CHECK(r.code == 0);
  CHECK_THAT(r.output, ContainsSubstring("PASS accuracy"));
  CHECK_THAT(r.output, ContainsSubstring("formula and gradient agree"));
  CHECK_THAT(r.output, ContainsSubstring("moved by 2 pixels it loses"));
  for (const char* name : {"filters.png", "receptive.png", "learned.png", "maps.png"}) {
    const std::string bytes = read_text(first_run(out) / name);
    INFO(name);
    CHECK(bytes.substr(1, 3) == "PNG");
    CHECK(bytes.size() > 500);
  }
  CHECK_THAT(read_text(first_run(out) / "moved.svg"), ContainsSubstring("recorded: perceptron"));
  CHECK_THAT(read_text(first_run(out) / "metrics.csv"), ContainsSubstring("step,epoch,rate,loss"));
  CHECK_THAT(read_text(first_run(out) / "verdict.tsv"), ContainsSubstring("PASS"));
}

TEST_CASE("lesson 04: known mistakes fall outside the band and exit with 3", "[long]") {
  const std::string mistake = GENERATE(as<std::string>(), "--lr 0", "--shuffle-labels");
  const TempFolder out;
  const CommandResult r = run(out, "--quick --data digits --part network --epochs 10 " + mistake);
  INFO(r.output);
  CHECK(r.code == 3);
  CHECK_THAT(r.output, ContainsSubstring("FAIL"));
  CHECK_THAT(r.output, ContainsSubstring("changed: "));
}

TEST_CASE("lesson 04: a short run holds out 5,000 of the 10,000 digits and trains on the rest") {
  const TempFolder out;
  const CommandResult r = run(out, "--part network --data digits --validate --epochs 1");
  INFO(r.output);
  CHECK(r.code == 3);  // such a run has no band
  CHECK_THAT(r.output, ContainsSubstring("5000 training and 5000 held-out images"));
}

TEST_CASE("lesson 04: usage errors, missing data, and a picture that is none") {
  const TempFolder out;
  const CommandResult unknown = run(out, "--augmant");
  CHECK(unknown.code == 2);
  CHECK_THAT(unknown.output, ContainsSubstring("--augment"));
  CHECK(run(out, "--pool sum").code == 2);
  CHECK(run(out, "--kernel 0").code == 2);
  CHECK(run(out, "--model vit").code == 2);

  const std::string nowhere = "cd " + out.path().string() + " && KINDLING_DATA=none";
  const CommandResult missing = run(out, "--quick --part network --data mnist", nowhere);
  INFO(missing.output);
  CHECK(missing.code == 4);
  CHECK_THAT(missing.output, ContainsSubstring("make data-mnist"));
  CHECK(run(out, "--part filters --photo nothing.png").code == 2);
  CHECK(run(out, "--part filters --photo Makefile").code == 1);
  const CommandResult few = run(out, "--data digits --part network --images 100 --batch 101");
  CHECK(few.code == 2);
  CHECK_THAT(few.output, ContainsSubstring("100 training images make no batch of 101: give"));
  CHECK(run(out, "--quick --data digits --part network --images 100 --batch 100 --epochs 1").code ==
        3);
}

TEST_CASE("lesson 04: without a photograph it draws one and says so") {
  const TempFolder out;
  if (fs::exists("/usr/lib/python3/dist-packages/skimage/data/chelsea.png")) {
    return skip("python3-skimage is installed, and so there is a photograph");
  }
  const std::string nowhere = "cd " + out.path().string() + " && KINDLING_DATA=none";
  const CommandResult r = run(out, "--part filters", nowhere);
  INFO(r.output);
  CHECK(r.code == 0);
  CHECK_THAT(r.output, ContainsSubstring("a drawn picture"));
}

TEST_CASE("lesson 04: moved in training, the same seed gives the same weights", "[threads]") {
  std::string first;
  for (const char* threads : {"1", "3"}) {
    const TempFolder out;
    REQUIRE(run(out,
                "--quick --data digits --part network --augment --images 1000 --epochs 1 "
                "--threads " +
                    std::string(threads))
                .code != 1);
    const std::string weights = read_text(first_run(out) / "checkpoint.safetensors");
    REQUIRE(weights.size() > 100000);
    if (first.empty()) first = weights;
    CHECK((weights == first));  // in brackets: Catch would print them
  }
}
