// What is done to a whole module: each is a loop over the lists of a Visitor. Page: docs/nn.md
#include "nn/module.h"

namespace kindling {

void Module::train(bool on) {
  for (Module* module : Visitor(*this).modules) module->training_ = on;
}

std::vector<NamedTensor> named_tensors(Module& module) {
  std::vector<NamedTensor> all;
  std::set<const Storage*> seen;
  for (const NamedTensor& found : Visitor(module).tensors) {
    ENSURE(found.tensor.defined(), "module: {} is undefined; was this module moved from?",
           found.name);
    if (!seen.insert(found.tensor.storage().get()).second) continue;  // tied weights
    if (Leaf* leaf = leaf_of(found.tensor)) leaf->name = found.name;
    all.push_back(found);
  }
  return all;
}

std::vector<NamedTensor> parameters(Module& module) {
  std::vector<NamedTensor> all = named_tensors(module);
  std::erase_if(all, [](const NamedTensor& t) { return t.kind == Kind::buffer; });
  return all;
}

int64_t parameter_count(Module& module) {
  int64_t count = 0;
  for (const NamedTensor& p : parameters(module)) count += p.tensor.size();
  return count;
}

void zero_grad(Module& module) {
  for (NamedTensor& p : parameters(module)) p.tensor.zero_grad();
}

void set_requires_grad(Module& module, bool on) {
  std::map<const Storage*, Tensor> done;  // tied weights go on sharing one leaf
  const Visitor found(module);
  for (size_t i = 0; i < found.tensors.size(); ++i) {
    if (found.tensors[i].kind == Kind::buffer) continue;
    Tensor& member = *found.members[i];
    Tensor& changed = done[member.storage().get()];
    if (!changed.defined()) changed = on ? make_parameter(member) : member.detach();
    member = changed;
  }
}

Tensor make_parameter(Tensor tensor) {
  tensor.set_requires_grad();
  leaf_of(tensor)->parameter = true;
  return tensor;
}

void ensure_same_tensors(const std::string& what, const Descriptions& found,
                         const Descriptions& expected) {
  std::map<std::string, std::vector<std::string>> problems;  // of each kind
  for (const auto& [name, description] : expected) {
    const auto it = found.find(name);
    if (it == found.end()) {
      problems["missing"].push_back(name);
    } else if (it->second != description) {
      const std::string& is = it->second;
      problems["different"].push_back(fmt::format("{} is {}, expected {}", name, is, description));
    }
  }
  for (const auto& [name, description] : found) {
    if (!expected.contains(name)) problems["unexpected"].push_back(name);
  }
  std::string text;
  for (const auto& [kind, names] : problems) {
    const auto first = std::span(names).first(std::min(names.size(), size_t{8}));
    text += fmt::format("; {} {} ({})", names.size(), kind, fmt::join(first, ", "));
  }
  ENSURE(text.empty(), "{}: does not fit: {}", what, text.substr(2));
}

void copy_weights(Module& to, Module& from) {
  std::vector<NamedTensor> targets = named_tensors(to), sources = named_tensors(from);
  Descriptions found, expected;
  for (const NamedTensor& s : sources) found[s.name] = s.tensor.shape().str();
  for (const NamedTensor& t : targets) expected[t.name] = t.tensor.shape().str();
  ensure_same_tensors("copy_weights", found, expected);
  for (NamedTensor& t : targets) {
    copy_into(t.tensor, std::ranges::find(sources, t.name, &NamedTensor::name)->tensor);
  }
}

}  // namespace kindling
