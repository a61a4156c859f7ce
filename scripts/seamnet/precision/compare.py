"""The accuracy that a precision costs: a model folder's graphs in fp16 or int8 compared with fp32, on pictures.

Both run in onnxruntime on the CPU. It computes Q/DQ graphs with the same scales as TensorRT. It computes fp16 operators in fp32 and
keeps some values between them in fp32, so its figures for fp16 are a lower bound of the cost.
"""

from pathlib import Path

import torch
import torch.nn.functional as F

from ..check import agreement
from ..folder.manifest import read_manifest
from ..folder.runtime import Folder
from ..model.detection import Detections
from .convert import Recording, fitted

SURE = 0.5
"""Score from which a detection counts."""


def graph_errors(wide: Recording, narrow: Folder, most: int = 8) -> list[tuple[str, float, float]]:
    """For every graph on the same inputs: the largest and the RMS difference of any of
    its outputs, relative to the largest value of that output."""
    rows = []
    for name, inputs in wide.inputs.items():
        worst = typical = 0.0
        for value in inputs[:most]:
            value = torch.from_numpy(value)
            for a, b in zip(Folder.run(wide, name, value), narrow.run(name, value)):
                difference = (a - b).abs() / max(float(a.abs().max()), 1e-12)
                worst = max(worst, float(difference.max()))
                typical = max(typical, float(difference.square().mean().sqrt()))
        rows.append((name, worst, typical))
    return rows


def sure(found: Detections) -> Detections:
    """The detections with a score of at least `SURE`."""
    keep = found.scores >= SURE
    return Detections(*(v[keep] for v in (found.boxes, found.scores, found.labels, found.match, found.aggregation)))


@torch.no_grad()
def measure(folder: Path, precision: str, pictures: Path) -> dict:
    """The figures of one precision on the pictures of a folder."""
    if not any(precision in graph for graph in read_manifest(folder)["graphs"].values()):
        raise ValueError(f"{folder} has no graph in {precision}; add it with scripts/export --precision {precision}")
    wide, narrow = Recording(folder), Folder(folder, precision=precision)
    seen, gallery, queries = [], [], []
    count, counts = 0, [0, 0]
    for image, size in fitted(wide, pictures):
        count += 1
        a, b = sure(wide(image, size)), sure(narrow(image, size))
        counts = [counts[0] + len(a.labels), counts[1] + len(b.labels)]
        for i, j in agreement.pairs(a, b, 0.5):
            seen.append((a.boxes[i], b.boxes[j], a.scores[i], b.scores[j]))
            gallery.append(a.match[i])
            queries.append(b.match[j])
    columns = [torch.stack(column) for column in zip(*seen)]
    g, q = torch.stack(gallery), torch.stack(queries)
    nearest = torch.cdist(q, g).argmin(dim=1)
    return {
        "pictures": count,
        "garments in fp32": counts[0],
        f"garments in {precision}": counts[1],
        "found by both": len(seen),
        "boxes, median px of the input": float((columns[0] - columns[1]).abs().amax(dim=1).median()),
        "boxes, worst px": float((columns[0] - columns[1]).abs().max()),
        "scores, median": float((columns[2] - columns[3]).abs().median()),
        "scores, worst": float((columns[2] - columns[3]).abs().max()),
        "match embedding, lowest cosine": float(F.cosine_similarity(g, q).min()),
        "nearest of all garments in fp32 is its own": float((nearest == torch.arange(len(q))).float().mean()),
        "graphs": graph_errors(wide, narrow),
    }
