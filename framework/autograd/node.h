// The dynamic graph: record() runs an operation and remembers how to go back. Page:
// docs/autograd.md
#pragma once

#include "tensor/indices.h"
#include "tensor/tensor.h"

namespace kindling {

class Grads;
class Node;

// Told about every operation while installed (autograd/profile.h does so).
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void begin(const char* op, bool backward) = 0;
  virtual void end() = 0;
};

// Everything the graph keeps per thread. A graph belongs to the thread that recorded it: ids of two
// threads cannot be compared, and an operation must not take inputs with a history from another.
struct GraphState {
  bool recording = true;
  uint64_t next_id = 1;
  Observer* observer = nullptr;
  Node* dying = nullptr;  // nodes waiting to be destroyed, see Node::dispose
  bool destroying = false;
};
extern constinit thread_local GraphState graph_state;

// While one lives, operations of this thread compute values and record nothing.
class NoGrad {
 public:
  NoGrad() : before_(std::exchange(graph_state.recording, false)) {}
  ~NoGrad() { graph_state.recording = before_; }
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_;
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
  bool queued = false;
  bool used = false;  // a backward has passed; closure and edges are gone
  const char* const op;
  const uint64_t id;
  const Shape shape;  // of the result
  Tensor gradient;    // of a leaf: what grad() shows; otherwise the sum of what has arrived so far

  std::span<Edge> edges() const { return {edges_, size_t(edge_count_)}; }
  bool leaf() const { return edge_count_ == 0 && !used; }
  virtual void backward(const Tensor& gy, Grads& grads) = 0;
  virtual void forget();  // frees closure and edges, and with them memory the forward kept

 protected:
  Node(const char* op_name, const Shape& of_result)
      : op(op_name), id(graph_state.next_id++), shape(of_result) {}
  void own_edges(Edge* edges, int count) { edges_ = edges, edge_count_ = count; }
  virtual void destroy() = 0;

 private:
  // Destroying a node drops its inputs, whose last handle this may be, and so on: a queue instead
  // of recursion, because a chain may be 200,000 nodes long.
  void dispose() const final;

  Edge* edges_ = nullptr;
  int edge_count_ = 0;
  mutable Node* next_dying_ = nullptr;
};

// A tensor that collects a gradient: a parameter, or an input the reader asked about.
class Leaf final : public Node {
 public:
  explicit Leaf(const Shape& of_tensor) : Node("leaf", of_tensor) {}
  void backward(const Tensor&, Grads&) override {}

  std::string name;        // path in its module, once the module was visited
  bool parameter = false;  // of a module
  bool owned = false;      // by an optimizer

 private:
  void destroy() override { delete this; }
};

inline Node* node_of(const Tensor& x) { return static_cast<Node*>(x.history().get()); }
// The leaf behind a tensor; null for results of operations and for tensors without a gradient.
inline Leaf* leaf_of(const Tensor& x) {
  Node* node = node_of(x);
  return node && node->leaf() ? static_cast<Leaf*>(node) : nullptr;
}

// Adds a gradient to what has arrived; the first one is taken over as it is.
void accumulate(Tensor& sum, Tensor&& gradient);

// Where an operation's backward puts gradients, one per input. Gradients have the input's shape.
class Grads {
 public:
  explicit Grads(Node& node) : node_(node) {}
  bool wants(int i) const { return bool(node_.edges()[size_t(i)].node); }
  const Shape& shape(int i) const {
    return node_.edges()[size_t(i)].node->shape;
  }  // of a wanted one
  // The first gradient of an input is taken over, later ones are added to it.
  void add(int i, Tensor gradient);
  // The sum itself, zeroed if nothing has arrived yet, for kernels that add in place.
  Tensor& into(int i);

 private:
  Node& node_;
};

// An input as record() takes it: a tensor, or the indices that an operation reads again on its way
// back. shape_only(x) says that backward never reads the elements of x, which may then be freed or
// written early.
struct Input {
  Node* node;
  const Ref<Storage>* storage;                // null: not read
  Input(const Tensor& x) : Input(x, true) {}  // NOLINT: a Tensor is an input
  Input(const Tensor& x, bool read) : node(node_of(x)), storage(read ? &x.storage() : nullptr) {}
  Input(const Indices& x) : node(nullptr), storage(&x.storage()) {}  // NOLINT: so are Indices
};
inline Input shape_only(const Tensor& x) { return {x, false}; }

namespace detail {

template <class Backward> class Operation final : public Node {
 public:
  // Needs its own output: backward is (gy, y, grads) instead of (gy, grads).
  static constexpr bool kNeedsOutput =
      std::is_invocable_v<Backward&, const Tensor&, const Tensor&, Grads&>;

  template <class F>
  static Operation* create(const char* op, const Tensor& y, std::span<const Input> inputs, F&& f) {
    static_assert(alignof(Operation) <= memory::kAlignment &&
                  sizeof(Operation) % alignof(Edge) == 0);
    const size_t bytes = sizeof(Operation) + inputs.size() * sizeof(Edge);
    return new (memory::allocate(bytes)) Operation(op, y, inputs, std::forward<F>(f));
  }

  void backward(const Tensor& gy, Grads& grads) override {
    if constexpr (kNeedsOutput) {
      ENSURE(output_.storage()->version() == output_version_,
             "{}: its result was changed after it was recorded", op);
      (*backward_)(gy, output_, grads);
    } else {
      (*backward_)(gy, grads);
    }
  }

  void forget() override {
    Node::forget();
    backward_.reset();
    output_ = Tensor();
  }

 private:
  template <class F>
  Operation(const char* op_name, const Tensor& y, std::span<const Input> inputs, F&& f)
      : Node(op_name, y.shape()), backward_(std::in_place, std::forward<F>(f)) {
    Edge* edge = reinterpret_cast<Edge*>(this + 1);
    own_edges(edge, int(inputs.size()));
    for (const Input& input : inputs) {
      new (edge) Edge{Ref<Node>(input.node), {}, 0};
      if (input.storage) edge->storage = *input.storage, edge->version = edge->storage->version();
      ++edge;
    }
    if constexpr (kNeedsOutput) output_ = y.detach(), output_version_ = y.storage()->version();
  }

  void destroy() override {
    const size_t bytes = sizeof(Operation) + edges().size() * sizeof(Edge);
    for (Edge& edge : edges()) edge.~Edge();
    this->~Operation();
    memory::release(this, bytes);
  }

  std::optional<Backward> backward_;
  struct Nothing {
    Nothing& operator=(const Tensor&) { return *this; }
  };
  [[no_unique_address]] std::conditional_t<kNeedsOutput, Tensor, Nothing> output_;
  uint32_t output_version_ = 0;
};

// Tells the observer that an operation runs; nothing more than a test when there is none.
class Observed {
 public:
  Observed(const char* op, bool backward) : observer_(graph_state.observer) {
    if (observer_) observer_->begin(op, backward);
  }
  ~Observed() {
    if (observer_) observer_->end();
  }
  Observed(const Observed&) = delete;
  Observed& operator=(const Observed&) = delete;

 private:
  Observer* observer_;
};

}  // namespace detail

// Runs `value()`, a function giving the result without history, and, if some input wants a gradient
// and recording is on, attaches a node. `backward(gy, grads)` or `backward(gy, y, grads)` later
// gets the gradient of the result (and the result) and adds those of the inputs. Recording is off
// while it runs, so it may call any operation. `op` must outlive the graph: a string literal.
template <class Value, class Backward>
Tensor record(const char* op, std::span<const Input> inputs, Value&& value, Backward&& backward) {
  Tensor y = [&] {
    detail::Observed observed(op, false);
    return value();
  }();
  if (!graph_state.recording) return y;
  bool wanted = false;
  for (const Input& input : inputs) wanted |= input.node != nullptr;
  if (wanted) {
    y.set_history(Ref<Counted>(detail::Operation<std::decay_t<Backward>>::create(
        op, y, inputs, std::forward<Backward>(backward))));
  }
  return y;
}

template <class Value, class Backward>
Tensor record(const char* op, std::initializer_list<Input> inputs, Value&& value,
              Backward&& backward) {
  return record(op, std::span<const Input>(inputs.begin(), inputs.size()),
                std::forward<Value>(value), std::forward<Backward>(backward));
}

}  // namespace kindling
