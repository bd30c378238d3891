// Module: named parameters, buffers and children, through one function, visit. Page: docs/nn.md
#pragma once

#include "ops/ops.h"

namespace kindling {

class Visitor;

// A layer or a model. Modules can be moved but not copied: a Tensor is a handle, so a copy would
// share its weights; clone() (io/weights.h) copies deeply.
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
  // Of a linear weight [out, in]: its inputs are pixels of so many channels, pixel by pixel.
  int64_t channels = 1;
};

// Goes through a module and all its descendants and lists what they hold, in the order of visit.
// Throws, naming it, for a tensor that is undefined: the module was moved from.
class Visitor {
 public:
  explicit Visitor(Module& root) : modules{&root} { root.visit(*this); }

  // A module's visit calls one of these for each thing it holds.
  void parameter(const std::string& name, Tensor& tensor, Kind kind, int64_t channels = 1) {
    const std::string path = path_ + name;
    ENSURE(tensor.defined(), "module: {} is undefined; was this module moved from?", path);
    if (kind != Kind::buffer) members.push_back(&tensor);
    if (!seen_.insert(tensor.storage().get()).second) return;  // tied weights
    if (Leaf* leaf = leaf_of(tensor)) leaf->name = path;
    tensors.push_back({path, tensor, kind, channels});
  }
  void buffer(const std::string& name, Tensor& tensor) { parameter(name, tensor, Kind::buffer); }
  void random(const std::string& name, Random& r) { randoms.push_back({path_ + name, &r}); }
  void child(const std::string& name, Module& module) {
    const std::string path = std::exchange(path_, path_ + name + ".");
    modules.push_back(&module);
    module.visit(*this);
    path_ = path;
  }

  std::vector<Module*> modules;      // the root first
  std::vector<NamedTensor> tensors;  // parameters and buffers, one with two names by its first
  std::vector<Tensor*> members;      // where each parameter lies in its module
  std::vector<std::pair<std::string, Random*>> randoms;  // alive while the module stays in place

 private:
  std::string path_;  // "" or "blocks.0.attn."
  std::set<const Storage*> seen_;
};

inline void Module::train(bool on) {
  for (Module* module : Visitor(*this).modules) module->training_ = on;
}

// Parameters (frozen ones too) and buffers in the order of visit. A tensor that is visited under
// two names (tied weights) is listed once, by the first.
inline std::vector<NamedTensor> named_tensors(Module& module) { return Visitor(module).tensors; }

inline std::vector<NamedTensor> parameters(Module& module) {
  std::vector<NamedTensor> all = named_tensors(module);
  std::erase_if(all, [](const NamedTensor& t) { return t.kind == Kind::buffer; });
  return all;
}

inline int64_t parameter_count(Module& module) {  // elements of all parameters
  int64_t count = 0;
  for (const NamedTensor& p : parameters(module)) count += p.tensor.size();
  return count;
}

inline void zero_grad(Module& module) {
  for (NamedTensor& p : parameters(module)) p.tensor.zero_grad();
}

// Marks a new tensor as a module's parameter: it requires a gradient and must find an optimizer.
inline Tensor make_parameter(Tensor tensor) {
  tensor.set_requires_grad();
  leaf_of(tensor)->parameter = true;
  return tensor;
}

// Freezes all parameters (false), or trains them again. A module that is trained again needs a new
// optimizer. (set_requires_grad on a tensor of parameters() would change that handle alone.)
inline void set_requires_grad(Module& module, bool on) {
  std::map<const Storage*, Tensor> changed;  // tied weights go on sharing one leaf
  for (Tensor* member : Visitor(module).members) {
    const Tensor tensor = on ? make_parameter(*member) : member->detach();
    *member = changed.try_emplace(tensor.storage().get(), tensor).first->second;
  }
}

}  // namespace kindling
