// Module: named parameters, buffers and children, through one function, visit. Page: docs/nn.md
#pragma once

#include "ops/ops.h"

namespace kindling {

// What a parameter is for. Loaders of PyTorch checkpoints permute by it; optimizers leave bias and
// norm parameters without weight decay.
enum class Kind { linear, conv, depthwise, embedding, bias, norm, buffer, other };

class Module;

// What visit calls, for each parameter, buffer and child, in a fixed order.
class Visitor {
 public:
  virtual ~Visitor() = default;
  virtual void parameter(const std::string& name, Tensor& tensor, Kind kind) = 0;
  virtual void buffer(const std::string& name, Tensor& tensor) = 0;  // saved, not trained
  virtual void child(const std::string& name, Module& module) = 0;
  virtual void random(const std::string&, Random&) {}  // a generator that a checkpoint keeps
};

// A layer or a model. Modules can be moved but not copied: a Tensor is a handle, so a copy would
// share its weights; clone() below copies deeply.
class Module {
 public:
  Module() = default;
  Module(Module&&) = default;
  Module& operator=(Module&&) = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  virtual ~Module() = default;

  // Names every parameter, buffer and child once. Must not depend on anything but the module.
  virtual void visit(Visitor&) {}

  // Training mode changes what dropout (and batch norm) do; it is set on all children.
  void train(bool on = true);
  bool training() const { return training_; }

 private:
  bool training_ = true;
};

// A parameter or buffer with its path from the root: "blocks.0.attn.qkv.weight".
struct NamedTensor {
  std::string name;
  Tensor tensor;  // a handle: writing to it writes the module's
  Kind kind;
};

// In the order of visit. A tensor that is visited under two names (tied weights) is listed once, by
// the first. Throws, naming it, for a tensor that is undefined: the module was moved from.
std::vector<NamedTensor> parameters(Module& module);     // frozen ones too
std::vector<NamedTensor> named_tensors(Module& module);  // parameters and buffers
int64_t parameter_count(Module& module);                 // elements of all parameters

// The generators of a module, such as the one behind a dropout's masks, with their paths.
struct NamedRandom {
  std::string name;
  Random* random;  // lives as long as the module stays where it is
};
std::vector<NamedRandom> named_randoms(Module& module);

void zero_grad(Module& module);
// Freezes all parameters (false), or trains them again. A module that is trained again needs a new
// optimizer. (set_requires_grad on a tensor of parameters() would change that handle alone.)
void set_requires_grad(Module& module, bool on);
// Marks a new tensor as a module's parameter: it requires a gradient and must find an optimizer.
Tensor make_parameter(Tensor tensor);

// Copies the elements of every parameter and buffer of `from` into `to`, by name; throws, listing
// them, when names or shapes differ, and then nothing was copied.
void copy_weights(Module& to, Module& from);

// A deep copy: `make()` builds a module of the same architecture, which gets the elements of
// `module`. The two share no storage. A constructor is needed because modules cannot be copied.
template <class Make> auto clone(Module& module, Make&& make) {
  auto copy = make();
  copy_weights(copy, module);
  copy.train(module.training());
  return copy;
}

}  // namespace kindling
