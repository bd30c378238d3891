// The loader's order and its thread. Page: docs/data.md
#include "data/loader.h"

#include "base/parallel.h"

namespace kindling {

Loader::Loader(const Dataset& data, const LoaderOptions& options) : data_(data), options_(options) {
  const int64_t n = data.size(), size = options.batch;
  ENSURE(size >= 1, "loader: batch {} must be at least 1", size);
  batches_ = options.drop_last ? n / size : (n + size - 1) / size;
  ENSURE(batches_ >= 1, "loader: {} samples make no batch of {}; use smaller batches", n, size);
  if (!options.ahead) return;
  thread_ = std::jthread([this](const std::stop_token& stop) {
    run_serially();
    std::unique_lock lock(mutex_);
    while (changed_.wait(lock, stop, [&] { return requested_; })) {
      requested_ = false;
      task_();
    }
  });
}

std::optional<Batch> Loader::next() {
  if (position_.batch == batches_) {
    position_ = {position_.epoch + 1, 0};
    return std::nullopt;
  }
  if (!next_.valid()) request(position_);
  Batch batch = next_.get();  // an exception of the thread comes out here
  ++position_.batch;
  if (options_.ahead) request(position_);
  return batch;
}

void Loader::seek(const Position& position) {
  ENSURE(position.epoch >= 0 && position.batch >= 0 && position.batch <= batches_,
         "loader: no batch {} in epoch {}; an epoch has {}", position.batch, position.epoch,
         batches_);
  if (next_.valid()) next_.wait();
  next_ = {};
  position_ = position;
}

// Has the batch at p prepared, by the thread if there is one. The thread has nothing else to do by
// then: what was requested before has been taken, or seek has waited for it.
void Loader::request(Position p) {
  if (p.batch == batches_) p = {p.epoch + 1, 0};
  std::lock_guard lock(mutex_);
  task_ = std::packaged_task<Batch()>([this, p] { return prepare(p); });
  next_ = task_.get_future();
  requested_ = options_.ahead;
  options_.ahead ? changed_.notify_one() : task_();
}

// Batch p.batch of epoch p.epoch: a function of the seed and p alone. Called by one thread: the
// loader's or, when nothing is prepared ahead, the caller's.
Batch Loader::prepare(const Position& p) {
  Random of_epoch = Random(options_.seed).fork(uint64_t(p.epoch));
  Random of_batch = of_epoch.fork(uint64_t(p.batch));
  if (p.epoch != ordered_epoch_) {
    order_ = permutation(data_.size(), of_epoch);
    if (!options_.shuffle) std::ranges::sort(order_);
    ordered_epoch_ = p.epoch;
  }
  const int64_t begin = p.batch * options_.batch,
                end = std::min(begin + options_.batch, data_.size());
  return data_.batch(std::span(order_).subspan(size_t(begin), size_t(end - begin)), of_batch);
}

}  // namespace kindling
