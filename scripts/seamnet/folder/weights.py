"""Loads weights: from a checkpoint by its key names (section 11), from a model folder, from ImageNet.

A model folder holds all of a compact network, so training can continue from the shipped one. This works only for networks whose
batch norm is in their last layers (the compact one); the published one has batch norm in its body, and `export` merges it into the
convolutions.
"""

import re
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from ..model.config import MEAN, STD
from ..model.network import BEFORE_LAST, MobileNetBody, Network
from .manifest import read_manifest

OLD_NAMES = (
    (re.compile(r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)$"), r"\1.0.\2"),
    (re.compile(r"^rpn\.head\.conv\.(weight|bias)$"), r"rpn.head.conv.0.0.\1"),
    (re.compile(r"^(roi_heads\.mask_head)\.mask_fcn([1-4])\.(weight|bias)$"), None),
)
"""Names in older torchvision releases; the last is renumbered from 1..4 to 0..3."""

OPTIONAL = ("roi_heads.mask_head.", "roi_heads.mask_predictor.")


class CheckpointError(Exception):
    """A checkpoint does not fit the network; the message names every key."""


def current_name(key: str) -> str:
    """The key under its current name, without the `module.` of DistributedDataParallel."""
    while key.startswith("module."):
        key = key.removeprefix("module.")
    for pattern, replacement in OLD_NAMES:
        match = pattern.match(key)
        if match and replacement is None:
            return f"{match[1]}.{int(match[2]) - 1}.0.{match[3]}"
        if match:
            return pattern.sub(replacement, key)
    return key


def read(path: str | Path) -> dict[str, torch.Tensor]:
    """The state of a checkpoint file, or of a compact model folder, under current names. Reads weights only and runs no code."""
    if Path(path).is_dir():
        return _from_folder(path)
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint") from None
    except Exception as error:
        raise CheckpointError(f"{path}: not a PyTorch checkpoint ({error})") from error
    state = stored.get("model_state_dict", stored) if isinstance(stored, dict) else None
    if not state or not all(isinstance(t, torch.Tensor) for t in state.values()):
        raise CheckpointError(f'{path}: has no "model_state_dict" of tensors')
    return {current_name(k): v for k, v in state.items() if not k.endswith("num_batches_tracked")}


def _from_folder(folder: str | Path) -> dict[str, torch.Tensor]:
    try:
        return folder_state(folder)
    except FileNotFoundError as error:
        raise CheckpointError(f"{folder}: not a model folder, {error.filename} is missing" if error.filename else str(error)) from None
    except KeyError as error:
        raise CheckpointError(f"{folder}: not the compact network's graphs, {error.args[0]} is missing") from None


def complaints(wanted: dict[str, torch.Tensor], given: dict[str, torch.Tensor]) -> list[str]:
    """One line for each key that is missing, unexpected or of another shape."""
    lines = [f"missing: {k} {tuple(t.shape)}" for k, t in wanted.items() if k not in given]
    lines += [f"unexpected: {k} {tuple(t.shape)}" for k, t in given.items() if k not in wanted]
    for key in wanted.keys() & given.keys():
        if wanted[key].shape != given[key].shape:
            lines.append(f"shape: {key} is {tuple(given[key].shape)}, expected {tuple(wanted[key].shape)}")
    return sorted(lines)


def load_state(network: Network, state: dict[str, torch.Tensor], source: str) -> bool:
    """Fills `network`; returns whether the state had the (optional) mask head."""
    own = network.state_dict()
    wanted = {k: v for k, v in own.items() if not k.endswith("num_batches_tracked")}
    has_masks = any(k.startswith(OPTIONAL) for k in state)
    if not network.config.masks:
        state = {k: v for k, v in state.items() if not k.startswith(OPTIONAL)}
    elif not has_masks:
        wanted = {k: v for k, v in wanted.items() if not k.startswith(OPTIONAL)}
    lines = complaints(wanted, state)
    if lines:
        raise CheckpointError(
            f"{source}: does not fit the {network.config.name} network, {len(lines)} keys differ:\n  "
            + "\n  ".join(lines)
        )
    network.load_state_dict(state, strict=False)
    return has_masks


def load(network: Network, path: str | Path) -> bool:
    """Fills `network` from a checkpoint file; returns whether it had a mask head."""
    return load_state(network, read(path), str(path))


MATCH_HEADS = ("match_predictor", "temporal_aggregator")
GRAPH_PARTS = (
    ("trunk", "network.", ""),
    ("box_head", "head.", "roi_heads.box_head."),
    ("box_head", "predictor.", "roi_heads.box_predictor."),
    ("match_head", "match.", "roi_heads.match_predictor."),
    ("match_head", "aggregation.", "roi_heads.temporal_aggregator."),
    ("aggregator", "aggregator.", "roi_heads.temporal_aggregator."),
)
"""Graph, prefix of its names, and the prefix of the network's keys in its place."""


def _initializers(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Initializers by name as float32, without the suffix of f16 storage. Equal ones are stored once and aliased."""
    found = {t.name.removesuffix(".f16"): numpy_helper.to_array(t).astype(np.float32) for t in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Identity" and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]]
    return found


def _aggregator_weights(model: onnx.ModelProto, weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The aggregator's weights that lost their names in the export, which transposes them: identified by their biases."""
    named, halves = {}, []
    for node in model.graph.node:
        if node.op_type == "Gemm" and ".newnlb." in node.input[2]:
            named[node.input[2].removesuffix("bias") + "weight"] = weights[node.input[1]][..., None]
        elif node.op_type == "MatMul" and node.input[1] in weights:
            halves.append(weights[node.input[1]])
    named["aggregator.newnlb.concat_project.0.weight"] = np.concatenate(halves)[None, :, None, None]
    return named


def folder_state(folder: str | Path) -> dict[str, torch.Tensor]:
    """The state of the network that `folder` was exported from; its batch norm is the identity, merged into the layer before it."""
    folder, manifest = Path(folder), read_manifest(folder)
    models = {name: onnx.load(folder / graph["file"]) for name, graph in manifest["graphs"].items()}
    weights = {name: _initializers(model) for name, model in models.items()}
    weights["aggregator"] |= _aggregator_weights(models["aggregator"], weights["aggregator"])
    out = {}
    for graph, given, wanted in GRAPH_PARTS:
        out |= {wanted + k.removeprefix(given): v for k, v in weights[graph].items() if k.startswith(given)}
    box = "roi_heads.box_head."
    for name in ("mix", "mix_context", "fc6_context"):
        if name in weights["box_head"]:
            out[f"{box}{name}.weight"] = weights["box_head"][name].T
    for name in (box + "fc6.weight", box + "fc6_context.weight"):
        if name in out:
            columns = out[name].reshape(len(out[name]), 7, 7, -1).transpose(0, 3, 1, 2)
            out[name] = columns.reshape(len(columns), -1)
    # Heads that are equal up to their last layer are exported once.
    first, second = (f"roi_heads.{name}." for name in MATCH_HEADS)
    shared = {k: v for k, v in out.items() if k.startswith(tuple(first + part for part in BEFORE_LAST))}
    for name, value in shared.items():
        out.setdefault(name.replace(first, second), value)
    for name, section in zip(MATCH_HEADS, (manifest["match"], manifest["aggregation"])):
        weight, bias = np.array(section["weight"], np.float32), np.float32(section["bias"])
        out[f"roi_heads.{name}.last.weight"] = np.stack([np.zeros_like(weight), weight])
        out[f"roi_heads.{name}.last.bias"] = np.stack([np.zeros_like(bias), bias])
        norm = torch.nn.BatchNorm1d(len(weight))
        norm.weight.data.fill_((1 + norm.eps) ** 0.5)
        kept = {k: v.numpy() for k, v in norm.state_dict().items() if v.is_floating_point()}
        out |= {f"roi_heads.{name}.linear.1.{k}": v for k, v in kept.items()}
    return {k: torch.tensor(v) for k, v in out.items()}


def convolutions(body: MobileNetBody) -> list[nn.Conv2d]:
    """The body's convolutions in the order of computation."""
    return [m for m in body.modules() if isinstance(m, nn.Conv2d)]


@torch.no_grad()
def load_imagenet(body: MobileNetBody, path: str | Path) -> None:
    """Fills `body` from the file's first convolutions.

    The file expects inputs in [-1, 1] (2 p - 1 for p in [0, 1]), this network (p - mean) / std: the
    first convolution is changed accordingly.
    """
    graph = onnx.load(path).graph
    tensors = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}
    nodes = [n for n in graph.node if n.op_type == "Conv"]
    for conv, node in zip(convolutions(body), nodes):
        weight, bias = tensors[node.input[1]].float(), tensors[node.input[2]].float()
        if weight.shape != conv.weight.shape:
            raise ValueError(f"{path}: {node.input[1]} is {tuple(weight.shape)}, expected {tuple(conv.weight.shape)}")
        conv.weight.copy_(weight)
        conv.bias.copy_(bias)
    mean, std = torch.tensor(MEAN).view(1, 3, 1, 1), torch.tensor(STD).view(1, 3, 1, 1)
    first = body.stem.conv
    first.bias += (first.weight * (2 * mean - 1)).sum(dim=(1, 2, 3))
    first.weight *= 2 * std
