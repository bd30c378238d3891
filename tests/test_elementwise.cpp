// Arithmetic, functions of one number and choosing: against PyTorch, at their limits, and their
// errors. Gradients are checked to 1e-6 in tests/f64/op_table.cpp.
#include <cmath>
#include <limits>

#include "support/catch.h"
#include "support/parity.h"

using namespace kindling;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<real> values(const Tensor& x) { return {x.values().begin(), x.values().end()}; }

}  // namespace

TEST_CASE("binary operations agree with PyTorch", "[elementwise]") {
  const struct {
    const char* name;
    Tensor (*f)(const Tensor&, const Tensor&);
  } kOperations[] = {{"add", add},     {"sub", sub},         {"mul", mul},        {"div", div},
                     {"power", power}, {"maximum", maximum}, {"minimum", minimum}};
  for (const auto& operation : kOperations) {
    std::vector<std::string> names;
    for (const char* form : {"same", "row", "column", "scalar", "middle", "both"}) {
      names.push_back(std::string(operation.name) + "/" + form);
    }
    if (operation.f == maximum || operation.f == minimum) {
      names.push_back(std::string(operation.name) + "/ties");
    }
    const auto f = operation.f;
    std::vector<ParityCase> cases;
    for (const std::string& name : names) {
      cases.push_back({name.c_str(), [f](const Tensors& x) { return f(x[0], x[1]); }});
    }
    if (std::string(operation.name) == "power") {
      cases.push_back({"power/cube", [](const Tensors& x) { return power(x[0], 3); }});
      cases.push_back({"power/root", [](const Tensors& x) { return power(x[0], 0.5); }});
      cases.push_back({"power/inverse_square", [](const Tensors& x) { return power(x[0], -2); }});
    }
    check_parity(cases);
  }
  check_parity({{"affine/plain", [](const Tensors& x) { return affine(x[0], -1.5, 0.25); }}});
}

TEST_CASE("functions of one number agree with PyTorch", "[elementwise]") {
  const struct {
    const char* name;
    Tensor (*f)(const Tensor&);
  } kOperations[] = {
      {"neg/line", neg},
      {"square/line", square},
      {"abs/line", abs},
      {"abs/kinks", abs},
      {"sin/line", sin},
      {"cos/line", cos},
      {"tanh/line", tanh},
      {"sigmoid/line", sigmoid},
      {"softplus/line", softplus},
      {"relu/line", relu},
      {"relu/kinks", relu},
      {"erf/line", erf},
      {"gelu/line", gelu},
      {"gelu_tanh/line", gelu_tanh},
      {"silu/line", silu},
      {"exp/line", exp},
      {"log/positive", log},
      {"sqrt/positive", sqrt},
      {"reciprocal/positive", reciprocal},
      {"reciprocal/negative", reciprocal},
  };
  std::vector<ParityCase> cases = {
      {"leaky_relu/line", [](const Tensors& x) { return leaky_relu(x[0], 0.2); }},
      {"clamp/line", [](const Tensors& x) { return clamp(x[0], -1, 1.5); }},
      {"clamp/kinks", [](const Tensors& x) { return clamp(x[0], -1, 1.5); }}};
  for (const auto& operation : kOperations) {
    const auto f = operation.f;
    cases.push_back({operation.name, [f](const Tensors& x) { return f(x[0]); }});
  }
  check_parity(cases);
}

TEST_CASE("where agrees with PyTorch", "[elementwise]") {
  const Tensor mask = tensor({2, 4}, {1, 0, 0, 1, 1, 1, 0, 0});
  const auto f = [=](const Tensors& x) { return where(mask, x[0], x[1]); };
  check_parity({{"where/same", f}, {"where/stretched", f}, {"where/more", f}});
}

TEST_CASE("comparisons give 0 and 1, broadcast, and have no gradient", "[elementwise]") {
  Tensor a = tensor({2, 3}, {1, 2, 3, 3, 2, 1});
  a.set_requires_grad();
  const Tensor b = tensor({3}, {2, 2, 2});
  CHECK(values(greater(a, b)) == std::vector<real>{0, 0, 1, 1, 0, 0});
  CHECK(values(less(a, b)) == std::vector<real>{1, 0, 0, 0, 0, 1});
  CHECK(values(equal(a, b)) == std::vector<real>{0, 1, 0, 0, 1, 0});
  for (const Tensor& y : {greater(a, b), less(a, b), equal(a, b)}) CHECK_FALSE(y.requires_grad());
}

TEST_CASE("functions hold at the ends of the number line", "[elementwise]") {
  const Tensor x = tensor({4}, {-200, 200, -kInfinity, kInfinity});
  CHECK(values(sigmoid(x)) == std::vector<real>{0, 1, 0, 1});
  CHECK(values(tanh(x)) == std::vector<real>{-1, 1, -1, 1});
  CHECK(values(softplus(x)) == std::vector<real>{0, 200, 0, kInfinity});
  CHECK(values(exp(x)) == std::vector<real>{0, kInfinity, 0, kInfinity});
  CHECK(values(erf(x)) == std::vector<real>{-1, 1, -1, 1});
  CHECK(values(gelu(x.detach()))[1] == 200);
  CHECK(values(relu(x)) == std::vector<real>{0, 200, 0, kInfinity});
}

TEST_CASE("NaN is never hidden", "[elementwise]") {
  const Tensor nan = full({3}, kNan), one = ones({3});
  using Unary = Tensor (*)(const Tensor&);
  for (Unary f :
       {Unary(exp), Unary(log), Unary(sqrt), Unary(abs), Unary(tanh), Unary(sigmoid),
        Unary(softplus), Unary(relu), Unary(erf), Unary(gelu), Unary(gelu_tanh), Unary(silu)}) {
    for (real value : values(f(nan))) CHECK(std::isnan(value));
  }
  for (const Tensor& y : {maximum(nan, one), maximum(one, nan), minimum(nan, one),
                          minimum(one, nan), clamp(nan, -1, 1), leaky_relu(nan), nan * one}) {
    for (real value : values(y)) CHECK(std::isnan(value));
  }
}

TEST_CASE("the side that where did not choose gives nothing to the gradient", "[elementwise]") {
  // log(0) is -inf and its slope inf: choosing must not multiply it by zero, which would be NaN.
  Tensor x = tensor({2}, {0, 4});
  x.set_requires_grad();
  const Tensor y = where(greater(x, scalar(1)), x, full({2}, kNan));
  y.backward(ones({2}));
  CHECK(values(x.grad()) == std::vector<real>{0, 1});
}

TEST_CASE("operators are the functions", "[elementwise]") {
  const Tensor a = tensor({2}, {6, 1}), b = tensor({2}, {2, 4});
  CHECK(values(a + b) == std::vector<real>{8, 5});
  CHECK(values(a - b) == std::vector<real>{4, -3});
  CHECK(values(a * b) == std::vector<real>{12, 4});
  CHECK(values(a / b) == std::vector<real>{3, 0.25});
  CHECK(values(-a) == std::vector<real>{-6, -1});
  CHECK(values(a + 1.0) == std::vector<real>{7, 2});
  CHECK(values(1.0 + a) == std::vector<real>{7, 2});
  CHECK(values(a - 1.0) == std::vector<real>{5, 0});
  CHECK(values(1.0 - a) == std::vector<real>{-5, 0});
  CHECK(values(a * 3.0) == std::vector<real>{18, 3});
  CHECK(values(3.0 * a) == std::vector<real>{18, 3});
  CHECK(values(a / 2.0) == std::vector<real>{3, 0.5});
  CHECK(values(12.0 / b) == std::vector<real>{6, 3});
}

TEST_CASE("elementwise operations of empty tensors are empty", "[elementwise]") {
  CHECK((zeros({0, 3}) + zeros({3})).shape() == Shape{0, 3});
  CHECK(exp(zeros({2, 0})).shape() == Shape{2, 0});
  CHECK(where(zeros({0}), scalar(1), scalar(2)).shape() == Shape{0});
}

TEST_CASE("elementwise operations say what is wrong", "[elementwise]") {
  const Tensor a = zeros({3, 4}), b = zeros({5});
  CHECK_THROWS_WITH(add(a, b), "add: shapes [3, 4] and [5] do not broadcast");
  CHECK_THROWS_WITH(mul(a, b), "mul: shapes [3, 4] and [5] do not broadcast");
  CHECK_THROWS_WITH(greater(a, b), "greater: shapes [3, 4] and [5] do not broadcast");
  CHECK_THROWS_WITH(where(b, a, a), "where: shapes [5] and [3, 4] do not broadcast");
  CHECK_THROWS_WITH(clamp(a, 2, 1), "clamp: low 2 is above high 1");
  CHECK_THROWS_WITH(exp(Tensor()),
                    "tensor: this tensor is undefined (default constructed, or moved from)");
}

TEST_CASE("where names its mask as input 0", "[elementwise]") {
  Tensor mask = tensor({2}, {0, 1}), a = ones({2});
  a.set_requires_grad();
  const Tensor y = where(mask, a, zeros({2}));
  mask.mutable_data()[0] = 1;
  CHECK_THROWS_WITH(sum(y).backward(), Equals("where: input 0 was changed after it was recorded"));
}
