// Lesson 03: every rung of the ladder, the counting of bytes, the pictures, and whole runs.
#include "03-matmul/ladder.cpp"  // the lesson's own file, compiled once more for this program

#include <filesystem>

#include "01-graph/chart.h"
#include "03-matmul/checks.h"
#include "03-matmul/network.h"
#include "03-matmul/orders.h"
#include "03-matmul/roofline.h"
#include "support/catch.h"
#include "support/command.h"
#include "support/ink.h"
#include "support/kernels.h"
#include "support/skip.h"

using namespace lesson03;
namespace fs = std::filesystem;

namespace {

CommandResult run_lesson(const TempFolder& out, const std::string& options) {
  return run_command((build_folder() / "lesson-03-matmul").string() + " --quick --no-color --out " +
                     out.path().string() + " " + options);
}
fs::path run_folder(const TempFolder& out) { return out.path() / "03-matmul" / "run-001"; }

// Sizes below and above every tile (up to 12 rows by 64 columns), panel and block of 256.
const std::vector<Size> kProducts = {{1, 1, 1},   {3, 5, 0},     {2, 3, 1},     {11, 63, 2},
                                     {12, 64, 3}, {13, 65, 255}, {30, 257, 17}, {25, 300, 513}};

template <class F> void for_each_rung(const F& f) {
  for_each_isa([&](const kindling::Kernels& k) {
    for (const Rung& rung : ladder(k.name)) {
      INFO("rung " << rung.name);
      f(rung);
    }
  });
}

const Cache kSmallCache = {1 << 20, 8, 64};  // 2048 sets of 8 lines

}  // namespace

TEST_CASE("lesson 03: every rung computes the product, at odd sizes and strides") {
  for_each_rung([](const Rung& rung) {
    for (const auto& [M, N, K] : kProducts) {
      for (const int64_t gap : {0, 1, 5}) {
        INFO("M " << M << " N " << N << " K " << K << " gap " << gap);
        Matrices m(M, N, K, gap);
        REQUIRE(worst_error(rung, m) <= 1);
      }
    }
  });
}

TEST_CASE("lesson 03: rungs are right with any blocks, and without packing") {
  for_each_rung([](const Rung& rung) {
    for (const Blocks blocks : {Blocks{1, 1}, Blocks{7, 100}, Blocks{64, 16}, Blocks{600, 600}}) {
      INFO("depth " << blocks.depth << " width " << blocks.width);
      Matrices odd(13, 131, 70, 3), whole(13, 128, 70);
      REQUIRE(worst_error(rung, odd, blocks) <= 1);
      REQUIRE(worst_error(rung, odd, blocks, false) <= 1);
      REQUIRE(worst_error(rung, whole, blocks, false) <= 1);
    }
  });
}

TEST_CASE("lesson 03: every tile of the sweep computes the product") {
  for_each_isa([](const kindling::Kernels& k) {
    const std::vector<Tile> all = tiles(k.name);
    CHECK(all.size() == 4 * std::size(kRows));
    for (const Tile& tile : all) {
      INFO(tile.rows << " rows of " << tile.vectors << " vectors of " << tile.lanes);
      Matrices m(25, 131, 40);
      REQUIRE(worst_error({"", Rung::micro_kernel, tile}, m) <= 1);
    }
  });
}

TEST_CASE("lesson 03: the check finds a wrong rung, where K is large enough to show it") {
  for_each_isa([](const kindling::Kernels& k) {
    const Rung stores{"", Rung::micro_kernel, tile_that_stores(k.name)};
    Matrices one_block(13, 70, 256), two_blocks(13, 70, 257);
    CHECK(worst_error(stores, one_block) <= 1);
    CHECK(worst_error(stores, two_blocks) > 100);
    bool seen = false;  // by the sizes that the lesson uses
    for (const auto& [M, N, K] : kOddSizes) {
      Matrices m(M, N, K);
      seen |= worst_error(stores, m) > 1;
    }
    CHECK(seen);
  });
}

TEST_CASE("lesson 03: the check finds a number left out, one too many, and a NaN") {
  // A tile that does nothing: C stays zero. One that writes behind a row: the gap is not NaN.
  const auto nothing = [](const TileWork&) {};
  const auto beyond = [](const TileWork& w) { w.c[w.columns] = 1; };
  const auto bad = [](const TileWork& w) { w.c[0] = NAN; };
  Matrices m(4, 8, 3, 1);
  CHECK(worst_error({"", Rung::micro_kernel, {4, 2, 4, nothing, nothing}}, m) > 1);
  CHECK(std::isinf(worst_error({"", Rung::micro_kernel, {4, 2, 4, beyond, beyond}}, m)));
  CHECK(std::isinf(worst_error({"", Rung::micro_kernel, {4, 2, 4, bad, bad}}, m)));
}

TEST_CASE("lesson 03: the ladder goes as far as the instruction set", "[threads]") {
  const auto names = [](const std::string& isa) {
    std::string all;
    for (const Rung& rung : ladder(isa)) all += rung.name + ";";
    return all;
  };
  const std::string low = "naive;loop order;cache tiles;packing;micro-kernel;vectors of 4;";
  const std::string high = "threads;engine;engine, threads;";
  CHECK(names("scalar") == low + high);
  CHECK(names("neon") == low + high);
#if defined(__x86_64__)
  CHECK(names("avx2") == low + "AVX2;" + high);
  CHECK(names("avx512") == low + "AVX2;AVX-512;" + high);
#endif
  // Threads share rows: the bits are those of one thread.
  for_each_rung([](const Rung& rung) {
    if (!rung.threads) return;
    CHECK(same_for_any_threads([&] {
      Matrices m(301, 100, 300);
      climb(rung, m.product());
      return Guarded(m.c);
    }));
  });
}

TEST_CASE("lesson 03: a cache keeps a column as long as its lines have places") {
  // 2048 sets of 8 places. A stride of 64 lines reaches every 64th: 32 sets, 256 places.
  CHECK(keeps_column(256, 1024, kSmallCache));
  CHECK_FALSE(keeps_column(257, 1024, kSmallCache));
  // 65 lines and 2048 sets share no factor: every set is reached.
  CHECK(keeps_column(2048 * 8, 1040, kSmallCache));
  CHECK_FALSE(keeps_column(2048 * 8 + 1, 1040, kSmallCache));
  CHECK(keeps_column(2000, 1025, kSmallCache));  // not even a whole number of lines
}

TEST_CASE("lesson 03: the bytes that a rung moves") {
  const Cache cache = kSmallCache;
  Product p{1024, 1024, 1024, nullptr, 1024, nullptr, 1024, nullptr, 1024};
  const double matrix = 4 * 1024 * 1024;
  const auto moved = [&](Rung::Kind kind, Blocks blocks = {}) {
    return bytes_moved({"", kind}, p, blocks, cache) / matrix;
  };
  CHECK(moved(Rung::naive) == 1 + 16 * 1024 + 2);  // B in lines of 16 numbers, for every row
  CHECK(moved(Rung::loop_order) == 1 + 1024 + 2);
  CHECK(moved(Rung::cache_tiles) == 4 + 1 + 8);  // A four times, C four times there and back
  CHECK(moved(Rung::micro_kernel, {1024, 1024}) == 1 + 1 + 2);
  CHECK(moved(Rung::engine) == 4 + 1 + 4);
  p.ldb = 1040;
  CHECK(moved(Rung::naive) == 1 + 1024 + 2);
  // Small matrices stay where they are: each is read once.
  const Product small{64, 64, 64, nullptr, 64, nullptr, 64, nullptr, 64};
  CHECK(bytes_moved({"", Rung::naive}, small, {}, cache) == 4 * 4096 * 4);
  CHECK(bytes_moved({"", Rung::cache_tiles}, small, {16, 16}, cache) == 4 * 4096 * 4);
}

TEST_CASE("lesson 03: every order visits every step once, and tiles touch less") {
  std::vector<size_t> numbers;
  for (const Order& order : orders()) {
    INFO(order.name);
    std::set<std::array<int, 3>> seen;
    order.walk([&](int i, int j, int k) { seen.insert({i, j, k}); });
    CHECK(seen.size() == size_t(kSide * kSide * kSide));
    const auto when = touched(order, 256);
    numbers.push_back(when[0].size() + when[1].size() + when[2].size());
  }
  CHECK(numbers == std::vector<size_t>{288, 288, 128, 128});
}

TEST_CASE("lesson 03: the pictures have ink") {
  if (!has_program("rsvg-convert")) return skip("rsvg-convert is not installed");
  const Machine machine{220, 13, 25, 50};
  const std::string roof = roofline("roof", machine, {{"naive", 0.03, 0.4}, {"engine", 57, 190}});
  CHECK_THAT(roof, ContainsSubstring(">naive<"));
  CHECK_THAT(roof, ContainsSubstring("memory 25 GB/s"));
  CHECK(dark_pixels(roof) > 2000);
  CHECK(dark_pixels(draw_orders(256)) > 2000);
}

TEST_CASE("lesson 03: another product can take the place of the table's for a while") {
  const kindling::Kernels* before = &kindling::kernels();
  {
    const WithProduct naive(kindling::reference::gemm);
    CHECK(kindling::kernels().gemm == kindling::reference::gemm);
    CHECK(kindling::kernels().softmax == before->softmax);
  }
  CHECK(&kindling::kernels() == before);
}

#if defined(__x86_64__)
TEST_CASE("lesson 03: the sums of the AVX2 tile stay in registers") {
  const std::string build = build_folder();
  if (build.find("san-") != std::string::npos) return;  // a sanitizer needs registers of its own
  if (!has_program("objdump")) return skip("objdump is not installed: run make deps");
  const CommandResult loops =
      run_command("lessons/03-matmul/disassemble " + build + "/objects/lessons/03-matmul/ladder.o");
  INFO(loops.output);
  REQUIRE(loops.code == 0);
  const std::string fits = loops.output.substr(0, loops.output.find("12 rows"));
  CHECK_THAT(fits, ContainsSubstring("vfmadd"));
  CHECK_THAT(fits, !ContainsSubstring("(%rsp"));
  CHECK_THAT(loops.output, ContainsSubstring("48 multiply"));
  CHECK_THAT(loops.output.substr(fits.size()), ContainsSubstring("(%rsp)"));
}
#endif

TEST_CASE("lesson 03: a run passes and leaves its pictures") {
  const TempFolder out;
  // Rows of 256 numbers fit every cache, where the first rung is not as slow as it can be.
  const CommandResult run = run_lesson(out, "--size 256");
  INFO(run.output);
  CHECK((run.code == 0 || run.code == 3));  // a busy machine may spoil what is timed
  CHECK_THAT(run.output, ContainsSubstring("ok     all "));
  CHECK_THAT(run.output, ContainsSubstring("ok     one, two and three threads give the same bits"));
  CHECK_THAT(run.output, ContainsSubstring("ok     the loss is the same but for rounding"));
  CHECK_THAT(run.output, ContainsSubstring("changed: --size 256"));
  for (const char* picture : {"roofline.svg", "orders.svg"}) {
    CHECK_THAT(read_text(run_folder(out) / picture), ContainsSubstring("</svg>"));
  }
}

TEST_CASE("lesson 03: narrower instruction sets leave rungs out") {
  const TempFolder out;
  const CommandResult run = run_lesson(out, "--isa scalar --part check");
  INFO(run.output);
  CHECK(run.code == 0);
  CHECK_THAT(run.output, !ContainsSubstring("AVX"));
}

TEST_CASE("lesson 03: each mistake is told of") {
  const TempFolder out;
  const CommandResult store = run_lesson(out, "--part check --mistake store");
  INFO(store.output);
  CHECK(store.code == 3);
  CHECK_THAT(store.output, ContainsSubstring("<- wrong"));
  const CommandResult chain = run_lesson(out, "--part ladder --size 256 --mistake one-chain");
  INFO(chain.output);
  CHECK(chain.code == 3);
  CHECK_THAT(chain.output, ContainsSubstring("WRONG  "));
}

TEST_CASE("lesson 03: the experiments run") {
  const TempFolder out;
  for (const char* part : {"tiles", "blocks", "rows", "without"}) {
    const CommandResult run = run_lesson(out, std::string("--size 64 --part ") + part);
    INFO(run.output);
    CHECK((run.code == 0 || run.code == 3));
    CHECK_THAT(run.output, ContainsSubstring("GFLOP/s at 64 cubed"));
  }
}

TEST_CASE("lesson 03: options that make no sense") {
  const TempFolder out;
  CHECK(run_lesson(out, "--no-such-option").code == 2);
  CHECK(run_lesson(out, "--mistake no-such-mistake").code == 2);
  CHECK(run_lesson(out, "--size 0").code == 2);
  CHECK(run_lesson(out, "--resume " + out.path().string()).code == 2);
}
