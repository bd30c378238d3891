// The loader's order, its thread and its queue. Page: docs/data.md
#include "data/loader.h"

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "base/parallel.h"

namespace kindling {

struct Loader::State {
  State(const Dataset& d, const LoaderOptions& o)
      : data(d),
        options(o),
        batches(o.drop_last ? d.size() / o.batch : (d.size() + o.batch - 1) / o.batch) {}

  // Batch p.batch of epoch p.epoch: a function of the seed and p alone. Called by one thread at a
  // time: the loader's or, when nothing is prepared ahead, the caller's.
  Batch prepare(const Position& p) {
    Random of_epoch = Random(options.seed).fork(uint64_t(p.epoch));
    Random of_batch = of_epoch.fork(uint64_t(p.batch));
    if (p.epoch != ordered_epoch) {
      order.resize(size_t(data.size()));
      std::iota(order.begin(), order.end(), 0);
      if (options.shuffle) order = permutation(data.size(), of_epoch);
      ordered_epoch = p.epoch;
    }
    const int64_t begin = p.batch * options.batch,
                  end = std::min(begin + options.batch, data.size());
    return data.batch(std::span(order).subspan(size_t(begin), size_t(end - begin)), of_batch);
  }

  void run() {
    run_serially();
    std::unique_lock lock(mutex);
    for (Position p = position;;
         p = p.batch + 1 < batches ? Position{p.epoch, p.batch + 1} : Position{p.epoch + 1, 0}) {
      changed.wait(lock, [&] { return stopping || int(ready.size()) < options.ahead; });
      if (stopping) return;
      lock.unlock();
      Prepared prepared;
      try {
        prepared.batch = prepare(p);
      } catch (...) {
        prepared.error = std::current_exception();
      }
      lock.lock();
      ready.push_back(std::move(prepared));
      changed.notify_one();
      if (ready.back().error) return;
    }
  }

  Batch take() {
    if (!thread.joinable()) thread = std::thread([this] { run(); });
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return !ready.empty(); });
    Prepared prepared = std::move(ready.front());
    ready.pop_front();
    changed.notify_one();
    lock.unlock();
    if (prepared.error) {
      stop();  // a later call begins again at the same batch
      std::rethrow_exception(prepared.error);
    }
    return std::move(prepared.batch);
  }

  // Ends the thread and forgets what it prepared.
  void stop() {
    if (!thread.joinable()) return;
    {
      std::lock_guard lock(mutex);
      stopping = true;
    }
    changed.notify_one();
    thread.join();
    stopping = false;
    ready.clear();
  }

  struct Prepared {
    Batch batch;
    std::exception_ptr error;
  };

  const Dataset& data;
  const LoaderOptions options;
  const int64_t batches;
  Position position;           // of the batch that next() gives
  std::vector<int32_t> order;  // of the samples in ordered_epoch
  int64_t ordered_epoch = -1;

  std::thread thread;
  std::mutex mutex;  // guards ready and stopping
  std::condition_variable changed;
  std::deque<Prepared> ready;
  bool stopping = false;
};

Loader::Loader(const Dataset& data, const LoaderOptions& options) {
  ENSURE(options.batch >= 1 && options.ahead >= 0,
         "loader: batch {} must be at least 1 and ahead {} at least 0", options.batch,
         options.ahead);
  state_ = std::make_unique<State>(data, options);
  ENSURE(state_->batches >= 1, "loader: {} samples make no batch of {}; use smaller batches",
         data.size(), options.batch);
}

Loader::~Loader() { state_->stop(); }

int64_t Loader::batches() const { return state_->batches; }

std::optional<Batch> Loader::next() {
  Position& p = state_->position;
  if (p.batch == state_->batches) {
    p = {p.epoch + 1, 0};
    return std::nullopt;
  }
  Batch batch = state_->options.ahead == 0 ? state_->prepare(p) : state_->take();
  ++p.batch;
  return batch;
}

Loader::Position Loader::position() const { return state_->position; }

void Loader::seek(const Position& position) {
  ENSURE(position.epoch >= 0 && position.batch >= 0 && position.batch <= state_->batches,
         "loader: no batch {} in epoch {}; an epoch has {}", position.batch, position.epoch,
         state_->batches);
  state_->stop();
  state_->position = position;
}

}  // namespace kindling
