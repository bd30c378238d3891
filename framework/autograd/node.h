// The dynamic graph: record() runs an operation and remembers how to go back. Page:
// docs/autograd.md
#pragma once

#include "tensor/tensor.h"

namespace kindling {

class Grads;
class Node;
class Observer;

// Everything the graph keeps per thread. A graph belongs to the thread that recorded it: ids of two
// threads cannot be compared, and an operation must not take inputs with a history from another.
struct GraphState {
  bool recording = true;
  bool destroying = false;
  uint64_t next_id = 1;
  Observer* observer = nullptr;
  Node* dying = nullptr;  // nodes waiting to be destroyed, see Node::dispose
};
inline constinit thread_local GraphState graph_state;

// While one lives, operations of this thread compute values and record nothing.
struct NoGrad {
  const bool before = std::exchange(graph_state.recording, false);
  ~NoGrad() { graph_state.recording = before; }
};

// While one lives, it is told about every operation of its thread, on the way back too: the
// profiler is one. Of several, the youngest is told.
class Observer {
 public:
  Observer() = default;
  Observer(const Observer&) = delete;
  virtual ~Observer() { graph_state.observer = before_; }
  virtual void begin(const char* op, bool backward) = 0;
  virtual void end() {}  // of the operation that began last; an exception ends it as well

 private:
  Observer* const before_ = std::exchange(graph_state.observer, this);
};

// An input of an operation: where its gradient goes, and what must not change until then.
struct Edge {
  Ref<Node> node;        // null when no gradient is wanted
  Ref<Storage> storage;  // null when backward does not read the elements
  uint32_t version = 0;  // of the storage when it was recorded
};

// One recorded operation, or a leaf. Ids grow with creation, so an operation's id is above those of
// its inputs: walking ids downwards visits every consumer before what it consumed.
class Node : public Counted {
 public:
  // In this order a node of two inputs takes five cache lines instead of six.
  bool used = false;        // a backward has passed; closure and edges are gone
  bool recomputes = false;  // result() can be called
  const char* const op;
  const uint64_t id = graph_state.next_id++;
  const Shape shape;  // of the result
  Tensor incoming;    // during a backward: the sum of the gradients that have arrived so far
  const std::span<Edge> edges;

  bool leaf() const { return edges.empty(); }
  virtual void backward(const Tensor&, Grads&) {}  // calls the closure, then frees it
  // The result, computed again from what the closure keeps, for the backward of who reads it.
  virtual Tensor result() { return {}; }
  void ensure_intact() const;  // throws if it is used, or an input was changed

 protected:
  Node(const char* op_name, const Shape& of_result, std::span<Edge> room)
      : op(op_name), shape(of_result), edges(room) {}
  ~Node() override { std::destroy(edges.begin(), edges.end()); }

 private:
  // Destroying a node drops its inputs, whose last handle this may be, and so on: a queue instead
  // of recursion, because a chain may be 200,000 nodes long.
  void dispose() final {
    next_dying_ = std::exchange(graph_state.dying, this);
    if (std::exchange(graph_state.destroying, true)) return;
    while (Node* node = graph_state.dying) {
      graph_state.dying = node->next_dying_;
      node->Counted::dispose();
    }
    graph_state.destroying = false;
  }

  Node* next_dying_ = nullptr;
};

// A tensor that collects a gradient: a parameter, or an input the reader asked about.
class Leaf final : public Node {
 public:
  explicit Leaf(const Shape& of_tensor) : Node("leaf", of_tensor, {}) {}

  Tensor gradient;         // what grad() shows: the sum over all backwards that came through
  std::string name;        // path in its module, once the module was visited
  bool parameter = false;  // of a module
  bool owned = false;      // by an optimizer
};

inline Node* node_of(const Tensor& x) { return static_cast<Node*>(x.history().get()); }
// The leaf behind a tensor; null for results of operations and for tensors without a gradient.
inline Leaf* leaf_of(const Tensor& x) {
  Node* node = node_of(x);
  return node && node->leaf() ? static_cast<Leaf*>(node) : nullptr;
}

// Module parameters that a backward of this thread gave a gradient while no optimizer owned them;
// empties the list. Optimizers ask once, on their first step.
std::vector<Ref<Leaf>> take_unowned_parameters();

// A walk back through the graph (backward.cpp), and where an operation's backward puts the
// gradients of its inputs; each has its input's shape.
class Grads {
 public:
  ~Grads();
  void walk(Node& root, Tensor gradient);  // of root's result, on to all leaves

  // For an operation's backward; i counts its inputs.
  bool wants(int i) const { return bool(input(i)); }
  const Shape& shape(int i) const { return input(i)->shape; }  // of an input that wants one
  // The first gradient of an input is taken over, later ones are added to it.
  void add(int i, Tensor gradient);
  // One that fill(gx) writes; nothing happens when it is not wanted. Where nobody else looks at
  // `over`, gy in its last use, it is written over that: so fill reads each number before it writes
  // there.
  template <std::invocable<real*> Fill> void add(int i, const Fill& fill, const Tensor& over = {}) {
    if (!wants(i)) return;
    const bool fits = over.defined() && over.shape() == shape(i);
    Tensor gx = fits && over.storage()->unique() ? over : Tensor(shape(i));
    fill(gx.mutable_data());
    add(i, std::move(gx));
  }
  // The sum itself, zeroed if nothing has arrived yet, for kernels that add in place.
  Tensor& into(int i);
  // Its elements, or null when it is not wanted.
  real* sum_of(int i) { return wants(i) ? into(i).mutable_data() : nullptr; }

 private:
  void pass_on(Node& node);
  Tensor& sum_at(const Ref<Node>& node);
  const Ref<Node>& input(int i) const { return node_->edges[size_t(i)].node; }

  const Node* node_ = nullptr;         // whose backward runs
  std::vector<Ref<Node>> operations_;  // that wait for their turn, a heap: the youngest first
  std::vector<Ref<Node>> leaves_;      // that were reached
};

// An input that backward reads, to be captured instead of a tensor: its elements, or, where the
// operation that made it can compute them again, that operation, so that they need not be kept.
struct Saved {
  Ref<Node> node;
  Tensor kept;  // undefined: to be computed again

  explicit Saved(const Tensor& x) : node(node_of(x)) {
    // What was written to after it was computed cannot be computed again.
    if (!node || !node->recomputes || x.storage()->version != 0) kept = x.detach();
  }
  Tensor elements() const;  // in backward
};

// An input as record() takes it: a tensor, or the indices that an operation reads again on its way
// back. shape_only(x) says that backward never reads the elements of x, which may then be freed or
// written early.
struct Input {
  Node* node;
  Storage* storage;  // null: not read
  Input(const Tensor& x, bool read = true)
      : node(node_of(x)), storage(read ? x.storage().get() : nullptr) {}
  Input(const Saved& x) : node(x.node.get()), storage(x.kept.storage().get()) {}
  Input(const Indices& x) : node(nullptr), storage(x.storage().get()) {}
};
inline Input shape_only(const Tensor& x) { return {x, false}; }

// The inputs of an operation: {a, b}, or a vector.
struct Inputs : std::span<const Input> {
  Inputs(std::initializer_list<Input> inputs) : span(inputs.begin(), inputs.size()) {}
  Inputs(const std::vector<Input>& inputs) : span(inputs) {}
};

// A node with its closure. Its edges lie behind it, in the same block of memory.
template <class Backward> class Operation final : public Node {
 public:
  Operation(const char* op_name, const Shape& of_result, Inputs inputs, Backward&& f)
      : Node(op_name, of_result, {reinterpret_cast<Edge*>(this + 1), inputs.size()}),
        backward_(std::move(f)) {
    Edge* edge = edges.data();
    for (const auto& [node, storage] : inputs) {
      new (edge++) Edge{Ref<Node>(node), Ref<Storage>(storage), storage ? storage->version : 0};
    }
    recomputes = requires { backward_->result(); };
  }
  void backward(const Tensor& gy, Grads& grads) override {
    (*backward_)(gy, grads);
    backward_.reset();
  }
  Tensor result() override {
    if constexpr (requires { backward_->result(); }) return backward_->result();
    return {};
  }

 private:
  std::optional<Backward> backward_;
};

// Runs (part of) an operation and tells the observer; nothing more than a test when there is none.
template <class Run> auto observed(const char* op, bool backward, const Run& run) {
  struct Scope {
    Observer* const observer;
    ~Scope() {
      if (observer) observer->end();
    }
  };
  Observer* const observer = graph_state.observer;
  if (observer) observer->begin(op, backward);
  const Scope scope{observer};
  return run();
}

// Runs `value()`, a function giving the result without history, and, if some input wants a gradient
// and recording is on, attaches a node. `backward(gy, grads)` or `backward(gy, y, grads)` later
// gets the gradient of the result (and the result) and adds those of the inputs. Recording is off
// while it runs, so it may call any operation. `op` must outlive the graph: a string literal. If
// backward is an object with result(), inputs of others that are Saved are computed again by it.
template <class Value, class Backward>
Tensor record(const char* op, Inputs inputs, Value&& value, Backward backward) {
  Tensor y = observed(op, false, value);
  if (!graph_state.recording || std::ranges::none_of(inputs, &Input::node)) return y;
  const auto attach = [&](auto&& f) {
    using Recorded = Operation<std::decay_t<decltype(f)>>;
    const size_t room = inputs.size() * sizeof(Edge);
    y.set_history(Counted::make<Recorded>(room, op, y.shape(), inputs, std::move(f)));
  };
  if constexpr (std::is_invocable_v<Backward&, const Tensor&, Grads&>) {
    attach(std::move(backward));
  } else {  // the result is kept without history: with it, it would hold what holds it
    attach([op, f = std::move(backward), result = y.detach(), version = y.storage()->version](
               const Tensor& gy, Grads& grads) {
      ENSURE(result.storage()->version == version,
             "{}: its result was changed after it was recorded", op);
      f(gy, result, grads);
    });
  }
  return y;
}

// The same for a result of this shape whose elements fill(y) writes: most operations.
template <std::invocable<real*> Fill, class Backward>
Tensor record(const char* op, Inputs inputs, const Shape& shape, const Fill& fill, Backward f) {
  return record(
      op, inputs, [&] { return Tensor(shape, fill); }, std::move(f));
}

}  // namespace kindling
