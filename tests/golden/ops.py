"""Writes ops.txt: every operation forward and backward. Run: python3 tests/golden/ops.py

A case "add/row" has the arrays add/row/x0, add/row/x1 (inputs), gy (the gradient of the result), y
(the result) and gx0, gx1 (the gradients of the inputs). Inputs are floats. The rest is computed in
double, so that the reference has no rounding of its own and all of the tolerance is ours.
"""

import os
import sys
import zlib

import numpy
import torch
import torch.nn.functional as F

sys.path.insert(0, os.path.dirname(__file__))
import golden

arrays = {}


def rounded(values):
    """To whole 64ths, which a float holds exactly and the file in a few digits."""
    return torch.tensor(numpy.round(64 * values) / 64)


def case(name, f, *inputs, indices=None):
    """Each input is a shape, drawn from N(0, 1), or an array of numbers."""
    random = numpy.random.RandomState(zlib.crc32(name.encode()))
    draw = lambda x: rounded(random.randn(*x) if isinstance(x, tuple) else numpy.array(x))
    xs = [draw(x).requires_grad_() for x in inputs]
    y = f(*xs) if indices is None else f(*xs, torch.tensor(indices))
    gy = rounded(random.randn(*y.shape))
    gxs = torch.autograd.grad(y, xs, gy)
    for i, (x, gx) in enumerate(zip(xs, gxs)):
        arrays[f"{name}/x{i}"] = x
        arrays[f"{name}/gx{i}"] = gx
    arrays[f"{name}/gy"] = gy
    arrays[f"{name}/y"] = y
    if indices is not None:
        arrays[f"{name}/indices"] = torch.tensor(indices)


def positive(*shape):
    """In 0.5 .. 2.5, the same every time."""
    n = int(numpy.prod(shape))
    return (0.5 + 2 * (numpy.arange(n) * 0.618034 % 1)).reshape(shape)


line = numpy.array([-30, -9, -3, -1.5, -1, -0.5, -0.1, 0.1, 0.5, 1, 1.5, 3, 9, 30, 0.25, 2, -2, 4])

# ---- Arithmetic ----
binary = {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div,
          "power": torch.pow, "maximum": torch.maximum, "minimum": torch.minimum}
for name, f in binary.items():
    for form, a, b in [("same", (3, 5), (3, 5)), ("row", (3, 5), (5,)), ("column", (3, 5), (3, 1)),
                       ("scalar", (3, 5), ()), ("middle", (2, 3, 4), (2, 1, 4)),
                       ("both", (3, 1), (1, 5))]:
        a = positive(*a) if name == "power" else a
        b = positive(*b) if name == "div" else b
        case(f"{name}/{form}", f, a, b)
case("maximum/ties", torch.maximum, [1, 2, -3, 0], [1, -2, -3, 0])
case("minimum/ties", torch.minimum, [1, 2, -3, 0], [1, -2, -3, 0])
case("affine/plain", lambda x: -1.5 * x + 0.25, (3, 5))
case("power/cube", lambda x: x ** 3, line)
case("power/root", lambda x: x ** 0.5, positive(12))
case("power/inverse_square", lambda x: x ** -2, positive(12))

# ---- Functions of one number ----
for name, f in {"neg": torch.neg, "square": torch.square, "abs": torch.abs, "sin": torch.sin,
                "cos": torch.cos, "tanh": torch.tanh, "sigmoid": torch.sigmoid,
                "softplus": F.softplus, "relu": F.relu, "erf": torch.erf, "gelu": F.gelu,
                "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"), "silu": F.silu,
                "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
                "clamp": lambda x: x.clamp(-1, 1.5)}.items():
    case(f"{name}/line", f, line)
# At their kinks: the conventions must agree too.
for name, f in {"abs": torch.abs, "relu": F.relu, "clamp": lambda x: x.clamp(-1, 1.5)}.items():
    case(f"{name}/kinks", f, [-1, 0, 1.5, -0.0, 2, -2])
case("exp/line", torch.exp, line / 3)
for name, f in {"log": torch.log, "sqrt": torch.sqrt, "reciprocal": torch.reciprocal}.items():
    case(f"{name}/positive", f, positive(12) ** 4)
case("reciprocal/negative", torch.reciprocal, -positive(6))

# ---- Choosing ----
mask = torch.tensor([[1, 0, 0, 1], [1, 1, 0, 0]], dtype=torch.bool)
case("where/same", lambda a, b: torch.where(mask, a, b), (2, 4), (2, 4))
case("where/stretched", lambda a, b: torch.where(mask, a, b), (4,), (2, 1))
case("where/more", lambda a, b: torch.where(mask, a, b), (3, 2, 4), ())

# ---- Reductions ----
distinct = (numpy.arange(60) * 37 % 60 - 30).reshape(3, 4, 5) / 10.0
for form, axes, keep in [("all", (0, 1, 2), False), ("first", (0,), False), ("middle", (1,), True),
                         ("last", (2,), False), ("apart", (0, 2), False),
                         ("apart_keep", (0, 2), True), ("last_two", (1, 2), False)]:
    case(f"sum/{form}", lambda x: x.sum(axes, keep), (3, 4, 5))
    case(f"mean/{form}", lambda x: x.mean(axes, keep), (3, 4, 5))
    case(f"max/{form}", lambda x: x.amax(axes, keep), distinct)
    case(f"var/{form}", lambda x: x.var(axes, True, keep), (3, 4, 5))
    case(f"logsumexp/{form}", lambda x: x.logsumexp(axes, keep), (3, 4, 5))
case("var/biased", lambda x: x.var(1, False), (3, 4, 5))
case("var/far_from_zero", lambda x: x.var(1, True), 30 + distinct)
case("logsumexp/large", lambda x: x.logsumexp(-1), [[1000, 1001, 999], [-1000, -1001, -1000]])
case("max/first_of_ties", lambda x: x.max(-1).values, [[1, 3, 3, 2], [0, 0, 0, 0]])

# ---- Matrix products ----
t = lambda x: x.transpose(-1, -2)
for form, batch_a, batch_b in [("plain", (), ()), ("batch", (2,), (2,)), ("batch_of_a", (2,), ()),
                               ("batch_of_b", (), (2,)), ("two_leading", (2, 2), (2, 2))]:
    a, at, b, bt = batch_a + (3, 4), batch_a + (4, 3), batch_b + (4, 5), batch_b + (5, 4)
    case(f"matmul/{form}", lambda x, y: x @ y, a, b)
    case(f"matmul/{form}_a", lambda x, y: t(x) @ y, at, b)
    case(f"matmul/{form}_b", lambda x, y: x @ t(y), a, bt)
    case(f"matmul/{form}_both", lambda x, y: t(x) @ t(y), at, bt)
case("matmul/larger", lambda x, y: x @ y, (19, 33), (33, 18))
case("linear/bias", F.linear, (3, 4), (5, 4), (5,))
case("linear/no_bias", F.linear, (3, 4), (5, 4))
case("linear/three", F.linear, (2, 3, 4), (5, 4), (5,))
case("linear/vector", F.linear, (4,), (5, 4), (5,))
case("linear/larger", F.linear, (17, 20), (19, 20), (19,))

# ---- Images ----
# Channels come last here and first in PyTorch: its operations are wrapped.
first, last = (lambda x: x.permute(0, 3, 1, 2)), (lambda x: x.permute(0, 2, 3, 1))


def conv2d(form, x, weight, bias=True, **options):
    f = lambda x, w, b=None: last(F.conv2d(first(x), first(w), b, **options))
    case(f"conv2d/{form}", f, x, weight, *([weight[:1]] if bias else []))


conv2d("plain", (2, 5, 4, 3), (4, 3, 2, 3))
conv2d("no_bias", (1, 4, 4, 2), (3, 3, 3, 2), bias=False)
conv2d("one_pixel", (2, 3, 4, 5), (3, 1, 1, 5))
conv2d("same", (1, 5, 6, 3), (9, 3, 3, 3), padding=1)
conv2d("stride", (1, 7, 6, 2), (3, 3, 3, 2), stride=2, padding=1)
conv2d("stride_beyond", (1, 7, 8, 2), (3, 2, 2, 2), stride=3)
conv2d("patches", (1, 8, 8, 3), (5, 4, 4, 3), stride=4)
conv2d("dilation", (1, 6, 7, 2), (3, 3, 2, 2), dilation=2)
conv2d("groups", (1, 4, 4, 6), (4, 2, 3, 3), groups=2)
conv2d("depthwise", (1, 5, 5, 17), (17, 3, 3, 1), padding=1, groups=17)
conv2d("depthwise_twice", (1, 6, 5, 3), (6, 3, 3, 1), stride=2, padding=1, groups=3)
conv2d("everything", (2, 9, 8, 4), (6, 3, 2, 2), stride=2, padding=2, dilation=2, groups=2)
for form, shape, options in [("plain", (2, 4, 6, 3), (2,)), ("overlapping", (1, 7, 6, 2), (3, 2, 1)),
                             ("leaves_out", (1, 8, 7, 2), (2, 3)),
                             ("wide", (1, 4, 4, 18), (3, 1, 1))]:
    case(f"max_pool2d/{form}", lambda x: last(F.max_pool2d(first(x), *options)), shape)
    case(f"average_pool2d/{form}", lambda x: last(F.avg_pool2d(first(x), *options)), shape)
case("max_pool2d/ties", lambda x: last(F.max_pool2d(first(x), 2, 1)),
     numpy.ones((1, 3, 3, 2)))
case("average_pool2d/padding_left_out",
     lambda x: last(F.avg_pool2d(first(x), 3, 2, 1, count_include_pad=False)), (1, 6, 6, 2))
case("global_average_pool/plain", lambda x: x.mean((1, 2)), (2, 3, 4, 5))

# ---- Shapes ----
case("reshape/plain", lambda x: x.reshape(4, -1), (2, 3, 4))
case("permute/three", lambda x: x.permute(2, 0, 1), (2, 3, 4))
case("permute/four", lambda x: x.permute(0, 2, 3, 1), (2, 3, 2, 2))
case("transpose/last", t, (2, 3, 4))
case("transpose/far", lambda x: x.transpose(0, 2), (2, 3, 4))
case("concat/first", lambda *x: torch.cat(x), (2, 3), (1, 3), (3, 3))
case("concat/middle", lambda *x: torch.cat(x, 1), (2, 1, 3), (2, 3, 3), (2, 2, 3))
case("concat/last", lambda *x: torch.cat(x, -1), (2, 3), (2, 1), (2, 2))
case("slice/middle", lambda x: x[:, 1:4], (2, 5, 3))
case("slice/step", lambda x: x[:, 1:6:2], (2, 7, 3))
case("slice/from_the_end", lambda x: x[..., -5:-1:3], (3, 6))
case("broadcast_to/rows", lambda x: x.broadcast_to(2, 3), (3,))
case("broadcast_to/middle", lambda x: x.broadcast_to(2, 4, 3), (2, 1, 3))
case("broadcast_to/scalar", lambda x: x.broadcast_to(2, 2), ())

# ---- Picking by index ----
repeated = [[3, 0, 3], [1, 3, 0]]
case("gather/repeated", lambda x, i: x[i], (4, 2, 2), indices=repeated)
case("gather/vector", lambda x, i: x[i], (4,), indices=[2, 2, 1])
case("pick/plain", lambda x, i: x[torch.arange(3), i], (3, 4), indices=[3, 0, 3])
case("embedding/repeated", lambda w, i: F.embedding(i, w), (4, 3), indices=repeated)

# ---- Rows: normalisation and probabilities ----
for name, f in {"softmax": F.softmax, "log_softmax": F.log_softmax}.items():
    case(f"{name}/last", lambda x: f(x, -1), (3, 7))
    case(f"{name}/first", lambda x: f(x, 0), (3, 7))
    case(f"{name}/middle", lambda x: f(x, 1), (2, 3, 4))
    case(f"{name}/large", lambda x: f(x, -1), [[1000, 999, 998], [-1000, 0, -1], [50, 0, -50]])
case("layer_norm/full", lambda x, w, b: F.layer_norm(x, (9,), w, b), (4, 9), (9,), (9,))
case("layer_norm/three", lambda x, w, b: F.layer_norm(x, (4,), w, b), (2, 3, 4), (4,), (4,))
case("layer_norm/plain", lambda x: F.layer_norm(x, (9,)), (4, 9))
case("layer_norm/weight", lambda x, w: F.layer_norm(x, (9,), w), (4, 9), (9,))
case("layer_norm/bias", lambda x, b: F.layer_norm(x, (9,), None, b), (4, 9), (9,))
case("layer_norm/epsilon", lambda x: F.layer_norm(x, (9,), eps=0.1), (4, 9))

# Channels come last here and second in PyTorch.
statistics = torch.tensor([0.25, -0.5, 0.125]), torch.tensor([0.5, 2.0, 1.25])


def batch_norm(x, weight=None, bias=None, training=True, eps=1e-5, f=lambda y: y):
    running = (None, None) if training else [s.double() for s in statistics]
    y = F.batch_norm(x.reshape(-1, x.shape[-1]), *running, weight, bias, training, eps=eps)
    return f(y).reshape(x.shape)


for name, f in {"none": lambda y: y, "relu": F.relu, "silu": F.silu}.items():
    for training in True, False:
        case(f"batch_norm/{name}_{'training' if training else 'evaluation'}",
             lambda x, w, b: batch_norm(x, w, b, training, f=f), (2, 3, 2, 3), (3,), (3,))
case("batch_norm/rows", batch_norm, (5, 17), (17,), (17,))
case("batch_norm/weight", lambda x, w: batch_norm(x, w), (4, 3), (3,))
case("batch_norm/bias", lambda x, b: batch_norm(x, None, b), (4, 3), (3,))
case("batch_norm/epsilon", lambda x: batch_norm(x, eps=0.1), (4, 3))
case("batch_norm/far_from_zero", batch_norm, 30 + distinct.reshape(20, 3), (3,), (3,))

# ---- Attention ----
padding = torch.tensor([[1, 1, 0, 1, 0], [0, 1, 1, 1, 1]], dtype=torch.bool)


def attention(heads, padded=False, causal=False):
    def split(x):
        return x.reshape(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)

    def f(q, k, v, bias=0.0):
        scores = split(q) @ t(split(k)) / (q.shape[2] / heads) ** 0.5 + bias
        if padded:
            scores = scores.masked_fill(~padding[:, None, None], -torch.inf)
        if causal:
            allowed = torch.ones(scores.shape[2:], dtype=torch.bool).tril()
            scores = scores.masked_fill(~allowed, -torch.inf)
        y = scores.softmax(-1).nan_to_num(0) @ split(v)  # a row without a key: zeros
        return y.transpose(1, 2).reshape(q.shape)
    return f


def packed_attention(heads, **masks):
    return lambda x: attention(heads, **masks)(*x.chunk(3, -1))


qkv, q, k = (2, 5, 3 * 12), (2, 4, 6), (2, 5, 6)
case("attention/packed", packed_attention(3), qkv)
case("attention/packed_padding", packed_attention(3, padded=True), qkv)
case("attention/packed_causal", packed_attention(3, causal=True), qkv)
case("attention/one_head", packed_attention(1), (2, 7, 3 * 20))
case("attention/separate", attention(2), k, k, k)
case("attention/cross", attention(2), q, k, k)
case("attention/cross_padding", attention(2, padded=True), q, k, k)
case("attention/cross_causal", attention(2, causal=True), q, k, k)
case("attention/bias", attention(2), q, k, k, (4, 5))
case("attention/bias_of_heads", attention(2), q, k, k, (2, 4, 5))
case("attention/bias_of_all", attention(2), q, k, k, (2, 2, 4, 5))
case("attention/everything", attention(2, padded=True, causal=True), q, k, k, (2, 4, 5))

# ---- Losses ----
labels = [2, 0, 4, 2]
case("cross_entropy/plain", lambda x, i: F.cross_entropy(x, i), (4, 5), indices=labels)
case("cross_entropy/smoothed", lambda x, i: F.cross_entropy(x, i, label_smoothing=0.1), (4, 5),
     indices=labels)
case("cross_entropy/ignoring", lambda x, i: F.cross_entropy(x, i), (4, 5),
     indices=[2, -100, 4, -100])
case("cross_entropy/class_ignored",
     lambda x, i: F.cross_entropy(x, i, ignore_index=2, label_smoothing=0.2), (4, 5),
     indices=labels)
case("cross_entropy/large", lambda x, i: F.cross_entropy(x, i), [[900, 0, -900], [0, 900, 1]],
     indices=[2, 1])
case("binary_cross_entropy/line", F.binary_cross_entropy_with_logits, line,
     numpy.arange(18) / 17.0)
case("binary_cross_entropy/labels", F.binary_cross_entropy_with_logits, (2, 3),
     [[1, 0, 0], [0, 1, 1]])
case("mse/plain", F.mse_loss, (3, 4), (3, 4))
# Last, so that the cases above keep their numbers: by Winograd, with a square cut off by the edge.
conv2d("many_channels", (1, 7, 8, 16), (16, 3, 3, 16), padding=1)

# ---- What layers keep ----
layer = torch.nn.BatchNorm2d(3, momentum=0.3).double()
for step in range(2):
    x = rounded(numpy.random.RandomState(step).randn(4, 2, 2, 3) * (1 + step) + step)
    layer(first(x))
    arrays[f"batch_norm_layer/x{step}"] = x
for name, value in layer.named_buffers():
    arrays[f"batch_norm_layer/{name}"] = value
layer.eval()
arrays["batch_norm_layer/y"] = last(layer(first(x)))

golden.write(os.path.join(os.path.dirname(__file__), "ops.txt"), arrays, "tests/golden/ops.py")
