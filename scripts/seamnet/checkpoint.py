"""Loading a checkpoint by its key names (section 11), and saying exactly what does not fit."""

import re
from pathlib import Path

import torch

from . import restore
from .network import Network

OLD_NAMES = (
    (re.compile(r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)$"), r"\1.0.\2"),
    (re.compile(r"^rpn\.head\.conv\.(weight|bias)$"), r"rpn.head.conv.0.0.\1"),
    (re.compile(r"^(roi_heads\.mask_head)\.mask_fcn([1-4])\.(weight|bias)$"), None),
)
"""Names of older torchvision releases; the last is renumbered from 1..4 to 0..3."""

OPTIONAL = ("roi_heads.mask_head.", "roi_heads.mask_predictor.")


class CheckpointError(Exception):
    """A checkpoint that does not fit the network; the message names every key."""


def current_name(key: str) -> str:
    """The key as today's names have it, without the `module.` of DistributedDataParallel."""
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
    """The state of a checkpoint file, or of a compact model folder, under current names; weights only, no code is run."""
    if Path(path).is_dir():
        return _restored(path)
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint") from None
    except Exception as error:
        raise CheckpointError(f"{path}: not a PyTorch checkpoint ({error})") from error
    state = stored.get("model_state_dict", stored) if isinstance(stored, dict) else None
    if not state or not all(isinstance(t, torch.Tensor) for t in state.values()):
        raise CheckpointError(f'{path}: holds no "model_state_dict" of tensors')
    return {current_name(k): v for k, v in state.items() if not k.endswith("num_batches_tracked")}


def _restored(folder: str | Path) -> dict[str, torch.Tensor]:
    try:
        return restore.state(folder)
    except FileNotFoundError as error:
        raise CheckpointError(f"{folder}: not a model folder, {error.filename} is missing") from None
    except KeyError as error:
        raise CheckpointError(f"{folder}: not the compact network's graphs, {error.args[0]} is missing") from None


def complaints(wanted: dict[str, torch.Tensor], given: dict[str, torch.Tensor]) -> list[str]:
    """One line for each key that is missing, unexpected or wrongly shaped."""
    lines = [f"missing: {k} {tuple(t.shape)}" for k, t in wanted.items() if k not in given]
    lines += [f"unexpected: {k} {tuple(t.shape)}" for k, t in given.items() if k not in wanted]
    for key in wanted.keys() & given.keys():
        if wanted[key].shape != given[key].shape:
            lines.append(f"shape: {key} is {tuple(given[key].shape)}, wanted {tuple(wanted[key].shape)}")
    return sorted(lines)


def load_state(network: Network, state: dict[str, torch.Tensor], source: str) -> bool:
    """Fill `network`; returns whether the state had the (optional) mask head."""
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
    """Fill `network` from a checkpoint file; returns whether it had a mask head."""
    return load_state(network, read(path), str(path))
