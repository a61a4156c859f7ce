"""Compares the program with the network in torch on the same pictures, detection by detection.

JPEG pictures are passed to both as PNG: two JPEG decoders need not agree to the last bit.
"""

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import torch
from torchvision.ops import box_iou

from ..model import preprocess
from ..model.network import Detections
from .parity import Row, relative, worst

SAME = 0.98
"""IoU from which two detections of one class count as the same."""


@dataclass
class Compared:
    """One picture's detections by the program (ours) and by torch (theirs), matched."""

    ours: Detections
    theirs: Detections
    pairs: list[tuple[int, int]]


def program(binary: Path, model: Path, picture: Path, scale: torch.Tensor) -> Detections:
    """The detections of `vetrina inspect`, boxes in pixels of the network's input."""
    command = [binary, "inspect", picture, "--model", model, "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{binary} inspect {picture} failed: {done.stderr.strip()}")
    found = json.loads(done.stdout)["detections"]
    column = lambda key, width: torch.tensor([d[key] for d in found]).reshape(-1, *width)  # noqa: E731
    return Detections(
        boxes=column("box", (4,)).float() * scale,
        scores=column("score", ()).float(),
        labels=column("label", ()).long(),
        match=column("match_embedding", (256,)).float(),
        aggregation=column("aggregation_embedding", (256,)).float(),
    )


def pairs(ours: Detections, theirs: Detections, same: float = SAME) -> list[tuple[int, int]]:
    """Pairs of equal detections (same class, IoU above `same`); each is used once."""
    iou = box_iou(ours.boxes, theirs.boxes)
    iou[ours.labels[:, None] != theirs.labels[None]] = 0
    matched = []
    while iou.numel() and float(iou.max()) > same:
        a, b = divmod(int(iou.argmax()), iou.shape[1])
        matched.append((a, b))
        iou[a], iou[:, b] = 0, 0
    return matched


@torch.no_grad()
def see(network, binary: Path, model: Path, picture: Path, work: Path) -> Compared:
    """One picture through both."""
    bgr = cv2.imread(str(picture))
    if bgr is None:
        raise OSError(f"{picture} is not a picture")
    rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    config = network.config
    image, size = preprocess.letterbox(rgb, config.input_size, config.prefilter)
    theirs = network(image, size)
    plain = work / (picture.stem + ".png")
    cv2.imwrite(str(plain), bgr)
    scale = torch.tensor([size[1] / rgb.shape[1], size[0] / rgb.shape[0]] * 2)
    ours = program(binary, model, plain, scale)
    return Compared(ours, theirs, pairs(ours, theirs))


def picked(seen: list[Compared], field: str) -> tuple[torch.Tensor, torch.Tensor]:
    """One field of all pairs, the program's and torch's."""
    ours = [getattr(s.ours, field)[a] for s in seen for a, _ in s.pairs]
    theirs = [getattr(s.theirs, field)[b] for s in seen for _, b in s.pairs]
    return torch.stack(ours), torch.stack(theirs)


def check(network, binary: Path, model: Path, pictures: list[Path]) -> list[Row]:
    """The table for all pictures together."""
    with tempfile.TemporaryDirectory() as work:
        seen = [see(network, binary, model, picture, Path(work)) for picture in pictures]
    both = sum(len(s.pairs) for s in seen)
    most = max(sum(len(s.ours.labels) for s in seen), sum(len(s.theirs.labels) for s in seen))
    rows = [Row(f"share of {most} detections that only one of them has", 1 - both / most if most else 0.0, 0.01)]
    if both:
        rows += [
            Row("boxes, input px", worst(*picked(seen, "boxes")), 0.01),
            Row("scores", worst(*picked(seen, "scores")), 2e-4),
            Row("match embeddings, of the largest", relative(*picked(seen, "match")), 1e-3),
            Row("aggregation embeddings, of the largest", relative(*picked(seen, "aggregation")), 1e-3),
        ]
    return rows
