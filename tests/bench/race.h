// How the bench measures: the contenders of a line take turns, and how fast the machine is at that
// time is measured in the same turns. Page: docs/contributing.md
#pragma once

#include <sched.h>

#include "bench/peers/peer.h"
#include "bench/report.h"
#include "kindling.h"

namespace kindling::bench {

struct Options {
  std::string filter;  // only names that contain it
  bool peers = false;
  int rounds = 9;
};

// Of one line: what is measured, and against what.
struct Row {
  enum Limit { none, peak, copy };  // multiply-adds in registers; a copy of `work` bytes

  std::string kind, name;
  double work;       // of one call: operations for GFLOP/s, bytes for GB/s
  std::string unit;  // of 1e9 of them a second
  Limit limit = peak;
  std::vector<Contender> contenders;  // the one that is named "ours" need not be there
  std::string twin = "";              // a peer that gets a line of its own, of `kind`_same
};

// PyTorch in a process of its own (peers/torch_peer.py), which works only when it is asked to.
class Torch {
 public:
  Torch();  // throws Error if it cannot be had
  ~Torch();
  Torch(const Torch&) = delete;
  const std::string& version() const { return version_; }
  std::vector<Contender> contenders(const std::string& name);  // none if it does not know the name
  static double peak_memory(const std::string& model);         // MiB

 private:
  std::string ask(const std::string& request);
  std::string answer();

  int pid_ = -1;
  FILE *to_ = nullptr, *from_ = nullptr;
  std::string version_;
};

// Threads, processors, peers, and the lines so far.
class Bench {
 public:
  explicit Bench(const Options& options);

  bool wants(const std::string& name) const {
    return name.find(options_.filter) != std::string::npos;
  }
  // Measures and prints. Calls every contender with a `run` once before, and then `check(name)`.
  void race(Row row, const std::function<void(const std::string&)>& check = {});
  void print(const Line& line, bool keep = true);

  // What the peers bring for a line; empty without PEERS=1.
  std::vector<Contender> peers(const Gemm& problem);
  std::vector<Contender> peers(const Convolution& problem);
  Torch* torch();  // null if it is not to be had

  void end_part();  // prints the summary
  int printed() const { return printed_; }
  const std::vector<Line>& quiet() const { return quiet_; }  // the lines to keep

 private:
  const std::vector<const Peer*>& plugins();

  Options options_;
  double best_peak_ = 0;  // seconds of a slice's call, the smallest median of a line so far
  std::vector<Line> part_, quiet_;
  int printed_ = 0, noisy_ = 0;  // the latter in this part
  std::optional<std::vector<const Peer*>> plugins_;
  std::optional<std::unique_ptr<Torch>> torch_;
};

// One call of what a row's speed is compared with.
Contender peak_contender();
Contender copy_contender(int64_t bytes);  // read and written, a multiple of 512
double peak_flops();                      // of one call of the former

// Elements in -1 .. 1 that are quick to make and of no pattern.
inline Tensor noise(const Shape& shape, uint32_t seed) {
  return Tensor(shape, [&](real* x) {
    for (int64_t i = 0; i < shape.elements(); ++i) {
      seed = seed * 1664525 + 1013904223;
      x[i] = real(seed >> 8) * real(0x1p-23) - 1;
    }
  });
}
// n numbers below `most`.
inline Indices some(int64_t n, int64_t most) {
  Indices index(Shape{n});
  for (int64_t i = 0; i < n; ++i) index.mutable_data()[i] = int32_t(i * 7919 % most);
  return index;
}
// Parameters of these shapes, which have gradients.
inline ParameterGroup parameters_of(const std::vector<Shape>& shapes) {
  ParameterGroup group;
  for (uint32_t i = 0; i < shapes.size(); ++i) {
    Tensor p = noise(shapes[i], i);
    p.set_requires_grad();
    leaf_of(p)->gradient = noise(p.shape(), 10 + i);
    group.parameters.push_back({std::to_string(i), p, Kind::other});
  }
  return group;
}

// MiB: the most memory that this process has had so far (VmHWM).
double peak_memory();
// "avx512", and whether it is narrower than what the machine has: then peers are held to AVX2, too.
std::string isa();
bool narrow_isa();

void limits(Bench&);
void gemm(Bench&);
void convolution(Bench&);
void rows(Bench&);
void train(Bench&);
void models(Bench&);
void graph(Bench&);

// For `train`: what a fresh process is asked to print.
double training_memory(const std::string& model);
void steady();

// The processors this process may use when it starts. One thread is pinned to the last of them,
// several to one each.
const std::vector<int>& processors();
void pin_threads();
void unpin();  // in a child process, whose threads find their places themselves

}  // namespace kindling::bench
