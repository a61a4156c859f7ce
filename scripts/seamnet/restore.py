"""A model folder back into the state of a compact network, so that training can go on from what is shipped.

Only networks whose batch norm `export` folds into last layers (the compact one) come back; the published one has batch norm in
its body, which a folder no longer knows apart from the convolutions.
"""

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from .folder import read_manifest
from .heads import BEFORE_LAST

HEADS = ("match_predictor", "temporal_aggregator")
PARTS = (
    ("trunk", "network.", ""),
    ("box_head", "head.", "roi_heads.box_head."),
    ("box_head", "predictor.", "roi_heads.box_predictor."),
    ("match_head", "match.", "roi_heads.match_predictor."),
    ("match_head", "aggregation.", "roi_heads.temporal_aggregator."),
    ("aggregator", "aggregator.", "roi_heads.temporal_aggregator."),
)
"""Graph, what its names begin with, and what the network's begin with in its place."""


def _weights(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Initializers by name as float32, without the mark of f16 storage; equal ones are stored once and named again."""
    found = {t.name.removesuffix(".f16"): numpy_helper.to_array(t).astype(np.float32) for t in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Identity" and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]]
    return found


def _hidden(model: onnx.ModelProto, weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The aggregator's weights that lost their names in the export, which transposes them: by the biases beside them."""
    named, halves = {}, []
    for node in model.graph.node:
        if node.op_type == "Gemm" and ".newnlb." in node.input[2]:
            named[node.input[2].removesuffix("bias") + "weight"] = weights[node.input[1]][..., None]
        elif node.op_type == "MatMul" and node.input[1] in weights:
            halves.append(weights[node.input[1]])
    named["aggregator.newnlb.concat_project.0.weight"] = np.concatenate(halves)[None, :, None, None]
    return named


def state(folder: str | Path) -> dict[str, torch.Tensor]:
    """The state of the network that `folder` was exported from; batch norm at rest, its effect in the layer before it."""
    folder, manifest = Path(folder), read_manifest(folder)
    models = {name: onnx.load(folder / graph["file"]) for name, graph in manifest["graphs"].items()}
    weights = {name: _weights(model) for name, model in models.items()}
    weights["aggregator"] |= _hidden(models["aggregator"], weights["aggregator"])
    out = {}
    for graph, given, wanted in PARTS:
        out |= {wanted + k.removeprefix(given): v for k, v in weights[graph].items() if k.startswith(given)}
    box = "roi_heads.box_head."
    for name in ("mix", "mix_context", "fc6_context"):
        if name in weights["box_head"]:
            out[f"{box}{name}.weight"] = weights["box_head"][name].T
    for name in (box + "fc6.weight", box + "fc6_context.weight"):
        if name in out:
            columns = out[name].reshape(len(out[name]), 7, 7, -1).transpose(0, 3, 1, 2)
            out[name] = columns.reshape(len(columns), -1)
    # Heads that are alike up to their last layer are written once.
    first, second = (f"roi_heads.{name}." for name in HEADS)
    shared = {k: v for k, v in out.items() if k.startswith(tuple(first + part for part in BEFORE_LAST))}
    for name, value in shared.items():
        out.setdefault(name.replace(first, second), value)
    for name, section in zip(HEADS, (manifest["match"], manifest["aggregation"])):
        weight, bias = np.array(section["weight"], np.float32), np.float32(section["bias"])
        out[f"roi_heads.{name}.last.weight"] = np.stack([np.zeros_like(weight), weight])
        out[f"roi_heads.{name}.last.bias"] = np.stack([np.zeros_like(bias), bias])
        norm = torch.nn.BatchNorm1d(len(weight))
        norm.weight.data.fill_((1 + norm.eps) ** 0.5)
        kept = {k: v.numpy() for k, v in norm.state_dict().items() if v.is_floating_point()}
        out |= {f"roi_heads.{name}.linear.1.{k}": v for k, v in kept.items()}
    return {k: torch.tensor(v) for k, v in out.items()}
