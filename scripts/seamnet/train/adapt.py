"""Image-to-video adaptation (section 10), first part: clips of which only the products are known, and the stage `adapt`.

The detector is frozen. No box of a clip is annotated: in each frame the box that matches the clip's product best is taken to be the
product. Only the last layers of the match heads learn, so that what lies before is computed once. Here the single-image head
learns; the aggregation begins as its copy (`aggregation`).

What differs from the published recipe: the heads learn one after the other; AdamW in place of SGD; beside the pairwise
cross-entropy a ranking loss against the shop pictures of all products, bounded (`CAP`); batch norm keeps its statistics; the score
is held to be a distance (`losses.constrain_distance`); only a share of the windows has the published noise; what is left is the
average of the weights.
"""

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import torch

from ..model.detection import box_iou, find, pool_rois
from ..model.network import MatchHead, Network
from . import losses
from .data import VISIBLE, Pictures
from .features import Garments, over_pictures
from .loop import Averaging, Draws, Group, Schedule, Stage

LEAST_SCORE = 0.1
"""Detections below are left out (section 10)."""
MOST_BOXES = 5
"""Boxes kept of a frame, best first."""
CAP = 6.0
"""Where the ranking loss of a pair bends: the weak labels are wrong now and then."""

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


@dataclass(frozen=True)
class Adapt:
    """The numbers of the single-image head's stage."""

    seed: int = 1
    schedule: Schedule = Schedule(steps=300, shape="one_cycle")
    averaging: Averaging = Averaging(decay=0.99, ramp=False)
    products: int = 48
    frames: int = 10
    drawn: int = 4
    """How many times as often as a photographed product a drawn one is chosen: there are fewer of them."""
    lr: float = 1e-4
    """Of the last layer, which begins well."""
    weight_decay: float = 1e-3
    refresh: int = 25
    """Steps between two embeddings of the whole gallery."""


class ClipDraws:
    """Draws clips of different products."""

    def __init__(self, clips: ClipFeatures, numbers: Adapt):
        self.features, self.numbers = clips, numbers
        self.rng = np.random.default_rng([numbers.seed, 41])
        self.clips: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for key, frames in clips.street.items():
            if len(frames) >= 2 and key[1] in clips.shop:
                self.clips[key[1]].append(key)
        self.products = sorted(self.clips)
        weights = np.array([numbers.drawn if p in clips.drawn else 1 for p in self.products], float)
        self.weights = weights / weights.sum()

    def draw(self) -> tuple[list[int], list[int], list[list[list[int]]]]:
        """Products, one shop RoI of each, and frames (lists of RoIs) of one clip of each."""
        count = min(self.numbers.products, len(self.products))
        products = [int(p) for p in self.rng.choice(self.products, size=count, replace=False, p=self.weights)]
        shop = [int(self.rng.choice(self.features.shop[p])) for p in products]
        frames = []
        for p in products:
            clips = self.clips[p]
            all_frames = self.features.street[clips[int(self.rng.integers(len(clips)))]]
            length = int(self.rng.integers(2, self.numbers.frames + 1))
            frames.append([all_frames[int(k)] for k in self.rng.permutation(len(all_frames))[:length]])
        return products, shop, frames


class Gallery:
    """One shop picture of every product, embedded by one head; every `refresh` calls others are drawn."""

    def __init__(self, clips: ClipFeatures, head: MatchHead, numbers: Adapt):
        self.clips, self.head, self.refresh = clips, head, numbers.refresh
        self.rng = np.random.default_rng([numbers.seed, 47])
        self.names = torch.tensor(list(clips.shop))
        self.embeddings, self.calls = torch.empty(0), 0

    @torch.no_grad()
    def without(self, products: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings and products of all others than these."""
        if self.calls % self.refresh == 0:
            rows = torch.tensor([int(self.rng.choice(rows)) for rows in self.clips.shop.values()])
            self.embeddings = self.head.last_layer(self.clips.features[rows])
        self.calls += 1
        others = ~torch.isin(self.names, products)
        return self.embeddings[others], self.names[others]

    def state_dict(self) -> dict:
        return {"generator": self.rng.bit_generator.state, "embeddings": self.embeddings, "calls": self.calls}

    def load_state_dict(self, state: dict) -> None:
        self.rng.bit_generator.state = state["generator"]
        self.embeddings, self.calls = state["embeddings"], state["calls"]


def adapt(network: Network, clips: ClipFeatures, numbers: Adapt) -> Stage:
    """The last layer of the single-image head. `clips`: pooled."""
    network.requires_grad_(False)
    # Batch norm keeps its statistics: a batch of one clip's frames says little, and the gallery is embedded apart from it.
    head = network.roi_heads.match_predictor.eval()
    learn = [p.requires_grad_(True) for part in (head.linear, head.last) for p in part.parameters()]
    of_products, gallery = ClipDraws(clips, numbers), Gallery(clips, head, numbers)
    draws = Draws(of_products.draw, of_products.rng)

    def values(batch: tuple[list[int], list[int], list[list[list[int]]]]) -> dict[str, torch.Tensor]:
        products, shop_rows, frames = batch
        others, names = gallery.without(torch.tensor(products))
        street_rows = [r for product in frames for frame in product for r in frame]
        embeddings = head.last_layer(clips.features[shop_rows + street_rows])
        shop, street = embeddings[: len(products)], embeddings[len(products) :]
        logits = head.pair_logits(street, shop)
        chosen = most_alike(logits.detach(), frames)
        same = torch.zeros_like(logits, dtype=torch.bool)
        for column, rows in enumerate(chosen):
            same[rows, column] = True
        rows = torch.tensor([r for one in chosen for r in one])
        own = torch.tensor([p for p, one in zip(products, chosen) for _ in one])
        against = head.pair_logits(street[rows], torch.cat([shop, others]))
        ranked = own[:, None] == torch.cat([torch.tensor(products), names])[None]
        return {"pairs": losses.pair_loss(logits, same), "rank": losses.rank_loss(against, ranked, CAP)}

    return Stage(
        name="adapt",
        module=head,
        learns=[Group(learn, numbers.lr)],
        batches=draws,
        losses=values,
        weights={"pairs": 0.5, "rank": 1.0},
        schedule=numbers.schedule,
        averaging=numbers.averaging,
        weight_decay=numbers.weight_decay,
        clip=5.0,
        constrain=lambda: losses.constrain_distance(head),
        memory={"draws": draws, "gallery": gallery},
    )
