// What the bench and its peers, other people's libraries, know of each other. A peer is a shared
// object that the bench opens: a library that is not installed costs a line and no more.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace kindling::bench {

// Something that is timed. Either `run`, one call in this process, or `slice`, which makes calls
// elsewhere for so many seconds and returns the seconds of one.
struct Contender {
  std::string name;
  std::function<void()> run;
  std::function<void()> fetch = {};  // after run: puts the result where it is checked
  std::function<double(double seconds)> slice = {};
  bool counts = true;  // false: told, but never the best peer
};

// C [M, N] = A B, `batch` times. A lies in memory as [M, K], or, transposed, as [K, M]; B likewise.
struct Gemm {
  bool transpose_a, transpose_b;
  int batch, M, N, K;
  const float *a = nullptr, *b = nullptr;
  float* c = nullptr;
};

// x [N, H, W, C] and weight [O, k, k, C / groups] give y [N, out(H), out(W), O].
struct Convolution {
  enum Direction { forward, backward_data, backward_weight };

  int N, C, H, W, O, k, stride, pad, groups;
  Direction direction = forward;
  float *x = nullptr, *weight = nullptr, *y = nullptr;  // the result of a direction is written

  int out(int size) const { return (size + 2 * pad - k) / stride + 1; }
};

// Every plugin defines one, as `kindling_peer`.
struct Peer {
  std::string (*describe)();  // names and versions
  std::vector<Contender> (*gemm)(const Gemm&);
  std::vector<Contender> (*convolution)(const Convolution&);  // may be null
};

}  // namespace kindling::bench

extern "C" const kindling::bench::Peer kindling_peer;
