// Reductions: against PyTorch, at their limits, and their errors. Gradients are checked to 1e-6 in
// tests/f64/op_table.cpp.
#include <limits>

#include "support/catch.h"
#include "support/parity.h"

using namespace kindling;

TEST_CASE("reductions agree with PyTorch", "[reduce]") {
  using Reduction = Tensor (*)(const Tensor&, std::vector<int>, bool);
  const struct {
    const char* name;
    Reduction f;
  } kOperations[] = {
      {"sum", sum},
      {"mean", mean},
      {"max", max},
      {"var", [](const Tensor& x, std::vector<int> axes, bool keep) { return var(x, axes, keep); }},
      {"logsumexp", logsumexp}};
  const struct {
    const char* name;
    std::vector<int> axes;
    bool keep;
  } kForms[] = {{"all", {}, false},         {"first", {0}, false},    {"middle", {1}, true},
                {"last", {-1}, false},      {"apart", {0, 2}, false}, {"apart_keep", {2, 0}, true},
                {"last_two", {1, 2}, false}};
  for (const auto& operation : kOperations) {
    std::vector<std::string> names;
    for (const auto& form : kForms) names.push_back(std::string(operation.name) + "/" + form.name);
    std::vector<ParityCase> cases;
    for (size_t i = 0; i < names.size(); ++i) {
      cases.push_back({names[i].c_str(), [&, i](const Tensors& x) {
                         return operation.f(x[0], kForms[i].axes, kForms[i].keep);
                       }});
    }
    const std::string op = operation.name;
    const auto add = [&](const char* name, std::function<Tensor(const Tensors&)> f) {
      if (std::string(name).starts_with(op + "/")) cases.push_back({name, std::move(f)});
    };
    add("var/biased", [](const Tensors& x) { return var(x[0], {1}, false, 0); });
    add("var/far_from_zero", [](const Tensors& x) { return var(x[0], {1}); });
    add("logsumexp/large", [](const Tensors& x) { return logsumexp(x[0], {-1}); });
    add("max/first_of_ties", [](const Tensors& x) { return max(x[0], {-1}); });
    check_parity(cases);
  }
}

TEST_CASE("sums over many elements lose nothing", "[reduce]") {
  // Added one by one in float, ones stop at 2^24 = 16,777,216.
  CHECK(sum(ones({1 << 25})).item() == real(1 << 25));
  CHECK(mean(full({3000, 1000}, 0.1)).item() == Approx(0.1).epsilon(1e-6));
}

TEST_CASE("argmax gives the first maximum along any axis", "[reduce]") {
  const Tensor x = tensor({2, 3}, {1, 3, 3, 5, 0, 4});
  const Indices last = argmax(x), first = argmax(x, 0);
  CHECK(last.shape() == Shape{2});
  CHECK(std::vector<int32_t>(last.values().begin(), last.values().end()) ==
        std::vector<int32_t>{1, 0});
  CHECK(first.shape() == Shape{3});
  CHECK(std::vector<int32_t>(first.values().begin(), first.values().end()) ==
        std::vector<int32_t>{1, 0, 1});
}

TEST_CASE("a maximum of equal numbers sends its gradient to the first", "[reduce]") {
  Tensor x = tensor({4}, {2, 7, 7, 7});
  x.set_requires_grad();
  max(x).backward();
  CHECK(x.grad().at({1}) == 1);
  CHECK(sum(x.grad()).item() == 1);
}

TEST_CASE("logsumexp of numbers whose exp overflows, and of minus infinity", "[reduce]") {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  CHECK(logsumexp(full({4}, 10000)).item() == Approx(10000 + std::log(4.0)));
  CHECK(logsumexp(full({4}, -kInfinity)).item() == -real(kInfinity));
  CHECK(logsumexp(tensor({2}, {kInfinity, 1})).item() == real(kInfinity));
  CHECK(logsumexp(tensor({2}, {1000, -kInfinity})).item() == 1000);
  CHECK(std::isnan(logsumexp(tensor({2}, {1, std::nan("")})).item()));
}

TEST_CASE("reductions of a scalar and of empty tensors", "[reduce]") {
  CHECK(sum(scalar(3)).item() == 3);
  CHECK(max(scalar(3)).item() == 3);
  CHECK(sum(zeros({0, 3})).item() == 0);
  const Tensor columns = sum(zeros({0, 3}), {0});
  CHECK(columns.shape() == Shape{3});
  CHECK(columns.at({2}) == 0);
}

TEST_CASE("reductions say what is wrong", "[reduce]") {
  const Tensor x = zeros({2, 3});
  CHECK_THROWS_WITH(sum(x, {2}), "shape: [2, 3] has no dimension 2");
  CHECK_THROWS_WITH(sum(x, {1, -1}), "sum: axis -1 of [2, 3] is given twice");
  CHECK_THROWS_WITH(mean(zeros({0})), "mean: no elements in [0]");
  CHECK_THROWS_WITH(max(zeros({0, 2})), "max: no elements in [0, 2]");
  CHECK_THROWS_WITH(logsumexp(zeros({0})), "logsumexp: no elements in [0]");
  CHECK_THROWS_WITH(argmax(zeros({0})), "argmax: no elements in [0]");
  CHECK_THROWS_WITH(var(ones({1})), "var: 1 elements with correction 1");
}
