// The op table: every function of ops.h that has a gradient, with inputs that its gradient is
// checked at. A test for each section of ops.h; `make check` fails when a function has no row here.
// Page: docs/ops.md
#include "f64/op_table.h"

#include <cmath>
#include <numeric>

#include "support/catch.h"

using namespace kindling;

Tensor Draw::operator()(Random& random) const {
  Tensor x(shape);
  real* out = x.mutable_data();
  if (lattice >= 0) {
    std::vector<int64_t> place(static_cast<size_t>(x.size()));
    std::iota(place.begin(), place.end(), -x.size() / 2);
    for (int64_t i = x.size(); i > 1; --i)
      std::swap(place[size_t(i - 1)], place[size_t(random.below(i))]);
    for (int64_t p : place) *out++ = 0.08 * double(p) + 0.04 * lattice;
    return x;
  }
  const auto near_kink = [this](double value) {
    for (double kink : kinks) {
      if (std::abs(value - kink) < kGap) return true;
    }
    return false;
  };
  for (int64_t i = 0; i < x.size(); ++i) {
    do out[i] = random.uniform(low, high);
    while (near_kink(out[i]));
  }
  return x;
}

void check_row(const Row& row) {
  // Each row has its own stream, so that a new row does not change what the others are checked at.
  uint64_t stream = 0;
  for (const char* c = row.name; *c; ++c) stream = 31 * stream + uint64_t(*c);
  Random random(1, stream);
  Tensors inputs;
  for (const Draw& draw : row.inputs) inputs.push_back(draw(random));
  const std::string problems = gradient_problems(row.f, inputs, random);
  INFO(row.name << "\n" << problems);
  CHECK(problems.empty());
}

// ---- Arithmetic ---------------------------------------------------------------------------------

TEST_CASE("gradients of binary operations, for every form of broadcasting", "[gradients]") {
  struct Binary {
    const char* name;
    Tensor (*f)(const Tensor&, const Tensor&);
    Draw (*a)(const Shape&);
    Draw (*b)(const Shape&);
  };
  const Binary kOperations[] = {
      {"add", add, any, any},          {"sub", sub, any, any},
      {"mul", mul, any, any},          {"div", div, any, positive},
      {"power", power, positive, any}, {"maximum", maximum, even, odd},
      {"minimum", minimum, even, odd},
  };
  struct Form {
    const char* name;
    Shape a, b;
  };
  const Form kForms[] = {
      {" same", {3, 4}, {3, 4}},
      {" row", {3, 4}, {4}},
      {" column", {3, 4}, {3, 1}},
      {" scalar", {3, 4}, {}},
      {" scalar first", {}, {3, 4}},
      {" middle", {2, 3, 4}, {2, 1, 4}},
      {" outer and inner", {2, 3, 4}, {1, 3, 1}},
      {" both stretched", {3, 1}, {1, 4}},
      {" both stretched twice", {2, 1, 3, 1}, {1, 2, 1, 4}},
  };
  for (const Binary& operation : kOperations) {
    for (const Form& form : kForms) {
      const auto f = operation.f;
      const std::string name = std::string(operation.name) + form.name;
      check_row({name.c_str(), {operation.a(form.a), operation.b(form.b)}, [f](const Tensors& x) {
                   return f(x[0], x[1]);
                 }});
    }
  }
}

TEST_CASE("gradients of arithmetic with constants and of repeated inputs", "[gradients]") {
  const Row kRows[] = {
      {"affine", {any({3, 4})}, [](const Tensors& x) { return affine(x[0], -1.5, 0.25); }},
      {"power 3", {any({3, 4})}, [](const Tensors& x) { return power(x[0], 3); }},
      {"power -0.5", {positive({3, 4})}, [](const Tensors& x) { return power(x[0], -0.5); }},
      {"div negative",
       {any({7}), any({7})},
       [](const Tensors& x) { return x[0] / (square(x[1]) * -1.0 - 0.5); }},
      {"mul itself", {any({3, 4})}, [](const Tensors& x) { return x[0] * x[0]; }},
      {"add itself", {any({3, 4})}, [](const Tensors& x) { return x[0] + x[0]; }},
      {"sub diamond", {any({5})}, [](const Tensors& x) { return exp(x[0]) - sin(x[0]) * x[0]; }},
  };
  for (const Row& row : kRows) check_row(row);
}

// ---- Functions of one number --------------------------------------------------------------------

namespace {

Draw away_from_zero(const Shape& shape) { return away_from({0}, shape); }
Draw minus_two_to_half(const Shape& shape) { return {shape, -2, -0.5}; }
Draw wide(const Shape& shape) { return {shape, -6, 6}; }

}  // namespace

TEST_CASE("gradients of functions of one number", "[gradients]") {
  struct Unary {
    const char* name;
    Tensor (*f)(const Tensor&);
    Draw (*x)(const Shape&);
  };
  const Unary kOperations[] = {
      {"neg", neg, any},
      {"exp", exp, any},
      {"log", log, positive},
      {"sqrt", sqrt, positive},
      {"square", square, any},
      {"abs", abs, away_from_zero},
      {"reciprocal", reciprocal, positive},
      {"reciprocal of negative", reciprocal, minus_two_to_half},
      {"sin", sin, wide},
      {"cos", cos, wide},
      {"tanh", tanh, any},
      {"sigmoid", sigmoid, wide},
      {"softplus", softplus, wide},
      {"relu", relu, away_from_zero},
      {"erf", erf, any},
      {"gelu", gelu, wide},
      {"gelu_tanh", gelu_tanh, wide},
      {"silu", silu, wide},
  };
  for (const Unary& operation : kOperations) {
    const auto f = operation.f;
    check_row({operation.name, {operation.x({5, 7})}, [f](const Tensors& x) { return f(x[0]); }});
  }
  const Row kRows[] = {
      {"leaky_relu",
       {away_from({0}, {5, 7})},
       [](const Tensors& x) { return leaky_relu(x[0], 0.2); }},
      {"clamp",
       {away_from({-0.5, 1}, {5, 7})},
       [](const Tensors& x) { return clamp(x[0], -0.5, 1); }},
  };
  for (const Row& row : kRows) check_row(row);
}

// ---- Choosing -----------------------------------------------------------------------------------

TEST_CASE("gradients of where", "[gradients]") {
  const Tensor mask = tensor({2, 3}, {1, 0, 0, 1, 1, 0}), column = tensor({2, 1}, {0, 1});
  const Row kRows[] = {
      {"where",
       {any({2, 3}), any({2, 3})},
       [=](const Tensors& x) { return where(mask, x[0], x[1]); }},
      {"where mask column",
       {any({2, 3}), any({2, 3})},
       [=](const Tensors& x) { return where(column, x[0], x[1]); }},
      {"where mask row of more",
       {any({4, 2, 3}), any({4, 2, 3})},
       [=](const Tensors& x) { return where(mask, x[0], x[1]); }},
      {"where a row",
       {any({3}), any({2, 3})},
       [=](const Tensors& x) { return where(mask, x[0], x[1]); }},
      {"where b scalar",
       {any({2, 3}), any({})},
       [=](const Tensors& x) { return where(mask, x[0], x[1]); }},
      {"where all stretched",
       {any({3, 1}), any({4})},
       [=](const Tensors& x) {
         return where(tensor({2, 1, 1}, {1, 0}), x[0], x[1]);
       }},
  };
  for (const Row& row : kRows) check_row(row);
}

// Slope 0 wherever there is a slope, or a result that is no Tensor of reals: nothing to check but
// that no history is recorded.
TEST_CASE("operations without gradients record nothing", "[gradients]") {
  Tensor a = ones({2, 3}), b = zeros({2, 3});
  a.set_requires_grad(), b.set_requires_grad();
  for (const Tensor& y : {greater(a, b), less(a, b), equal(a, b), one_hot(argmax(a), 3)}) {
    CHECK_FALSE(y.requires_grad());
  }
}

// ---- Reductions ---------------------------------------------------------------------------------

TEST_CASE("gradients of reductions, over many sets of axes", "[gradients]") {
  using Reduction = Tensor (*)(const Tensor&, std::vector<int>, bool);
  struct Operation {
    const char* name;
    Reduction f;
    Draw (*x)(const Shape&);
  };
  const Operation kOperations[] = {
      {"sum", sum, any},
      {"mean", mean, any},
      {"max", max, even},
      {"logsumexp", logsumexp, any},
      {"var", [](const Tensor& x, std::vector<int> axes, bool keep) { return var(x, axes, keep); },
       any},
      {"var biased",
       [](const Tensor& x, std::vector<int> axes, bool keep) { return var(x, axes, keep, 0); },
       any},
  };
  struct Axes {
    const char* name;
    std::vector<int> axes;
    bool keep;
  };
  const Axes kAxes[] = {
      {" all", {}, false},       {" all keep", {}, true},        {" first", {0}, false},
      {" middle", {1}, false},   {" middle keep", {1}, true},    {" last", {-1}, false},
      {" last keep", {2}, true}, {" first two", {0, 1}, false},  {" last two", {2, 1}, false},
      {" apart", {0, 2}, false}, {" apart keep", {-1, 0}, true},
  };
  for (const Operation& operation : kOperations) {
    for (const Axes& axes : kAxes) {
      const auto f = operation.f;
      const std::string name = std::string(operation.name) + axes.name;
      check_row({name.c_str(), {operation.x({2, 3, 4})}, [f, &axes](const Tensors& x) {
                   return f(x[0], axes.axes, axes.keep);
                 }});
    }
    const std::string name = std::string(operation.name) + " of rank 4, three apart";
    const auto f = operation.f;
    check_row({name.c_str(), {operation.x({2, 3, 2, 2})}, [f](const Tensors& x) {
                 return f(x[0], {0, 2, 3}, false);
               }});
  }
}

// ---- Matrix products ----------------------------------------------------------------------------

TEST_CASE("gradients of matrix products", "[gradients]") {
  // {"matmul"} in every transpose, of matrices and with a batch on both sides or on one.
  const struct {
    const char* name;
    Transpose transpose;
    bool a, b;
  } kTransposes[] = {{"matmul", Transpose::none, false, false},
                     {"matmul a transposed", Transpose::a, true, false},
                     {"matmul b transposed", Transpose::b, false, true},
                     {"matmul both transposed", Transpose::both, true, true}};
  const struct {
    const char* name;
    std::vector<int64_t> a, b;
  } kBatches[] = {{", plain", {}, {}},
                  {", batch", {2}, {2}},
                  {", batch of a", {2}, {}},
                  {", batch of b", {}, {2}},
                  {", two leading", {2, 3}, {2, 3}},
                  {", two leading of a", {3, 2}, {}}};
  const auto shape = [](std::vector<int64_t> sizes, int64_t m, int64_t n, bool transposed) {
    sizes.insert(sizes.end(), {transposed ? n : m, transposed ? m : n});
    return Shape(sizes);
  };
  for (const auto& t : kTransposes) {
    for (const auto& batch : kBatches) {
      const std::string name = std::string(t.name) + batch.name;
      const Transpose transpose = t.transpose;
      check_row({name.c_str(),
                 {any(shape(batch.a, 3, 4, t.a)), any(shape(batch.b, 4, 2, t.b))},
                 [transpose](const Tensors& x) { return matmul(x[0], x[1], transpose); }});
    }
  }
  const Row kRows[] = {
      {"matmul with itself", {any({3, 3})}, [](const Tensors& x) { return matmul(x[0], x[0]); }},
      {"matmul of a batch, twice with the same matrix",
       {any({2, 3, 4}), any({4, 2})},
       [](const Tensors& x) { return matmul(x[0], x[1]) * matmul(sin(x[0]), x[1]); }},
      {"matmul inner 1",
       {any({3, 1}), any({1, 4})},
       [](const Tensors& x) { return matmul(x[0], x[1]); }},
      // Above the sizes of the register tile in every direction.
      {"matmul larger",
       {any({37, 41}), any({41, 67})},
       [](const Tensors& x) { return matmul(x[0], x[1]); }},
      {"linear",
       {any({3, 4}), any({5, 4}), any({5})},
       [](const Tensors& x) { return linear(x[0], x[1], x[2]); }},
      {"linear without bias",
       {any({3, 4}), any({5, 4})},
       [](const Tensors& x) { return linear(x[0], x[1]); }},
      {"linear of three dimensions",
       {any({2, 3, 4}), any({5, 4}), any({5})},
       [](const Tensors& x) { return linear(x[0], x[1], x[2]); }},
      {"linear of a vector",
       {any({4}), any({5, 4}), any({5})},
       [](const Tensors& x) { return linear(x[0], x[1], x[2]); }},
  };
  for (const Row& row : kRows) check_row(row);
}

// ---- Images -------------------------------------------------------------------------------------

TEST_CASE("gradients of convolutions", "[gradients]") {
  struct Form {
    const char* name;
    Shape x, weight;
    ConvOptions options;
  };
  const Form kForms[] = {
      {"conv2d", {2, 5, 4, 3}, {4, 3, 2, 3}, {}},
      {"conv2d of one pixel", {2, 3, 4, 3}, {2, 1, 1, 3}, {}},
      {"conv2d of the whole image", {2, 3, 4, 2}, {3, 3, 4, 2}, {}},
      {"conv2d stride", {1, 7, 6, 2}, {3, 3, 3, 2}, {.stride = 2}},
      {"conv2d stride beyond the kernel", {1, 7, 8, 2}, {3, 2, 2, 2}, {.stride = 3}},
      {"conv2d padding", {1, 4, 5, 2}, {3, 3, 3, 2}, {.padding = 1}},
      {"conv2d of many channels", {1, 7, 8, 16}, {16, 3, 3, 16}, {.padding = 1}},
      {"conv2d padding beyond the kernel", {1, 3, 3, 1}, {2, 2, 2, 1}, {.padding = 3}},
      {"conv2d dilation", {1, 6, 7, 2}, {3, 3, 2, 2}, {.dilation = 2}},
      {"conv2d groups", {1, 4, 4, 6}, {4, 2, 3, 3}, {.groups = 2}},
      {"conv2d depthwise", {1, 5, 5, 3}, {3, 3, 3, 1}, {.padding = 1, .groups = 3}},
      {"conv2d depthwise twice", {1, 5, 5, 3}, {6, 3, 3, 1}, {.stride = 2, .groups = 3}},
      {"conv2d everything",
       {2, 9, 8, 4},
       {6, 3, 2, 2},
       {.stride = 2, .padding = 2, .dilation = 2, .groups = 2}},
  };
  for (const Form& form : kForms) {
    const ConvOptions options = form.options;
    check_row({form.name,
               {any(form.x), any(form.weight), any({form.weight[0]})},
               [options](const Tensors& x) { return conv2d(x[0], x[1], x[2], options); }});
  }
  check_row({"conv2d without bias", {any({2, 4, 4, 2}), any({3, 3, 3, 2})}, [](const Tensors& x) {
               return conv2d(x[0], x[1]);
             }});
}

TEST_CASE("gradients of pooling", "[gradients]") {
  const auto largest = [](const PoolOptions& options) {
    return [options](const Tensors& x) { return max_pool2d(x[0], options); };
  };
  const auto average = [](const PoolOptions& options) {
    return [options](const Tensors& x) { return average_pool2d(x[0], options); };
  };
  const PoolOptions overlapping{.kernel = 3, .stride = 2, .padding = 1};
  const Row kRows[] = {
      {"max_pool2d", {even({2, 4, 6, 3})}, largest({2})},
      {"max_pool2d overlapping", {even({1, 7, 6, 2})}, largest(overlapping)},
      {"max_pool2d that leaves places out", {even({1, 8, 7, 2})}, largest({2, 3})},
      {"average_pool2d", {any({2, 4, 6, 3})}, average({2})},
      {"average_pool2d overlapping", {any({1, 7, 6, 2})}, average(overlapping)},
      {"average_pool2d that leaves places out", {any({1, 8, 7, 2})}, average({2, 3})},
      {"average_pool2d without padding", {any({1, 6, 6, 2})}, average({3, 2, 1, false})},
      {"global_average_pool",
       {any({2, 3, 4, 5})},
       [](const Tensors& x) { return global_average_pool(x[0]); }},
  };
  for (const Row& row : kRows) check_row(row);
}

// ---- Shapes -------------------------------------------------------------------------------------

TEST_CASE("gradients of operations that move elements", "[gradients]") {
  const Row kRows[] = {
      {"reshape",
       {any({2, 3, 4})},
       [](const Tensors& x) {
         return reshape(x[0], {4, -1});
       }},
      {"permute",
       {any({2, 3, 4})},
       [](const Tensors& x) {
         return permute(x[0], {2, 0, 1});
       }},
      {"permute four",
       {any({2, 3, 2, 4})},
       [](const Tensors& x) {
         return permute(x[0], {0, 2, -1, 1});
       }},
      {"transpose", {any({2, 3, 4})}, [](const Tensors& x) { return transpose(x[0]); }},
      {"transpose first and last",
       {any({2, 3, 4})},
       [](const Tensors& x) { return transpose(x[0], 0, -1); }},
      {"concat first",
       {any({2, 3}), any({1, 3}), any({4, 3})},
       [](const Tensors& x) {
         return concat({x[0], x[1], x[2]});
       }},
      {"concat middle",
       {any({2, 1, 3}), any({2, 4, 3}), any({2, 2, 3})},
       [](const Tensors& x) {
         return concat({x[0], x[1], x[2]}, 1);
       }},
      {"concat last",
       {any({2, 3}), any({2, 1}), any({2, 2})},
       [](const Tensors& x) { return concat(x, -1); }},
      {"concat twice the same",
       {any({2, 3})},
       [](const Tensors& x) {
         return concat({x[0], x[0] * 2.0, x[0]}, 1);
       }},
      {"slice", {any({2, 5, 3})}, [](const Tensors& x) { return slice(x[0], 1, 1, 4); }},
      {"slice step", {any({2, 7, 3})}, [](const Tensors& x) { return slice(x[0], 1, 1, 6, 2); }},
      {"slice from the end",
       {any({3, 6})},
       [](const Tensors& x) { return slice(x[0], -1, -5, -1, 3); }},
      {"slice overlapping",
       {any({6})},
       [](const Tensors& x) { return slice(x[0], 0, 0, 4) * slice(x[0], 0, 2, 6); }},
      {"broadcast_to rows",
       {any({3})},
       [](const Tensors& x) {
         return broadcast_to(x[0], {2, 3});
       }},
      {"broadcast_to middle",
       {any({2, 1, 3})},
       [](const Tensors& x) {
         return broadcast_to(x[0], {2, 4, 3});
       }},
      {"broadcast_to scalar",
       {any({})},
       [](const Tensors& x) {
         return broadcast_to(x[0], {2, 2, 3});
       }},
  };
  for (const Row& row : kRows) check_row(row);
}

// ---- Picking by index ---------------------------------------------------------------------------

TEST_CASE("gradients of picking by index", "[gradients]") {
  const Indices repeated(Shape{2, 3}, std::vector<int32_t>{3, 0, 3, 1, 3, 0});
  const Row kRows[] = {
      {"gather", {any({4, 2, 2})}, [=](const Tensors& x) { return gather(x[0], repeated); }},
      {"gather of a vector",
       {any({4})},
       [=](const Tensors& x) {
         return gather(x[0], {2, 2, 1});
       }},
      {"pick",
       {any({3, 4})},
       [](const Tensors& x) {
         return pick(x[0], {3, 0, 3});
       }},
      {"embedding", {any({4, 3})}, [=](const Tensors& x) { return embedding(x[0], repeated); }},
  };
  for (const Row& row : kRows) check_row(row);
}

// ---- Rows: normalisation and probabilities ------------------------------------------------------

TEST_CASE("gradients of operations on rows", "[gradients]") {
  const auto norm = [](const Tensor& x, const Tensor& weight, const Tensor& bias) {
    return layer_norm(x, weight, bias, 1e-3);
  };
  // The same seed for each evaluation, so that the mask is the same.
  const auto drop = [](const Tensors& x) {
    Random random(7);
    return dropout(x[0], 0.4, random);
  };
  const Row kRows[] = {
      {"softmax", {any({3, 5})}, [](const Tensors& x) { return softmax(x[0]); }},
      {"softmax first axis", {any({3, 5})}, [](const Tensors& x) { return softmax(x[0], 0); }},
      {"softmax middle axis", {any({2, 3, 4})}, [](const Tensors& x) { return softmax(x[0], 1); }},
      {"log_softmax", {any({3, 5})}, [](const Tensors& x) { return log_softmax(x[0]); }},
      {"log_softmax first axis",
       {any({3, 5})},
       [](const Tensors& x) { return log_softmax(x[0], 0); }},
      {"layer_norm",
       {any({3, 5}), any({5}), any({5})},
       [=](const Tensors& x) { return norm(x[0], x[1], x[2]); }},
      {"layer_norm of three dimensions",
       {any({2, 3, 4}), any({4}), any({4})},
       [=](const Tensors& x) { return norm(x[0], x[1], x[2]); }},
      {"layer_norm plain", {any({3, 5})}, [=](const Tensors& x) { return norm(x[0], {}, {}); }},
      {"layer_norm weight only",
       {any({3, 5}), any({5})},
       [=](const Tensors& x) { return norm(x[0], x[1], {}); }},
      {"layer_norm bias only",
       {any({3, 5}), any({5})},
       [=](const Tensors& x) { return norm(x[0], {}, x[1]); }},
      {"batch_norm",
       {any({5, 3})},
       [](const Tensors& x) { return batch_norm(x[0], {}, {}, {}, {}); }},
      {"batch_norm weight only",
       {any({5, 3}), any({3})},
       [=](const Tensors& x) { return batch_norm(x[0], x[1], {}, {}, {}); }},
      {"batch_norm bias only",
       {any({5, 3}), any({3})},
       [=](const Tensors& x) { return batch_norm(x[0], {}, x[1], {}, {}); }},
      {"dropout", {any({6, 7})}, drop},
  };
  for (const Row& row : kRows) check_row(row);
}

TEST_CASE("gradients of batch_norm with every activation", "[gradients]") {
  const std::pair<const char*, FusedActivation> kActivations[] = {{"none", FusedActivation::none},
                                                                  {"relu", FusedActivation::relu},
                                                                  {"silu", FusedActivation::silu}};
  for (const auto& [name, activation] : kActivations) {
    for (const bool training : {true, false}) {
      const std::string row = fmt::format("batch_norm {} {}", name, training);
      const auto f = [=, a = activation](const Tensors& x) {
        const Tensor mean = tensor({3}, {0.25, -0.5, 0.125}), variance = tensor({3}, {0.5, 2, 1});
        const auto y = [&](FusedActivation what) {
          return batch_norm(x[0], x[1], x[2], mean.clone(), variance.clone(),
                            {.training = training, .epsilon = 1e-3, .activation = what});
        };
        for (const real z : y(FusedActivation::none).values()) REQUIRE(std::abs(z) > kGap);
        return y(a);
      };
      check_row({row.c_str(), {any({2, 3, 2, 3}), any({3}), any({3})}, f});
    }
  }
}

// ---- Attention ----------------------------------------------------------------------------------

TEST_CASE("gradients of attention", "[gradients]") {
  struct Form {
    const char* name;
    bool packed;
    AttentionMask mask;
    Shape bias;  // one dimension: none
  };
  const Tensor padding = tensor({2, 5}, {1, 0, 1, 1, 0, 1, 1, 1, 0, 1});
  const Tensor none = tensor({2, 5}, {0, 0, 0, 0, 0, 1, 1, 0, 1, 1});  // for the first sample
  const Form kForms[] = {
      {"attention", false, {}, {1}},
      {"attention of padded keys", false, {.keys = padding}, {1}},
      {"attention without any key", false, {.keys = none}, {1}},
      {"attention causal", false, {.causal = true}, {1}},
      {"attention with dropout", false, {.dropout = 0.3}, {1}},
      {"attention with a bias", false, {}, {4, 5}},
      {"attention with a bias of each head", false, {}, {2, 4, 5}},
      {"attention with a bias of each sample", false, {}, {2, 2, 4, 5}},
      {"attention with everything",
       false,
       {.keys = padding, .causal = true, .dropout = 0.2},
       {2, 4, 5}},
      {"attention packed", true, {}, {1}},
      {"attention packed, of padded keys", true, {.keys = padding}, {1}},
      {"attention packed, causal", true, {.causal = true}, {1}},
      {"attention packed, with dropout", true, {.dropout = 0.3}, {1}},
      {"attention packed, with a bias", true, {}, {2, 5, 5}},
      {"attention packed, with everything",
       true,
       {.keys = padding, .causal = true, .dropout = 0.2},
       {5, 5}},
  };
  for (const Form& form : kForms) {
    std::vector<Draw> inputs = {any({2, 4, 6}), any({2, 5, 6}), any({2, 5, 6})};
    if (form.packed) inputs = {any({2, 5, 18})};
    if (form.bias.rank() > 1) inputs.push_back(any(form.bias));
    const size_t sources = form.packed ? 1 : 3;
    const AttentionMask mask = form.mask;
    check_row({form.name, inputs, [mask, sources](const Tensors& x) {
                 Random random(7);  // the same seed for each evaluation, so the same dropout
                 AttentionMask with = mask;
                 with.random = &random;
                 if (x.size() > sources) with.bias = x[sources];
                 return sources == 1 ? attention(x[0], 2, with)
                                     : attention(x[0], x[1], x[2], 2, with);
               }});
  }
}

TEST_CASE("gradients of attention over several blocks", "[gradients]") {
  const AttentionMask causal{.causal = true};
  const Row kRows[] = {
      {"attention of long rows",
       {any({1, 130, 3}), any({1, 270, 3}), any({1, 270, 3}), any({130, 270})},
       [](const Tensors& x) { return attention(x[0], x[1], x[2], 1, {.bias = x[3]}); }},
      {"attention of long rows, causal",
       {any({1, 270, 3}), any({1, 130, 3}), any({1, 130, 3})},
       [=](const Tensors& x) { return attention(x[0], x[1], x[2], 1, causal); }},
      {"attention packed, of many heads",
       {any({3, 140, 18})},
       [=](const Tensors& x) { return attention(x[0], 3, causal); }},
  };
  for (const Row& row : kRows) check_row(row);
}

// ---- Losses -------------------------------------------------------------------------------------

TEST_CASE("gradients of losses", "[gradients]") {
  const Indices labels = {2, 0, 4, 2}, some_ignored = {2, kIgnoreLabel, 4, kIgnoreLabel};
  const Row kRows[] = {
      {"cross_entropy",
       {any({4, 5})},
       [=](const Tensors& x) { return cross_entropy(x[0], labels); }},
      {"cross_entropy smoothed",
       {any({4, 5})},
       [=](const Tensors& x) { return cross_entropy(x[0], labels, 0.1); }},
      {"cross_entropy ignoring",
       {any({4, 5})},
       [=](const Tensors& x) { return cross_entropy(x[0], some_ignored); }},
      {"cross_entropy smoothed, ignoring a class",
       {any({4, 5})},
       [=](const Tensors& x) { return cross_entropy(x[0], labels, 0.2, 2); }},
      {"binary_cross_entropy",
       {wide({3, 4}), Draw{{3, 4}, 0, 1}},
       [](const Tensors& x) { return binary_cross_entropy(x[0], x[1]); }},
      {"mse", {any({3, 4}), any({3, 4})}, [](const Tensors& x) { return mse(x[0], x[1]); }},
  };
  for (const Row& row : kRows) check_row(row);
}
