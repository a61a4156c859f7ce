"""The match head on annotated garments, the detector frozen: the second half of stage one.

First it learns where in its box a garment is (`learn_where`), from masks; that stays. Then it begins where
linear algebra ends: the last layer reads the pooled features through the directions that tell products
apart best (`discriminant`), which needs no step of loop. From there the rest of the head learns, on
batches of many products of few kinds, their recoloured twins among them.
"""

import time
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import torch

from ..model.heads import MatchHead
from ..model.network import Network
from . import loop, losses
from .data import Pictures
from .garment_features import COLOURS, Garments

REGIONS = {1: 0, 2: 0, 3: 1, 4: 1, 5: 0, 6: 0, 7: 2, 8: 3, 9: 4, 10: 5, 11: 5, 12: 5, 13: 5}
"""Classes (label) that are taken for one another most."""


@dataclass(frozen=True)
class Recipe:
    """All numbers of this part."""

    minutes: float = 30.0
    steps: int = 1_000_000
    """It ends with whichever is first."""
    products: int = 40
    """In a batch, their twins not counted; each with a shop picture and two street frames."""
    drawn: int = 4
    """How many times as often as a photographed product a drawn one is chosen: there are fewer of them."""
    lr: float = 4e-4
    last_lr: float = 2e-4
    """Of the last layer, which begins well."""
    weight_decay: float = 0.02
    warmup: int = 50
    average: float = 0.998
    bank: int = 1500
    where_steps: int = 900
    """Of learning where a garment is, first."""
    where_batch: int = 96
    where_lr: float = 2e-3
    shrink: float = 0.2
    """How far the scatter within products is drawn towards an even one before it is inverted."""
    sharpness: float = 0.03
    """Mean weight of a difference in the score, at the beginning."""
    seed: int = 1
    device: str = "cpu"


@torch.no_grad()
def fit_appearance(network: Network, pictures: Pictures, seed: int) -> None:
    """Fits the appearance channels to some of the pictures."""
    rng = np.random.default_rng([seed, 43])
    picks = rng.choice(len(pictures.images), size=min(128, len(pictures.images)), replace=False)
    images = torch.stack([pictures.sample(int(i), network.config.input_size, rng).image for i in picks])
    network.appearance.fit([network.backbone.body(part) for part in images.split(8)])


def even(convolutions: torch.nn.Sequential, rois: torch.Tensor) -> None:
    """Evens out a row of convolutions."""
    layers = [layer for layer in convolutions if isinstance(layer, torch.nn.Conv2d)]
    loop.even_out(layers, lambda: convolutions(rois))


@torch.no_grad()
def begin_even(head: MatchHead, rois: torch.Tensor) -> None:
    """Evens out the convolutions, and the kinds of the palette one by one."""
    even(head.conv_seq, rois)
    x = head.palette(rois)
    mean, deviation = x.mean(dim=(0, 2, 3)), x.std(dim=(0, 2, 3))
    head.palette.weight /= deviation[:, None, None, None]
    # Below 0 on average, so that a kind of place is the exception and not the rule.
    head.palette.bias.copy_((head.palette.bias - mean) / deviation - 0.3)


def discriminant(x: torch.Tensor, owners: torch.Tensor, count: int, shrink: float):
    """Linear discriminant analysis. x: n x D, owners: n -> (weight count x D, bias count, gain count).

    `weight` and `bias` take x to values of mean 0 and variance 1 over all of x; `gain` is how much larger
    than within products their variance is among all.
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


def learn_where(head: MatchHead, garments: Garments, recipe: Recipe, report=print) -> None:
    """Teaches the head which places of a RoI are the garment, by its masks."""
    rng = np.random.default_rng([recipe.seed, 59])
    rows = np.array(sorted(row for product in garments.products() for row in garments.rows(product)))
    some = garments.read(rng.choice(rows, min(len(rows), 256), replace=False))
    even(head.where, some)
    optimiser = torch.optim.AdamW(head.where.parameters(), lr=recipe.where_lr, weight_decay=1e-3)
    for step in range(recipe.where_steps):
        for group in optimiser.param_groups:
            group["lr"] = recipe.where_lr * loop.rate(step, recipe.warmup, step / recipe.where_steps)
        picks = np.sort(rng.choice(rows, min(recipe.where_batch, len(rows)), replace=False))
        logits = head.where(garments.read(picks))[:, 0]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, garments.covered(picks))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        if step % 100 == 0 or step == recipe.where_steps - 1:
            report(f"where step {step} loss {loss.item():.3f}")


@torch.no_grad()
def begin(head: MatchHead, garments: Garments, recipe: Recipe) -> None:
    """Sets the head to the discriminant of its pooled features; what the convolutions see counts nothing yet."""
    rng = np.random.default_rng([recipe.seed, 51])
    products = garments.products()
    rows, owners = [], []
    for product in rng.permutation(products)[:3000]:
        worn = [r for clip in garments.street[int(product)].values() for r in clip]
        shop = garments.shop[int(product)]
        rows += [int(r) for r in rng.choice(worn, min(3, len(worn)), replace=False)]
        rows += [int(r) for r in rng.choice(shop, min(2, len(shop)), replace=False)]
        owners += [int(product)] * (len(rows) - len(owners))
    begin_even(head, garments.read(rows[:256]))
    pooled = [head.features(garments.read(rows[at : at + 128]))[:, head.spatial :] for at in range(0, len(rows), 128)]
    owners = torch.tensor(owners)
    embedding = head.last.in_features
    weight, bias, gain = discriminant(torch.cat(pooled).double(), owners, embedding, recipe.shrink)
    head.linear[0].weight.zero_()
    head.linear[0].weight[: len(weight), head.spatial :] = weight
    head.linear[0].bias.zero_()
    head.linear[0].bias[: len(bias)] = bias
    worth = torch.full((embedding,), 0.02)
    worth[: len(gain)] = (gain - 1).clamp(min=0.02)
    head.last.weight.zero_()
    head.last.bias.zero_()
    head.last.weight[1] = -recipe.sharpness * worth.sqrt() / worth.sqrt().mean()
    some = head.eval()(garments.read(rows[:512]))
    logits, same = head.pair_logits(some, some), owners[:512, None] == owners[None, :512]
    twice = same & ~torch.eye(len(some), dtype=torch.bool)
    if twice.any() and not same.all():
        head.last.bias[1] = -(logits[twice].mean() + logits[~same].mean()) / 2


class Batches:
    """Draws products: half of them from three kinds of garment, so that most are hard to tell apart."""

    def __init__(self, garments: Garments, recipe: Recipe):
        self.garments, self.recipe = garments, recipe
        self.rng = np.random.default_rng([recipe.seed, 53])
        self.products = garments.products()
        self.kinds: dict[int, list[int]] = defaultdict(list)
        self.twins: dict[int, list[int]] = defaultdict(list)
        often = [p for p in self.products for _ in range(recipe.drawn if p in garments.drawn else 1)]
        for product in often:
            self.kinds[REGIONS[garments.label[product]]].append(product)
        for product in self.products:
            self.twins[product // COLOURS].append(product)
        self.products = often

    def draw(self) -> tuple[list[int], torch.Tensor, torch.Tensor]:
        """Rows, their products, and which of them are of the shop."""
        rng, count = self.rng, self.recipe.products
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


def hidden(rois: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """RoIs mirrored by chance, some with a part of another in front of them."""
    mirrored = torch.from_numpy(rng.random(len(rois)) < 0.5)[:, None, None, None]
    rois = torch.where(mirrored, rois.flip(3), rois)
    for i in np.flatnonzero(rng.random(len(rois)) < 0.35):
        h, w = (int(v) for v in rng.integers(2, 8, size=2))
        y, x = int(rng.integers(0, 15 - h)), int(rng.integers(0, 15 - w))
        rois[i, :, y : y + h, x : x + w] = rois[int(rng.integers(len(rois))), :, y : y + h, x : x + w]
    return rois


@torch.no_grad()
def keep_distance(head: MatchHead) -> None:
    """Hold every weight v of the score below 0: a difference never counts for a match.

    The published form lets v be positive; then a far outlier matches everything, and training jumps.
    """
    weight = head.last.weight
    weight[1] = torch.minimum(weight[1], weight[0] - 1e-3)


def fit(head: MatchHead, garments: Garments, recipe: Recipe, report=print) -> None:
    """Trains the head; leaves its averaged weights in it."""
    rng = np.random.default_rng([recipe.seed, 57])
    batches = Batches(garments, recipe)
    head.requires_grad_(True).train().to(recipe.device)
    head.where.requires_grad_(False)
    averaged = {k: v.clone() for k, v in head.state_dict().items()}
    rest = [p for name, p in head.named_parameters() if p.requires_grad and not name.startswith("linear.0")]
    groups = [{"params": rest, "peak": recipe.lr}, {"params": list(head.linear[0].parameters()), "peak": recipe.last_lr}]
    optimiser = torch.optim.AdamW(groups, lr=recipe.lr, weight_decay=recipe.weight_decay)
    bank = torch.zeros(0, head.last.in_features, device=recipe.device)
    names = torch.zeros(0, dtype=torch.long, device=recipe.device)
    begun, step, mean = time.monotonic(), 0, None
    while True:
        done = max((time.monotonic() - begun) / (60 * recipe.minutes), step / recipe.steps)
        if done >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * loop.rate(step, recipe.warmup, done)
        rows, owners, shop = batches.draw()
        owners, shop = owners.to(recipe.device), shop.to(recipe.device)
        embeddings = head(hidden(garments.read(rows), rng).to(recipe.device))
        pairs, rank = losses.match_loss(head, embeddings, owners, shop, (bank, names))
        loss = 0.3 * pairs + rank
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(head.parameters(), 5.0)
        optimiser.step()
        keep_distance(head)
        old = ~torch.isin(names, owners)
        bank = torch.cat([bank[old], embeddings[shop].detach()])[-recipe.bank :]
        names = torch.cat([names[old], owners[shop]])[-recipe.bank :]
        loop.follow(averaged, head, step, recipe.average)
        step += 1
        values = np.array([float(pairs.detach()), float(rank.detach())])
        mean = values if mean is None else 0.97 * mean + 0.03 * values
        if step % 20 == 0:
            report(f"match step {step} pairs {mean[0]:.3f} rank {mean[1]:.3f}")
    head.load_state_dict(averaged)
    head.eval().to("cpu")
