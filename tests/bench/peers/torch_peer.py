"""PyTorch as a peer of the bench: does on request what a line of the bench does.

  torch_peer.py THREADS              serves requests, a line each, from standard input:
      variants NAME                  -> the ways it can do NAME, e.g. torch torch-foreach, or none
      run NAME VARIANT SECONDS       -> milliseconds of a call, and the number of calls
  torch_peer.py THREADS memory NAME  prints the MiB by which 50 training steps raise the peak
"""
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

import torch_models


# ---- Operations ----------------------------------------------------------------------------------
def attention(heads):
    """Packed [B, T, 3D] -> [B, T, D]."""
    def run(qkv):
        b, t, d = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
        q, k, v = qkv.view(b, t, 3, heads, d // heads).permute(2, 0, 3, 1, 4).unbind(0)
        weights = (q @ k.transpose(-2, -1) * (d // heads) ** -0.5).softmax(-1)
        return (weights @ v).transpose(1, 2).reshape(b, t, d)
    return run


def cross_entropy(rows, classes):
    labels = torch.arange(rows) * 7919 % classes
    return lambda x: F.cross_entropy(x, labels)


def embedding():
    ids = torch.arange(4096) * 7919 % 8192
    return lambda table: F.embedding(ids, table)


def softmax(x):
    return x.softmax(-1)


def gelu_tanh(x):
    return F.gelu(x, approximate="tanh")


def layer_norm(x, weight, bias):
    return F.layer_norm(x, weight.shape, weight, bias)


def batch_norm(x, weight, bias):
    return F.batch_norm(x, None, None, weight, bias, True)


def batch_norm_and(activation):
    return lambda *inputs: activation(batch_norm(*inputs))


def max_pool(x):
    return F.max_pool2d(x, 2)


# Name -> function, shapes of its inputs, which all get gradients.
TOKENS, LARGE = (4160, 768), (1 << 20, 64)
OPERATIONS = {
    "softmax_4160x65": (softmax, (4160, 65)),
    "softmax_12480x65": (softmax, (12480, 65)),
    "softmax_64M": (softmax, LARGE),
    "layernorm_4160x192": (layer_norm, (4160, 192), (192,), (192,)),
    "layernorm_64M": (layer_norm, LARGE, (64,), (64,)),
    "gelu_4160x768": (F.gelu, TOKENS),
    "gelu_64M": (F.gelu, LARGE),
    "gelu_tanh_4160x768": (gelu_tanh, TOKENS),
    "relu_4160x768": (torch.relu, TOKENS),
    "relu_64M": (torch.relu, LARGE),
    "silu_4160x768": (F.silu, TOKENS),
    "add_4160x768": (torch.add, TOKENS, TOKENS),
    "add_64M": (torch.add, LARGE, LARGE),
    "bias_4160x768": (torch.add, TOKENS, (768,)),
    "batchnorm_64x32x32x32": (batch_norm, (64, 32, 32, 32), (32,), (32,)),
    "batchnorm_64x16x16x192": (batch_norm, (64, 192, 16, 16), (192,), (192,)),
    "batchnorm_relu_64x32x32x32": (batch_norm_and(torch.relu), (64, 32, 32, 32), (32,), (32,)),
    "batchnorm_relu_64x16x16x192": (batch_norm_and(torch.relu), (64, 192, 16, 16), (192,), (192,)),
    "batchnorm_silu_64x32x32x32": (batch_norm_and(F.silu), (64, 32, 32, 32), (32,), (32,)),
    "batchnorm_relu_64M": (batch_norm_and(torch.relu), (1024, 64, 32, 32), (64,), (64,)),
    "maxpool2_64x32x32x32": (max_pool, (64, 32, 32, 32)),
    "cross_entropy_64x10": (cross_entropy(64, 10), (64, 10)),
    "cross_entropy_2048x8192": (cross_entropy(2048, 8192), (2048, 8192)),
    "embedding_4096_of_8192x256": (embedding(), (8192, 256)),
    "attention_64x65x192_3": (attention(3), (64, 65, 3 * 192)),
    "attention_32x128x256_4": (attention(4), (32, 128, 3 * 256)),
}


def operation(name, variant):
    """One call: of NAME_fwd the value without a graph, of NAME_fwd_bwd with it, and gradients."""
    function, *shapes = OPERATIONS[name.split("_fwd")[0]]
    inputs = [torch.randn(shape) for shape in shapes]
    if variant == "torch-nhwc":
        inputs[0] = inputs[0].contiguous(memory_format=torch.channels_last)

    def forward():
        with torch.no_grad():
            return function(*inputs)

    def both():
        for tensor in inputs:
            tensor.grad = None
        function(*inputs).backward(gradient)

    if name.endswith("_fwd"):
        return forward
    gradient = torch.randn_like(forward())
    for tensor in inputs:
        tensor.requires_grad_()
    return both


# ---- Optimizers ----------------------------------------------------------------------------------
HALF_MILLIONS = 10 * [(500_000,)]
VIT = 6 * [(192,), (192,), (576, 192), (576,), (192, 192), (192,),  # six blocks of width 192
           (192,), (192,), (768, 192), (768,), (192, 768), (192,)]


class Norm:
    """The common norm of all gradients, as clip_grad_norm_ takes it."""
    def __init__(self, parameters, foreach):
        self.gradients = [p.grad for p in parameters]
        self.norms = torch._foreach_norm if foreach else lambda gs: [torch.norm(g) for g in gs]

    def step(self):
        return torch.norm(torch.stack(self.norms(self.gradients))).item()


# Name -> optimizer of parameters, their shapes.
OPTIMIZERS = {
    "sgd_5M": (lambda p, foreach: torch.optim.SGD(p, 1e-3, momentum=0.9, foreach=foreach),
               HALF_MILLIONS),
    "adam_5M": (lambda p, foreach: torch.optim.Adam(p, 1e-3, foreach=foreach), HALF_MILLIONS),
    "adamw_5M": (lambda p, foreach: torch.optim.AdamW(p, 1e-3, foreach=foreach), HALF_MILLIONS),
    "adamw_vit": (lambda p, foreach: torch.optim.AdamW(p, 1e-3, foreach=foreach), VIT),
    "gradient_norm_vit": (Norm, VIT),
}


def optimizer(name, variant):
    make, shapes = OPTIMIZERS[name]
    parameters = [torch.randn(shape).requires_grad_() for shape in shapes]
    for p in parameters:
        p.grad = torch.randn_like(p)
    return make(parameters, variant == "torch-foreach").step


# ---- Training ------------------------------------------------------------------------------------
def xor():
    return nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1))


def gates():
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    return x, torch.tensor([[0.0], [1.0], [1.0], [0.0]])


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128),
                         nn.ReLU(), nn.Linear(128, 10))


def lenet():
    return nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                         nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
                         nn.Linear(84, 10))


def images(count, channels, pixels):
    return lambda: (torch.randn(count, channels, pixels, pixels), torch.randint(10, (count,)))


def masked_words():
    """32 texts of 128 tokens, 15 % of them to be predicted."""
    places = torch.randperm(32 * 128)[:614].sort()[0]
    return (torch.randint(8192, (32, 128)), places), torch.randint(8192, (614,))


def sgd(rate, momentum=0.0):
    return lambda p, foreach: torch.optim.SGD(p, rate, momentum=momentum, foreach=foreach)


def adamw(p, foreach):
    return torch.optim.AdamW(p, 1e-3, weight_decay=0.05, foreach=foreach)


# Name -> model, batch, loss, optimizer.
MODELS = {
    "xor": (xor, gates, F.binary_cross_entropy_with_logits, sgd(0.5)),
    "mlp": (mlp, images(128, 1, 28), F.cross_entropy, sgd(0.05, 0.9)),
    "lenet": (lenet, images(128, 1, 28), F.cross_entropy, sgd(0.05, 0.9)),
    "resnet20": (torch_models.resnet20, images(64, 3, 32), F.cross_entropy, sgd(0.05, 0.9)),
    "effnet_b0_32": (torch_models.efficientnet, images(64, 3, 32), F.cross_entropy, sgd(0.05, 0.9)),
    "effnet_w0.5_d0.5": (lambda: torch_models.efficientnet(0.5, 0.5), images(64, 3, 32),
                         F.cross_entropy, sgd(0.05, 0.9)),
    "vit_tiny": (torch_models.ViT, images(64, 3, 32), F.cross_entropy, adamw),
    "bert_mini": (torch_models.Bert, masked_words, F.cross_entropy, adamw),
    "mae_tiny": (torch_models.MAE, images(64, 3, 32), lambda loss, _: loss, adamw),
}
CONVOLUTIONAL = ("lenet", "resnet20", "effnet_b0_32", "effnet_w0.5_d0.5")


def training(name, variant):
    make, batch, loss, make_optimizer = MODELS[name]
    model, (x, y) = make(), batch()
    if variant == "torch-nhwc":
        model = model.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)
    mover = make_optimizer(model.parameters(), variant != "torch")

    def step():
        mover.zero_grad(set_to_none=True)
        loss(model(x), y).backward()
        mover.step()
    return step


# ---- Serving -------------------------------------------------------------------------------------
def find(name):
    """What builds a call of NAME, and its variants."""
    if name in OPTIMIZERS:
        return optimizer, ["torch", "torch-foreach"]
    if name in MODELS:
        return training, ["torch", "torch-foreach"] + (
            ["torch-nhwc"] if name in CONVOLUTIONAL else [])
    if name.split("_fwd")[0] in OPERATIONS:
        images_only = name.startswith(("batchnorm", "maxpool"))
        return operation, ["torch"] + (["torch-nhwc"] if images_only else [])
    return None, []


def measure(call, seconds):
    """Mean seconds of a call, as the bench takes it: after 5 ms of calls that do not count."""
    start, warm = time.perf_counter(), 0
    while warm == 0 or time.perf_counter() - start < 0.005:
        call()
        warm += 1
    group = max(1, int(warm * 20e-6 / 0.005))  # a look at the clock costs, too: one for each 20 us
    start, calls = time.perf_counter(), 0
    while calls == 0 or time.perf_counter() - start < seconds:
        for _ in range(group):
            call()
        calls += group
    return (time.perf_counter() - start) / calls, calls


def settle(call):
    """Until memory that one call has freed serves the next: up to eight calls, or two seconds."""
    start = time.perf_counter()
    for _ in range(8):
        if time.perf_counter() - start < 2:
            call()


def peak_memory():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def serve():
    capability = torch.__config__.show().split("CPU capability usage: ")[1].split("\n")[0]
    print("torch", torch.__version__, capability, flush=True)
    built, built_name = {}, None  # of one name at a time
    for request in sys.stdin:
        command, name, *rest = request.split()
        build, variants = find(name)
        if command == "variants":
            print(*variants, flush=True)
            continue
        if name != built_name:
            built, built_name = {}, name
        variant, seconds = rest
        if variant not in built:
            built[variant] = build(name, variant)
            settle(built[variant])
        each, calls = measure(built[variant], float(seconds))
        print(f"{each * 1e3:.9g} {calls}", flush=True)


torch.set_num_threads(int(sys.argv[1]))
torch.manual_seed(0)
if sys.argv[2:3] == ["memory"]:
    before = peak_memory()
    step = training(sys.argv[3], "torch")
    for _ in range(50):
        step()
    print(f"{peak_memory() - before:.3f}")
else:
    serve()
