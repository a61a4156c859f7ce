"""Stage two of training: image-to-video adaptation of the heads (section 10).

The detector is frozen. A clip is known by its products alone: no box of it is annotated. In each
frame the box with the highest match logit for the clip's product is taken to be the product. Only the
last layers of the two match heads, the non-local block and the attention learn, so that what lies
before is computed once. Here the single-image head learns; then, from the boxes it chooses, the
aggregation (`window`).

What differs from the published recipe: the two heads learn one after the other; AdamW in place of SGD;
beside the pairwise cross-entropy a ranking loss against the shop pictures of all products, bounded
(`CAP`); batch norm keeps stage one's statistics; the score is held to be a distance (`keep_distance`);
the published noise is in a share of the aggregation's windows alone; what is left is the average of the
weights.
"""

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import torch

from ..model.boxes import box_iou
from ..model.network import Network, find, pool_rois
from . import losses
from .data import VISIBLE, Pictures
from .garment_features import Garments
from .match import keep_distance
from .parallel import spread

LEAST_SCORE = 0.1
"""Detections below are not looked at (section 10)."""
CAP = 6.0
"""Where the ranking loss of a pair bends: the weak labels are wrong now and then."""
MOST_BOXES = 5
"""Boxes kept of a frame, best first."""


@dataclass(frozen=True)
class Recipe:
    """All numbers of stage two."""

    steps: int = 300
    products: int = 48
    frames: int = 10
    drawn: int = 4
    """How many times as often as a photographed product a drawn one is chosen: there are fewer of them."""
    lr: float = 1e-4
    """Of the last layer, which begins well."""
    weight_decay: float = 1e-3
    refresh: int = 25
    """Steps between two embeddings of the whole gallery."""
    seed: int = 1
    average: float = 0.99


@dataclass
class Seen:
    """Features of the garments of a data set, and what they show.

    `features`: of the RoIs (float16, n x C x 14 x 14), or what the heads' last layers see of them (n x width,
    after `reduce`).
    `shop`: product -> RoIs of its shop pictures. `street`: (clip, product) -> frames, each the RoIs
    of one picture. `noisy`: the same with the published noise, of annotated garments alone.
    `drawn`: products that are not made from photos.
    """

    features: torch.Tensor
    shop: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    street: dict[tuple[int, int], list[list[int]]] = field(default_factory=lambda: defaultdict(list))
    noisy: dict[tuple[int, int], list[list[int]]] = field(default_factory=lambda: defaultdict(list))
    drawn: set[int] = field(default_factory=set)


@torch.no_grad()
def _look(job, tasks: list[tuple[int, int]]) -> list[np.ndarray | None]:
    """RoI features of each picture's detections; of a shop picture, the detection that is its product."""
    return [_look_at(*job, *task) for task in tasks]


def _look_at(network: Network, pictures: Pictures, seed: int, index: int, variant: int) -> np.ndarray | None:
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


def collect(network: Network, pictures: Pictures, seed: int, workers: int = 1, frames: int = 12) -> Seen:
    """Runs the frozen detector over all shop pictures (as they are and augmented) and up to `frames` frames a clip."""
    tasks, taken = [], defaultdict(int)
    for i, image in enumerate(pictures.images):
        if image["kind"] == "shop":
            tasks += [(i, 0), (i, 1)]
        elif image["kind"] == "street" and taken[image["clip"]] < frames:
            taken[image["clip"]] += 1
            tasks.append((i, 1))
    job = (network.eval(), pictures, seed)
    results = [features for made in spread(_look, job, tasks, workers, "looked at") for features in made]
    parts, at = [], 0
    seen = Seen(torch.empty(0))
    for (index, _), features in zip(tasks, results):
        if features is None:
            continue
        rows = list(range(at, at + len(features)))
        at += len(features)
        parts.append(torch.from_numpy(features))
        image = pictures.images[index]
        if image["kind"] == "shop":
            seen.shop[image["garments"][0]["product"]] += rows
        else:
            for garment in image["garments"]:
                if garment["visible"] >= VISIBLE:
                    seen.street[image["clip"], garment["product"]].append(rows)
    if not seen.shop or not seen.street:
        raise ValueError(f"{pictures.root}: the detector finds no garments in it; train stage one further")
    seen.features = torch.cat(parts)
    seen.drawn = {product for _, product in seen.street} - pictures.photographed
    return seen


def join(parts: list[Seen]) -> Seen:
    """Several data sets as one; products and clips of each get numbers of their own."""
    out, rows, products, clips = Seen(torch.cat([part.features for part in parts])), 0, 0, 0
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


class Batches:
    """Draws clips of different products."""

    def __init__(self, seen: Seen, recipe: Recipe):
        self.seen, self.recipe = seen, recipe
        self.rng = np.random.default_rng([recipe.seed, 41])
        self.clips: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for key, frames in seen.street.items():
            if len(frames) >= 2 and key[1] in seen.shop:
                self.clips[key[1]].append(key)
        self.products = sorted(self.clips)
        weights = np.array([recipe.drawn if p in seen.drawn else 1 for p in self.products], float)
        self.weights = weights / weights.sum()

    def draw(self) -> tuple[list[int], list[int], list[list[list[int]]]]:
        """Products, one shop RoI of each, and frames (lists of RoIs) of one clip of each."""
        count = min(self.recipe.products, len(self.products))
        products = [int(p) for p in self.rng.choice(self.products, size=count, replace=False, p=self.weights)]
        shop = [int(self.rng.choice(self.seen.shop[p])) for p in products]
        frames = []
        for p in products:
            clips = self.clips[p]
            all_frames = self.seen.street[clips[int(self.rng.integers(len(clips)))]]
            length = int(self.rng.integers(2, self.recipe.frames + 1))
            frames.append([all_frames[int(k)] for k in self.rng.permutation(len(all_frames))[:length]])
        return products, shop, frames


class Gallery:
    """One shop picture of every product, embedded by one head; others are drawn now and then."""

    def __init__(self, seen: Seen, seed: int):
        self.seen = seen
        self.rng = np.random.default_rng([seed, 47])
        self.names = torch.tensor(list(seen.shop))
        self.embeddings = torch.empty(0)

    @torch.no_grad()
    def renew(self, head) -> None:
        rows = torch.tensor([int(self.rng.choice(rows)) for rows in self.seen.shop.values()])
        self.embeddings = head.last_layer(self.seen.features[rows])


def weak_choice(logits: torch.Tensor, frames: list[list[list[int]]]) -> list[list[int]]:
    """For each product the street rows (in the order of the flattened frames) most like its shop picture.

    `logits`: street rows x products.
    """
    chosen, at = [], 0
    for column, product_frames in enumerate(frames):
        rows = []
        for frame in product_frames:
            rows.append(at + int(logits[at : at + len(frame), column].argmax()))
            at += len(frame)
        chosen.append(rows)
    return chosen


def match_losses(head, street, shop, products, chosen, gallery: Gallery) -> torch.Tensor:
    """The published weak loss (all street x shop pairs) and the ranking loss against the gallery."""
    logits = head.pair_logits(street, shop)
    same = torch.zeros_like(logits, dtype=torch.bool)
    for column, rows in enumerate(chosen):
        same[rows, column] = True
    pairs = losses.pair_loss(logits, same)
    rows = torch.tensor([r for one in chosen for r in one])
    names = torch.tensor([p for p, one in zip(products, chosen) for _ in one])
    return 0.5 * pairs + against(head, street[rows], names, shop, products, gallery)


def against(head, queries, names, shop, products, gallery: Gallery) -> torch.Tensor:
    """Ranking loss of queries against the batch's shop embeddings and all other products'."""
    others = ~torch.isin(gallery.names, torch.tensor(products))
    everything = torch.cat([shop, gallery.embeddings[others]])
    owners = torch.cat([torch.tensor(products), gallery.names[others]])
    return losses.rank_loss(head.pair_logits(queries, everything), names[:, None] == owners[None], CAP)


def begin(network: Network) -> None:
    """The aggregator's head starts as a copy of the match predictor's (section 10), attention even."""
    aggregator = network.roi_heads.temporal_aggregator
    aggregator.load_state_dict(network.roi_heads.match_predictor.state_dict(), strict=False)
    torch.nn.init.zeros_(aggregator.attention_scorer.weight)
    torch.nn.init.zeros_(aggregator.attention_scorer.bias)


def annotated(garments: Garments) -> Seen:
    """Annotated garments as clips of which only the products are known.

    All frames of a product are one clip, be they of two scenes; each holds the garments that stand in it.
    """
    seen = Seen(torch.from_numpy(garments.features), defaultdict(list, garments.shop), drawn=garments.drawn)
    for worn, frames in ((garments.street, seen.street), (garments.noisy, seen.noisy)):
        for product, clips in worn.items():
            frames[product, product] = [garments.beside[row] for rows in clips.values() for row in rows]
    return seen


@torch.no_grad()
def reduce(network: Network, seen: Seen) -> Seen:
    """With what the last layer of the match predictor sees; `begin` lets the aggregator's see the same."""
    head = network.roi_heads.match_predictor.eval()
    inputs = torch.cat([head.features(part.float()) for part in seen.features.split(128)])
    return Seen(inputs, seen.shop, seen.street, seen.noisy, seen.drawn)


def fit(network: Network, seen: Seen, recipe: Recipe, report=print) -> None:
    """Train the last layer of the single-image head; leaves the averaged weights in it.

    `seen`: reduced.
    """
    network.requires_grad_(False)
    # Batch norm stays at stage one's statistics: a batch of one clip's frames says little, and the
    # gallery is embedded apart from it.
    head = network.roi_heads.match_predictor.eval()
    learn = [p.requires_grad_(True) for part in (head.linear, head.last) for p in part.parameters()]
    averaged = torch.optim.swa_utils.AveragedModel(
        head, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(recipe.average), use_buffers=True
    )
    optimiser = torch.optim.AdamW(learn, lr=recipe.lr, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.lr, total_steps=recipe.steps, pct_start=0.1)
    batches, gallery = Batches(seen, recipe), Gallery(seen, recipe.seed)
    mean = None
    for step in range(recipe.steps):
        if step % recipe.refresh == 0:
            gallery.renew(head)
        products, shop_rows, frames = batches.draw()
        street_rows = [r for product in frames for frame in product for r in frame]
        embeddings = head.last_layer(seen.features[shop_rows + street_rows])
        shop, street = embeddings[: len(products)], embeddings[len(products) :]
        with torch.no_grad():
            chosen = weak_choice(head.pair_logits(street, shop), frames)
        loss = match_losses(head, street, shop, products, chosen, gallery)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learn, 5.0)
        optimiser.step()
        keep_distance(head)
        schedule.step()
        averaged.update_parameters(head)
        mean = loss.item() if mean is None else 0.9 * mean + 0.1 * loss.item()
        if step % 20 == 0 or step == recipe.steps - 1:
            report(f"adapt step {step} match {mean:.3f}")
    head.load_state_dict(averaged.module.state_dict())
    network.eval()
