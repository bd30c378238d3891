// The gradient check itself: it must find what is wrong. A wrong operation here is written with
// record(), as any operation is.
#include "f64/gradcheck.h"
#include "support/catch.h"

using namespace kindling;

namespace {

// x^2 with a backward that gives `factor` * x instead of 2 x.
Function square_with_slope(double factor) {
  return [factor](const Tensors& in) {
    const Tensor& x = in[0];
    return record(
        "wrong_square", {x}, [&] { return square(x.detach()); },
        [x, factor](const Tensor& gy, Grads& g) { g.add(0, gy * (x.detach() * factor)); });
  };
}

std::string problems_of(const Function& f, const Tensors& inputs) {
  Random random(5);
  return gradient_problems(f, inputs, random);
}

}  // namespace

TEST_CASE("the gradient check accepts a right gradient", "[gradcheck]") {
  CHECK(problems_of(square_with_slope(2), {tensor({3}, {1, -2, 0.5})}) == "");
}

TEST_CASE("the gradient check finds an error of one in a hundred thousand", "[gradcheck]") {
  const std::string found = problems_of(square_with_slope(2.00002), {tensor({3}, {1, -2, 0.5})});
  CHECK_THAT(found, ContainsSubstring("input 0, random directions: relative error 1.0e-05"));
  CHECK_THAT(found, ContainsSubstring("input 0, each element: relative error 1.0e-05"));
  CHECK_THAT(found, ContainsSubstring("backward    ["));
  CHECK_THAT(found, ContainsSubstring("differences ["));
}

TEST_CASE("the gradient check finds one wrong element", "[gradcheck]") {
  const Function f = [](const Tensors& in) {
    const Tensor& x = in[0];
    return record(
        "wrong_at_2", {x}, [&] { return square(x.detach()); },
        [x](const Tensor& gy, Grads& g) {
          Tensor gx = gy * (x.detach() * 2);
          gx.mutable_data()[2] *= real(1.001);
          g.add(0, gx);
        });
  };
  CHECK_THAT(problems_of(f, {tensor({3}, {1, -2, 0.5})}), ContainsSubstring("relative error"));
}

TEST_CASE("the gradient check fails when both sides are zero", "[gradcheck]") {
  const Function f = [](const Tensors& in) { return in[0] * 0.0; };
  CHECK_THAT(problems_of(f, {ones({3})}), ContainsSubstring("both sides are zero"));
}

TEST_CASE("the gradient check fails when a gradient never arrives", "[gradcheck]") {
  const Function f = [](const Tensors& in) { return in[0] + in[1].detach(); };
  CHECK_THAT(problems_of(f, {ones({3}), ones({3})}),
             ContainsSubstring("input 1, gradient: missing"));
}

TEST_CASE("the gradient check finds a gradient that depends on what else is wanted",
          "[gradcheck]") {
  const Function f = [](const Tensors& in) {
    return record(
        "jealous", {in[0], in[1]}, [&] { return in[0].detach() + in[1].detach(); },
        [](const Tensor& gy, Grads& g) {
          if (g.wants(0)) g.add(0, g.wants(1) ? gy : gy * 2.0);
          if (g.wants(1)) g.add(1, gy);
        });
  };
  CHECK_THAT(problems_of(f, {ones({3}), ones({3})}), ContainsSubstring("input 0, alone"));
}
