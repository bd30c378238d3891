// The rungs that differ in their tiles alone: one template, compiled for each width of register,
// and the functions of ladder.h. Page: docs/03-matmul.md
#include "03-matmul/ladder.h"

#include "03-matmul/tiles.h"
#include "kernels/dispatch.h"

namespace lesson03 {
namespace {

// The attribute allows this one function the wider instructions; it is called where the machine has
// them. The tile is inlined into it, and so is compiled for them, too.
template <int R, int V> void one(const TileWork& w) { tile<One, R, V>(w); }
template <int R, int V, bool kAdds> void four(const TileWork& w) { tile<Four, R, V, kAdds>(w); }
#if defined(__x86_64__)
template <int R, int V, bool kAdds> [[gnu::target("avx2,fma")]] void eight(const TileWork& w) {
  tile<Eight, R, V, kAdds>(w);
}
template <int R, int V, bool kAdds> [[gnu::target("avx512f,fma")]] void sixteen(const TileWork& w) {
  tile<Sixteen, R, V, kAdds>(w);
}
#endif

template <int R, int V, bool kAdds = true> Tile make_tile([[maybe_unused]] int lanes) {
#if defined(__x86_64__)
  if (lanes == 16) return {R, V, 16, sixteen<R, V, kAdds>, sixteen<1, V, kAdds>};
  if (lanes == 8) return {R, V, 8, eight<R, V, kAdds>, eight<1, V, kAdds>};
#endif
  return {R, V, 4, four<R, V, kAdds>, four<1, V, kAdds>};
}
int lanes_of(const std::string& isa) { return isa == "avx512" ? 16 : isa == "avx2" ? 8 : 4; }

}  // namespace

std::vector<Rung> ladder(const std::string& isa) {
  // With 16 registers 12 for sums, with 32 of them 24; others for a row of the panel and a number.
  const Tile narrow = make_tile<6, 2>(4), middle = make_tile<6, 2>(8), wide = make_tile<6, 4>(16);
  std::vector<Rung> rungs = {{"naive", Rung::naive},
                             {"loop order", Rung::loop_order},
                             {"cache tiles", Rung::cache_tiles},
                             {"packing", Rung::packing},
                             {"micro-kernel", Rung::micro_kernel, {6, 2, 1, one<6, 2>, one<1, 2>}},
                             {"vectors of 4", Rung::micro_kernel, narrow}};
  if (lanes_of(isa) >= 8) rungs.push_back({"AVX2", Rung::micro_kernel, middle});
  if (lanes_of(isa) >= 16) rungs.push_back({"AVX-512", Rung::micro_kernel, wide});
  const Tile widest = rungs.back().tile;
  rungs.push_back({"threads", Rung::micro_kernel, widest, true});
  rungs.push_back({"engine", Rung::engine});
  rungs.push_back({"engine, threads", Rung::engine, {}, true});
  return rungs;
}

std::vector<Tile> tiles(const std::string& isa) {
  std::vector<Tile> all;
  const int lanes = lanes_of(isa);
  const auto add = [&]<size_t... I>(std::index_sequence<I...>) {
    (all.push_back(make_tile<kRows[I / 4], int(I % 4) + 1>(lanes)), ...);
  };
  add(std::make_index_sequence<4 * std::size(kRows)>());
  return all;
}

Tile tile_that_stores(const std::string& isa) {
  const int lanes = lanes_of(isa);
  return lanes == 16 ? make_tile<6, 4, false>(16) : make_tile<6, 2, false>(lanes);
}

void climb(const Rung& rung, const Product& p, const Blocks& blocks, bool packs) {
  switch (rung.kind) {
    case Rung::naive: return naive(p);
    case Rung::loop_order: return loop_order(p);
    case Rung::cache_tiles: return cache_tiles(p, blocks);
    case Rung::packing: return packing(p, blocks);
    case Rung::micro_kernel: return micro_kernel(p, blocks, rung.tile, rung.threads, packs);
    case Rung::engine:
      kindling::kernels().gemm({p.a, p.M, p.K, p.lda, 1}, {p.b, p.K, p.N, p.ldb, 1}, p.c, p.ldc,
                               {});
  }
}

}  // namespace lesson03
