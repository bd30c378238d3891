// The loader's order, its thread and its queue. Page: docs/data.md
#include "data/loader.h"

#include "base/parallel.h"

namespace kindling {

Loader::Loader(const Dataset& data, const LoaderOptions& options) : data_(data), options_(options) {
  const int64_t n = data.size(), size = options.batch;
  ENSURE(size >= 1 && options.ahead >= 0,
         "loader: batch {} must be at least 1 and ahead {} at least 0", size, options.ahead);
  batches_ = options.drop_last ? n / size : (n + size - 1) / size;
  ENSURE(batches_ >= 1, "loader: {} samples make no batch of {}; use smaller batches", n, size);
}

std::optional<Batch> Loader::next() {
  if (position_.batch == batches_) {
    position_ = {position_.epoch + 1, 0};
    return std::nullopt;
  }
  Batch batch = options_.ahead == 0 ? prepare(position_) : take();
  ++position_.batch;
  return batch;
}

void Loader::seek(const Position& position) {
  ENSURE(position.epoch >= 0 && position.batch >= 0 && position.batch <= batches_,
         "loader: no batch {} in epoch {}; an epoch has {}", position.batch, position.epoch,
         batches_);
  thread_ = {};  // waits until it has ended
  ready_.clear();
  position_ = position;
}

// Batch p.batch of epoch p.epoch: a function of the seed and p alone. Called by one thread at a
// time: the loader's or, when nothing is prepared ahead, the caller's.
Batch Loader::prepare(const Position& p) {
  Random of_epoch = Random(options_.seed).fork(uint64_t(p.epoch));
  Random of_batch = of_epoch.fork(uint64_t(p.batch));
  if (p.epoch != std::exchange(ordered_epoch_, p.epoch)) {
    order_ = permutation(data_.size(), of_epoch);
    if (!options_.shuffle) std::ranges::sort(order_);
  }
  const int64_t begin = p.batch * options_.batch,
                end = std::min(begin + options_.batch, data_.size());
  return data_.batch(std::span(order_).subspan(size_t(begin), size_t(end - begin)), of_batch);
}

// What the loader's thread does: it promises a batch, prepares it, and waits while enough of them
// are ready. An exception goes into the promise and comes out where the batch is asked for.
void Loader::prepare_ahead(const std::stop_token& stop) {
  run_serially();
  const auto room = [&] { return int(ready_.size()) < options_.ahead; };
  for (Position p = position_;; ++p.batch) {
    if (p.batch == batches_) p = {p.epoch + 1, 0};
    std::packaged_task<Batch()> task([&] { return prepare(p); });
    std::unique_lock lock(mutex_);
    if (!changed_.wait(lock, stop, room)) return;
    ready_.push_back(task.get_future());
    lock.unlock();
    changed_.notify_one();
    task();
  }
}

Batch Loader::take() {
  if (!thread_.joinable()) {
    thread_ = std::jthread([this](const std::stop_token& stop) { prepare_ahead(stop); });
  }
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !ready_.empty(); });
  std::future<Batch> batch = std::move(ready_.front());
  ready_.pop_front();
  lock.unlock();
  changed_.notify_one();
  try {
    return batch.get();
  } catch (...) {
    seek(position_);  // a later call begins again at the same batch
    throw;
  }
}

}  // namespace kindling
