"""Outputs of the body's frozen blocks for each picture, computed once and stored, to train the detector on.

The first blocks keep their ImageNet weights, so their output for a picture never changes; with it on
disk a step takes a third of the time. Pictures are augmented before that: one may be stored several times.
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..model.network import Network
from .data import VISIBLE, Pictures, Sample, mosaic
from .parallel import Store, digest, over_pictures


@dataclass(frozen=True)
class Variants:
    """How often a picture is stored, each time with another augmentation."""

    street: int = 1
    shop: int = 1
    """Of shop pictures that fill the input ..."""
    mosaics: int = 1
    """... and of those combined, four to an input."""
    empty: int = 1


Task = tuple[int, tuple[int, ...], str]
"""Slot, pictures in it (four for a mosaic), kind."""


def plan(pictures: Pictures, variants: Variants, seed: int) -> list[Task]:
    """The contents of each slot."""
    rng = np.random.default_rng([seed, 31])
    tasks: list[tuple[tuple[int, ...], str]] = []
    shop = []
    for i, image in enumerate(pictures.images):
        tasks += [((i,), image["kind"])] * getattr(variants, image["kind"])
        if image["kind"] == "shop":
            shop.append(i)
    for _ in range(variants.mosaics):
        order = rng.permutation(shop)
        tasks += [(tuple(int(i) for i in order[at : at + 4]), "shop") for at in range(0, len(order), 4)]
    return [(slot, indices, kind) for slot, (indices, kind) in enumerate(tasks)]


def _sample(pictures: Pictures, task: Task, box: tuple[int, int], seed: int) -> Sample:
    slot, indices, _ = task
    rng = np.random.default_rng([seed, 37, slot])
    if len(indices) == 1:
        return pictures.sample(indices[0], box, rng)
    cell = box[0] // 2, box[1] // 2
    return mosaic([pictures.sample(i, cell, rng) for i in indices], box)


@torch.no_grad()
def _store(job, tasks: list[Task]) -> list[dict]:
    """Computes some slots, writes their features into the shared file, returns their annotations."""
    network, pictures, blocks, seed, store = job
    features = store.array("features", "r+")
    samples = [_sample(pictures, task, network.config.input_size, seed) for task in tasks]
    images = torch.stack([s.image for s in samples]).contiguous(memory_format=torch.channels_last)
    made = network.backbone.body.begin(images, blocks).half().numpy()
    out = []
    for (slot, indices, kind), sample, one in zip(tasks, samples, made):
        features[slot] = one
        clip = pictures.images[indices[0]].get("clip")
        out.append(
            {
                "kind": kind,
                "clip": -1 if clip is None else clip,
                "size": list(sample.size),
                "boxes": sample.boxes.tolist(),
                "labels": sample.labels.tolist(),
                "products": sample.products.tolist(),
                "visible": sample.visible.tolist(),
            }
        )
    return out


def source_of(network: Network, blocks: int, *plan) -> str:
    """A hash of the frozen blocks and of a plan."""
    body = network.backbone.body
    return digest(body.stem.state_dict() | body.blocks[:blocks].state_dict(), blocks, network.config.input_size, *plan)


def build(network: Network, pictures: Pictures, blocks: int, variants: Variants, seed: int, out: Path, workers: int) -> None:
    """Fills the folder `out`; one that is complete for the same pictures, blocks and seed is kept."""
    store, tasks = Store(out), plan(pictures, variants, seed)
    source = source_of(network, blocks, pictures.images, tasks, seed)
    if store.complete(source):
        return
    with torch.no_grad():
        one = network.backbone.body.begin(torch.zeros(1, 3, *network.config.input_size), blocks).shape[1:]
    store.create(features=(np.float16, (len(tasks), *one)))
    job = (network.eval(), pictures, blocks, seed, store)
    slots = [slot for made in over_pictures(_store, job, tasks, workers, "stored") for slot in made]
    store.finish(source, slots)


@dataclass(frozen=True)
class SlotSpec:
    """A batch: two street frames of each of `products`, shop pictures of the products in them, empty scenes."""

    products: int = 6
    shop: int = 9
    empty: int = 1


class PictureFeatures:
    """The slots of a folder that `build` filled, by product and clip."""

    def __init__(self, folder: str | Path, spec: SlotSpec):
        self.spec = spec
        self.features = Store(folder).array("features")
        self.slots = Store(folder).index["rows"]
        self.empty: list[int] = []
        self.shop: dict[int, list[int]] = defaultdict(list)
        self.street: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for i, slot in enumerate(self.slots):
            seen = [p for p, v in zip(slot["products"], slot["visible"]) if v >= VISIBLE]
            for product in seen:
                if slot["kind"] == "shop":
                    self.shop[product].append(i)
                elif slot["kind"] == "street":
                    self.street[product][slot["clip"]].append(i)
            if slot["kind"] == "empty":
                self.empty.append(i)
        self.products = sorted(p for p in self.street if p in self.shop)

    def sample(self, index: int) -> Sample:
        """A slot as a sample with `features` instead of an image."""
        slot = self.slots[index]
        return Sample(
            image=None,
            size=tuple(slot["size"]),
            boxes=torch.tensor(slot["boxes"], dtype=torch.float32).reshape(-1, 4),
            labels=torch.tensor(slot["labels"], dtype=torch.long),
            products=torch.tensor(slot["products"], dtype=torch.long),
            visible=torch.tensor(slot["visible"], dtype=torch.float32),
            shop=slot["kind"] == "shop",
            features=torch.from_numpy(self.features[index].astype(np.float32)),
        )

    def batch(self, rng: np.random.Generator) -> list[Sample]:
        """One step's samples."""
        chosen = rng.choice(self.products, size=min(self.spec.products, len(self.products)), replace=False)
        street: list[int] = []
        for product in chosen:
            clips = list(self.street[int(product)].values())
            picks = rng.permutation(len(clips))[:2] if len(clips) > 1 else [0, 0]
            street += [int(rng.choice(clips[k])) for k in picks]
        street = list(dict.fromkeys(street))
        wanted = [int(p) for p in chosen]
        wanted += [p for i in street for p in self.slots[i]["products"] if p in self.shop]
        shop: list[int] = []
        for product in dict.fromkeys(wanted):
            if len(shop) < self.spec.shop:
                shop.append(int(rng.choice(self.shop[product])))
        empty = rng.choice(self.empty, size=min(self.spec.empty, len(self.empty)), replace=False)
        return [self.sample(int(i)) for i in dict.fromkeys([*street, *shop, *empty])]
