// Walking the graph backwards: a heap of ids instead of recursion. Page: docs/autograd.md
#include "autograd/backward.h"

namespace kindling {
namespace {

constinit thread_local std::vector<Ref<Leaf>>* unowned = nullptr;
constinit thread_local Visit* visit_hook = nullptr;  // a plain pointer costs nothing to test

bool lower_id(const Ref<Node>& a, const Ref<Node>& b) { return a->id < b->id; }

// The nodes that wait for their turn, the youngest first, and the leaves that were reached.
class Walk {
 public:
  Walk() { swap_scratch(); }
  ~Walk() {  // after an exception no half-summed gradient may stay behind
    for (const Ref<Node>& node : heap_) node->gradient = Tensor(), node->queued = false;
    for (const Ref<Node>& leaf : leaves_) {
      if (!finished_) leaf->gradient = Tensor();
      leaf->queued = false;
    }
    heap_.clear(), leaves_.clear();
    swap_scratch();
  }

  void enqueue(const Ref<Node>& node) {
    if (node->queued || !node->gradient.defined()) return;
    node->queued = true;
    if (node->leaf()) {
      leaves_.push_back(node);
    } else {
      heap_.push_back(node);
      std::push_heap(heap_.begin(), heap_.end(), lower_id);
    }
  }

  void run() {
    const NoGrad no_grad;
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end(), lower_id);
      const Ref<Node> node = std::move(heap_.back());
      heap_.pop_back();
      node->queued = false;
      pass_on(*node);
    }
    for (const Ref<Node>& leaf : leaves_) finish(static_cast<Leaf&>(*leaf));
    finished_ = true;
  }

 private:
  void pass_on(Node& node) {
    const Tensor gy = std::exchange(node.gradient, Tensor());
    check(node);
    if (visit_hook) (*visit_hook)(node, gy);
    Grads grads(node);
    try {
      detail::Observed observed(node.op, true);
      node.backward(gy, grads);
    } catch (...) {
      enqueue_inputs(node);  // for the destructor to clear
      throw;
    }
    enqueue_inputs(node);
    node.forget();
  }

  void enqueue_inputs(const Node& node) {
    for (const Edge& edge : node.edges()) {
      if (edge.node) enqueue(edge.node);
    }
  }

  static void check(const Node& node) {
    ENSURE(!node.used,
           "backward: the graph behind {} was used by an earlier backward. Run the forward again, "
           "or add the losses and call backward once",
           node.op);
    int i = 0;
    for (const Edge& edge : node.edges()) {
      ENSURE(!edge.storage || edge.storage->version() == edge.version,
             "{}: input {} was changed after it was recorded", node.op, i);
      ++i;
    }
  }

  // A leaf's gradient is its own: an optimizer may scale it in place.
  static void finish(Leaf& leaf) {
    if (visit_hook) (*visit_hook)(leaf, leaf.gradient);
    if (!leaf.gradient.storage()->unique()) leaf.gradient = leaf.gradient.clone();
    if (leaf.parameter && !leaf.owned) {
      static thread_local std::vector<Ref<Leaf>> list;
      unowned = &list;
      const auto same = [&](const Ref<Leaf>& other) { return other.get() == &leaf; };
      if (std::none_of(list.begin(), list.end(), same)) list.push_back(Ref<Leaf>(&leaf));
    }
  }

  // The lists keep their memory from one backward to the next.
  void swap_scratch() {
    static thread_local std::vector<Ref<Node>> heap, leaves;
    heap_.swap(heap), leaves_.swap(leaves);
  }

  std::vector<Ref<Node>> heap_, leaves_;
  bool finished_ = false;
};

}  // namespace

void on_backward_visit(Visit visit) {
  static thread_local Visit hook;
  hook = std::move(visit);
  visit_hook = hook ? &hook : nullptr;
}

std::vector<Ref<Leaf>> take_unowned_parameters() {
  if (unowned == nullptr) return {};
  std::vector<Ref<Leaf>> taken = std::exchange(*unowned, {});
  std::erase_if(taken, [](const Ref<Leaf>& leaf) { return leaf->owned || leaf->unique(); });
  return taken;
}

Tensor& Tensor::set_requires_grad(bool on) {
  ENSURE(!node_of(*this) || node_of(*this)->leaf(),
         "set_requires_grad: this is the result of {}; take detach() of it first",
         node_of(*this)->op);
  ENSURE(defined(), "set_requires_grad: the tensor is undefined");
  if (!on) set_history({});
  if (on && !requires_grad()) set_history(Ref<Counted>(new Leaf(shape())));
  return *this;
}

Tensor Tensor::grad() const {
  const Leaf* leaf = leaf_of(*this);
  ENSURE(leaf, "grad: {} keeps no gradient; only leaves with set_requires_grad do",
         node_of(*this) ? fmt::format("the result of {}", node_of(*this)->op) : "this tensor");
  return leaf->gradient;
}

void Tensor::set_grad(const Tensor& gradient) {
  ENSURE(leaf_of(*this), "set_grad: the tensor is not a leaf that requires a gradient");
  ENSURE(gradient.shape() == shape(), "set_grad: gradient {} for a tensor {}", gradient.shape(),
         shape());
  leaf_of(*this)->gradient = gradient.clone();
}

void Tensor::zero_grad() {
  if (Leaf* leaf = leaf_of(*this)) leaf->gradient = Tensor();
}

void Tensor::backward() const {
  ENSURE(size() == 1,
         "backward: the result has shape {}. Reduce it to one number (sum, mean), or pass the "
         "gradient of each element",
         shape());
  backward(full(shape(), 1));
}

void Tensor::backward(const Tensor& gradient) const {
  Node* node = node_of(*this);
  ENSURE(node != nullptr,
         "backward: this tensor has no graph: none of its inputs requires a gradient, or it was "
         "computed under NoGrad");
  ENSURE(gradient.shape() == shape(), "backward: gradient {} for a result {}", gradient.shape(),
         shape());
  ENSURE(!node->queued, "backward: called from inside a backward");
  Walk walk;
  accumulate(node->gradient, gradient.detach());
  walk.enqueue(Ref<Node>(node));
  walk.run();
}

}  // namespace kindling
