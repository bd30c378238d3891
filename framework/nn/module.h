// Module: named parameters, buffers and children, through one function, visit. Page: docs/nn.md
#pragma once

#include "ops/ops.h"

namespace kindling {

class Visitor;

// A layer or a model. Modules can be moved but not copied: a Tensor is a handle, so a copy would
// share its weights; clone() below copies deeply.
class Module {
 public:
  Module() = default;
  Module(Module&&) = default;
  Module& operator=(Module&&) = default;
  virtual ~Module() = default;

  // Names every parameter, buffer and child once. Must not depend on anything but the module.
  virtual void visit(Visitor&) {}

  // Training mode changes what dropout (and batch norm) do; it is set on all descendants.
  void train(bool on = true);
  bool training() const { return training_; }

 private:
  bool training_ = true;
};

// What a parameter is for. Loaders of PyTorch checkpoints permute by it; optimizers leave bias and
// norm parameters without weight decay. A buffer is saved, but not trained.
enum class Kind { linear, conv, depthwise, embedding, bias, norm, buffer, other };

// A parameter or buffer with its path from the root: "blocks.0.attn.qkv.weight".
struct NamedTensor {
  std::string name;
  Tensor tensor;  // a handle: writing to it writes the module's
  Kind kind;
};

// Goes through a module and all its descendants and lists what they hold, in the order of visit.
class Visitor {
 public:
  explicit Visitor(Module& root) : modules{&root} { root.visit(*this); }

  // A module's visit calls one of these for each thing it holds.
  void parameter(const std::string& name, Tensor& tensor, Kind kind) {
    tensors.push_back({path_ + name, tensor, kind});
    members.push_back(&tensor);
  }
  void buffer(const std::string& name, Tensor& tensor) { parameter(name, tensor, Kind::buffer); }
  void random(const std::string& name, Random& generator) {  // one that a checkpoint keeps
    randoms.push_back({path_ + name, &generator});
  }
  void child(const std::string& name, Module& module) {
    const size_t length = path_.size();
    path_ += name + ".";
    modules.push_back(&module);
    module.visit(*this);
    path_.resize(length);
  }

  std::vector<Module*> modules;                          // the root first
  std::vector<NamedTensor> tensors;                      // parameters and buffers
  std::vector<Tensor*> members;                          // where each of them lies in its module
  std::vector<std::pair<std::string, Random*>> randoms;  // alive while the module stays in place

 private:
  std::string path_;  // "" or "blocks.0.attn."
};

// In the order of visit. A tensor that is visited under two names (tied weights) is listed once, by
// the first. Throws, naming it, for a tensor that is undefined: the module was moved from.
std::vector<NamedTensor> parameters(Module& module);     // frozen ones too
std::vector<NamedTensor> named_tensors(Module& module);  // parameters and buffers
int64_t parameter_count(Module& module);                 // elements of all parameters

void zero_grad(Module& module);
// Freezes all parameters (false), or trains them again. A module that is trained again needs a new
// optimizer. (set_requires_grad on a tensor of parameters() would change that handle alone.)
void set_requires_grad(Module& module, bool on);
// Marks a new tensor as a module's parameter: it requires a gradient and must find an optimizer.
Tensor make_parameter(Tensor tensor);

// Tensors by name, and what each one is: {"0.weight", "[3, 2]"}.
using Descriptions = std::map<std::string, std::string>;
// Throws unless `found` has the names of `expected`, with the same description, and no others: one
// error, which begins with `what`, counts all that are missing, unexpected or different and names
// the first eight of each.
void ensure_same_tensors(const std::string& what, const Descriptions& found,
                         const Descriptions& expected);

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
