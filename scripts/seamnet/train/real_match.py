"""The match heads on real garments, each an identity of its own, beside generated pairs; from kept looks (`looks.build_match`).

A worn garment cut out on a studio's ground is its own shop picture; views of it from near, in other light, before other
backgrounds and half hidden are the street's. First the heads learn from real masks where in its box a garment is; then each last
layer learns, the aggregation's on windows of several views. What the convolutions see stays.
"""

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from ..model.network import MatchHead, Network
from . import losses
from .adapt import fold_batch_norm
from .clips import ClipFeatures
from .loop import Averaging, Draws, Group, Schedule, Stage


@dataclass(frozen=True)
class RealMatch:
    """The numbers of the stages."""

    seed: int = 1
    place: Schedule = Schedule(steps=500)
    """Of learning where a garment is."""
    place_lr: float = 5e-4
    place_batch: int = 64
    schedule: Schedule = Schedule(steps=400)
    """Of each last layer."""
    averaging: Averaging = Averaging(decay=0.98, back=0.5)
    products: int = 256
    """Windows in a batch, each of another identity."""
    others: int = 1500
    """Identities that they are told from besides."""
    lr: float = 5e-4
    """For features of deviation 1."""
    rare: float = 0.1
    """See `adapt.Windows`."""
    dropout: float = 0.2
    frames: int = 4
    """Of the aggregation's longest window."""


class Rows:
    """What `looks.build_match` wrote; `left_out`: photos whose garments are not in it, or, with `only`, the only ones."""

    def __init__(self, folder: Path, left_out: frozenset[str] = frozenset(), only: bool = False):
        self.features = np.load(folder / "features.npy", mmap_mode="r")
        self.shares = np.load(folder / "shares.npy", mmap_mode="r")
        self.shop: dict[int, list[int]] = defaultdict(list)
        self.worn: dict[int, list[int]] = defaultdict(list)
        self.real: set[int] = set()
        for row, line in enumerate((folder / "rows.jsonl").read_text().splitlines()):
            entry = json.loads(line)
            if "none" in entry:
                continue
            real = entry["kind"] in ("close", "studio")
            if (real and entry["what"][0] in left_out) != only:
                continue
            kind = self.shop if entry["kind"] in ("studio", "shop") else self.worn
            kind[entry["identity"]].append(row)
            if real:
                self.real.add(entry["identity"])

    def products(self) -> list[int]:
        """Identities with a shop picture that are worn."""
        return sorted(set(self.shop) & set(self.worn))

    def rows(self, product: int) -> list[int]:
        return self.shop[product] + self.worn[product]

    def read(self, rows) -> torch.Tensor:
        """RoIs in float32."""
        return torch.from_numpy(self.features[np.asarray(rows)].astype(np.float32))

    def covered(self, rows) -> torch.Tensor:
        """How much of each place of these RoIs the garment covers, 0 to 1."""
        return torch.from_numpy(self.shares[np.asarray(rows)].astype(np.float32) / 255)


def place(head: MatchHead, rows: Rows, numbers: RealMatch) -> Stage:
    """Goes on teaching the head which places of a RoI are the garment."""
    rng = np.random.default_rng([numbers.seed, 59])
    every = np.array(sorted(row for product in rows.products() for row in rows.rows(product)))
    draws = Draws(lambda: np.sort(rng.choice(every, min(numbers.place_batch, len(every)), replace=False)), rng)

    def values(picks: np.ndarray) -> dict[str, torch.Tensor]:
        logits = head.where(rows.read(picks))[:, 0]
        return {"place": F.binary_cross_entropy_with_logits(logits, rows.covered(picks))}

    return Stage(
        name="real-place",
        module=head.where.requires_grad_(True),
        learns=[Group(list(head.where.parameters()), numbers.place_lr)],
        batches=draws,
        losses=values,
        weights={"place": 1.0},
        schedule=numbers.place,
        averaging=Averaging(decay=0.0),
        weight_decay=1e-3,
        memory={"draws": draws},
        log_every=50,
    )


@torch.no_grad()
def pooled(head: MatchHead, rows: Rows) -> ClipFeatures:
    """What the last layer sees of all rows: of each identity its shop pictures, and its views as frames of one clip."""
    every = sorted(row for product in rows.products() for row in rows.rows(product))
    places = {row: place for place, row in enumerate(every)}
    seen = ClipFeatures(torch.cat([head.features(rows.read(every[at : at + 64])) for at in range(0, len(every), 64)]))
    for product in rows.products():
        seen.shop[product] = [places[row] for row in rows.shop[product]]
        seen.street[product, product] = [[places[row]] for row in rows.worn[product]]
    return seen


class Windows:
    """Draws windows of up to `frames` views, each of another identity, and shop pictures: first those of the windows'."""

    def __init__(self, seen: ClipFeatures, frames: int, numbers: RealMatch):
        self.seen, self.frames, self.numbers = seen, frames, numbers
        self.rng = np.random.default_rng([numbers.seed, 61])
        self.views = {product: [row for frame in views for row in frame] for (_, product), views in seen.street.items()}
        self.products = sorted(self.views)

    def draw(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Rows of the windows, n x T; shop rows, m; the place of each window's identity among them, n."""
        rng, numbers = self.rng, self.numbers
        length = int(rng.integers(1, self.frames + 1))
        asked = [int(p) for p in rng.choice(self.products, min(numbers.products, len(self.products)), replace=False)]
        rows = [rng.choice(self.views[p], length, replace=len(self.views[p]) < length) for p in asked]
        others = rng.choice(self.products, min(numbers.others, len(self.products)), replace=False)
        gallery = asked + sorted({int(p) for p in others} - set(asked))
        shop = [int(rng.choice(self.seen.shop[p])) for p in gallery]
        return torch.from_numpy(np.array(rows)), torch.tensor(shop), torch.arange(len(asked))


def last_layer(name: str, head: MatchHead, seen: ClipFeatures, frames: int, numbers: RealMatch) -> Stage:
    """The last layer and the score's weights, on the means of windows of up to `frames` views."""
    torch.manual_seed(numbers.seed)
    head.requires_grad_(False)
    fold_batch_norm(head)
    mean, deviation = seen.features.mean(dim=0), seen.features.std(dim=0)
    floor = numbers.rare * float(deviation.median())
    common, deviation = deviation >= floor, deviation.clamp(min=floor)
    linear, last = head.linear[0].requires_grad_(True), head.last.requires_grad_(True)
    with torch.no_grad():
        linear.bias.add_(linear.weight @ mean)
        linear.weight.mul_(deviation)
    hook = linear.weight.register_hook(lambda gradient: gradient * common)
    windows = Windows(seen, frames, numbers)
    draws = Draws(windows.draw, windows.rng)

    def values(batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> dict[str, torch.Tensor]:
        rows, shop, own = batch
        mask = (torch.rand(seen.features.shape[1]) >= numbers.dropout) / (1 - numbers.dropout)
        street = (seen.features[rows].mean(dim=1) - mean) / deviation * mask
        gallery = (seen.features[shop] - mean) / deviation * mask
        logits = head.pair_logits(linear(street), linear(gallery))
        return {"rank": losses.rank_loss(logits, own[:, None] == torch.arange(logits.shape[1])[None])}

    @torch.no_grad()
    def finish() -> None:
        hook.remove()
        linear.weight.div_(deviation)
        linear.bias.sub_(linear.weight @ mean)
        head.requires_grad_(False)

    return Stage(
        name=name,
        module=head,
        learns=[Group(list(linear.parameters()), numbers.lr), Group(list(last.parameters()), numbers.lr / 4)],
        batches=draws,
        losses=values,
        weights={"rank": 1.0},
        schedule=numbers.schedule,
        averaging=numbers.averaging,
        constrain=lambda: losses.constrain_distance(head),
        memory={"draws": draws},
        finish=finish,
        log_every=50,
    )


@torch.no_grad()
def strangers_best(head: MatchHead, seen: ClipFeatures, strangers: torch.Tensor) -> torch.Tensor:
    """Median of the best logit that garments of no product have in the shop; `strangers`: what the last layer sees of them."""
    gallery = head.last_layer(seen.features[[row for rows in seen.shop.values() for row in rows]])
    return head.pair_logits(head.last_layer(strangers), gallery).amax(dim=1).median()


def fit(network: Network, rows: Rows, strangers: Rows, numbers: RealMatch, run: Callable[[Stage], object], report=print) -> None:
    """Both heads, in place; `run` runs a stage. `strangers` are learned from in nothing but the scores' bias: it is set so that they
    match the shop as well as before, since thresholds are set for that."""
    network.requires_grad_(False).eval()
    single, several = network.roi_heads.match_predictor, network.roi_heads.temporal_aggregator
    heads = {"real-match": (single, 1), "real-windows": (several, numbers.frames)}
    unknown = strangers.read([row for worn in strangers.worn.values() for row in worn])
    seen = pooled(single, rows)
    before = {name: strangers_best(head, seen, head.features(unknown)) for name, (head, _) in heads.items()}
    if numbers.place.steps:
        run(place(single, rows, numbers))
        single.where.requires_grad_(False)
        several.where.load_state_dict(single.where.state_dict())
        seen = pooled(single, rows)
    report(f"{len(seen.shop)} identities, {len(rows.real)} of them real, {len(seen.features)} views; {len(unknown)} strangers")
    for name, (head, frames) in heads.items():
        run(last_layer(name, head, seen, frames, numbers))
        shift = before[name] - strangers_best(head, seen, head.features(unknown))
        with torch.no_grad():
            head.last.bias[1] += shift
        report(f"{name}: bias moved by {shift:.3f}")
    network.requires_grad_(False)


@torch.no_grad()
def told_apart(head: MatchHead, seen: ClipFeatures, asked: list[int]) -> tuple[float, float, int]:
    """Share of the views of identities `asked` whose own shop picture is first, and in the first five, among all of `seen`."""
    owners = torch.tensor([product for product in seen.shop for _ in seen.shop[product]])
    gallery = head.last_layer(seen.features[[row for product in seen.shop for row in seen.shop[product]]])
    first = five = count = 0
    for product in asked:
        rows = [row for frame in seen.street[product, product] for row in frame]
        logits = head.pair_logits(head.last_layer(seen.features[rows]), gallery)
        own = logits[:, owners == product].amax(dim=1, keepdim=True)
        better = (logits.masked_fill(owners == product, -torch.inf) > own).sum(dim=1)
        first, five, count = first + int((better < 1).sum()), five + int((better < 5).sum()), count + len(rows)
    return first / max(count, 1), five / max(count, 1), count
