"""Agreement of implementations: the network with reference outputs of the published one, and the program with the network.

Every check gives a row: what is compared, largest error, tolerance. The reference outputs are for random weights, outside the
repository, in the folder `parity` of a shared directory.
"""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torchvision.ops import box_iou

from ..model import preprocess
from ..model.detection import detect, Detections, pool_rois, propose, recognize, roi_levels
from ..model.network import Network


@dataclass
class Row:
    """One comparison."""

    what: str
    error: float
    allowed: float

    @property
    def ok(self) -> bool:
        return self.error <= self.allowed

    def __str__(self) -> str:
        return f"{'ok  ' if self.ok else 'FAIL'} {self.what:44s} {self.error:10.3e}  (<= {self.allowed:g})"


def worst(got, wanted) -> float:
    """Largest absolute difference; infinite when the shapes differ."""
    got, wanted = torch.as_tensor(got), torch.as_tensor(wanted)
    if got.shape != wanted.shape:
        return float("inf")
    return float((got.double() - wanted.double()).abs().max()) if got.numel() else 0.0


def relative(got, wanted) -> float:
    """`worst`, as a share of the largest wanted value."""
    return worst(got, wanted) / max(float(torch.as_tensor(wanted).abs().max()), 1e-12)


def arrays(path: Path) -> dict[str, torch.Tensor]:
    """A .npz as tensors."""
    with np.load(path) as stored:
        return {k: torch.from_numpy(stored[k]) for k in stored.files}


def picture(path: Path) -> torch.Tensor:
    """A picture that fills the network's input exactly, normalised."""
    rgb = preprocess.read(path)
    return preprocess.letterbox(rgb, rgb.shape[:2])[0]


def write_checkpoint(parity: Path, out: Path) -> Path:
    """Writes the parity network as an ordinary checkpoint, unless it exists."""
    if not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, parity / "to_checkpoint.py", out], check=True, capture_output=True)
    return out


def check_preprocess(parity: Path) -> list[Row]:
    """Section 1: resize, normalise, pad."""
    given = arrays(parity / "preprocess.npz")
    rows = []
    for k in range(5):
        short, long = given[f"c{k}_minmax"].tolist()
        out, size = preprocess.reference(given[f"c{k}_src_u8"].numpy(), short, long)
        rows.append(Row(f"preprocess case {k}", worst(out, given[f"c{k}_out"]), 1e-5))
        rows.append(Row(f"preprocess case {k} size", worst(list(size), given[f"c{k}_size"]), 0))
    return rows


def check_steps(network: Network, f: dict) -> list[Row]:
    """Sections 2 to 5 step by step, each step from its reference input."""
    c, size = network.config, (320, 320)
    pyramid = network.backbone(f["input"])
    objectness, deltas = network.rpn.head(pyramid)
    rows = [Row(f"pyramid {n}", relative(g, f[n]), 1e-4) for g, n in zip(pyramid, ("p2", "p3", "p4", "p5", "pool"))]
    for k, (o, d) in enumerate(zip(objectness, deltas)):
        rows += [Row(f"objectness {k}", relative(o, f[f"obj{k}"]), 1e-4)]
        rows += [Row(f"deltas {k}", relative(d, f[f"delta{k}"]), 1e-4)]
    levels = [f[f"p{k}"] for k in c.levels]
    raw = [f[f"obj{k}"] for k in range(5)], [f[f"delta{k}"] for k in range(5)]
    proposals, scores = propose(c, size, size, *raw)
    rows += [Row("proposals, px", worst(proposals, f["proposals"]), 0.01)]
    rows += [Row("proposal scores", worst(scores, f["proposal_scores"]), 1e-5)]
    rows += [Row("RoI levels", worst(roi_levels(c, f["proposals"]), f["roi_levels"]), 0)]
    rois7 = pool_rois(c, levels, f["proposals"], 7, size)
    rows += [Row("RoIs 7x7", worst(rois7[:32], f["roi7_head"]), 1e-4)]
    logits, box_deltas = network.box(rois7)
    rows += [Row("class logits", relative(logits, f["class_logits"]), 1e-4)]
    rows += [Row("box deltas", relative(box_deltas, f["box_deltas"]), 1e-4)]
    found = detect(c, size, f["proposals"], f["class_logits"], f["box_deltas"])
    rows += detection_rows("from reference logits", found, f)
    rois14 = pool_rois(c, levels, f["det_boxes"], 14, size)
    rows += [Row("RoIs 14x14", worst(rois14, f["roi14"]), 1e-4)]
    masks = network.masks(f["roi14"])[torch.arange(len(f["det_labels"])), f["det_labels"]]
    rows += [Row("mask logits", relative(masks, f["mask_logits_of_label"]), 1e-4)]
    return rows


def detection_rows(how: str, found: Detections, f: dict) -> list[Row]:
    """The still picture's detections, one to one."""
    if len(found.labels) != len(f["det_labels"]):
        return [Row(f"{how}: number of detections", abs(len(found.labels) - len(f["det_labels"])), 0)]
    rows = [
        Row(f"{how}: labels", worst(found.labels, f["det_labels"]), 0),
        Row(f"{how}: boxes, px", worst(found.boxes, f["det_boxes"]), 0.01),
        Row(f"{how}: scores", worst(found.scores, f["det_scores"]), 2e-4),
    ]
    if found.match is not None:
        rows += [
            Row(f"{how}: match embeddings", relative(found.match, f["match_features"]), 1e-3),
            Row(f"{how}: aggregation embeddings", relative(found.aggregation, f["aggr_features"]), 1e-3),
        ]
    return rows


def check_frame(how: str, network, config, image: torch.Tensor, f: dict) -> list[Row]:
    """The still picture from pixels to embeddings."""
    levels, objectness, deltas = network.trunk(image)
    size = tuple(image.shape[-2:])
    return detection_rows(how, recognize(config, network, size, size, levels, objectness, deltas), f)


def check_clip(how: str, detect_in, folder: Path, v: dict) -> list[Row]:
    """Ten frames: the share of reference detections found (same frame, label, IoU > 0.98)."""
    hits, worst_match, worst_aggregation = 0, 0.0, 0.0
    for frame in range(10):
        mine = torch.nonzero(v["det_frame"] == frame).flatten()
        found = detect_in(picture(folder / f"{frame:02d}.png"), (320, 320))
        iou = box_iou(v["det_boxes"][mine], found.boxes)
        iou[v["det_labels"][mine][:, None] != found.labels[None]] = 0
        best, which = iou.max(dim=1)
        hit = best > 0.98
        hits += int(hit.sum())
        worst_match = max(worst_match, relative(found.match[which[hit]], v["match_features"][mine[hit]]))
        worst_aggregation = max(
            worst_aggregation, relative(found.aggregation[which[hit]], v["aggr_features"][mine[hit]])
        )
    return [
        Row(f"{how}: clip, share of detections lost", 1 - hits / len(v["det_frame"]), 0.01),
        Row(f"{how}: clip, match embeddings", worst_match, 2e-2),
        Row(f"{how}: clip, aggregation embeddings", worst_aggregation, 2e-2),
    ]


def check_search(how: str, network: Network, aggregate, v: dict) -> list[Row]:
    """Sections 6 to 8 from the reference embeddings: tracks, queries, ranks."""
    sfmr, second = network.roi_heads.match_predictor, network.roi_heads.temporal_aggregator
    similarity = sfmr.pair_logits(v["match_features"], v["match_features"]).sigmoid()
    rows = [Row(f"{how}: self similarity", worst(similarity, v["self_similarity"]), 1e-4)]
    tracks = greedy_tracks(v["det_frame"], v["det_scores"], similarity)
    lengths, joined = v["tracks_len"].tolist(), v["tracks_flat"].tolist()
    wanted, at = [], 0
    for n in lengths:
        wanted.append(joined[at : at + n])
        at += n
    rows.append(Row(f"{how}: tracks that differ", sum(a != b for a, b in zip(tracks, wanted)) + abs(len(tracks) - len(wanted)), 0))
    results = [aggregate(v["aggr_features"][track]) for track in wanted]
    queries = torch.stack([q for q, _ in results])
    rows.append(Row(f"{how}: queries", relative(queries, v["query"]), 1e-4))
    rows.append(Row(f"{how}: attention", worst(torch.cat([a for _, a in results]), v["attention_flat"]), 1e-4))
    for t in (1, 2, 5, 10, 16):
        query, attention = aggregate(v[f"seq{t}_in"])
        rows.append(Row(f"{how}: sequence of {t}", relative(query, v[f"seq{t}_query"]), 1e-4))
        rows.append(Row(f"{how}: attention of {t}", worst(attention, v[f"seq{t}_att"]), 1e-4))
    logits = second.pair_logits(queries, v["gallery_aggr"])
    difference = v["query_gallery_logits"][..., 1] - v["query_gallery_logits"][..., 0]
    rows.append(Row(f"{how}: gallery logits", relative(logits, difference), 1e-4))
    order = logits.argsort(dim=1, descending=True, stable=True)
    rows.append(Row(f"{how}: gallery ranks", worst(ranks_like(order, v["query_gallery_rank"]), v["query_gallery_rank"]), 0))
    return rows


def ranks_like(order: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
    """`order` itself, or the rank of each item: whichever `given` contains."""
    rank = order.argsort(dim=1)
    return rank if worst(rank, given) <= worst(order, given) else order


@torch.no_grad()
def check_all(parity: Path, network: Network, folder=None) -> list[Row]:
    """All checks of the torch network and, if given, of an exported model folder."""
    case = parity / "case-320x320"
    f, v = arrays(case / "frame.npz"), arrays(case / "video.npz")
    image = picture(case / "frame.png")
    rows = check_preprocess(parity) + [Row("input", worst(image, f["input"]), 1e-5)]
    rows += check_steps(network, f)
    networks = [("torch", network, network.config, network.roi_heads.temporal_aggregator.aggregate)]
    if folder is not None:
        networks.append(("onnxruntime", folder, folder.config, folder.aggregate))
    for how, one, config, aggregate in networks:
        rows += check_frame(how, one, config, image, f)
        rows += check_clip(how, one, case / "video", v)
        rows += check_search(how, network, aggregate, v)
    return rows


def greedy_tracks(
    frames: torch.Tensor, scores: torch.Tensor, similarity: torch.Tensor, threshold: float = 0.3
) -> list[list[int]]:
    """Boxes of one video (frame n, detection score n, similarity n x n) -> tracks of box indices.

    A track has at most one box of each frame; its boxes are in the order in which they were added.
    """
    free = torch.ones(len(frames), dtype=torch.bool)
    tracks = []
    while free.any():
        seed = int(torch.where(free, scores, -1.0).argmax())
        track, free[seed] = [seed], False
        while True:
            taken = torch.isin(frames, frames[track])
            nearest = similarity[track].max(dim=0).values
            candidates = torch.where(free & ~taken, nearest, -1.0)
            best = int(candidates.argmax())
            if candidates[best] <= threshold:
                break
            track.append(best)
            free[best] = False
        tracks.append(track)
    return tracks


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
def compared(network, binary: Path, model: Path, picture: Path, work: Path) -> Compared:
    """One picture through both; a JPEG as PNG, since two JPEG decoders need not agree to the last bit."""
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


def check_program(network, binary: Path, model: Path, pictures: list[Path]) -> list[Row]:
    """The table for all pictures together."""
    with tempfile.TemporaryDirectory() as work:
        seen = [compared(network, binary, model, picture, Path(work)) for picture in pictures]
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
