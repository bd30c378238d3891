// Tests of framework/data/loader: order, positions, the thread, exceptions.
#include "data/loader.h"

#include <atomic>
#include <chrono>
#include <set>
#include <thread>

#include "base/parallel.h"
#include "support/catch.h"

using namespace kindling;

namespace {

// Samples 0 .. n-1; x of a batch holds each sample's number and one random number per sample.
class Counting : public Dataset {
 public:
  explicit Counting(int64_t n) : n_(n) {}
  int64_t size() const override { return n_; }
  Batch batch(std::span<const int32_t> samples, Random& random) const override {
    ++calls;
    if (delay.count() > 0) std::this_thread::sleep_for(delay);
    const int64_t b = int64_t(samples.size());
    Batch batch{Tensor({b, 2}), {}, Indices(Shape{b}, samples)};
    for (int64_t i = 0; i < b; ++i) {
      if (samples[size_t(i)] == fails_at) throw Error("sample cannot be read");
      batch.x.mutable_data()[2 * i] = real(samples[size_t(i)]);
      batch.x.mutable_data()[2 * i + 1] = real(random.uniform());
    }
    return batch;
  }

  std::chrono::microseconds delay{0};
  std::atomic<int> fails_at = -1;
  mutable std::atomic<int> calls = 0;

 private:
  int64_t n_;
};

std::vector<real> numbers(const Batch& batch) {
  return {batch.x.values().begin(), batch.x.values().end()};
}

std::vector<int32_t> samples(const Batch& batch) {
  return {batch.samples.values().begin(), batch.samples.values().end()};
}

// All the numbers of the next epoch, batch after batch.
std::vector<real> epoch(Loader& loader) {
  std::vector<real> all;
  while (const auto batch = loader.next()) {
    const std::vector<real> part = numbers(*batch);
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

}  // namespace

TEST_CASE("an epoch has every sample once, in a new order each time", "[loader]") {
  const Counting data(10);
  Loader loader(data, {.batch = 3, .drop_last = false, .seed = 7});
  CHECK(loader.batches() == 4);
  std::set<std::vector<int32_t>> orders;
  for (int e = 0; e < 3; ++e) {
    std::vector<int32_t> order;
    std::vector<size_t> sizes;
    while (const auto batch = loader.next()) {
      const auto part = samples(*batch);
      order.insert(order.end(), part.begin(), part.end());
      sizes.push_back(part.size());
    }
    CHECK(sizes == std::vector<size_t>{3, 3, 3, 1});
    CHECK(std::set<int32_t>(order.begin(), order.end()).size() == 10);
    orders.insert(order);
  }
  CHECK(orders.size() == 3);
}

TEST_CASE("drop_last leaves the incomplete batch out", "[loader]") {
  const Counting data(10);
  Loader loader(data, {.batch = 3});
  CHECK(loader.batches() == 3);
  CHECK(epoch(loader).size() == 2 * 9);
}

TEST_CASE("without shuffling samples come in order", "[loader]") {
  const Counting data(5);
  Loader loader(data, {.batch = 2, .shuffle = false, .drop_last = false});
  CHECK(samples(*loader.next()) == std::vector<int32_t>{0, 1});
  CHECK(samples(*loader.next()) == std::vector<int32_t>{2, 3});
  CHECK(samples(*loader.next()) == std::vector<int32_t>{4});
  CHECK_FALSE(loader.next());
  CHECK(samples(*loader.next()) == std::vector<int32_t>{0, 1});
}

TEST_CASE("batches do not depend on whether they are prepared ahead", "[loader]") {
  const Counting data(50);
  std::vector<std::vector<real>> runs;
  for (bool ahead : {false, true}) {
    Loader loader(data, {.batch = 4, .ahead = ahead, .seed = 3});
    std::vector<real> run;
    for (int e = 0; e < 3; ++e) {
      const auto part = epoch(loader);
      run.insert(run.end(), part.begin(), part.end());
    }
    runs.push_back(run);
  }
  CHECK(runs[0].size() == 3 * 12 * 4 * 2);
  CHECK(runs[1] == runs[0]);
  Loader other(data, {.batch = 4, .seed = 4});
  CHECK(epoch(other) != std::vector<real>(runs[0].begin(), runs[0].begin() + 96));
}

TEST_CASE("random numbers differ between batches and epochs", "[loader]") {
  const Counting data(8);
  Loader loader(data, {.batch = 8, .shuffle = false});
  std::set<real> first;
  for (int e = 0; e < 4; ++e) {
    first.insert(numbers(*loader.next())[1]);
    CHECK_FALSE(loader.next());
  }
  CHECK(first.size() == 4);
  Loader halves(data, {.batch = 4, .shuffle = false});
  CHECK(numbers(*halves.next())[1] != numbers(*halves.next())[1]);
}

TEST_CASE("a loader goes on from a position", "[loader]") {
  const Counting data(10);
  const LoaderOptions options{.batch = 3, .drop_last = false, .seed = 5};
  for (bool ahead : {false, true}) {
    LoaderOptions with = options;
    with.ahead = ahead;
    Loader whole(data, with);
    epoch(whole);
    whole.next();
    whole.next();
    const Loader::Position p = whole.position();
    CHECK(p.epoch == 1);
    CHECK(p.batch == 2);
    const auto rest = epoch(whole);
    const auto after = epoch(whole);

    Loader resumed(data, with);
    resumed.next();  // its thread has prepared others by now
    resumed.seek(p);
    CHECK(epoch(resumed) == rest);
    CHECK(epoch(resumed) == after);

    // The end of an epoch, before next() has said so, is a position too.
    Loader at_end(data, with);
    at_end.seek({1, 4});
    CHECK_FALSE(at_end.next());
    CHECK(at_end.position().epoch == 2);
    CHECK(at_end.position().batch == 0);
    CHECK(epoch(at_end) == after);
  }
}

TEST_CASE("an error on the loader's thread is thrown by next", "[loader]") {
  Counting data(6);
  data.fails_at = 3;
  for (bool ahead : {false, true}) {
    Loader loader(data, {.batch = 2, .shuffle = false, .ahead = ahead});
    CHECK(samples(*loader.next()) == std::vector<int32_t>{0, 1});
    CHECK_THROWS_WITH(loader.next(), Equals("sample cannot be read"));
    CHECK_THROWS_WITH(loader.next(), Equals("sample cannot be read"));
    CHECK(loader.position().batch == 1);
    data.fails_at = -1;  // repaired: it goes on where it failed
    CHECK(samples(*loader.next()) == std::vector<int32_t>{2, 3});
    CHECK(samples(*loader.next()) == std::vector<int32_t>{4, 5});
    data.fails_at = 3;
  }
}

TEST_CASE("one batch is prepared ahead, and no more", "[loader]") {
  const Counting data(100);
  Loader loader(data, {.batch = 1});
  loader.next();
  for (int i = 0; i < 2000 && data.calls < 2; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  CHECK(data.calls == 2);  // the one taken and the next
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(data.calls == 2);
  loader.next();
  for (int i = 0; i < 2000 && data.calls < 3; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  CHECK(data.calls == 3);
}

TEST_CASE("a loader may go while its thread is busy", "[loader]") {
  Counting data(100);
  data.delay = std::chrono::microseconds(2000);
  for (int taken = 0; taken < 4; ++taken) {
    Loader loader(data, {.batch = 10});
    for (int i = 0; i < taken; ++i) loader.next();
  }
  Loader seeking(data, {.batch = 10});
  seeking.next();
  seeking.seek({3, 0});
  CHECK(seeking.next().has_value());
  CHECK(seeking.position().epoch == 3);
}

TEST_CASE("the loader's thread does not take the pool from the training step", "[loader]") {
  struct Parallel : Counting {
    using Counting::Counting;
    Batch batch(std::span<const int32_t> samples, Random& random) const override {
      parallel_for(8, 1, [&](int64_t, int64_t) {
        std::this_thread::sleep_for(std::chrono::microseconds(200));  // time for others to come
        if (std::this_thread::get_id() == caller) in_caller = true;
        if (std::this_thread::get_id() != owner()) elsewhere = true;
      });
      return Counting::batch(samples, random);
    }
    // The thread that prepares batches: whoever asks first.
    std::thread::id owner() const {
      std::thread::id none, me = std::this_thread::get_id();
      return first.compare_exchange_strong(none, me) ? me : none;
    }
    std::thread::id caller = std::this_thread::get_id();
    mutable std::atomic<std::thread::id> first{};
    mutable std::atomic<bool> in_caller = false, elsewhere = false;
  };
  const int before = threads();
  set_threads(4);
  const Parallel data(100);
  {
    Loader loader(data, {.batch = 10});
    while (loader.next()) {
    }
  }
  set_threads(before);
  CHECK_FALSE(data.in_caller);
  CHECK_FALSE(data.elsewhere);
}

TEST_CASE("a loader refuses options that give no batch", "[loader]") {
  const Counting data(5);
  CHECK_THROWS_WITH(Loader(data, {.batch = 6}),
                    Equals("loader: 5 samples make no batch of 6; use smaller batches"));
  CHECK_THROWS_WITH(Loader(Counting(0), {.batch = 1, .drop_last = false}),
                    ContainsSubstring("0 samples"));
  CHECK_THROWS_WITH(Loader(data, {.batch = 0}), ContainsSubstring("batch 0"));
  Loader loader(data, {.batch = 2});
  CHECK_THROWS_WITH(loader.seek({0, 3}), Equals("loader: no batch 3 in epoch 0; an epoch has 2"));
  CHECK_THROWS_AS(loader.seek({-1, 0}), Error);
}
