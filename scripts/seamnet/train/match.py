"""The match head on annotated garments, the detector frozen: the stages `place` and `match`.

First the head learns from masks where in its box the garment is; that stays. Then it begins where linear algebra ends
(`init.init_match_head`): the last layer reads the pooled features through the directions that tell products apart best, which
needs no step of training. From there the rest of the head learns, on batches of many products of few kinds, their recoloured twins
among them.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from ..model.network import MatchHead
from . import losses
from .garment_features import COLOURS, Garments
from .init import unit_variance_convolutions
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
    """See `init.init_match_head`."""


def place(head: MatchHead, garments: Garments, numbers: Place) -> Stage:
    """Teaches the head which places of a RoI are the garment, by its masks."""
    rng = np.random.default_rng([numbers.seed, 59])
    rows = np.array(sorted(row for product in garments.products() for row in garments.rows(product)))
    some = garments.read(rng.choice(rows, min(len(rows), 256), replace=False))
    unit_variance_convolutions(head.where, some)
    draws = Draws(lambda: np.sort(rng.choice(rows, min(numbers.batch, len(rows)), replace=False)), rng)

    def values(picks: np.ndarray) -> dict[str, torch.Tensor]:
        logits = head.where(garments.read(picks))[:, 0]
        return {"place": F.binary_cross_entropy_with_logits(logits, garments.covered(picks))}

    return Stage(
        name="place",
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
