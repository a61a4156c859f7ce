"""The detector alone once more, on pictures as unlike one another as can be made of them.

Together with a match head it learns from moderate changes, since what that sees must keep its colour. Where a garment is and of
which class it is does not depend on light, on how close it stands, or on colour at all, so here all of that varies. Trunk and
pyramid rest, unless they are thawed: the match heads, which see what those make, must then learn again.
"""

import time
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from ..model.network import Network
from . import detector, loop
from .data import Pictures, Sample, draws, in_another_light


@dataclass(frozen=True)
class Recipe:
    """All numbers of the run."""

    minutes: float = 60.0
    steps: int = 1_000_000
    """The run ends with its minutes or its steps, whichever is first."""
    seed: int = 1
    lr: float = 4e-4
    warmup: int = 30
    weight_decay: float = 1e-4
    average: float = 0.995
    """Decay of the moving average of the weights, which is what the run leaves."""
    street: int = 11
    shop: int = 2
    empty: int = 3
    """Pictures of each kind in a batch."""
    rois: int = 64
    proposals: int = 100
    loaders: int = 0
    """Processes that make batches ahead of time; none: the training's own process."""
    device: str = "cpu"
    thaw: bool = False
    """Whether the pyramid and the body behind its frozen blocks learn too, the slower the deeper."""
    back: float = 0.0
    """How far the result goes back to the weights that the run began with: on photographs a mean is better than the end."""


def any_light(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another light; now and then in haze, coarse, without colour, or badly compressed."""
    picture = in_another_light(picture, rng)
    if rng.random() < 0.2:
        picture = picture * (clear := rng.uniform(0.35, 0.9)) + (1 - clear) * rng.uniform(60, 230)
    if rng.random() < 0.2:
        h, w = picture.shape[:2]
        coarse = rng.uniform(1.2, 3.0)
        small = cv2.resize(picture, (max(8, int(w / coarse)), max(8, int(h / coarse))), interpolation=cv2.INTER_AREA)
        picture = cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.15:
        picture = np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2)
    if rng.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 80))]
        picture = cv2.imdecode(cv2.imencode(".jpg", picture.astype(np.uint8), quality)[1], cv2.IMREAD_COLOR)
    return picture.astype(np.float32)


def closer(picture: np.ndarray, boxes: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Every other picture cut to a part, down to a half, about some garment; one in four a little wider or narrower."""
    height, width = picture.shape[:2]
    if rng.random() < 0.5:
        zoom = float(np.exp(rng.uniform(0, np.log(2))))
        h, w = int(height / zoom), int(width / zoom)
        box = boxes[rng.integers(len(boxes))] if len(boxes) else np.array([0, 0, width, height])
        x = int(np.clip((box[0] + box[2]) / 2 - w * rng.uniform(0.25, 0.75), 0, width - w))
        y = int(np.clip((box[1] + box[3]) / 2 - h * rng.uniform(0.25, 0.75), 0, height - h))
        picture = np.ascontiguousarray(picture[y : y + h, x : x + w])
        boxes = np.clip(boxes - np.array([x, y, x, y]), 0, np.array([w, h, w, h]))
    if rng.random() < 0.25:
        stretch = float(np.exp(rng.uniform(-0.2, 0.2)))
        picture = cv2.resize(picture, (max(8, int(picture.shape[1] * stretch)), picture.shape[0]))
        boxes = boxes * np.array([stretch, 1, stretch, 1])
    return picture, boxes.astype(np.float32)


Place = tuple[Pictures, int]
"""A data set and the number of a picture in it."""


def batch(kinds: list[tuple[list[Place], int]], size: tuple[int, int], rng: np.random.Generator) -> list[Sample]:
    """From each of `kinds` as many pictures as stands beside them."""
    chosen = [places[int(k)] for places, count in kinds if places for k in rng.integers(len(places), size=count)]
    return [pictures.sample(i, size, rng, light=any_light, cut=closer) for pictures, i in chosen]


def fit(network: Network, sets: list[Pictures], recipe: Recipe, report=print) -> None:
    """Trains RPN and box head in place; what the match heads see stays as it was, bit by bit, unless it is thawed."""
    torch.manual_seed(recipe.seed)
    network.to(recipe.device)
    body, pyramid, frozen = network.backbone.body, network.backbone.fpn, detector.Recipe().frozen_blocks
    parts = [(1.0, [network.rpn, network.roi_heads.box_head, network.roi_heads.box_predictor])]
    if recipe.thaw:
        parts += [(0.6, [pyramid]), (0.3, body.blocks[frozen:])]
    groups = [{"params": [p for m in modules for p in m.parameters()], "peak": recipe.lr * share} for share, modules in parts]
    learn = [p for group in groups for p in group["params"]]
    optimiser = torch.optim.AdamW(groups, lr=recipe.lr, weight_decay=recipe.weight_decay)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    averaged = {k: v.clone() for k, v in before.items()}
    counts = {"street": recipe.street, "shop": recipe.shop, "empty": recipe.empty}
    every = [(pictures, i) for pictures in sets for i in range(len(pictures.images))]
    kinds = [([(p, i) for p, i in every if p.images[i]["kind"] == kind], n) for kind, n in counts.items()]
    network.eval()
    size = network.config.input_size
    batches = draws(lambda rng: batch(kinds, size, rng), (recipe.seed,), loaders=recipe.loaders)
    begun, step, done = time.monotonic(), 0, 0.0
    while done < 1:
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * loop.rate(step, recipe.warmup, done)
        samples = [sample.to(recipe.device) for sample in next(batches)]
        images = torch.stack([s.image for s in samples]).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            blocks = body.begin(images, frozen)
        with torch.set_grad_enabled(recipe.thaw):
            features = body.finish(blocks, frozen)
            levels = pyramid(features)
            beside = network.appearance(images, features) if network.config.box_appearance else None
        values, _ = detector.detector_losses(network, samples, levels, recipe.proposals, recipe.rois, beside)
        total = sum(detector.WEIGHTS[name] * value for name, value in values.items())
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(learn, 5.0)
        optimiser.step()
        step += 1
        loop.follow(averaged, network, step, recipe.average)
        done = max(step / recipe.steps, (time.monotonic() - begun) / (60 * recipe.minutes))
        if step % 20 == 0 or done >= 1:
            report(f"step {step} " + " ".join(f"{name} {value.item():.4f}" for name, value in values.items()))
    loop.come_back(network, averaged, before, recipe.back)
    network.to("cpu")
