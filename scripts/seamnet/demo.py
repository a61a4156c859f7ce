"""How good a network is in the demo shop: its clips against its feed, with the known truth."""

import csv
import json
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import torch

from . import preprocess
from .boxes import area, box_iou
from .evaluate import rank_of

CLEAR = 0.5
"""Only garments of which this share shows are asked for."""


def see(network, picture: np.ndarray):
    """Detections of an RGB picture, boxes in its own pixels."""
    config = network.config
    image, size = preprocess.letterbox(picture, config.input_size, config.prefilter)
    found = network(image, size)
    found.boxes = found.boxes * torch.tensor([picture.shape[1] / size[1], picture.shape[0] / size[0]] * 2)
    return found


def gallery(network, root: Path):
    """(ids, names by index, match embeddings, aggregation embeddings) of the feed's pictures."""
    rows = list(csv.DictReader((root / "feed.csv").open(encoding="utf-8")))
    ids, which, match, aggregation = [row["id"] for row in rows], [], [], []
    for k, row in enumerate(rows):
        links = [row["image_link"], *(row.get("additional_image_link") or "").split(",")]
        for link in filter(None, links):
            found = see(network, cv2.cvtColor(cv2.imread(str(root / link)), cv2.COLOR_BGR2RGB))
            if len(found.boxes):
                largest = int(area(found.boxes).argmax())
                which.append(k)
                match.append(found.match[largest])
                aggregation.append(found.aggregation[largest])
    return ids, torch.tensor(which), torch.stack(match), torch.stack(aggregation)


@torch.no_grad()
def measure(network, root: str | Path, stride: int = 4) -> list[str]:
    """Lines to print: for every worn garment found/asked, overlaps, ranks; then false alarms."""
    root = Path(root)
    heads, lines = network.roi_heads, []
    ids, names, match, aggregation = gallery(network.eval(), root)
    missing = set(range(len(ids))) - set(names.tolist())
    lines.append(f"shop pictures: {len(names)}, products without a detection: {[ids[k] for k in missing]}")
    false = empty = asked_empty = 0
    for clip in json.loads((root / "truth.json").read_text())["clips"]:
        video = cv2.VideoCapture(str(root / clip["clip"]))
        seen, asked, overlap = defaultdict(list), defaultdict(int), defaultdict(list)
        for number, frame in enumerate(clip["frames"]):
            ok, picture = video.read()
            if not ok or number % stride:
                continue
            found = see(network, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
            truth = frame["boxes"]
            strong = found.scores >= 0.5
            if not truth:
                asked_empty += 1
                empty += int(strong.any())
                continue
            iou = box_iou(torch.tensor([t["box"] for t in truth], dtype=torch.float32), found.boxes)
            false += int((iou[:, strong].max(dim=0).values < 0.3).sum()) if strong.any() else 0
            for t, row in zip(truth, iou):
                if t["visible"] < CLEAR:
                    continue
                asked[t["id"]] += 1
                if len(row) and float(row.max()) >= 0.5:
                    overlap[t["id"]].append(float(row.max()))
                    best = int(row.argmax())
                    seen[t["id"]].append((found.match[best], found.aggregation[best], float(found.scores[best])))
        for name in asked:
            lines.append(garment_line(heads, clip, name, asked[name], seen[name], overlap[name], ids, names, match, aggregation))
    lines.append(f"frames without anybody: {asked_empty}, of which with a detection >= 0.5: {empty}")
    lines.append(f"detections >= 0.5 off every garment (IoU < 0.3): {false}")
    return lines


def garment_line(heads, clip, name, asked, seen, overlap, ids, names, match, aggregation) -> str:
    """What was measured of one worn garment."""
    start = f"{clip['clip']} {name}: found {len(seen)}/{asked}"
    if not seen:
        return start
    own = ids.index(name)
    a, b, scores = torch.stack([s[0] for s in seen]), torch.stack([s[1] for s in seen]), [s[2] for s in seen]
    frame = [rank_of(row, names, own) for row in heads.match_predictor.pair_logits(a, match)]
    windows = [b[max(0, k - 10) : k] for k in range(min(10, len(b)), len(b) + 1)]
    joined = [heads.temporal_aggregator.aggregate(w)[0] for w in windows]
    ranks = [rank_of(row, names, own) for row in heads.temporal_aggregator.pair_logits(torch.stack(joined), aggregation)]
    return (
        f"{start}, IoU median {np.median(overlap):.2f} min {min(overlap):.2f}, score {np.median(scores):.2f}, "
        f"frame rank median {np.median(frame):.0f} worst {max(frame)}, window ranks {sorted(ranks)}"
    )
