"""RoI features of annotated garments from the frozen trunk, and their masks, computed once and stored.

With the detector frozen, a garment's RoI features never change; so the match heads can learn from
batches of hundreds of garments at the cost of the heads alone.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torchvision.ops import roi_align

from ..model import detection
from ..model.detection import pool_rois
from ..model.network import Network
from .augment import in_another_light, in_published_noise, jitter_boxes, recoloured
from .data import VISIBLE, Pictures
from .parallel import Store, digest, over_pictures

SHAKE = 0.06
"""Share of a box by which each of its sides is moved, to imitate a detector."""
TWINS = 0.45
"""Share of the clips that are used a second time, in another colour."""
COLOURS = 6
"""How many colours a product can have, its own among them."""


class Task(NamedTuple):
    """A picture and its changes."""

    picture: int
    colour: int = 0
    noisy: bool = False


def plan(pictures: Pictures, seed: int, twins: float = TWINS) -> list[Task]:
    """Every picture with a garment; those of clips once more with the published noise; some clips, and the shop pictures of what
    they show, in a second colour.

    A recoloured product is another product: the same cut in another colour, which is the most frequent
    confusion in a shop.
    """
    rng = np.random.default_rng([seed, 77])
    tasks = [Task(i) for i, image in enumerate(pictures.images) if image["garments"]]
    clips: dict[int, list[int]] = defaultdict(list)
    for i, image in enumerate(pictures.images):
        if image["kind"] == "street":
            clips[image["clip"]].append(i)
    colours: dict[int, set[int]] = defaultdict(set)
    for frames in clips.values():
        if rng.random() < twins:
            colour = int(rng.integers(1, COLOURS))
            tasks += [Task(i, colour) for i in frames[::2]]
            for i in frames:
                for garment in pictures.images[i]["garments"]:
                    colours[garment["product"]].add(colour)
    for product, some in colours.items():
        tasks += [Task(i, colour) for colour in sorted(some) for i in pictures.shop[product]]
    return tasks + [Task(i, noisy=True) for frames in clips.values() for i in frames if pictures.images[i]["garments"]]


def _seen(pictures: Pictures, index: int) -> int:
    """Maximum number of rows of a picture."""
    return sum(g["visible"] >= VISIBLE for g in pictures.images[index]["garments"])


@torch.no_grad()
def _look(job, chunk: list[tuple[int, Task]]) -> list[dict]:
    """Writes the RoIs of some pictures into the shared arrays, from each picture's first row on; returns the rows' annotations."""
    network, pictures, seed, store = job
    config = network.config
    features, shares = (store.array(name, "r+") for name in ("features", "shares"))
    samples = []
    for _, task in chunk:
        street = pictures.images[task.picture]["kind"] == "street"
        rng = np.random.default_rng([seed, *task])
        light = in_published_noise if task.noisy else in_another_light if street else None
        recolour = lambda p, c=task.colour: recoloured(p, c)  # noqa: E731
        samples.append(pictures.sample(task.picture, config.input_size, rng, recolour, light, masks=True))
    images = torch.stack([s.image for s in samples]).contiguous(memory_format=torch.channels_last)
    levels = [level.contiguous() for level in network.trunk(images)[0]]
    rows = []
    for k, ((first, (index, colour, noisy)), sample) in enumerate(zip(chunk, samples)):
        keep = torch.nonzero(sample.visible >= VISIBLE).flatten()[: _seen(pictures, index)]
        if len(keep) == 0:
            continue
        generator = torch.Generator().manual_seed(index * COLOURS + colour)
        garments = detection.clip(jitter_boxes(sample.boxes[keep], SHAKE, generator), sample.size)
        garments[:, 2:] = torch.maximum(garments[:, 2:], garments[:, :2] + 2)
        found = pool_rois(config, [level[k : k + 1] for level in levels], garments, 14, config.input_size)
        features[first : first + len(found)] = found.half().numpy()
        shares[first : first + len(found)] = _shares(sample.masks[keep], garments).numpy()
        image = pictures.images[index]
        for n, row in enumerate(keep.tolist()):
            rows.append(
                {
                    "row": first + n,
                    "shop": image["kind"] == "shop",
                    "product": int(sample.products[row]) * COLOURS + colour,
                    "picture": index,
                    "clip": -1 if image.get("clip") is None else image["clip"],
                    "noisy": noisy,
                    "label": int(sample.labels[row]),
                    "drawn": int(sample.products[row]) not in pictures.photographed,
                }
            )
    return rows


def _shares(masks: torch.Tensor, garments: torch.Tensor) -> torch.Tensor:
    """The garment's share of each place of n RoIs, n x 14 x 14, 0 to 255."""
    each = torch.cat([torch.arange(len(garments))[:, None], garments], dim=1)
    return (roi_align(masks[:, None].float(), each, 14, sampling_ratio=4)[:, 0] * 255).round().byte()


def build(network: Network, pictures: Pictures, seed: int, out: Path, workers: int = 1) -> None:
    """Fills the folder `out`; one that is complete for the same pictures, trunk and seed is kept."""
    store, tasks = Store(out), plan(pictures, seed)
    trunk = network.backbone.state_dict() | (network.appearance.state_dict() if network.config.appearance else {})
    source = digest(trunk, network.config.input_size, pictures.images, tasks, seed)
    if store.complete(source):
        return
    firsts = np.cumsum([0] + [_seen(pictures, task.picture) for task in tasks])
    count = int(firsts[-1])
    shape = (count, network.config.channels + network.config.extra, 14, 14)
    store.create(features=(np.float16, shape), shares=(np.uint8, (count, 14, 14)))
    numbered = list(zip((int(f) for f in firsts), tasks))
    job = (network.eval(), pictures, seed, store)
    rows = [row for made in over_pictures(_look, job, numbered, workers, "computed") for row in made]
    store.finish(source, rows)


@dataclass
class Garments:
    """A folder of `build`: features n x C x 14 x 14 (float16), shares n x 14 x 14 (0 to 255: the garment's share of a place),
    and rows by product.

    `shop`: product -> rows; `street`: product -> clip -> rows; `noisy`: the same with the published noise; `label`: product ->
    class; `beside`: row -> all rows of the same version of its street picture, including itself; `drawn`: products not from photos.
    """

    features: np.ndarray
    shares: np.ndarray
    shop: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    street: dict[int, dict[int, list[int]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    noisy: dict[int, dict[int, list[int]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    label: dict[int, int] = field(default_factory=dict)
    beside: dict[int, list[int]] = field(default_factory=dict)
    drawn: set[int] = field(default_factory=set)

    @staticmethod
    def open(folder: Path) -> "Garments":
        store = Store(folder)
        out = Garments(store.array("features", "c"), store.array("shares", "c"))
        pictures: dict[Task, list[int]] = defaultdict(list)
        for row in store.index["rows"]:
            if row["shop"]:
                out.shop[row["product"]].append(row["row"])
            else:
                worn = out.noisy if row["noisy"] else out.street
                worn[row["product"]][row["clip"]].append(row["row"])
                together = pictures[Task(row["picture"], row["product"] % COLOURS, row["noisy"])]
                together.append(row["row"])
                out.beside[row["row"]] = together
            out.label[row["product"]] = row["label"]
            if row["drawn"]:
                out.drawn.add(row["product"])
        return out

    def products(self) -> list[int]:
        """Those with both shop and street rows."""
        return sorted(p for p in self.street if p in self.shop)

    def rows(self, product: int) -> list[int]:
        """Shop and street rows of a product."""
        return self.shop[product] + [row for clip in self.street[product].values() for row in clip]

    def read(self, rows) -> torch.Tensor:
        """RoIs in float32."""
        return torch.from_numpy(self.features[np.asarray(rows)].astype(np.float32))

    def covered(self, rows) -> torch.Tensor:
        """The garment's share of each place of these RoIs, 0 to 1."""
        return torch.from_numpy(self.shares[np.asarray(rows)].astype(np.float32) / 255)
