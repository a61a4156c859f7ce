"""Features of clips of which only the products are known (section 10): what a clip's frames show is not annotated."""

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import torch

from ..model.detection import box_iou, find, pool_rois
from ..model.network import MatchHead, Network
from .data import VISIBLE, Pictures
from .garment_features import Garments
from .parallel import over_pictures

LEAST_SCORE = 0.1
"""Detections below are left out (section 10)."""
MOST_BOXES = 5
"""Boxes kept of a frame, best first."""

Key = tuple[int, int]
"""A clip and a product that is worn in it."""


@dataclass
class ClipFeatures:
    """Features of the garments of a data set, and what they show.

    `features`: of the RoIs (float16, n x C x 14 x 14), or the inputs of the heads' last layers (n x width, after
    `pooled`).
    `shop`: product -> RoIs of its shop pictures. `street`: (clip, product) -> frames, each the RoIs
    of one picture. `noisy`: the same with the published noise, of annotated garments alone.
    `drawn`: products that are not made from photos.
    """

    features: torch.Tensor
    shop: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    street: dict[Key, list[list[int]]] = field(default_factory=lambda: defaultdict(list))
    noisy: dict[Key, list[list[int]]] = field(default_factory=lambda: defaultdict(list))
    drawn: set[int] = field(default_factory=set)


@torch.no_grad()
def _detect(job, tasks: list[tuple[int, int]]) -> list[np.ndarray | None]:
    """RoI features of each picture's detections; of a shop picture, the detection that is its product."""
    return [_detect_in(*job, *task) for task in tasks]


def _detect_in(network: Network, pictures: Pictures, seed: int, index: int, variant: int) -> np.ndarray | None:
    config, entry = network.config, pictures.images[index]
    rng = np.random.default_rng([seed, index, variant]) if variant else None
    sample = pictures.sample(index, config.input_size, rng)
    image = sample.image[None].contiguous(memory_format=torch.channels_last)
    levels, objectness, deltas = network.trunk(image)
    levels = [t.contiguous() for t in levels]
    found = find(config, network, config.input_size, sample.size, levels, objectness, deltas)
    keep = found.boxes[found.scores >= LEAST_SCORE][:MOST_BOXES]
    if entry["kind"] == "shop" and len(keep) and len(sample.boxes):
        overlap = box_iou(keep, sample.boxes[:1]).flatten()
        keep = keep[overlap.argmax()][None] if float(overlap.max()) >= 0.5 else keep[:0]
    if len(keep) == 0:
        return None
    return pool_rois(config, levels, keep, 14, config.input_size).half().numpy()


def collect(network: Network, pictures: Pictures, seed: int, workers: int = 1, frames: int = 12) -> ClipFeatures:
    """Runs the frozen detector over all shop pictures (as they are and augmented) and up to `frames` frames a clip."""
    tasks, taken = [], defaultdict(int)
    for i, image in enumerate(pictures.images):
        if image["kind"] == "shop":
            tasks += [(i, 0), (i, 1)]
        elif image["kind"] == "street" and taken[image["clip"]] < frames:
            taken[image["clip"]] += 1
            tasks.append((i, 1))
    job = (network.eval(), pictures, seed)
    results = [features for made in over_pictures(_detect, job, tasks, workers, "detected in") for features in made]
    parts, at = [], 0
    clips = ClipFeatures(torch.empty(0))
    for (index, _), features in zip(tasks, results):
        if features is None:
            continue
        rows = list(range(at, at + len(features)))
        at += len(features)
        parts.append(torch.from_numpy(features))
        image = pictures.images[index]
        if image["kind"] == "shop":
            clips.shop[image["garments"][0]["product"]] += rows
        else:
            for garment in image["garments"]:
                if garment["visible"] >= VISIBLE:
                    clips.street[image["clip"], garment["product"]].append(rows)
    if not clips.shop or not clips.street:
        raise ValueError(f"{pictures.root}: the detector finds no garments in it; train the detector further")
    clips.features = torch.cat(parts)
    clips.drawn = {product for _, product in clips.street} - pictures.photographed
    return clips


def annotated(garments: Garments) -> ClipFeatures:
    """Annotated garments as clips of which only the products are known.

    All frames of a product are one clip, be they of two scenes; each holds the garments that stand in it.
    """
    clips = ClipFeatures(torch.from_numpy(garments.features), defaultdict(list, garments.shop), drawn=garments.drawn)
    for worn, frames in ((garments.street, clips.street), (garments.noisy, clips.noisy)):
        for product, of_product in worn.items():
            frames[product, product] = [garments.beside[row] for rows in of_product.values() for row in rows]
    return clips


@torch.no_grad()
def pooled(network: Network, clips: ClipFeatures) -> ClipFeatures:
    """The same with the inputs of the match predictor's last layer; the aggregator's are the same once it is its copy."""
    head = network.roi_heads.match_predictor.eval()
    inputs = torch.cat([head.features(part.float()) for part in clips.features.split(128)])
    return ClipFeatures(inputs, clips.shop, clips.street, clips.noisy, clips.drawn)


def join(parts: list[ClipFeatures]) -> ClipFeatures:
    """Several data sets as one; products and clips of each get numbers of their own."""
    out, rows, products, clips = ClipFeatures(torch.cat([part.features for part in parts])), 0, 0, 0
    for part in parts:
        for product, found in part.shop.items():
            out.shop[product + products] += [row + rows for row in found]
        for mine, all_of_them in ((part.street, out.street), (part.noisy, out.noisy)):
            for (clip, product), frames in mine.items():
                all_of_them[clip + clips, product + products] = [[row + rows for row in frame] for frame in frames]
        out.drawn |= {product + products for product in part.drawn}
        rows += len(part.features)
        products += 1 + max([*part.shop, *(p for _, p in part.street)])
        clips += 1 + max(clip for clip, _ in part.street)
    return out


@torch.no_grad()
def embed_rows(head: MatchHead, features: torch.Tensor) -> torch.Tensor:
    """Embeddings of all rows of the last layer's inputs."""
    return torch.cat([head.last_layer(part) for part in features.split(4096)])


def most_alike(logits: torch.Tensor, frames: list[list[list[int]]]) -> list[list[int]]:
    """For each product the street rows, one a frame, that match its shop picture best: the weak labels.

    `logits`: street rows (in the order of the flattened frames) x products.
    """
    chosen, at = [], 0
    for column, product_frames in enumerate(frames):
        rows = []
        for frame in product_frames:
            rows.append(at + int(logits[at : at + len(frame), column].argmax()))
            at += len(frame)
        chosen.append(rows)
    return chosen


@torch.no_grad()
def windows_of(
    head: MatchHead, embeddings: torch.Tensor, shop: dict[int, list[int]], street: dict[Key, list[list[int]]]
) -> dict[int, list[list[int]]]:
    """Product -> clips, each the rows of its frames: in every frame the box that matches the product's shop pictures best."""
    windows: dict[int, list[list[int]]] = {}
    for (_, product), frames in street.items():
        if product not in shop:
            continue
        rows = torch.tensor([row for frame in frames for row in frame])
        logits = head.pair_logits(embeddings[rows], embeddings[shop[product]]).amax(dim=1)
        of_frames = zip(rows.split([len(frame) for frame in frames]), logits.split([len(frame) for frame in frames]))
        windows.setdefault(product, []).append([int(mine[score.argmax()]) for mine, score in of_frames])
    return windows
