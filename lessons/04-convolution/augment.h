// Images moved by whole pixels and mirrored: for training on more than there is, and for the test
// of what a network makes of an object that stands elsewhere. Page: docs/04-convolution.md
#pragma once

#include "kindling.h"

namespace lesson04 {

using namespace kindling;

struct Move {
  int64_t down = 0, right = 0;  // pixels; negative: up, left
  bool mirrored = false;        // left and right exchanged, before the move
};

// One image [h, w, c] from `from` to `to`. Pixels that come in from outside are `background`.
inline void move_image(const Shape& image, const real* from, const Move& move, real background,
                       real* to) {
  const int64_t h = image[0], w = image[1], c = image[2];
  for (int64_t y = 0; y < h; ++y) {
    for (int64_t x = 0; x < w; ++x, to += c) {
      const int64_t row = y - move.down, column = x - move.right;
      const bool inside = 0 <= row && row < h && 0 <= column && column < w;
      const int64_t pixel = (row * w + (move.mirrored ? w - 1 - column : column)) * c;
      for (int64_t i = 0; i < c; ++i) to[i] = inside ? from[pixel + i] : background;
    }
  }
}

// A set whose images are moved anew each time they are asked for. The loader calls batch() on its
// own thread, with a generator that follows from seed, epoch and batch: the same on every machine.
struct Moved : Dataset {
  const ImageSet& images;
  std::function<Move(Random&)> draw;  // how the next image is moved

  Moved(const ImageSet& set, std::function<Move(Random&)> how)
      : images(set), draw(std::move(how)) {}
  int64_t size() const override { return images.size(); }
  Batch batch(std::span<const int32_t> samples, Random& random) const override {
    Batch batch = images.batch(samples, random);
    const real black = real(-images.mean / images.deviation);
    const int64_t length = images.image.elements();
    std::vector<real> still(static_cast<size_t>(length));
    real* x = batch.x.mutable_data();
    for (int64_t i = 0; i < batch.x.dim(0); ++i, x += length) {
      std::copy_n(x, length, still.begin());
      move_image(images.image, still.data(), draw(random), black, x);
    }
    return batch;
  }
};

// Up to `pixels` in each direction, and mirrored half of the time.
inline std::function<Move(Random&)> random_moves(int64_t pixels) {
  return [pixels](Random& random) {
    const int64_t down = random.below(2 * pixels + 1) - pixels;
    const int64_t right = random.below(2 * pixels + 1) - pixels;
    return Move{down, right, random.below(2) == 1};
  };
}

}  // namespace lesson04
