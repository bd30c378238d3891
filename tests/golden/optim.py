"""Writes optim.txt: what PyTorch's optimizers, schedules and clipping do, and ten training steps of a
small MLP. Run it in this folder: python3 optim.py. Read by tests/test_optimizer.cpp, test_schedule.cpp
and test_layers.cpp."""

import numpy
import torch

import golden

torch.manual_seed(1)
torch.set_num_threads(1)
arrays = {}

# ---- Optimizers: one weight, the same ten gradients for each ------------------------------------
STEPS = 10
start = torch.randn(3, 7)  # 21 elements: a vector loop and a rest on every instruction set
gradients = [torch.randn(3, 7) * 0.5 for _ in range(STEPS)]
arrays["start"] = start
for step, g in enumerate(gradients):
    arrays[f"gradient/{step}"] = g


def run_torch(name, make):
    w = start.clone().requires_grad_()
    optimizer = make([w])
    for step, g in enumerate(gradients):
        w.grad = g.clone()
        optimizer.step()
        arrays[f"{name}/{step}"] = w.clone()


run_torch("sgd", lambda w: torch.optim.SGD(w, lr=0.1))
run_torch("sgd_decay", lambda w: torch.optim.SGD(w, lr=0.1, weight_decay=0.05))
run_torch("sgd_momentum", lambda w: torch.optim.SGD(w, lr=0.1, momentum=0.9))
run_torch(
    "sgd_nesterov",
    lambda w: torch.optim.SGD(w, lr=0.1, momentum=0.9, weight_decay=0.05, nesterov=True),
)
run_torch("adam", lambda w: torch.optim.Adam(w, lr=0.01))
run_torch(
    "adam_decay",
    lambda w: torch.optim.Adam(w, lr=0.01, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1),
)
run_torch("adamw", lambda w: torch.optim.AdamW(w, lr=0.01, weight_decay=0.1))
run_torch("rmsprop", lambda w: torch.optim.RMSprop(w, lr=0.01))
run_torch("rmsprop_decay", lambda w: torch.optim.RMSprop(w, lr=0.01, alpha=0.9, weight_decay=0.1))
run_torch("rmsprop_momentum", lambda w: torch.optim.RMSprop(w, lr=0.01, momentum=0.9, eps=1e-3))


# What PyTorch has not: the formula, in float64.
def run_formula(name, update):
    w, state = start.double().numpy().copy(), {}
    for step, g in enumerate(gradients):
        update(w, g.double().numpy(), state, step + 1)
        arrays[f"{name}/{step}"] = w.copy()


def lars(w, g, state, t, rate=0.5, momentum=0.9, decay=0.05, trust=0.02):
    g = g + decay * w
    g = g * trust * numpy.linalg.norm(w) / numpy.linalg.norm(g)
    state["v"] = momentum * state.get("v", 0) + g
    w -= rate * state["v"]


def adam_uncorrected(w, g, state, t, rate=0.01, beta1=0.9, beta2=0.999, epsilon=1e-6, decay=0.1):
    state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
    state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * g * g
    w -= rate * (state["m"] / (numpy.sqrt(state["v"]) + epsilon) + decay * w)


def rmsprop_inside(w, g, state, t, rate=0.01, alpha=0.9, epsilon=0.01, momentum=0.9, decay=0.1):
    g = g + decay * w
    state["s"] = alpha * state.get("s", 0) + (1 - alpha) * g * g
    state["v"] = momentum * state.get("v", 0) + g / numpy.sqrt(state["s"] + epsilon)
    w -= rate * state["v"]


run_formula("lars", lars)
run_formula("adam_uncorrected", adam_uncorrected)
run_formula("rmsprop_inside", rmsprop_inside)

# ---- Clipping -----------------------------------------------------------------------------------
parameters = [torch.zeros(3, 7, requires_grad=True), torch.zeros(3, 7, requires_grad=True)]
for p, g in zip(parameters, gradients):
    p.grad = g.clone()
arrays["clip/norm"] = torch.nn.utils.clip_grad_norm_(parameters, 1.5)
for i, p in enumerate(parameters):
    arrays[f"clip/{i}"] = p.grad


# ---- Schedules: factors of the rate for 25 steps ------------------------------------------------
def run_schedule(name, make):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule, factors = make(optimizer), []
    for _ in range(25):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    arrays[f"schedule/{name}"] = factors


lr = torch.optim.lr_scheduler
run_schedule("step", lambda o: lr.StepLR(o, step_size=4, gamma=0.7))
run_schedule("linear", lambda o: lr.LinearLR(o, start_factor=1, end_factor=0.25, total_iters=20))
run_schedule("cosine", lambda o: lr.CosineAnnealingLR(o, T_max=25, eta_min=0.1))
run_schedule(
    "warm_up_cosine",
    lambda o: lr.SequentialLR(
        o,
        [
            lr.LinearLR(o, start_factor=0.2, end_factor=1, total_iters=4),
            lr.CosineAnnealingLR(o, T_max=20),
        ],
        milestones=[5],
    ),
)


# ---- Ten steps of an MLP ------------------------------------------------------------------------
# Inputs and first weights come from a hash that the test computes too, in whole multiples of 2^-24,
# so that both sides start with the same bits and the file need not hold them.
def noise(seed, *shape):
    """In [-0.5, 0.5)."""
    x = numpy.arange(numpy.prod(shape), dtype=numpy.uint32) + numpy.uint32(seed << 20)
    x ^= x >> numpy.uint32(16)
    x *= numpy.uint32(0x7FEB352D)
    x ^= x >> numpy.uint32(15)
    x *= numpy.uint32(0x846CA68B)
    x ^= x >> numpy.uint32(16)
    values = (x >> numpy.uint32(8)).astype(numpy.float64) / 2**24 - 0.5
    return torch.tensor(values.reshape(shape), dtype=torch.float32)


mlp = torch.nn.Sequential(
    torch.nn.Linear(784, 32),
    torch.nn.ReLU(),
    torch.nn.Linear(32, 16),
    torch.nn.ReLU(),
    torch.nn.Linear(16, 10),
)
with torch.no_grad():
    for i, (scale, p) in enumerate(zip([0.125, 0.125, 0.5, 0.5, 0.5, 0.5], mlp.parameters())):
        p.copy_(noise(i, *p.shape) * scale)
images = noise(10, 160, 784)
labels = ((noise(11, 160) + 0.5) * 10).long()
probe = noise(12, 784).double()

optimizer = torch.optim.SGD(mlp.parameters(), lr=0.1, momentum=0.9)
for step in range(1, 11):
    batch = slice(16 * (step - 1), 16 * step)
    loss = torch.nn.functional.cross_entropy(mlp(images[batch]), labels[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    arrays[f"mlp/loss/{step}"] = loss
    if step not in (1, 5, 10):
        continue
    for name, p in mlp.named_parameters():
        if name != "0.weight":
            arrays[f"mlp/{name}/{step}"] = p.clone()
    # The large one: every 56th column as it is, and all columns through a product.
    arrays[f"mlp/0.weight_columns/{step}"] = mlp[0].weight[:, ::56].clone()
    arrays[f"mlp/0.weight_probe/{step}"] = mlp[0].weight.double() @ probe

golden.write("optim.txt", arrays, "tests/golden/optim.py")
