"""`model.toml`, the manifest of a model folder: what the graphs are and how to run them."""

import hashlib
import tomllib
from pathlib import Path

import numpy as np
import torch

from ..model.detection import strides
from ..model.network import Network
from ..model.config import MEAN, STD, Config

FORMAT = 1
STAMPED = ("input", "features", "anchors", "proposals", "rois", "detections", "focus")
"""Sections that, like the graphs, change the meaning of an embedding; `focus` only if present."""


def number(value: float) -> str:
    """The shortest decimal text that reads back as the same number (a float32 as float32)."""
    return np.format_float_positional(value, unique=True, trim="0")


def text(value) -> str:
    """One TOML value."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, (list, tuple)) or np.ndim(value) == 1:
        return "[" + ", ".join(text(v) for v in value) + "]"
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    return number(value)


def section(name: str, values: dict) -> str:
    """A TOML table."""
    return f"\n[{name}]\n" + "".join(f"{k} = {text(v)}\n" for k, v in values.items())


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sections(
    network: Network, input_size: tuple[int, int], open_set: float | None, worn_offset: float | None = None
) -> dict[str, dict]:
    """Every section except the graphs, in the manifest's order."""
    c: Config = network.config
    with torch.no_grad():
        grids = [tuple(t.shape[-2:]) for t in network.trunk(torch.zeros(1, 3, *input_size))[1]]
        scores = {
            name: [t.numpy()[()] for t in head.score_weights()]
            for name, head in (
                ("match", network.roi_heads.match_predictor),
                ("aggregation", network.roi_heads.temporal_aggregator),
            )
        }
    out = {
        "input": dict(
            height=input_size[0], width=input_size[1], mean=MEAN, std=STD, prefilter=c.prefilter
        ),
        "features": dict(channels=c.channels + c.extra, levels=c.levels),
        "anchors": dict(
            sizes=c.anchor_sizes, ratios=c.ratios, strides=[strides(input_size, g) for g in grids]
        ),
        "proposals": dict(
            per_level=c.per_level, keep=c.keep, nms=c.proposal_nms, min_side=c.proposal_min_side
        ),
        "rois": dict(
            canonical_size=c.canonical_size,
            canonical_level=c.canonical_level,
            sampling_ratio=c.sampling_ratio,
        ),
        "detections": dict(score=c.score, nms=c.nms, max=c.max_detections, min_side=c.min_side),
        "match": dict(
            batch=c.match_batch,
            embedding=c.embedding,
            weight=scores["match"][0],
            bias=scores["match"][1],
        ),
        "aggregation": dict(
            frames=c.frames, weight=scores["aggregation"][0], bias=scores["aggregation"][1]
        ),
    }
    if c.context:
        out["proposals"]["context"] = c.context
    if c.per != "class":
        out["detections"]["per"] = c.per
    if c.focus is not None:
        out["focus"] = dict(c.focus)
    if worn_offset is not None:
        out["aggregation"]["worn_offset"] = float(worn_offset)
    if open_set is not None:
        out["open_set"] = dict(logit=float(open_set))
    return out


def descriptor_hash(graphs: dict[str, str], parts: dict[str, dict]) -> str:
    """The version of the embeddings: equal hashes mean equal embeddings of a picture.

    sha256 over ASCII lines: `trunk <sha256>`, `box_head <sha256>`, `match_head <sha256>`, then for
    each present section of `STAMPED` its TOML text as in the manifest, including blank line and title.
    """
    lines = "".join(f"{g} {graphs[g]}\n" for g in ("trunk", "box_head", "match_head"))
    lines += "".join(section(name, parts[name]) for name in STAMPED if name in parts)
    return hashlib.sha256(lines.encode()).hexdigest()


def write(folder: Path, head: dict, classes: tuple[str, ...], parts: dict, graphs: list[str]) -> None:
    """Writes `folder`/model.toml for the graphs in it. `head`: name, description, ..."""
    digests = {g: sha256(folder / f"{g}.onnx") for g in graphs}
    values = {"format": FORMAT, **head, "classes": classes}
    values["descriptor_hash"] = descriptor_hash(digests, parts)
    out = "".join(f"{k} = {text(v)}\n" for k, v in values.items())
    out += "".join(section(name, part) for name, part in parts.items())
    for g in graphs:
        out += section(f"graphs.{g}", {"file": f"{g}.onnx", "sha256": digests[g]})
    (folder / "model.toml").write_text(out)


def read_manifest(folder: str | Path) -> dict:
    """The manifest as nested dictionaries. FileNotFoundError: not a model folder."""
    path = Path(folder) / "model.toml"
    if not path.is_file():
        raise FileNotFoundError(f"{folder}: not a model folder, model.toml is missing")
    return tomllib.loads(path.read_text())


def config_of(m: dict) -> Config:
    """The numbers of a manifest as a `Config` (widths inside the graphs are unknown: 0)."""
    return Config(
        name=m["name"],
        body="",
        channels=m["features"]["channels"],
        levels=tuple(m["features"]["levels"]),
        anchor_sizes=tuple(m["anchors"]["sizes"]),
        ratios=tuple(m["anchors"]["ratios"]),
        fc=0,
        match_width=0,
        prefilter=m["input"]["prefilter"],
        input_size=(m["input"]["height"], m["input"]["width"]),
        per_level=m["proposals"]["per_level"],
        keep=m["proposals"]["keep"],
        proposal_nms=m["proposals"]["nms"],
        context=m["proposals"].get("context", 0.0),
        score=m["detections"]["score"],
        nms=m["detections"]["nms"],
        max_detections=m["detections"]["max"],
        per=m["detections"].get("per", "class"),
        match_batch=m["match"]["batch"],
        embedding=m["match"]["embedding"],
        frames=m["aggregation"]["frames"],
        classes=tuple(m["classes"]),
    )
