"""The match heads on garments of which the boxes are known, the detector frozen.

Generated garments (stages `place`, `match`): first the head learns from masks where in its box the garment is; that stays. Then it begins
where linear algebra ends (`init_match_head`): the last layer reads the pooled features through the directions that tell
products apart best, which needs no step of training. From there the rest of the head learns, on batches of many products of few
kinds, their recoloured twins among them.

Real garments (`fit`: stages `real-place`, `real-match`, `real-windows`), each an identity of its own, beside generated pairs; on stored
views (`views.build_match`). A worn garment cut out on a studio's ground is its own shop picture; views of it from near, in other
light, on other backgrounds and half hidden are the street's. First the heads learn from real masks where in its box a garment
is; then each last layer learns, the aggregation's on windows of several views. What the convolutions see stays.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from ..model.network import MatchHead, Network
from . import losses
from .adapt import ClipFeatures
from .aggregation import Batch, LastLayer, last_layer
from .detector import unit_variance_convolutions
from .features import COLOURS, REAL, Garments
from .loop import Averaging, Draws, Group, Schedule, Stage

CONFUSED = {1: 0, 2: 0, 3: 1, 4: 1, 5: 0, 6: 0, 7: 2, 8: 3, 9: 4, 10: 5, 11: 5, 12: 5, 13: 5}
"""Class (label) -> kind: classes that are often confused are of one kind."""


@dataclass(frozen=True)
class Place:
    """The numbers of the first stage."""

    seed: int = 1
    schedule: Schedule = Schedule(steps=900, warmup=50)
    batch: int = 96
    lr: float = 2e-3
    weight_decay: float = 1e-3


@dataclass(frozen=True)
class Match:
    """The numbers of the second stage, and of what it begins from."""

    seed: int = 1
    schedule: Schedule = Schedule(minutes=30.0, warmup=50)
    averaging: Averaging = Averaging(decay=0.998, first=0)
    products: int = 40
    """In a batch, their twins not counted; each with a shop picture and two street frames."""
    drawn: int = 4
    """How many times as often as a photographed product a drawn one is chosen: there are fewer of them."""
    lr: float = 4e-4
    last_lr: float = 2e-4
    """Of the last layer, which begins well."""
    weight_decay: float = 0.02
    bank: int = 1500
    shrink: float = 0.2
    sharpness: float = 0.03
    """See `init_match_head`."""


@dataclass(frozen=True)
class RealMatch(LastLayer):
    """The numbers of the stages on real garments. A window is of one identity; those that are told apart are identities."""

    place: Schedule = Schedule(steps=500)
    """Of learning where a garment is."""
    place_lr: float = 5e-4
    place_batch: int = 64
    schedule: Schedule = Schedule(steps=400)
    """Of each last layer."""
    averaging: Averaging = Averaging(decay=0.98, back=0.5)
    products: int = 256
    others: int = 1500
    lr: float = 5e-4
    frames: int = 4


def place(head: MatchHead, garments: Garments, numbers: Place, fresh: bool = True) -> Stage:
    """Teaches the head which places of a RoI are the garment, by its masks; from nothing, or not `fresh`, from the weights it has."""
    rng = np.random.default_rng([numbers.seed, 59])
    rows = np.array(sorted(row for product in garments.products() for row in garments.rows(product)))
    if fresh:
        some = garments.read(rng.choice(rows, min(len(rows), 256), replace=False))
        unit_variance_convolutions(head.where, some)
    draws = Draws(lambda: np.sort(rng.choice(rows, min(numbers.batch, len(rows)), replace=False)), rng)

    def values(picks: np.ndarray) -> dict[str, torch.Tensor]:
        logits = head.where(garments.read(picks))[:, 0]
        return {"place": F.binary_cross_entropy_with_logits(logits, garments.covered(picks))}

    return Stage(
        name="place" if fresh else "real-place",
        module=head.where.requires_grad_(True),
        learns=[Group(list(head.where.parameters()), numbers.lr)],
        batches=draws,
        losses=values,
        weights={"place": 1.0},
        schedule=numbers.schedule,
        averaging=Averaging(decay=0.0),
        weight_decay=numbers.weight_decay,
        memory={"draws": draws},
        log_every=100,
    )


class ProductDraws:
    """Draws products: half of them of three kinds, so that most are hard to tell apart."""

    def __init__(self, garments: Garments, numbers: Match):
        self.garments, self.numbers = garments, numbers
        self.rng = np.random.default_rng([numbers.seed, 53])
        self.kinds: dict[int, list[int]] = defaultdict(list)
        self.twins: dict[int, list[int]] = defaultdict(list)
        products = garments.products()
        self.products = [p for p in products for _ in range(numbers.drawn if p in garments.drawn else 1)]
        for product in self.products:
            self.kinds[CONFUSED[garments.label[product]]].append(product)
        for product in products:
            self.twins[product // COLOURS].append(product)

    def draw(self) -> tuple[list[int], torch.Tensor, torch.Tensor]:
        """Rows, their products, and which of them are of the shop."""
        rng, count = self.rng, self.numbers.products
        kinds = list(self.kinds)
        share = np.sqrt([len(self.kinds[k]) for k in kinds])
        chosen: list[int] = []
        for kind in rng.choice(kinds, size=min(3, len(kinds)), replace=False, p=share / share.sum()):
            pool = self.kinds[int(kind)]
            chosen += [int(p) for p in rng.choice(pool, min(count // 4, len(pool)), replace=False)]
        rest = max(0, min(count - len(chosen), len(self.products)))
        chosen += [int(p) for p in rng.choice(self.products, rest, replace=False)]
        for product in chosen[: count // 2]:
            twins = [p for p in self.twins[product // COLOURS] if p != product]
            if twins:
                chosen.append(twins[int(rng.integers(len(twins)))])
        rows, owners, shop = [], [], []
        for product in dict.fromkeys(chosen):
            clips = list(self.garments.street[product].values())
            picks = rng.permutation(len(clips))[:2] if len(clips) > 1 else [0] * min(2, len(clips[0]))
            rows += [int(rng.choice(self.garments.shop[product]))] + [int(rng.choice(clips[k])) for k in picks]
            owners += [product] * (1 + len(picks))
            shop += [True] + [False] * len(picks)
        return rows, torch.tensor(owners), torch.tensor(shop)


def discriminant(x: torch.Tensor, owners: torch.Tensor, count: int, shrink: float):
    """Linear discriminant analysis. x: n x D, owners: n -> (weight count x D, bias count, gain count).

    `weight` and `bias` take x to values of mean 0 and variance 1 over all of x; `gain` is how many times larger
    their variance is among all than within products.
    """
    scale = x.std(dim=0) + 1e-6
    mean = x.mean(dim=0)
    z = (x - mean) / scale
    _, owner = owners.unique(return_inverse=True)
    sums = torch.zeros(int(owner.max()) + 1, z.shape[1], dtype=z.dtype).index_add_(0, owner, z)
    apart = z - (sums / owner.bincount()[:, None])[owner]
    within = apart.T @ apart / max(len(z) - len(sums), 1)
    even = torch.eye(len(within), dtype=z.dtype) * within.diagonal().mean()
    values, vectors = torch.linalg.eigh((1 - shrink) * within + shrink * even)
    whiten = vectors / values.clamp(min=1e-9).sqrt()
    total, directions = torch.linalg.eigh(whiten.T @ (z.T @ z / len(z)) @ whiten)
    total, directions = total.flip(0)[:count].clamp(min=1e-6), directions.flip(1)[:, :count]
    weight = ((whiten @ directions) / total.sqrt()).T / scale
    return weight.float(), -(weight @ mean).float(), total.float()


@torch.no_grad()
def _init_convolutions(head: MatchHead, rois: torch.Tensor) -> None:
    """Unit variance for the convolutions, and for the kinds of the palette one by one."""
    unit_variance_convolutions(head.conv_seq, rois)
    x = head.palette(rois)
    mean, deviation = x.mean(dim=(0, 2, 3)), x.std(dim=(0, 2, 3))
    head.palette.weight /= deviation[:, None, None, None]
    # Below 0 on average, so that a kind of place is the exception and not the rule.
    head.palette.bias.copy_((head.palette.bias - mean) / deviation - 0.3)


@torch.no_grad()
def init_match_head(head: MatchHead, garments: Garments, seed: int, shrink: float, sharpness: float) -> None:
    """Sets the head to the discriminant of its pooled features; what the convolutions see counts nothing yet.

    `shrink`: how far the scatter within products is drawn towards an even one before it is inverted. `sharpness`: mean weight of
    a difference in the score.
    """
    rng = np.random.default_rng([seed, 51])
    rows, owners = [], []
    for product in rng.permutation(garments.products())[:3000]:
        worn = [r for clip in garments.street[int(product)].values() for r in clip]
        shop = garments.shop[int(product)]
        rows += [int(r) for r in rng.choice(worn, min(3, len(worn)), replace=False)]
        rows += [int(r) for r in rng.choice(shop, min(2, len(shop)), replace=False)]
        owners += [int(product)] * (len(rows) - len(owners))
    _init_convolutions(head, garments.read(rows[:256]))
    pooled = [head.features(garments.read(rows[at : at + 128]))[:, head.spatial :] for at in range(0, len(rows), 128)]
    owners = torch.tensor(owners)
    embedding = head.last.in_features
    weight, bias, gain = discriminant(torch.cat(pooled).double(), owners, embedding, shrink)
    head.linear[0].weight.zero_()
    head.linear[0].weight[: len(weight), head.spatial :] = weight
    head.linear[0].bias.zero_()
    head.linear[0].bias[: len(bias)] = bias
    worth = torch.full((embedding,), 0.02)
    worth[: len(gain)] = (gain - 1).clamp(min=0.02)
    head.last.weight.zero_()
    head.last.bias.zero_()
    head.last.weight[1] = -sharpness * worth.sqrt() / worth.sqrt().mean()
    some = head.eval()(garments.read(rows[:512]))
    logits, same = head.pair_logits(some, some), owners[:512, None] == owners[None, :512]
    twice = same & ~torch.eye(len(some), dtype=torch.bool)
    if twice.any() and not same.all():
        head.last.bias[1] = -(logits[twice].mean() + logits[~same].mean()) / 2


def mirrored_and_occluded(rois: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """RoIs mirrored by chance, some with a part of another in front of them."""
    mirrored = torch.from_numpy(rng.random(len(rois)) < 0.5)[:, None, None, None]
    rois = torch.where(mirrored, rois.flip(3), rois)
    for i in np.flatnonzero(rng.random(len(rois)) < 0.35):
        h, w = (int(v) for v in rng.integers(2, 8, size=2))
        y, x = int(rng.integers(0, 15 - h)), int(rng.integers(0, 15 - w))
        rois[i, :, y : y + h, x : x + w] = rois[int(rng.integers(len(rois))), :, y : y + h, x : x + w]
    return rois


def match(head: MatchHead, garments: Garments, numbers: Match, device: str = "cpu") -> Stage:
    """The rest of the head, on batches of products."""
    torch.manual_seed(numbers.seed)
    products, rng = ProductDraws(garments, numbers), np.random.default_rng([numbers.seed, 57])
    head.requires_grad_(True).train().to(device)
    head.where.requires_grad_(False)
    bank = losses.Bank(numbers.bank, head.last.in_features, device)

    def draw() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        rows, owners, shop = products.draw()
        return mirrored_and_occluded(garments.read(rows), rng), owners, shop

    def values(batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> dict[str, torch.Tensor]:
        rois, owners, shop = (tensor.to(device) for tensor in batch)
        embeddings = head(rois)
        pairs, rank = losses.match_loss(head, embeddings, owners, shop, bank)
        bank.add(embeddings[shop], owners[shop])
        return {"pairs": pairs, "rank": rank}

    draws = Draws(draw, products.rng, rng)
    before = [*head.conv_seq.parameters(), *head.palette.parameters()]
    after = [*head.linear[1].parameters(), *head.last.parameters()]
    return Stage(
        name="match",
        module=head,
        learns=[
            Group(before, numbers.lr),
            Group(list(head.linear[0].parameters()), numbers.last_lr),
            Group(after, numbers.lr),
        ],
        batches=draws,
        losses=values,
        weights={"pairs": 0.3, "rank": 1.0},
        schedule=numbers.schedule,
        averaging=numbers.averaging,
        weight_decay=numbers.weight_decay,
        clip=5.0,
        constrain=lambda: losses.constrain_distance(head),
        memory={"draws": draws, "bank": bank},
    )


@torch.no_grad()
def pooled(head: MatchHead, garments: Garments) -> ClipFeatures:
    """What the last layer sees of all rows: of each identity its shop pictures, and its views as frames of one clip."""
    every = sorted(row for product in garments.products() for row in garments.rows(product))
    places = {row: place for place, row in enumerate(every)}
    seen = ClipFeatures(torch.cat([head.features(garments.read(every[at : at + 64])) for at in range(0, len(every), 64)]))
    for product in garments.products():
        seen.shop[product] = [places[row] for row in garments.shop[product]]
        seen.street[product, product] = [[places[row]] for row in garments.street[product]]
    return seen


class ViewDraws:
    """Draws windows of up to `frames` views, each of another identity, and shop pictures: first those of the windows'."""

    def __init__(self, seen: ClipFeatures, frames: int, numbers: RealMatch):
        self.seen, self.frames, self.numbers = seen, frames, numbers
        self.rng = np.random.default_rng([numbers.seed, 61])
        self.views = {product: [row for frame in views for row in frame] for (_, product), views in seen.street.items()}
        self.products = sorted(self.views)

    def draw(self) -> Batch:
        rng, numbers = self.rng, self.numbers
        length = int(rng.integers(1, self.frames + 1))
        asked = [int(p) for p in rng.choice(self.products, min(numbers.products, len(self.products)), replace=False)]
        rows = [rng.choice(self.views[p], length, replace=len(self.views[p]) < length) for p in asked]
        others = rng.choice(self.products, min(numbers.others, len(self.products)), replace=False)
        gallery = asked + sorted({int(p) for p in others} - set(asked))
        shop = [int(rng.choice(self.seen.shop[p])) for p in gallery]
        return torch.from_numpy(np.array(rows)), torch.tensor(shop), torch.arange(len(asked))


@torch.no_grad()
def strangers_best(head: MatchHead, seen: ClipFeatures, strangers: torch.Tensor) -> torch.Tensor:
    """Median of the best logit that garments of no product have in the shop; `strangers`: what the last layer sees of them."""
    gallery = head.last_layer(seen.features[[row for rows in seen.shop.values() for row in rows]])
    return head.pair_logits(head.last_layer(strangers), gallery).amax(dim=1).median()


def fit(
    network: Network, garments: Garments, strangers: Garments, numbers: RealMatch, run: Callable[[Stage], object], report=print
) -> None:
    """Both heads, in place; `run` runs a stage. `strangers` teach nothing but the bias of the scores: it is set so that they match the
    shop as well as before, since thresholds are set for that."""
    network.requires_grad_(False).eval()
    single, several = network.roi_heads.match_predictor, network.roi_heads.temporal_aggregator
    heads = {"real-match": (single, 1), "real-windows": (several, numbers.frames)}
    unknown = strangers.read([row for views in strangers.street.values() for row in views])
    seen = pooled(single, garments)
    before = {name: strangers_best(head, seen, head.features(unknown)) for name, (head, _) in heads.items()}
    if numbers.place.steps:
        where = Place(numbers.seed, numbers.place, numbers.place_batch, numbers.place_lr)
        run(place(single, garments, where, fresh=False))
        single.where.requires_grad_(False)
        several.where.load_state_dict(single.where.state_dict())
        seen = pooled(single, garments)
    real = sum(product >= REAL for product in seen.shop)
    report(f"{len(seen.shop)} identities, {real} of them real, {len(seen.features)} views; {len(unknown)} strangers")
    for name, (head, frames) in heads.items():
        draws = ViewDraws(seen, frames, numbers)
        run(last_layer(name, head, seen.features, Draws(draws.draw, draws.rng), numbers))
        shift = before[name] - strangers_best(head, seen, head.features(unknown))
        with torch.no_grad():
            head.last.bias[1] += shift
        report(f"{name}: bias moved by {shift:.3f}")
    network.requires_grad_(False)
