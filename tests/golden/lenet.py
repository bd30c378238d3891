"""Writes lenet.safetensors and lenet.txt: a small LeNet as PyTorch saves it, and what it answers.
Run in this folder: python3 lenet.py. Read by tests/test_safetensors.cpp.

The file is written with struct and json alone, after the format's description. The logits are
computed in double, so that the reference has no rounding of its own.
"""

import json
import struct

import torch
import torch.nn as nn

import golden

torch.manual_seed(1)
model = nn.Sequential(
    nn.Conv2d(2, 4, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(4, 6, 3, stride=2, groups=2), nn.ReLU(),
    nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False),
    nn.Flatten(), nn.Linear(6 * 3 * 2, 10), nn.ReLU(), nn.Linear(10, 5))

header, data = {}, b""
for name, tensor in model.state_dict().items():
    values = tensor.flatten().tolist()
    begin, data = len(data), data + struct.pack(f"<{len(values)}f", *values)
    header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [begin, len(data)]}
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
with open("lenet.safetensors", "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text + data)

images = torch.round(64 * torch.randn(3, 2, 14, 10)) / 64  # N C H W, whole 64ths
arrays = {"images": images.permute(0, 2, 3, 1), "logits": model.double()(images.double())}
golden.write("lenet.txt", arrays, "tests/golden/lenet.py")
