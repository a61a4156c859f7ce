"""Measures a network on a generated data set that it was not trained on (detection and search), and in the demo shop."""

import csv
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch

from ..model import preprocess
from ..model.detection import area, box_iou, Detections
from ..train.data import VISIBLE, Pictures


@dataclass
class Tally:
    """Raw observations, from which the figures are computed."""

    scores: list[float] = field(default_factory=list)
    correct: list[bool] = field(default_factory=list)
    classified: list[tuple[int, int]] = field(default_factory=list)
    """True and predicted class of every garment found."""
    overlaps: list[float] = field(default_factory=list)
    garments: int = 0
    empty_scores: list[float] = field(default_factory=list)
    empty: int = 0
    match: dict = field(default_factory=lambda: defaultdict(list))
    aggregation: dict = field(default_factory=lambda: defaultdict(list))


def see(network, pictures: Pictures, index: int) -> tuple[Detections, torch.Tensor]:
    """Detections in pixels of the network input, and the factor from picture pixels to those."""
    picture = pictures.read(index)
    config = network.config
    image, size = preprocess.letterbox(picture, config.input_size, config.prefilter)
    factor = torch.tensor([size[1] / picture.shape[1], size[0] / picture.shape[0]] * 2)
    return network(image, size), factor


def tally_street(network, pictures: Pictures, index: int, tally: Tally) -> None:
    """Matches a street frame's detections with its garments, greedily by score at IoU 0.5."""
    entry = pictures.images[index]
    found, factor = see(network, pictures, index)
    known = [g for g in entry["garments"]]
    boxes = torch.tensor([g["box"] for g in known], dtype=torch.float32).reshape(-1, 4) * factor
    clear = [g["visible"] >= VISIBLE for g in known]
    tally.garments += sum(clear)
    iou = box_iou(found.boxes, boxes) if known else torch.zeros(len(found.boxes), 0)
    free = set(range(len(known)))
    for d in range(len(found.boxes)):
        best = max(free, key=lambda g: float(iou[d, g]), default=None)
        hit = best is not None and float(iou[d, best]) >= 0.5
        if hit:
            free.discard(best)
            if not clear[best]:
                continue
            tally.overlaps.append(float(iou[d, best]))
            tally.classified.append((known[best]["class"], int(found.labels[d])))
            key = (entry["clip"], known[best]["product"])
            tally.match[key].append(found.match[d])
            tally.aggregation[key].append(found.aggregation[d])
        tally.scores.append(float(found.scores[d]))
        tally.correct.append(hit)


def gallery(network, pictures: Pictures) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Largest detection of every shop picture: products, match and aggregation embeddings."""
    names, match, aggregation = [], [], []
    for product in sorted(pictures.shop):
        for index in pictures.shop[product]:
            found, _ = see(network, pictures, index)
            if len(found.boxes) == 0:
                continue
            largest = int(area(found.boxes).argmax())
            names.append(product)
            match.append(found.match[largest])
            aggregation.append(found.aggregation[largest])
    none = torch.empty(0, network.config.embedding)
    if not names:
        return torch.empty(0, dtype=torch.long), none, none
    return torch.tensor(names), torch.stack(match), torch.stack(aggregation)


def rank_of(logits: torch.Tensor, names: torch.Tensor, product: int) -> int:
    """Rank (1 is best) of `product`; each product counts with its best picture."""
    own = logits[names == product]
    if len(own) == 0:
        return len(names) + 1
    better = names[logits > own.max()]
    return 1 + len(better.unique())


def average_precision(scores: list[float], correct: list[bool], total: int) -> float:
    """Area under the precision-recall curve, with monotone precision."""
    order = np.argsort(-np.asarray(scores), kind="stable")
    hits = np.asarray(correct)[order]
    recall = np.cumsum(hits) / max(total, 1)
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0) * precision))


def confusion(classified: list[tuple[int, int]], classes: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Class -> share of each predicted class, the most common first. Labels count from 1."""
    of_class: dict[int, list[int]] = defaultdict(list)
    for true, predicted in classified:
        of_class[true].append(predicted)
    return {
        classes[true - 1]: {classes[label - 1]: round(count / len(labels), 3) for label, count in Counter(labels).most_common()}
        for true, labels in sorted(of_class.items())
    }


def recall_at(ranks: list[int], name: str) -> dict[str, float]:
    """Shares of ranks within 1, 2, 5."""
    r = np.asarray(ranks)
    return {f"{name}_top{k}": float((r <= k).mean()) if len(r) else 0.0 for k in (1, 2, 5)}


def open_set(own: list[float], others: list[float]) -> dict:
    """The threshold below which a garment counts as not in the gallery.

    `own`: logit of each query's own product; `others`: the best logit of any other product, as it would
    be for a garment that is not in the gallery. At the threshold both error rates are equal; `curve` has rows
    (logit, wrong rejections, wrong acceptances).
    """
    if not own or not others:
        return {"logit": 0.0, "wrong_rejections": 0.0, "wrong_acceptances": 0.0, "curve": []}
    mine, theirs = np.asarray(own), np.asarray(others)
    steps = np.quantile(np.concatenate([mine, theirs]), np.linspace(0, 1, 201))
    rows = [(float(t), float((mine < t).mean()), float((theirs >= t).mean())) for t in steps]
    best = min(rows, key=lambda row: (abs(row[1] - row[2]), row[0]))
    return {
        "logit": best[0],
        "wrong_rejections": best[1],
        "wrong_acceptances": best[2],
        "curve": [[round(v, 4) for v in row] for row in rows[::20]],
    }


@torch.no_grad()
def evaluate(network, pictures: Pictures, clips: int | None = None, aggregate=None) -> dict:
    """All figures. `aggregate`: sequence -> (query, attention); by default the network's own."""
    network.eval()
    heads = network.roi_heads
    aggregate = aggregate or heads.temporal_aggregator.aggregate
    names, match, aggregation = gallery(network, pictures)
    tally = Tally()
    for index, image in enumerate(pictures.images):
        if image["kind"] == "street" and (clips is None or image["clip"] < clips):
            tally_street(network, pictures, index, tally)
        elif image["kind"] == "empty":
            tally.empty += 1
            scores = see(network, pictures, index)[0].scores
            tally.empty_scores.append(float(scores.max()) if len(scores) else 0.0)
    single, joined, mean, own, others = [], [], [], [], []
    for (_, product), sequence in tally.match.items():
        for logits in heads.match_predictor.pair_logits(torch.stack(sequence), match):
            single.append(rank_of(logits, names, product))
    for (_, product), sequence in tally.aggregation.items():
        x = torch.stack(sequence)[: network.config.frames]
        logits = heads.temporal_aggregator.pair_logits(aggregate(x)[0][None], aggregation)[0]
        joined.append(rank_of(logits, names, product))
        average = heads.temporal_aggregator.pair_logits(x.mean(dim=0)[None], aggregation)[0]
        mean.append(rank_of(average, names, product))
        if (names == product).any():
            own.append(float(logits[names == product].max()))
        if (names != product).any():
            others.append(float(logits[names != product].max()))
    shown = np.asarray(tally.scores) >= 0.5
    return {
        "garments": tally.garments,
        "ap50": average_precision(tally.scores, tally.correct, tally.garments),
        "recall": sum(tally.correct) / max(tally.garments, 1),
        "precision_at_score_0.5": float(np.asarray(tally.correct)[shown].mean()) if shown.any() else 0.0,
        "recall_at_score_0.5": float(np.asarray(tally.correct)[shown].sum() / max(tally.garments, 1)),
        "median_iou": float(np.median(tally.overlaps)) if tally.overlaps else 0.0,
        "iou_above_0.7": float((np.asarray(tally.overlaps) > 0.7).mean()) if tally.overlaps else 0.0,
        "class_accuracy": float(np.mean([predicted == true for true, predicted in tally.classified])) if tally.classified else 0.0,
        "confusion": confusion(tally.classified, network.config.classes),
        "empty_scenes": tally.empty,
        "empty_with_score_0.5": float((np.asarray(tally.empty_scores) >= 0.5).mean()) if tally.empty else 0.0,
        "gallery_products": len(names.unique()),
        "queries": len(joined),
        **recall_at(single, "frame"),
        **recall_at(mean, "mean"),
        **recall_at(joined, "aggregated"),
        "open_set": open_set(own, others),
    }


CLEAR = 0.5
"""Only garments with at least this visible share count."""


def see_clip_frame(network, picture: np.ndarray):
    """Detections of an RGB picture, boxes in its own pixels."""
    config = network.config
    image, size = preprocess.letterbox(picture, config.input_size, config.prefilter)
    found = network(image, size)
    found.boxes = found.boxes * torch.tensor([picture.shape[1] / size[1], picture.shape[0] / size[0]] * 2)
    return found


def feed_gallery(network, root: Path):
    """(ids, names by index, match embeddings, aggregation embeddings) of the feed's pictures."""
    rows = list(csv.DictReader((root / "feed.csv").open(encoding="utf-8")))
    ids, which, match, aggregation = [row["id"] for row in rows], [], [], []
    for k, row in enumerate(rows):
        links = [row["image_link"], *(row.get("additional_image_link") or "").split(",")]
        for link in filter(None, links):
            found = see_clip_frame(network, preprocess.read(root / link))
            if len(found.boxes):
                largest = int(area(found.boxes).argmax())
                which.append(k)
                match.append(found.match[largest])
                aggregation.append(found.aggregation[largest])
    return ids, torch.tensor(which), torch.stack(match), torch.stack(aggregation)


@torch.no_grad()
def measure_demo(network, root: str | Path, stride: int = 4) -> list[str]:
    """Lines to print: for every worn garment found/present, overlaps, ranks; then false positives."""
    root = Path(root)
    heads, lines = network.roi_heads, []
    ids, names, match, aggregation = feed_gallery(network.eval(), root)
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
            found = see_clip_frame(network, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
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
    lines.append(f"frames without people: {asked_empty}, of which with a detection >= 0.5: {empty}")
    lines.append(f"detections >= 0.5 off every garment (IoU < 0.3): {false}")
    return lines


def garment_line(heads, clip, name, asked, seen, overlap, ids, names, match, aggregation) -> str:
    """The line of one worn garment."""
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
