// Loader: batches of a dataset in a shuffled order, prepared ahead on a thread of its own.
// Page: docs/data.md
#pragma once

#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>

#include "base/parallel.h"
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
  struct Position {
    int64_t epoch = 0, batch = 0;  // of the batch that next() gives
  };

  Loader(const Dataset& data, const LoaderOptions& options) : data_(data), options_(options) {
    const int64_t n = data.size(), size = options.batch;
    ENSURE(size >= 1, "loader: batch {} must be at least 1", size);
    batches_ = options.drop_last ? n / size : (n + size - 1) / size;
    ENSURE(batches_ >= 1, "loader: {} samples make no batch of {}; use smaller batches", n, size);
    if (options.ahead) thread_ = std::jthread(std::bind_front(&Loader::serve, this));
  }

  int64_t batches() const { return batches_; }  // per epoch
  Position position() const { return position_; }

  // The next batch of the current epoch; nothing at its end, after which the next epoch begins.
  std::optional<Batch> next() {
    if (position_.batch == batches_) {
      position_ = {position_.epoch + 1, 0};
      return std::nullopt;
    }
    if (!next_.valid()) request();
    Batch batch = next_.get();  // an exception of the thread comes out here
    ++position_.batch;
    if (options_.ahead) request();
    return batch;
  }

  void seek(const Position& p) {  // for a resumed run
    ENSURE(p.epoch >= 0 && p.batch >= 0 && p.batch <= batches_,
           "loader: no batch {} in epoch {}; an epoch has {}", p.batch, p.epoch, batches_);
    next_ = {};  // what was requested is not wanted any more
    position_ = p;
  }

 private:
  // Has the batch at the position prepared, by the thread if there is one.
  void request() {
    const std::lock_guard lock(mutex_);
    task_ = std::packaged_task<Batch()>([this, p = position_] { return prepare(p); });
    next_ = task_.get_future();
    requested_ = options_.ahead;
    options_.ahead ? changed_.notify_one() : task_();
  }

  // The thread: one for all batches, since a new one for each costs a tenth of the speed and more.
  void serve(const std::stop_token& stop) {
    run_serially();
    std::unique_lock lock(mutex_);
    while (changed_.wait(lock, stop, [&] { return std::exchange(requested_, false); })) task_();
  }

  // The batch at p: a function of the seed and p alone. Whoever calls it holds mutex_.
  Batch prepare(Position p) {
    if (p.batch == batches_) p = {p.epoch + 1, 0};
    Random of_epoch = Random(options_.seed).fork(uint64_t(p.epoch));
    Random of_batch = of_epoch.fork(uint64_t(p.batch));
    if (p.epoch != ordered_epoch_) {
      order_ = permutation(data_.size(), of_epoch);
      if (!options_.shuffle) std::ranges::sort(order_);
      ordered_epoch_ = p.epoch;
    }
    const auto begin = order_.begin() + p.batch * options_.batch;
    const auto size = std::min(options_.batch, order_.end() - begin);
    return data_.batch(std::span(begin, size_t(size)), of_batch);
  }

  const Dataset& data_;
  const LoaderOptions options_;
  int64_t batches_;
  Position position_;
  std::vector<int32_t> order_;  // of the samples in ordered_epoch_
  int64_t ordered_epoch_ = -1;

  std::mutex mutex_;  // guards task_, requested_ and the order
  std::condition_variable_any changed_;
  std::packaged_task<Batch()> task_;  // the last request
  bool requested_ = false;            // the thread has not yet begun with it
  std::future<Batch> next_;           // its result
  std::jthread thread_;               // last: it ends before what it works on goes
};

}  // namespace kindling
