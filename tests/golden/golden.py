"""Writes golden files: one array a line, its name, shape and elements. See tests/support/golden.h."""

import numpy
import torch


def write(path, arrays, script):
    """arrays: name -> tensor, array or list. `script` says, in the file, what made it."""
    with open(path, "w") as file:
        file.write(f"# Made by {script} with PyTorch {torch.__version__}. Do not edit.\n")
        for name, value in arrays.items():
            if isinstance(value, torch.Tensor):
                value = value.detach().numpy()
            value = numpy.asarray(value)
            assert " " not in name, name
            elements = " ".join(f"{x:.9g}" for x in value.flatten().tolist())
            shape = ", ".join(str(size) for size in value.shape)
            file.write(f"{name} [{shape}] {elements}".rstrip() + "\n")
