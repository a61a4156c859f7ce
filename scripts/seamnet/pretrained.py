"""ImageNet weights for the compact body: MobileNetV2-1.0 from an ONNX file with batch norm folded."""

from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import nn

from .config import MEAN, STD
from .trunk import MobileNetBody


def convolutions(body: MobileNetBody) -> list[nn.Conv2d]:
    """The body's convolutions in the order of computation."""
    return [m for m in body.modules() if isinstance(m, nn.Conv2d)]


@torch.no_grad()
def load(body: MobileNetBody, path: str | Path) -> None:
    """Fill `body` from the file's first convolutions.

    The file expects inputs in [-1, 1] (2 p - 1 for p in [0, 1]), ours is (p - mean) / std: the
    difference goes into the first convolution.
    """
    graph = onnx.load(path).graph
    tensors = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}
    nodes = [n for n in graph.node if n.op_type == "Conv"]
    for conv, node in zip(convolutions(body), nodes):
        weight, bias = tensors[node.input[1]].float(), tensors[node.input[2]].float()
        if weight.shape != conv.weight.shape:
            raise ValueError(f"{path}: {node.input[1]} is {tuple(weight.shape)}, wanted {tuple(conv.weight.shape)}")
        conv.weight.copy_(weight)
        conv.bias.copy_(bias)
    mean, std = torch.tensor(MEAN).view(1, 3, 1, 1), torch.tensor(STD).view(1, 3, 1, 1)
    first = body.stem.conv
    first.bias += (first.weight * (2 * mean - 1)).sum(dim=(1, 2, 3))
    first.weight *= 2 * std
