// A complete dynamic graph of single numbers: what the framework's autograd/ does, with one double
// in the place of a tensor. Page: docs/01-graph.md
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <set>
#include <utility>
#include <vector>

namespace lesson01 {

struct Node;
struct Edge;

// A number that remembers how it was made. Copies share one node.
class Scalar {
 public:
  Scalar(double value);  // NOLINT: a plain number is a leaf
  Scalar(const char* op, double value, std::vector<Edge> edges);

  double value() const;
  double gradient() const;
  void set(double value);  // overwrites the number in place; the graph does not notice
  void zero_gradient();
  Node* node() const { return node_.get(); }

 private:
  std::shared_ptr<Node> node_;
};

// From a result to one of its inputs. The slope is the derivative of the result by this input.
// It is a function, because it is not needed before backward, and not at all without one.
struct Edge {
  Scalar input;
  std::function<double()> slope;
};

struct Node {
  const char* op;
  uint64_t id;  // grows with creation: the id of a result is above those of its inputs
  double value;
  std::vector<Edge> edges;  // none for a leaf
  double gradient = 0;      // how much the final result changes per change of this value
};

inline Scalar::Scalar(double value) : Scalar("leaf", value, {}) {}
inline Scalar::Scalar(const char* op, double value, std::vector<Edge> edges) {
  static uint64_t last_id = 0;
  node_ = std::make_shared<Node>(Node{op, ++last_id, value, std::move(edges)});
}
inline double Scalar::value() const { return node_->value; }
inline double Scalar::gradient() const { return node_->gradient; }
inline void Scalar::set(double value) { node_->value = value; }
inline void Scalar::zero_gradient() { node_->gradient = 0; }

// ---- Operations: the value, and one slope for each input --------------------------------------

inline Scalar operator+(const Scalar& a, const Scalar& b) {
  return {"add", a.value() + b.value(), {{a, [] { return 1.0; }}, {b, [] { return 1.0; }}}};
}
inline Scalar operator-(const Scalar& a, const Scalar& b) {
  return {"sub", a.value() - b.value(), {{a, [] { return 1.0; }}, {b, [] { return -1.0; }}}};
}
inline Scalar operator*(const Scalar& a, const Scalar& b) {
  return {"mul",
          a.value() * b.value(),
          {{a, [b] { return b.value(); }}, {b, [a] { return a.value(); }}}};
}
inline Scalar operator/(const Scalar& a, const Scalar& b) {
  return {"div",
          a.value() / b.value(),
          {{a, [b] { return 1 / b.value(); }},
           {b, [a, b] { return -a.value() / (b.value() * b.value()); }}}};
}
inline Scalar sin(const Scalar& x) {
  return {"sin", std::sin(x.value()), {{x, [x] { return std::cos(x.value()); }}}};
}
inline Scalar exp(const Scalar& x) {
  return {"exp", std::exp(x.value()), {{x, [x] { return std::exp(x.value()); }}}};
}

// ---- Backward ---------------------------------------------------------------------------------

enum class Order { youngest_first, as_found };  // the second is a mistake, kept to show its symptom

// Called for every edge that backward crosses.
using Crossing =
    std::function<void(const Node& from, double gradient, const Edge& edge, double slope)>;

// Adds d result / d leaf to the gradient of every leaf behind `result`.
// A node may pass its gradient on only when it is complete, that is, after all nodes that use it.
// Those have higher ids, so the waiting node with the highest id is always complete.
inline void backward(const Scalar& result, Order order = Order::youngest_first,
                     const Crossing& crossing = {}) {
  std::priority_queue<std::pair<int64_t, Node*>> waiting;
  std::set<Node*> found;
  const auto receive = [&](Node* node, double gradient) {
    node->gradient += gradient;
    if (!found.insert(node).second) return;
    const bool by_id = order == Order::youngest_first;
    waiting.push({by_id ? int64_t(node->id) : -int64_t(found.size()), node});
  };

  receive(result.node(), 1);
  while (!waiting.empty()) {
    Node* node = waiting.top().second;
    waiting.pop();
    if (node->edges.empty()) continue;  // a leaf keeps what it received
    const double gradient = std::exchange(node->gradient, 0);
    for (const Edge& edge : node->edges) {
      const double slope = edge.slope();
      if (crossing) crossing(*node, gradient, edge, slope);
      receive(edge.input.node(), gradient * slope);
    }
  }
}

}  // namespace lesson01
