// parallel_for: the only place where work is shared between threads. Page: docs/tensor.md
#pragma once

#include "base/standard.h"

namespace kindling {

// Number of threads that work on one parallel_for, this one included; at least 1.
// At start: KINDLING_THREADS if set, otherwise the processors this process may use.
int threads();
void set_threads(int n);
// How many would work on a parallel_for that is called here: 1 in a piece of another one, or after
// run_serially(). For cutting work of which no sum depends on the cut.
int threads_here();

// From now on every parallel_for of the calling thread runs on this thread alone: the loader calls
// it, so that preparing the next batch never takes the pool from the training step.
void run_serially();

// What parallel_for hands to the pool.
using Piece = void (*)(const void* body, int64_t begin, int64_t end);
void run_pieces(int64_t n, int64_t grain, const void* body, Piece piece);

// Calls body(begin, end) for pieces [0, grain), [grain, 2 grain), ... that cover [0, n).
// The pieces depend on n and grain alone, never on the number of threads, so results have the same
// bits for any number. The first exception of a piece is thrown again here. A nested call, or one
// from a thread that has called run_serially(), runs its pieces one after another.
template <class Body> void parallel_for(int64_t n, int64_t grain, const Body& body) {
  if (n <= 0) return;
  const Piece piece = [](const void* b, int64_t begin, int64_t end) {
    (*static_cast<const Body*>(b))(begin, end);
  };
  const void* address = std::addressof(body);
  n <= grain ? piece(address, 0, n) : run_pieces(n, grain, address, piece);
}

}  // namespace kindling
