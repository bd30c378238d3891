// What is done to a whole module, each by one visitor. Page: docs/nn.md
#include "nn/module.h"

#include "autograd/node.h"

namespace kindling {
namespace {

// Goes through a module and all its descendants and knows the path it is on. What is found is
// ignored; visitors override the kinds they look for.
class Walker : public Visitor {
 public:
  void parameter(const std::string&, Tensor&, Kind) override {}
  void buffer(const std::string&, Tensor&) override {}
  void child(const std::string& name, Module& module) override {
    const size_t length = path_.size();
    path_ += name + ".";
    module.visit(*this);
    path_.resize(length);
  }

 protected:
  std::string path_;  // "" or "blocks.0.attn."
};

class Collector final : public Walker {
 public:
  explicit Collector(bool with_buffers) : with_buffers_(with_buffers) {}

  void parameter(const std::string& name, Tensor& tensor, Kind kind) override {
    add(name, tensor, kind);
  }
  void buffer(const std::string& name, Tensor& tensor) override {
    if (with_buffers_) add(name, tensor, Kind::buffer);
  }

  std::vector<NamedTensor> found;

 private:
  void add(const std::string& name, const Tensor& tensor, Kind kind) {
    ENSURE(tensor.defined(), "module: {}{} is undefined; was this module moved from?", path_, name);
    const auto tied = [&](const NamedTensor& t) {
      return t.tensor.storage().get() == tensor.storage().get();
    };
    if (std::any_of(found.begin(), found.end(), tied)) return;
    found.push_back({path_ + name, tensor, kind});
    if (Leaf* leaf = leaf_of(tensor)) leaf->name = path_ + name;
  }

  bool with_buffers_;
};

std::vector<NamedTensor> collect(Module& module, bool with_buffers) {
  Collector collector(with_buffers);
  module.visit(collector);
  return std::move(collector.found);
}

}  // namespace

void Module::train(bool on) {
  struct SetTraining final : Walker {
    explicit SetTraining(bool value) : on(value) {}
    void child(const std::string&, Module& module) override { module.train(on); }
    bool on;
  } set(on);
  training_ = on;
  visit(set);
}

std::vector<NamedTensor> parameters(Module& module) { return collect(module, false); }

std::vector<NamedTensor> named_tensors(Module& module) { return collect(module, true); }

int64_t parameter_count(Module& module) {
  int64_t count = 0;
  for (const NamedTensor& p : parameters(module)) count += p.tensor.size();
  return count;
}

std::vector<NamedRandom> named_randoms(Module& module) {
  struct Randoms final : Walker {
    void random(const std::string& name, Random& r) override {
      found.push_back({path_ + name, &r});
    }
    std::vector<NamedRandom> found;
  } randoms;
  module.visit(randoms);
  return std::move(randoms.found);
}

void zero_grad(Module& module) {
  struct ZeroGrad final : Walker {
    void parameter(const std::string&, Tensor& tensor, Kind) override { tensor.zero_grad(); }
  } visitor;
  module.visit(visitor);
}

void set_requires_grad(Module& module, bool on) {
  struct Freeze final : Walker {
    explicit Freeze(bool value) : on(value) {}
    void parameter(const std::string&, Tensor& tensor, Kind) override {
      for (const Tensor& other : done) {  // tied weights go on sharing one leaf
        if (other.storage().get() == tensor.storage().get()) return void(tensor = other);
      }
      tensor = on ? make_parameter(tensor) : tensor.detach();
      done.push_back(tensor);
    }
    bool on;
    std::vector<Tensor> done;
  } freeze(on);
  module.visit(freeze);
}

Tensor make_parameter(Tensor tensor) {
  tensor.set_requires_grad();
  leaf_of(tensor)->parameter = true;
  return tensor;
}

void copy_weights(Module& to, Module& from) {
  std::vector<NamedTensor> targets = named_tensors(to);
  const std::vector<NamedTensor> sources = named_tensors(from);
  const auto find = [](const std::vector<NamedTensor>& in, const std::string& name) {
    return std::find_if(in.begin(), in.end(), [&](const NamedTensor& t) { return t.name == name; });
  };
  std::string wrong;
  for (const NamedTensor& t : targets) {
    const auto source = find(sources, t.name);
    if (source == sources.end()) {
      wrong += fmt::format(", {} is missing in the source", t.name);
    } else if (source->tensor.shape() != t.tensor.shape()) {
      wrong += fmt::format(", {} is {} in the source and {} in the target", t.name,
                           source->tensor.shape(), t.tensor.shape());
    }
  }
  for (const NamedTensor& s : sources) {
    if (find(targets, s.name) == targets.end()) {
      wrong += fmt::format(", {} is missing in the target", s.name);
    }
  }
  ENSURE(wrong.empty(), "copy_weights: the modules differ: {}", wrong.substr(2));
  for (NamedTensor& t : targets) copy_into(t.tensor, find(sources, t.name)->tensor);
}

}  // namespace kindling
