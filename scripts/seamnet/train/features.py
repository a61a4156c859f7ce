"""Outputs of frozen parts of the network, computed once and stored: of pictures for the detector, of garments for the match heads.

- `PictureFeatures`: outputs of the body's first blocks, which keep their ImageNet weights. A step takes a third of the time with them.
  Pictures are augmented before: one may be stored several times.
- `Garments`: RoI features of annotated garments from the frozen trunk, and the garments' masks. The match heads learn from batches of
  hundreds of garments at the cost of the heads alone.
"""

import functools
import hashlib
import json
import multiprocessing
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torchvision.ops import roi_align

from ..model import detection
from ..model.detection import pool_rois
from ..model.network import Network
from .augment import in_another_light, in_published_noise, jitter_boxes, recoloured
from .data import VISIBLE, Pictures, Sample, drawn_products, mosaic

_JOB = None


def _start(job) -> None:
    global _JOB
    _JOB = job
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _run(work, chunk):
    return work(_JOB, chunk)


def over_pictures(work, job, tasks: list, workers: int, what: str, at_once: int = 8) -> Iterator:
    """Yields `work(job, chunk)` for each chunk of `tasks`, in order, with progress on stderr.

    `work` is a function of a module; `job` is passed to every process once, by fork. `what`: the verb of the progress line.
    """
    chunks = [tasks[at : at + at_once] for at in range(0, len(tasks), at_once)]
    pool = multiprocessing.get_context("fork").Pool(workers, _start, (job,)) if workers > 1 else None
    if pool is None:
        _start(job)
    call = functools.partial(_run, work)
    count, begun = 0, time.monotonic()
    for n, made in enumerate(pool.imap(call, chunks) if pool else map(call, chunks)):
        yield made
        count += len(chunks[n])
        if n % 20 == 0 or n == len(chunks) - 1:
            pace = count / (time.monotonic() - begun)
            print(f"\r{what} {count} of {len(tasks)} pictures, {pace:.0f}/s", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    if pool:
        pool.close()
        pool.join()


def digest(state: dict[str, torch.Tensor], *plan: Any) -> str:
    """A hash of weights and of a plan (JSON values)."""
    out = hashlib.sha256(json.dumps(plan).encode())
    for name, value in state.items():
        out.update(name.encode())
        out.update(value.detach().cpu().contiguous().numpy().tobytes())
    return out.hexdigest()


class Store:
    """A folder of arrays and an index. The index is written last: without it the folder is incomplete."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self._index = self.folder / "index.json"

    def complete(self, source: str) -> bool:
        """Whether it is complete, from `source` (a `digest`). ValueError: from another source."""
        if not self._index.exists():
            return False
        if json.loads(self._index.read_text())["source"] != source:
            raise ValueError(f"{self.folder}: made from other data or by other weights; remove the folder or name another")
        return True

    def create(self, **arrays: tuple[type, tuple[int, ...]]) -> None:
        """Creates arrays of these types and shapes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, (kind, shape) in arrays.items():
            np.lib.format.open_memmap(self.folder / f"{name}.npy", mode="w+", dtype=kind, shape=shape).flush()

    def array(self, name: str, mode: str = "r") -> np.ndarray:
        """A memory map: "r" to read, "r+" to write, "c" to change in memory alone."""
        return np.load(self.folder / f"{name}.npy", mmap_mode=mode)

    def finish(self, source: str, rows: list[dict]) -> None:
        """Writes the index: the source of the arrays, and the annotations of their rows."""
        temporary = self._index.with_suffix(".tmp")
        temporary.write_text(json.dumps({"source": source, "rows": rows}))
        temporary.replace(self._index)

    @property
    def index(self) -> dict:
        """`source` and `rows`. FileNotFoundError: not complete."""
        return json.loads(self._index.read_text())


def whole_lines(path: Path) -> list[str]:
    """The lines of a file that grows by a line at a time, none if it is not there. Removes the half line that a killed run left."""
    text = path.read_bytes() if path.exists() else b""
    complete = text[: text.rfind(b"\n") + 1]
    if len(complete) < len(text):
        path.write_bytes(complete)
    return complete.decode().splitlines()


@dataclass(frozen=True)
class Variants:
    """How often a picture is stored, each time with another augmentation."""

    street: int = 1
    shop: int = 1
    """Of shop pictures that fill the input ..."""
    mosaics: int = 1
    """... and of those combined, four to an input."""
    empty: int = 1


Slot = tuple[int, tuple[int, ...], str]
"""Slot, pictures in it (four for a mosaic), kind."""


def picture_slots(pictures: Pictures, variants: Variants, seed: int) -> list[Slot]:
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


def _slot_sample(pictures: Pictures, task: Slot, box: tuple[int, int], seed: int) -> Sample:
    slot, indices, _ = task
    rng = np.random.default_rng([seed, 37, slot])
    if len(indices) == 1:
        return pictures.sample(indices[0], box, rng)
    cell = box[0] // 2, box[1] // 2
    return mosaic([pictures.sample(i, cell, rng) for i in indices], box)


@torch.no_grad()
def _store_slots(job, tasks: list[Slot]) -> list[dict]:
    """Computes some slots, writes their features into the shared file, returns their annotations."""
    network, pictures, blocks, seed, store = job
    features = store.array("features", "r+")
    samples = [_slot_sample(pictures, task, network.config.input_size, seed) for task in tasks]
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


def build_pictures(network: Network, pictures: Pictures, blocks: int, variants: Variants, seed: int, out: Path, workers: int) -> None:
    """Fills the folder `out`; one that is complete for the same pictures, blocks and seed is kept."""
    store, tasks = Store(out), picture_slots(pictures, variants, seed)
    source = source_of(network, blocks, pictures.images, tasks, seed)
    if store.complete(source):
        return
    with torch.no_grad():
        one = network.backbone.body.begin(torch.zeros(1, 3, *network.config.input_size), blocks).shape[1:]
    store.create(features=(np.float16, (len(tasks), *one)))
    job = (network.eval(), pictures, blocks, seed, store)
    slots = [slot for made in over_pictures(_store_slots, job, tasks, workers, "stored") for slot in made]
    store.finish(source, slots)


@dataclass(frozen=True)
class SlotSpec:
    """A batch: two street frames of each of `products`, shop pictures of the products in them, empty scenes."""

    products: int = 6
    shop: int = 9
    empty: int = 1


class PictureFeatures:
    """The slots of a folder that `build_pictures` filled, by product and clip."""

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
        chosen, street = drawn_products(self.products, self.street, self.spec.products, rng)
        wanted = chosen + [p for i in street for p in self.slots[i]["products"] if p in self.shop]
        shop: list[int] = []
        for product in dict.fromkeys(wanted):
            if len(shop) < self.spec.shop:
                shop.append(int(rng.choice(self.shop[product])))
        empty = rng.choice(self.empty, size=min(self.spec.empty, len(self.empty)), replace=False)
        return [self.sample(int(i)) for i in dict.fromkeys([*street, *shop, *empty])]


SHAKE = 0.06
"""Share of a box by which each of its sides is moved, to imitate a detector."""
TWINS = 0.45
"""Share of the clips that are used a second time, in another colour."""
COLOURS = 6
"""How many colours a product can have, its own among them."""
REAL = 10_000_000
"""Identities of real garments, beside generated products, begin here."""


class Version(NamedTuple):
    """A picture and its changes."""

    picture: int
    colour: int = 0
    noisy: bool = False


def garment_versions(pictures: Pictures, seed: int, twins: float = TWINS) -> list[Version]:
    """Every picture with a garment; those of clips once more with the published noise; some clips, and the shop pictures of what
    they show, in a second colour.

    A recoloured product is another product: the same cut in another colour, which is the most frequent
    confusion in a shop.
    """
    rng = np.random.default_rng([seed, 77])
    versions = [Version(i) for i, image in enumerate(pictures.images) if image["garments"]]
    clips: dict[int, list[int]] = defaultdict(list)
    for i, image in enumerate(pictures.images):
        if image["kind"] == "street":
            clips[image["clip"]].append(i)
    colours: dict[int, set[int]] = defaultdict(set)
    for frames in clips.values():
        if rng.random() < twins:
            colour = int(rng.integers(1, COLOURS))
            versions += [Version(i, colour) for i in frames[::2]]
            for i in frames:
                for garment in pictures.images[i]["garments"]:
                    colours[garment["product"]].add(colour)
    for product, some in colours.items():
        versions += [Version(i, colour) for colour in sorted(some) for i in pictures.shop[product]]
    return versions + [Version(i, noisy=True) for frames in clips.values() for i in frames if pictures.images[i]["garments"]]


def _seen(pictures: Pictures, index: int) -> int:
    """Maximum number of rows of a picture."""
    return sum(g["visible"] >= VISIBLE for g in pictures.images[index]["garments"])


@torch.no_grad()
def _garments_in(job, chunk: list[tuple[int, Version]]) -> list[dict]:
    """Writes the RoIs of some pictures into the shared arrays, from each picture's first row on; returns the rows' annotations."""
    network, pictures, seed, store = job
    config = network.config
    features, shares = (store.array(name, "r+") for name in ("features", "shares"))
    samples = []
    for _, version in chunk:
        street = pictures.images[version.picture]["kind"] == "street"
        rng = np.random.default_rng([seed, *version])
        light = in_published_noise if version.noisy else in_another_light if street else None
        recolour = lambda p, c=version.colour: recoloured(p, c)  # noqa: E731
        samples.append(pictures.sample(version.picture, config.input_size, rng, recolour, light, masks=True))
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


def build_garments(network: Network, pictures: Pictures, seed: int, out: Path, workers: int = 1) -> None:
    """Fills the folder `out`; one that is complete for the same pictures, trunk and seed is kept."""
    store, versions = Store(out), garment_versions(pictures, seed)
    trunk = network.backbone.state_dict() | (network.appearance.state_dict() if network.config.appearance else {})
    source = digest(trunk, network.config.input_size, pictures.images, versions, seed)
    if store.complete(source):
        return
    firsts = np.cumsum([0] + [_seen(pictures, version.picture) for version in versions])
    count = int(firsts[-1])
    shape = (count, network.config.channels + network.config.extra, 14, 14)
    store.create(features=(np.float16, shape), shares=(np.uint8, (count, 14, 14)))
    numbered = list(zip((int(f) for f in firsts), versions))
    job = (network.eval(), pictures, seed, store)
    rows = [row for made in over_pictures(_garments_in, job, numbered, workers, "computed") for row in made]
    store.finish(source, rows)


@dataclass
class Garments:
    """A folder of `build_garments`: features n x C x 14 x 14 (float16), shares n x 14 x 14 (0 to 255: the garment's share of a place),
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
        pictures: dict[Version, list[int]] = defaultdict(list)
        for row in store.index["rows"]:
            if row["shop"]:
                out.shop[row["product"]].append(row["row"])
            else:
                worn = out.noisy if row["noisy"] else out.street
                worn[row["product"]][row["clip"]].append(row["row"])
                together = pictures[Version(row["picture"], row["product"] % COLOURS, row["noisy"])]
                together.append(row["row"])
                out.beside[row["row"]] = together
            out.label[row["product"]] = row["label"]
            if row["drawn"]:
                out.drawn.add(row["product"])
        return out

    @staticmethod
    def of_views(folder: Path, left_out: frozenset[str] = frozenset(), only: bool = False) -> "Garments":
        """What `views.build_match` wrote: a cut-out on a studio's ground is a shop picture of a real garment, each view of it a clip.
        `left_out`: photos whose garments are not in it, or, with `only`, the only ones."""
        out = Garments(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("features", "shares")))
        for row, line in enumerate((folder / "rows.jsonl").read_text().splitlines()):
            entry = json.loads(line)
            if "none" in entry or (entry["kind"] in ("close", "studio") and entry["what"][0] in left_out) != only:
                continue
            if entry["kind"] in ("studio", "shop"):
                out.shop[entry["identity"]].append(row)
            else:
                out.street[entry["identity"]][row] = [row]
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
