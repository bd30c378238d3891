// oneDNN (version 2): its sgemm, its matmul primitive, and its convolutions in four layouts.
#include <dnnl.hpp>
#include <unordered_map>

#include "batch.h"

using namespace kindling::bench;
using namespace dnnl;

namespace {

using Tag = memory::format_tag;
using Dims = memory::dims;
using Arguments = std::unordered_map<int, memory>;

const engine& cpu() {
  static const engine the_engine(engine::kind::cpu, 0);
  return the_engine;
}

stream& queue() {
  static stream the_stream(cpu());
  return the_stream;
}

memory::desc describe_memory(const Dims& dims, Tag tag) {
  return {dims, memory::data_type::f32, tag};
}
memory::desc describe_memory(const Dims& dims, const Dims& strides) {
  return {dims, memory::data_type::f32, strides};
}

void move(memory& from, memory& to) {
  reorder(from, to).execute(queue(), from, to);
  queue().wait();
}

std::string describe() {
  const dnnl_version_t* v = dnnl_version();
  return "onednn " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." +
         std::to_string(v->patch);
}

// ---- Products -----------------------------------------------------------------------------------

// packed: B in the layout that the primitive likes best, arranged beforehand.
Contender matmul_contender(const Gemm& p, bool packed) {
  const auto matrix = [&](int64_t rows, int64_t cols, bool transposed) {
    Dims dims = {p.batch, rows, cols}, strides = {rows * cols, cols, 1};
    if (transposed) strides = {rows * cols, 1, rows};
    if (p.batch == 1) dims.erase(dims.begin()), strides.erase(strides.begin());
    return describe_memory(dims, strides);
  };
  const memory::desc a = matrix(p.M, p.K, p.transpose_a), b = matrix(p.K, p.N, p.transpose_b);
  const memory::desc c = matrix(p.M, p.N, false);
  const memory::desc any = describe_memory(b.dims(), Tag::any);
  const matmul::primitive_desc chosen(matmul::desc(a, packed ? any : b, c), cpu());
  memory B(b, cpu(), const_cast<float*>(p.b));
  if (packed) {
    memory inner(chosen.weights_desc(), cpu());
    move(B, inner);
    B = inner;
  }
  const Arguments arguments = {{DNNL_ARG_SRC, memory(a, cpu(), const_cast<float*>(p.a))},
                               {DNNL_ARG_WEIGHTS, B},
                               {DNNL_ARG_DST, memory(c, cpu(), p.c)}};
  return {.name = packed ? "onednn-packed-b" : "onednn-matmul",
          .run =
              [primitive = matmul(chosen), arguments] {
                primitive.execute(queue(), arguments);
                queue().wait();
              },
          .counts = !packed};
}

std::vector<Contender> gemm(const Gemm& p) {
  std::vector<Contender> contenders = {
      {"onednn-sgemm", batched(p,
                               [=](const float* a, const float* b, float* c) {
                                 dnnl_sgemm(p.transpose_a ? 'T' : 'N', p.transpose_b ? 'T' : 'N',
                                            p.M, p.N, p.K, 1, a, p.transpose_a ? p.M : p.K, b,
                                            p.transpose_b ? p.K : p.N, 0, c, p.N);
                               })},
      matmul_contender(p, false)};
  if (p.batch == 1 && !p.transpose_a) contenders.push_back(matmul_contender(p, true));
  return contenders;
}

// ---- Convolutions -------------------------------------------------------------------------------

// blocked: every tensor as the primitive likes it best. nhwc: images so, weights as it likes.
// nchw: plain, and whatever kernel there is for that. reordered: plain, but brought into the best
// layout and back in every call. winograd: blocked, by Winograd's way with tiles of 4 x 4 pixels,
// which PyTorch does not ask for; the others the direct way.
enum Layout { blocked, nhwc, reordered, nchw, winograd };
constexpr const char* kLayouts[] = {"onednn-blocked", "onednn-nhwc", "onednn-nchw-reordered",
                                    "onednn-nchw", "onednn-winograd"};

// One of the three tensors: as the bench has it, as it lies before a call, and as the primitive
// takes it.
struct Operand {
  memory plain, held, inner;

  Operand(const memory::desc& of_bench, float* data, const memory::desc& of_primitive,
          const memory::desc* before)
      : plain(of_bench, cpu(), data), held(before ? *before : of_primitive, cpu()), inner(held) {
    if (held.get_desc() != of_primitive) inner = memory(of_primitive, cpu());
    move(plain, held);
    enter();
  }
  bool differs() const { return held.get_desc() != inner.get_desc(); }
  void enter() {
    if (differs()) move(held, inner);
  }
  void leave() {
    if (differs()) move(inner, held);
  }
};

// The three tensors and what their layouts are, for one problem in one layout.
struct Problem {
  Convolution p;
  Layout layout;
  Dims x = {p.N, p.C, p.H, p.W}, y = {p.N, p.O, p.out(p.H), p.out(p.W)};
  Dims w = p.groups > 1 ? Dims{p.groups, p.O / p.groups, p.C / p.groups, p.k, p.k}
                        : Dims{p.O, p.C, p.k, p.k};
  Dims stride = {p.stride, p.stride}, pad = {p.pad, p.pad};
  bool best = layout != nhwc && layout != nchw;
  Tag image = layout == nhwc ? Tag::nhwc : Tag::nchw;
  Tag weight = p.groups > 1 ? Tag::goihw : Tag::oihw;
  memory::desc X = describe_memory(x, best ? Tag::any : image);
  memory::desc W = describe_memory(w, layout == nchw ? weight : Tag::any);
  memory::desc Y = describe_memory(y, best ? Tag::any : image);

  // The primitive with its operands; `result` is the one it writes.
  template <class Primitive, class Chosen>
  Contender contender(const Chosen& chosen, const memory::desc& x_inner,
                      const memory::desc& w_inner, const memory::desc& y_inner, int result) const {
    const int64_t per_group = p.C / p.groups, one = p.k * p.k * per_group;
    Dims w_strides = {one, 1, p.k * per_group, per_group};  // [O, k, k, C / groups]
    if (p.groups > 1) w_strides.insert(w_strides.begin(), p.O / p.groups * one);
    const memory::desc outer[] = {describe_memory(x, image), describe_memory(w, weight),
                                  describe_memory(y, image)};
    const auto operand = [&](const memory::desc& plain, float* data, const memory::desc& inner,
                             int i) {
      return Operand(plain, data, inner, layout == reordered ? &outer[i] : nullptr);
    };
    std::vector<Operand> operands = {operand(describe_memory(x, Tag::nhwc), p.x, x_inner, 0),
                                     operand(describe_memory(w, w_strides), p.weight, w_inner, 1),
                                     operand(describe_memory(y, Tag::nhwc), p.y, y_inner, 2)};
    constexpr int kInputs[] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST};
    constexpr int kGradients[] = {DNNL_ARG_DIFF_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST};
    Arguments arguments;
    for (int i = 0; i < 3; ++i) {
      // Backward the result is a gradient, and so is y, which then is an input.
      const bool gradient = p.direction != Convolution::forward && (i == result || i == 2);
      arguments.insert({gradient ? kGradients[i] : kInputs[i], operands[i].inner});
    }
    const auto run = [operands, arguments, result, primitive = Primitive(chosen)]() mutable {
      for (int i = 0; i < 3; ++i) {
        if (i != result) operands[i].enter();
      }
      primitive.execute(queue(), arguments);
      queue().wait();
      operands[result].leave();
    };
    const auto fetch = [last = operands[result]]() mutable { move(last.held, last.plain); };
    return {kLayouts[layout], run, fetch};
  }

  Contender contender() const {
    const auto way =
        layout == winograd ? algorithm::convolution_winograd : algorithm::convolution_direct;
    const convolution_forward::primitive_desc forward(
        {prop_kind::forward_training, way, X, W, Y, stride, pad, pad}, cpu());
    if (p.direction == Convolution::forward) {
      return contender<convolution_forward>(forward, forward.src_desc(), forward.weights_desc(),
                                            forward.dst_desc(), 2);
    }
    if (p.direction == Convolution::backward_data) {
      const convolution_backward_data::primitive_desc back({way, X, W, Y, stride, pad, pad}, cpu(),
                                                           forward);
      return contender<convolution_backward_data>(back, back.diff_src_desc(), back.weights_desc(),
                                                  back.diff_dst_desc(), 0);
    }
    const convolution_backward_weights::primitive_desc back({way, X, W, Y, stride, pad, pad}, cpu(),
                                                            forward);
    return contender<convolution_backward_weights>(back, back.src_desc(), back.diff_weights_desc(),
                                                   back.diff_dst_desc(), 1);
  }
};

std::vector<Contender> convolution(const Convolution& p) {
  std::vector<Contender> contenders;
  for (const Layout layout : {blocked, nhwc, reordered, nchw, winograd}) {
    try {
      contenders.push_back(Problem{p, layout}.contender());
    } catch (const error&) {  // not every layout has a kernel
    }
  }
  return contenders;
}

}  // namespace

const Peer kindling_peer = {describe, gemm, convolution};
