// matmul and linear: against PyTorch, at their limits, and their errors. Gradients are checked to
// 1e-6 in tests/f64/op_table.cpp, the kernel in tests/test_kernels_gemm.cpp.
#include "base/parallel.h"
#include "kernels/types.h"
#include "support/catch.h"
#include "support/golden.h"
#include "support/parity.h"

using namespace kindling;

TEST_CASE("matmul agrees with PyTorch", "[matmul]") {
  const struct {
    const char* suffix;
    Transpose transpose;
  } kTransposes[] = {{"", Transpose::none},
                     {"_a", Transpose::a},
                     {"_b", Transpose::b},
                     {"_both", Transpose::both}};
  std::vector<std::string> names;
  std::vector<Transpose> transposes;
  for (const char* form : {"plain", "batch", "batch_of_a", "batch_of_b", "two_leading"}) {
    for (const auto& t : kTransposes) {
      names.push_back(std::string("matmul/") + form + t.suffix);
      transposes.push_back(t.transpose);
    }
  }
  std::vector<ParityCase> cases = {
      {"matmul/larger", [](const Tensors& x) { return matmul(x[0], x[1]); }}};
  for (size_t i = 0; i < names.size(); ++i) {
    cases.push_back({names[i].c_str(),
                     [t = transposes[i]](const Tensors& x) { return matmul(x[0], x[1], t); }});
  }
  check_parity(cases);
}

TEST_CASE("linear agrees with PyTorch", "[matmul]") {
  const auto f = [](const Tensors& x) { return linear(x[0], x[1], x[2]); };
  check_parity({{"linear/bias", f},
                {"linear/three", f},
                {"linear/vector", f},
                {"linear/larger", f},
                {"linear/no_bias", [](const Tensors& x) { return linear(x[0], x[1]); }}});
}

TEST_CASE("products of nothing are zero", "[matmul]") {
  const Tensor c = matmul(zeros({2, 0}), zeros({0, 3}));
  CHECK(relative_error(c, zeros({2, 3})) == 0);
  CHECK(matmul(zeros({0, 2}), zeros({2, 3})).shape() == Shape{0, 3});
  CHECK(linear(zeros({0, 2}), zeros({3, 2}), zeros({3})).shape() == Shape{0, 3});
}

TEST_CASE("a batch gives the same bits on any number of threads", "[matmul][threads]") {
  Random random(3);
  const Tensor a = normal({7, 33, 40}, random), b = normal({7, 40, 29}, random);
  const int before = threads();
  set_threads(1);
  const Tensor one = matmul(a, b);
  for (int n : {2, 4}) {
    set_threads(n);
    const Tensor many = matmul(a, b);
    CHECK(std::equal(one.values().begin(), one.values().end(), many.values().begin()));
  }
  set_threads(before);
}

TEST_CASE("matmul counts two operations for each multiply-add, batch or not", "[matmul]") {
  const auto flops = [](const Tensor& a, const Tensor& b) {
    Cost cost;
    running_cost = &cost;
    matmul(a, b);
    running_cost = nullptr;
    return cost.flops;
  };
  CHECK(flops(ones({3, 4}), ones({4, 5})) == 2 * 3 * 4 * 5);
  CHECK(flops(ones({7, 3, 4}), ones({7, 4, 5})) == 7 * 2 * 3 * 4 * 5);
  CHECK(flops(ones({7, 3, 4}), ones({4, 5})) == 7 * 2 * 3 * 4 * 5);
}

TEST_CASE("matrix products say what is wrong", "[matmul]") {
  CHECK_THROWS_WITH(matmul(zeros({3, 4}), zeros({5, 6})),
                    "matmul: inner sizes differ: [3, 4] x [5, 6]");
  CHECK_THROWS_WITH(matmul(zeros({3, 4}), zeros({4, 6}), Transpose::b),
                    "matmul: inner sizes differ: [3, 4] x [4, 6] (transposed)");
  CHECK_THROWS_WITH(matmul(zeros({4}), zeros({4, 6})), "matmul: needs matrices, got [4] x [4, 6]");
  CHECK_THROWS_WITH(matmul(zeros({2, 3, 4}), zeros({5, 4, 6})),
                    "matmul: batches differ: [2, 3, 4] x [5, 4, 6]");
  CHECK_THROWS_WITH(matmul(zeros({2, 2, 3, 4}), zeros({4, 4, 6})),
                    "matmul: batches differ: [2, 2, 3, 4] x [4, 4, 6]");
  CHECK_THROWS_WITH(linear(zeros({2, 4}), zeros({5, 3})),
                    "linear: input [2, 4] does not fit weight [5, 3] ([out, in])");
  CHECK_THROWS_WITH(linear(zeros({2, 4}), zeros({5, 4}), zeros({4})),
                    "linear: bias [4] for 5 outputs");
}

TEST_CASE("matmul and linear: empty batches, rows and inner sizes", "[matmul]") {
  // New blocks hold NaN in tests, so a product that nobody computed would show.
  CHECK(matmul(zeros({0, 2, 3}), ones({3, 4})).shape() == Shape{0, 2, 4});
  CHECK(matmul(ones({3, 4}), zeros({0, 4, 2})).shape() == Shape{0, 3, 2});
  for (const Tensor& y :
       {matmul(zeros({3, 2, 0}), zeros({3, 0, 2})), matmul(zeros({3, 2, 0}), zeros({0, 2})),
        matmul(zeros({2, 0}), zeros({0, 2}))}) {
    for (real v : y.values()) CHECK(v == 0);
  }
  const Tensor y = linear(zeros({2, 0}), zeros({3, 0}), ones({3}));
  CHECK(y.shape() == Shape{2, 3});
  for (real v : y.values()) CHECK(v == 1);

  Tensor a = zeros({0, 2, 3}), b = ones({3, 4});
  a.set_requires_grad(), b.set_requires_grad();
  sum(matmul(a, b)).backward();
  CHECK(a.grad().shape() == a.shape());
  for (real v : b.grad().values()) CHECK(v == 0);
}
