// Weights that go by their names, from one module to another or from a file: all that does not fit
// is listed before a number moves. Page: docs/nn.md
#pragma once

#include "nn/module.h"

namespace kindling {

// Tensors by name, and what each one is: {"0.weight", "[3, 2]"}.
using Descriptions = std::map<std::string, std::string>;

// Throws unless `found` has the names of `expected`, with the same description, and no others: one
// error, which begins with `what`, counts all that are missing, unexpected or different and names
// the first eight of each.
inline void ensure_same_tensors(const std::string& what, const Descriptions& found,
                                const Descriptions& expected) {
  std::map<std::string, std::vector<std::string>> problems;  // of each kind
  Descriptions all = found;
  all.insert(expected.begin(), expected.end());  // what is missing, as it should be
  for (const auto& [name, is] : all) {
    const auto wanted = expected.find(name);
    if (!found.contains(name)) problems["missing"].push_back(name);
    if (wanted == expected.end()) problems["unexpected"].push_back(name);
    if (wanted != expected.end() && wanted->second != is) {
      problems["different"].push_back(
          fmt::format("{} is {}, expected {}", name, is, wanted->second));
    }
  }
  std::string text;
  for (const auto& [kind, names] : problems) {
    const auto first = std::span(names).first(std::min(names.size(), size_t{8}));
    text += fmt::format("; {} {} ({})", names.size(), kind, joined(first));
  }
  ENSURE(text.empty(), "{}: does not fit: {}", what, text.substr(2));
}

// Copies the elements of every parameter and buffer of `from` into `to`, by name; throws, listing
// them, when names or shapes differ, and then nothing was copied.
inline void copy_weights(Module& to, Module& from) {
  std::vector<NamedTensor> targets = named_tensors(to), sources = named_tensors(from);
  Descriptions found, expected;
  for (const NamedTensor& s : sources) found[s.name] = s.tensor.shape().str();
  for (const NamedTensor& t : targets) expected[t.name] = t.tensor.shape().str();
  ensure_same_tensors("copy_weights", found, expected);
  for (NamedTensor& t : targets) {
    copy_into(t.tensor, std::ranges::find(sources, t.name, &NamedTensor::name)->tensor);
  }
}

// A deep copy: `make()` builds a module of the same architecture, which gets the elements of
// `module`. The two share no storage. A constructor is needed because modules cannot be copied.
template <class Make> auto clone(Module& module, Make&& make) {
  auto copy = make();
  copy_weights(copy, module);
  copy.train(module.training());
  return copy;
}

}  // namespace kindling
