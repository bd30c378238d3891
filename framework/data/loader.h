// Loader: batches of a dataset in a shuffled order, prepared ahead on a thread of its own.
// Page: docs/data.md
#pragma once

#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>

#include "data/dataset.h"

namespace kindling {

struct LoaderOptions {
  int64_t batch = 128;
  bool shuffle = true;
  bool drop_last = true;  // an incomplete last batch is left out
  bool ahead = true;      // the next batch is prepared while the caller uses this one
  uint64_t seed = 0;
};

// Epoch after epoch of batches. The order of an epoch and each batch's random numbers depend on
// (seed, epoch, batch number) alone, so a position is two integers. An exception on the loader's
// thread is thrown again by next().
class Loader {
 public:
  Loader(const Dataset& data, const LoaderOptions& options);

  int64_t batches() const { return batches_; }  // per epoch
  // The next batch of the current epoch; nothing at its end, after which the next epoch begins.
  std::optional<Batch> next();

  struct Position {
    int64_t epoch = 0, batch = 0;  // of the batch that next() gives
  };
  Position position() const { return position_; }
  void seek(const Position& position);  // for a resumed run

 private:
  Batch prepare(const Position& p);
  void request(Position p);

  const Dataset& data_;
  const LoaderOptions options_;
  int64_t batches_;
  Position position_;
  std::vector<int32_t> order_;  // of the samples in ordered_epoch_
  int64_t ordered_epoch_ = -1;

  std::mutex mutex_;  // guards task_ and requested_
  std::condition_variable_any changed_;
  std::packaged_task<Batch()> task_;  // the last request
  bool requested_ = false;            // the thread has not yet begun with it
  std::future<Batch> next_;           // its result
  std::jthread thread_;               // last: it ends before what it works on goes
};

}  // namespace kindling
