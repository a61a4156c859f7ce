"""Training data: sets of scripts/generate as augmented batches of the compact network's input.

A batch consists of street frames of several products from different clips, the shop pictures of all
products visible in them, and empty scenes.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ..model import preprocess
from ..model.config import MEAN, STD
from ..model.preprocess import fitted_size
from .augment import Scene, jitter

VISIBLE = 0.25
"""Garments with a smaller visible share are neither foreground nor background."""


@dataclass
class Sample:
    """One picture: image 3 x H x W normalised, size inside it, and n garments."""

    image: torch.Tensor
    size: tuple[int, int]
    boxes: torch.Tensor
    labels: torch.Tensor
    products: torch.Tensor
    visible: torch.Tensor
    """Visible share of each garment, 0..1, after the crop."""
    shop: bool
    features: torch.Tensor | None = None
    """The frozen blocks' output instead of the image, if stored (`features`)."""
    masks: torch.Tensor | None = None
    """n x H x W, bool: the visible pixels of each garment; only if requested."""

    def to(self, device: torch.device | str) -> "Sample":
        """The same with all tensors on `device`."""
        moved = {k: v.to(device, non_blocking=True) for k, v in vars(self).items() if isinstance(v, torch.Tensor)}
        return replace(self, **moved)


class Pictures:
    """The annotated pictures of a data set, by kind, product and clip."""

    def __init__(self, root: str | Path):
        self.root = Path(root)
        path = self.root / "annotations.json"
        if not path.is_file():
            raise FileNotFoundError(f"{path}: missing; scripts/generate writes it with the pictures")
        annotations = json.loads(path.read_text())
        self.images = annotations["images"]
        sources = annotations.get("products", {})
        self.photographed = {int(p) for p, source in sources.items() if source["source"] == "photo"}
        self.empty, self.shop = [], defaultdict(list)
        self.street: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for i, image in enumerate(self.images):
            for g in image["garments"]:
                if image["kind"] == "shop":
                    self.shop[g["product"]].append(i)
                elif g["visible"] >= VISIBLE:
                    self.street[g["product"]][image["clip"]].append(i)
            if image["kind"] == "empty":
                self.empty.append(i)
        self.products = sorted(p for p in self.street if p in self.shop)

    def read(self, index: int) -> np.ndarray:
        """h x w x 3 RGB."""
        return preprocess.read(self.root / self.images[index]["file"])

    def places(self, index: int) -> np.ndarray:
        """h x w: the place, from 1, of the visible garment in the list; 0 where there is none."""
        image = self.images[index]
        picture = cv2.imread(str(self.root / image["mask"]), cv2.IMREAD_GRAYSCALE) if "mask" in image else None
        if picture is None:
            raise FileNotFoundError(f"{self.root / image['file']}: has no mask; generate the set again with scripts/generate")
        return picture

    def scene(self, index: int) -> Scene:
        """A picture with its garments' masks."""
        entry, picture = self.images[index], self.read(index)
        garments = entry["garments"]
        places = self.places(index) if garments else np.zeros(picture.shape[:2], np.uint8)
        return Scene(picture, places, [(g["class"],) for g in garments], [g["visible"] for g in garments])

    def sample(
        self,
        index: int,
        box: tuple[int, int],
        rng: np.random.Generator | None,
        change=None,
        light=None,
        cut=None,
        masks: bool = False,
    ) -> Sample:
        """A picture in a letterbox of `box`; augmented if `rng` is given.

        `change` (picture -> picture) comes before all else, then `cut` (picture, boxes, rng -> picture, boxes); `light`
        (picture, rng -> picture) replaces `jitter`. `masks` reads the garments' masks; not together with `cut`.
        """
        entry = self.images[index]
        garments = entry["garments"]
        boxes = np.array([g["box"] for g in garments], np.float32).reshape(-1, 4)
        visible = np.array([g["visible"] for g in garments], np.float32)
        picture = self.read(index)
        picture = change(picture) if change else picture
        picture, left = cut(picture, boxes, rng) if cut else (picture, boxes)
        image, size, placed = place(picture, left, box, rng, light or jitter, self.places(index) if masks else None)
        area = np.prod(np.maximum(placed[:, 2:] - placed[:, :2], 0), axis=1)
        whole = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-3), axis=1)
        visible = visible * np.minimum(area / (whole * (image.scale**2)), 1)
        ok = np.all(placed[:, 2:] - placed[:, :2] >= 2, axis=1)
        return Sample(
            image=torch.from_numpy(image.values),
            size=size,
            boxes=torch.from_numpy(placed[ok]),
            labels=torch.tensor([g["class"] for g in garments], dtype=torch.long)[ok],
            products=torch.tensor([g["product"] for g in garments], dtype=torch.long)[ok],
            visible=torch.from_numpy(visible[ok]),
            shop=entry["kind"] == "shop",
            masks=torch.from_numpy(image.places[None] == 1 + np.flatnonzero(ok)[:, None, None]) if masks else None,
        )


@dataclass
class Placed:
    """A normalised picture and its scale."""

    values: np.ndarray
    scale: float
    places: np.ndarray | None = None
    """H x W: the visible garment, if requested."""


def place(picture, boxes, box, rng, light=jitter, places=None) -> tuple[Placed, tuple[int, int], np.ndarray]:
    """Puts a picture, its boxes and its garments' `places` at the top left of H x W, padded with 0; `rng` scales, crops, flips."""
    h, w = picture.shape[:2]
    fitted = fitted_size((h, w), box)
    zoom, flip = 1.0, False
    if rng is not None:
        picture = light(picture, rng)
        flip = rng.random() < 0.5
        zoom = float(np.exp(rng.uniform(np.log(0.72), np.log(1.35)))) if rng.random() < 0.7 else 1.0
    scale = fitted[0] / h * zoom, fitted[1] / w * zoom
    full = max(1, int(h * scale[0])), max(1, int(w * scale[1]))
    size = min(full[0], box[0]), min(full[1], box[1])
    offset = (0, 0)
    if rng is not None:
        offset = tuple(int(rng.integers(0, f - s + 1)) for f, s in zip(full, size))
    if zoom < 1 and min(scale) < 0.75:
        picture = cv2.resize(picture, (full[1], full[0]), interpolation=cv2.INTER_AREA)
    else:
        picture = cv2.resize(picture, (full[1], full[0]), interpolation=cv2.INTER_LINEAR)
    part = np.s_[offset[0] : offset[0] + size[0], offset[1] : offset[1] + size[1]]
    picture = picture[part]
    moved = boxes * np.array([scale[1], scale[0]] * 2, np.float32)
    moved = moved - np.array([offset[1], offset[0]] * 2, np.float32)
    moved = np.clip(moved, 0, np.array([size[1], size[0]] * 2, np.float32))
    if flip:
        picture = picture[:, ::-1]
        moved = np.stack([size[1] - moved[:, 2], moved[:, 1], size[1] - moved[:, 0], moved[:, 3]], axis=1)
    values = np.zeros((3, *box), np.float32)
    normal = (np.asarray(picture, np.float32) / 255 - np.float32(MEAN)) / np.float32(STD)
    values[:, : size[0], : size[1]] = normal.transpose(2, 0, 1)
    shown = None
    if places is not None:
        shown = np.zeros(box, np.uint8)
        scaled = cv2.resize(places, (full[1], full[0]), interpolation=cv2.INTER_NEAREST)[part]
        shown[: size[0], : size[1]] = scaled[:, ::-1] if flip else scaled
    return Placed(values, float(np.sqrt(scale[0] * scale[1])), shown), size, np.ascontiguousarray(moved, np.float32)


class _Numbered(Dataset):
    """Batch n of a run, drawn by a generator of its own: independent of which process makes it, and when."""

    def __init__(self, make, seed: tuple[int, ...]):
        self.make, self.seed = make, seed

    def __getitem__(self, n: int) -> list[Sample]:
        return self.make(np.random.default_rng([*self.seed, n]))


def numbered_batches(make, seed: tuple[int, ...], first: int = 0, loaders: int = 0) -> Iterator[list[Sample]]:
    """`make(generator)` for batch `first`, `first` + 1 and so on, without an end; prefetched by `loaders` processes, if any."""
    ahead = {"prefetch_factor": 3, "worker_init_fn": _one_thread} if loaders else {}
    numbers = range(first, sys.maxsize)
    yield from DataLoader(_Numbered(make, seed), batch_size=None, sampler=numbers, num_workers=loaders, collate_fn=list, **ahead)


def _one_thread(_) -> None:
    cv2.setNumThreads(1)


@dataclass(frozen=True)
class BatchSpec:
    """Numbers of pictures in a batch."""

    products: int = 3
    shop: int = 9
    whole: int = 1
    """Shop pictures that fill the input; the others are combined, four to an input."""
    empty: int = 1


def drawn_products(products: list[int], street: dict, count: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """Some products, and two street frames of each, from two clips if it has two. `street`: product -> clip -> frames."""
    chosen = [int(p) for p in rng.choice(products, size=min(count, len(products)), replace=False)]
    frames: list[int] = []
    for product in chosen:
        clips = list(street[product].values())
        picks = rng.permutation(len(clips))[:2] if len(clips) > 1 else [0, 0]
        frames += [int(rng.choice(clips[k])) for k in picks]
    return chosen, list(dict.fromkeys(frames))


def batch(pictures: Pictures, spec: BatchSpec, box: tuple[int, int], rng: np.random.Generator) -> list[Sample]:
    """Two street frames of each chosen product, from two clips if it has two; shop pictures; empty scenes."""
    chosen, street = drawn_products(pictures.products, pictures.street, spec.products, rng)
    shown = list(chosen)
    for i in street:
        shown += [g["product"] for g in pictures.images[i]["garments"] if g["visible"] >= VISIBLE]
    wanted = [p for p in dict.fromkeys(shown) if p in pictures.shop][: spec.shop]
    shop = [int(rng.choice(pictures.shop[p])) for p in rng.permutation(wanted)]
    indices = street + shop[: spec.whole]
    if pictures.empty:
        indices += [int(rng.choice(pictures.empty)) for _ in range(spec.empty)]
    samples = [pictures.sample(i, box, rng) for i in indices]
    rest = shop[spec.whole :]
    cell = box[0] // 2, box[1] // 2
    for at in range(0, len(rest), 4):
        samples.append(mosaic([pictures.sample(i, cell, rng) for i in rest[at : at + 4]], box))
    return samples


def mosaic(parts: list[Sample], box: tuple[int, int]) -> Sample:
    """Combines up to four samples of half the size: four garments for the cost of one picture."""
    image = torch.zeros(3, *box)
    h, w = box[0] // 2, box[1] // 2
    moved = []
    for k, part in enumerate(parts):
        y, x = (k // 2) * h, (k % 2) * w
        image[:, y : y + h, x : x + w] = part.image
        moved.append(part.boxes + torch.tensor([x, y, x, y], dtype=torch.float32))
    columns = [torch.cat([getattr(p, name) for p in parts]) for name in ("labels", "products", "visible")]
    return Sample(image, box, torch.cat(moved), *columns, shop=True)
