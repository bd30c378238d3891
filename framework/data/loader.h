// Loader: batches of a dataset in a shuffled order, prepared ahead on a thread of its own.
// Page: docs/data.md
#pragma once

#include "data/dataset.h"

namespace kindling {

struct LoaderOptions {
  int64_t batch = 128;
  bool shuffle = true;
  bool drop_last = true;  // an incomplete last batch is left out
  int ahead = 2;          // batches prepared in advance; 0 prepares each when it is asked for
  uint64_t seed = 0;
};

// Epoch after epoch of batches. The order of an epoch and each batch's random numbers depend on
// (seed, epoch, batch number) alone, so a position is two integers. An exception on the loader's
// thread is thrown again by next().
class Loader {
 public:
  Loader(const Dataset& data, const LoaderOptions& options);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  int64_t batches() const;  // per epoch
  // The next batch of the current epoch; nothing at its end, after which the next epoch begins.
  std::optional<Batch> next();

  struct Position {
    int64_t epoch = 0, batch = 0;  // of the batch that next() gives
  };
  Position position() const;
  void seek(const Position& position);  // for a resumed run

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kindling
