"""Features of annotated garments, as the frozen trunk sees them, and their masks, once each, in files.

With the detector frozen, a garment's RoI features never change; the match heads then learn from
batches of hundreds of garments for the price of the heads alone.
"""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torchvision.ops import roi_align

from ..model import boxes
from ..model.network import Network, pool_rois
from . import loop
from .data import VISIBLE, Pictures, in_another_light, in_published_noise
from .parallel import spread

FEATURES, SHARES = "features.npy", "shares.npy"

SHAKE = 0.06
"""Share of a box by which each of its sides is moved, as a detector's would be."""
TWINS = 0.45
"""Share of the clips that are shown a second time, in another colour."""
COLOURS = 6
"""How many colours a product can have, its own among them."""


def recoloured(picture: np.ndarray, colour: int) -> np.ndarray:
    """h x w x 3 RGB with all hues turned by `colour` sixths; every second colour is stronger. 0: as it is."""
    if colour == 0:
        return picture
    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(int) + 30 * colour) % 180
    if colour % 2 == 0:
        saturation = hsv[..., 1].astype(int)
        hsv[..., 1] = np.clip(saturation * 1.4 + 25 * (saturation > 20), 0, 255).astype(np.uint8)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


class Task(NamedTuple):
    """A picture, as it is to be looked at."""

    picture: int
    colour: int = 0
    noisy: bool = False


def plan(pictures: Pictures, seed: int, twins: float = TWINS) -> list[Task]:
    """Every picture with a garment; those of clips once more with the published noise; some clips, and the shop pictures of what
    they show, in a second colour.

    A recoloured product is another product: the same cut in another colour, which is what a shop has
    most of and a network confuses first.
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
    """Most garments that a picture can have rows for."""
    return sum(g["visible"] >= VISIBLE for g in pictures.images[index]["garments"])


@torch.no_grad()
def _look(job, chunk: list[tuple[int, Task]]) -> list[dict]:
    """Writes the RoIs of some pictures into the shared files, from each one's first row on; says what they show."""
    network, pictures, seed, out = job
    config = network.config
    features, shares = (np.lib.format.open_memmap(out / name, mode="r+") for name in (FEATURES, SHARES))
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
        garments = boxes.clip(loop.shaken(sample.boxes[keep], SHAKE, generator), sample.size)
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
    """How much of each place of n RoIs its garment covers, n x 14 x 14, 0 to 255."""
    each = torch.cat([torch.arange(len(garments))[:, None], garments], dim=1)
    return (roi_align(masks[:, None].float(), each, 14, sampling_ratio=4)[:, 0] * 255).round().byte()


def build(network: Network, pictures: Pictures, seed: int, out: Path, workers: int = 1) -> None:
    """Fills the folder `out` (features.npy, shares.npy, rows.json); one that is complete for the same plan is kept."""
    tasks = plan(pictures, seed)
    firsts = np.cumsum([0] + [_seen(pictures, task.picture) for task in tasks])
    shape = (int(firsts[-1]), network.config.channels + network.config.extra, 14, 14)
    done = out / "rows.json"
    if done.exists():
        if np.load(out / FEATURES, mmap_mode="r").shape != shape:
            raise ValueError(f"{out}: made from other data; remove the folder or name another")
        return
    out.mkdir(parents=True, exist_ok=True)
    np.lib.format.open_memmap(out / FEATURES, mode="w+", dtype=np.float16, shape=shape).flush()
    np.lib.format.open_memmap(out / SHARES, mode="w+", dtype=np.uint8, shape=(shape[0], 14, 14)).flush()
    numbered = list(zip((int(f) for f in firsts), tasks))
    job = (network.eval(), pictures, seed, out)
    rows = [row for made in spread(_look, job, numbered, workers, "looked at") for row in made]
    done.with_suffix(".tmp").write_text(json.dumps(rows))
    done.with_suffix(".tmp").replace(done)


@dataclass
class Garments:
    """What `build` wrote: features n x C x 14 x 14 (float16), shares n x 14 x 14 (0 to 255: how much of a place the garment
    covers), and rows by what they show.

    `shop`: product -> rows; `street`: product -> clip -> rows; `noisy`: the same with the published noise; `label`: product ->
    class; `beside`: row -> all rows of the same street picture seen alike, itself among them; `drawn`: products not from photos.
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
        out = Garments(np.load(folder / FEATURES, mmap_mode="c"), np.load(folder / SHARES, mmap_mode="c"))
        pictures: dict[Task, list[int]] = defaultdict(list)
        for row in json.loads((folder / "rows.json").read_text()):
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
        """Those that are both in the shop and worn."""
        return sorted(p for p in self.street if p in self.shop)

    def rows(self, product: int) -> list[int]:
        """Of the shop, and worn."""
        return self.shop[product] + [row for clip in self.street[product].values() for row in clip]

    def read(self, rows) -> torch.Tensor:
        """RoIs in float32."""
        return torch.from_numpy(self.features[np.asarray(rows)].astype(np.float32))

    def covered(self, rows) -> torch.Tensor:
        """How much of each place of these RoIs the garment covers, 0 to 1."""
        return torch.from_numpy(self.shares[np.asarray(rows)].astype(np.float32) / 255)
