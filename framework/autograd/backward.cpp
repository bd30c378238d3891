// Walking the graph backwards, with a heap of ids instead of recursion, and the members of Tensor
// that a reader calls: set_requires_grad, grad, zero_grad, backward. Page: docs/autograd.md
#include "autograd/node.h"
#include "kernels/dispatch.h"

namespace kindling {
namespace {

bool lower_id(const Ref<Node>& a, const Ref<Node>& b) { return a->id < b->id; }

// A sum whose elements may be written; what others look at is copied first.
Tensor& own(Tensor& sum) {
  if (!sum.storage()->unique()) sum = sum.clone();
  return sum;
}

// Adds a gradient to what has arrived; the first one is taken over as it is.
void accumulate(Tensor& sum, Tensor&& gradient) {
  if (!sum.defined()) return void(sum = std::move(gradient));
  kernels().strided_add(Broadcast::flat(sum.size()), gradient.data(), own(sum).mutable_data());
}

thread_local std::vector<Ref<Leaf>> unowned;  // see take_unowned_parameters

}  // namespace

std::vector<Ref<Leaf>> take_unowned_parameters() {
  // One that nobody else holds was frozen, or its module is gone.
  std::erase_if(unowned, [](const Ref<Leaf>& leaf) { return leaf->owned || leaf->unique(); });
  return std::exchange(unowned, {});
}

// ---- The walk -----------------------------------------------------------------------------------

void Grads::walk(Node& root, Tensor gradient) {
  const NoGrad no_grad;
  accumulate(sum_at(Ref<Node>(&root)), std::move(gradient));
  while (!operations_.empty()) {
    std::pop_heap(operations_.begin(), operations_.end(), lower_id);
    const Ref<Node> node = std::move(operations_.back());
    operations_.pop_back();
    pass_on(*node);
  }
  for (const Ref<Node>& node : leaves_) {
    Leaf& leaf = static_cast<Leaf&>(*node);
    accumulate(leaf.gradient, std::move(leaf.incoming));
    own(leaf.gradient);  // an optimizer may scale it in place
    const bool listed = std::ranges::count(unowned, &leaf, &Ref<Leaf>::get) > 0;
    if (leaf.parameter && !leaf.owned && !listed) unowned.emplace_back(&leaf);
  }
}

void Node::ensure_intact() const {
  ENSURE(!used,
         "backward: the graph behind {} was used by an earlier backward. Run the forward again, or "
         "add the losses and call backward once",
         op);
  for (const Edge& edge : edges) {
    ENSURE(!edge.storage || edge.storage->version == edge.version,
           "{}: input {} was changed after it was recorded", op, &edge - edges.data());
  }
}

Tensor Saved::elements() const {
  if (kept.defined()) return kept;
  node->ensure_intact();
  return observed(node->op, true, [&] { return node->result(); });
}

void Grads::pass_on(Node& node) {
  const Tensor gy = std::exchange(node.incoming, Tensor());
  node.ensure_intact();
  node_ = &node;
  observed(node.op, true, [&] { node.backward(gy, *this); });
  node.used = true;
  for (Edge& edge : node.edges) edge = {};  // and what only they held
}

// After an exception no half-summed gradient may stay behind.
Grads::~Grads() {
  for (const Ref<Node>& node : operations_) node->incoming = Tensor();
  for (const Ref<Node>& node : leaves_) node->incoming = Tensor();
}

// A node waits for its turn from the first gradient on.
Tensor& Grads::sum_at(const Ref<Node>& node) {
  if (node->incoming.defined()) return node->incoming;
  (node->leaf() ? leaves_ : operations_).push_back(node);
  if (!node->leaf()) std::push_heap(operations_.begin(), operations_.end(), lower_id);
  return node->incoming;
}

void Grads::add(int i, Tensor gradient) {
  if (!wants(i)) return;
  ENSURE(gradient.shape() == shape(i),
         "backward of {}: the gradient of input {} has shape {}, the input {}", node_->op, i,
         gradient.shape(), shape(i));
  accumulate(sum_at(input(i)), std::move(gradient));
}

Tensor& Grads::into(int i) {
  ENSURE(wants(i), "backward of {}: nobody wants the gradient of input {}", node_->op, i);
  Tensor& sum = sum_at(input(i));
  if (!sum.defined()) sum = zeros(shape(i));
  return own(sum);
}

// ---- What a reader calls ------------------------------------------------------------------------

void Tensor::ensure_leaf() const {
  ENSURE(leaf_of(*this),
         "mutable_data: this is the recorded result of {}, which backward needs as it is. Write to "
         "a clone(), or compute it under NoGrad",
         node_of(*this)->op);
}

Tensor& Tensor::set_requires_grad(bool on) {
  ENSURE(defined(), "set_requires_grad: the tensor is undefined");
  ENSURE(!node_of(*this) || leaf_of(*this),
         "set_requires_grad: this is the result of {}; take detach() of it first",
         node_of(*this)->op);
  if (on != requires_grad()) set_history(on ? Counted::make<Leaf>(0, shape()) : nullptr);
  return *this;
}

Tensor Tensor::grad() const {
  const Leaf* leaf = leaf_of(*this);
  ENSURE(leaf, "grad: {} keeps no gradient; only leaves with set_requires_grad do",
         node_of(*this) ? fmt::format("the result of {}", node_of(*this)->op) : "this tensor");
  return leaf->gradient;
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
  ENSURE(node_of(*this),
         "backward: this tensor has no graph: none of its inputs requires a gradient, or it was "
         "computed under NoGrad");
  ENSURE(gradient.defined(), "backward: the gradient is undefined");
  ENSURE(gradient.shape() == shape(), "backward: gradient {} for a result {}", gradient.shape(),
         shape());
  Grads().walk(*node_of(*this), gradient.detach());
}

}  // namespace kindling
