"""Writes small.safetensors with struct and json alone, after the format's description. Run it in this
folder: python3 safetensors.py. Read by tests/test_safetensors.cpp."""

import json
import struct

# Name, dtype, shape, bytes. The order in the header is not the order of the bytes.
tensors = [
    ("f32", "F32", [2, 3], struct.pack("<6f", 0, 1, -2.5, 3e38, 1e-45, float("inf"))),
    ("f64", "F64", [2], struct.pack("<2d", 0.1, -1e300 * 1e-290)),
    # 1, -2, the largest 65504, the smallest normal, the smallest of all, -0, inf, -inf
    ("f16", "F16", [2, 4], struct.pack("<8H", 0x3C00, 0xC000, 0x7BFF, 0x0400, 0x0001, 0x8000,
                                       0x7C00, 0xFC00)),
    # 1, -3, the largest, the smallest of all
    ("bf16", "BF16", [4], struct.pack("<4H", 0x3F80, 0xC040, 0x7F7F, 0x0001)),
    ("i64", "I64", [3], struct.pack("<3q", -1, 2**31 - 1, -2**31)),
    ("i32", "I32", [1, 2], struct.pack("<2i", 7, -8)),
    ("u8", "U8", [3], bytes([0, 200, 255])),
    ("u64", "U64", [2], struct.pack("<2Q", 2**64 - 1, 5)),
    ("scalar", "F32", [], struct.pack("<f", 42)),
    ("empty", "F32", [0, 5], b""),
    ("größe.☃", "U8", [1], bytes([9])),
]
header, end = {}, 0
for name, dtype, shape, data in tensors:
    header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + len(data)]}
    end += len(data)
header = dict(reversed(header.items()))
header["__metadata__"] = {"format": "pt", "note": "a \"quoted\" text"}
text = json.dumps(header, ensure_ascii=False).encode()
text += b" " * (-len(text) % 8)
with open("small.safetensors", "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text + b"".join(data for *_, data in tensors))
