// Nodes of the dynamic graph and what flows between them. Page: docs/autograd.md
#include "autograd/node.h"

#include "kernels/dispatch.h"

namespace kindling {

constinit thread_local GraphState graph_state;

void Tensor::ensure_leaf() const {
  const Node* node = node_of(*this);
  ENSURE(node->leaf(),
         "mutable_data: this is the recorded result of {}, which backward needs as it is. Write to "
         "a clone(), or compute it under NoGrad",
         node->op);
}

void Node::forget() {
  used = true;
  for (Edge& edge : edges()) edge.node.reset(), edge.storage.reset();
}

void Node::dispose() const {
  next_dying_ = graph_state.dying;
  graph_state.dying = const_cast<Node*>(this);
  if (graph_state.destroying) return;
  graph_state.destroying = true;
  while (Node* node = graph_state.dying) {
    graph_state.dying = node->next_dying_;
    node->destroy();
  }
  graph_state.destroying = false;
}

void accumulate(Tensor& sum, Tensor&& gradient) {
  if (!sum.defined()) {
    sum = std::move(gradient);
  } else if (sum.storage()->unique()) {
    kernels().sum_of_two(sum.size(), sum.data(), gradient.data(), sum.mutable_data());
  } else {  // others look at it: a new sum
    Tensor total(sum.shape());
    kernels().sum_of_two(sum.size(), sum.data(), gradient.data(), total.mutable_data());
    sum = std::move(total);
  }
}

void Grads::add(int i, Tensor gradient) {
  Node* input = node_.edges()[size_t(i)].node.get();
  if (input == nullptr) return;
  ENSURE(gradient.shape() == input->shape,
         "backward of {}: the gradient of input {} has shape {}, the input {}", node_.op, i,
         gradient.shape(), input->shape);
  accumulate(input->gradient, std::move(gradient));
}

Tensor& Grads::into(int i) {
  Node* input = node_.edges()[size_t(i)].node.get();
  ENSURE(input != nullptr, "backward of {}: nobody wants the gradient of input {}", node_.op, i);
  Tensor& sum = input->gradient;
  if (!sum.defined()) sum = zeros(input->shape);
  if (!sum.storage()->unique()) sum = sum.clone();
  return sum;
}

}  // namespace kindling
