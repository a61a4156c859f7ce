"""The match heads on real garments, each an identity of its own, beside generated pairs; from kept looks (`looks.build_match`).

A worn garment cut out on a studio's ground is its own shop picture; views of it from near, in other light, before other
backgrounds and half hidden are the street's. First the heads learn from real masks where in its box a garment is; then each last
layer learns, the aggregation's on windows of several views. What the convolutions see stays.
"""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..model.heads import MatchHead
from ..model.network import Network
from . import match, window
from .adapt import Seen


@dataclass(frozen=True)
class Recipe:
    """All numbers of the run."""

    seed: int = 1
    where_steps: int = 500
    where_lr: float = 5e-4
    steps: int = 400
    """Of each last layer."""
    products: int = 256
    """Windows in a batch, each of another identity."""
    others: int = 1500
    """Identities that they are told from besides."""
    lr: float = 5e-4
    back: float = 0.5
    """How far the last layers then go back to where they began."""
    frames: int = 4
    """Of the aggregation's longest window."""
    minutes: float = 0.0


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


def learn_where(head: MatchHead, rows: Rows, recipe: Recipe, report=print) -> None:
    """Goes on teaching the head which places of a RoI are the garment."""
    rng = np.random.default_rng([recipe.seed, 59])
    every = np.array(sorted(row for product in rows.products() for row in rows.rows(product)))
    optimiser = torch.optim.AdamW(head.where.requires_grad_(True).parameters(), lr=recipe.where_lr, weight_decay=1e-3)
    for step in range(recipe.where_steps):
        for group in optimiser.param_groups:
            group["lr"] = recipe.where_lr * (1 - step / recipe.where_steps)
        picks = np.sort(rng.choice(every, min(64, len(every)), replace=False))
        logits = head.where(rows.read(picks))[:, 0]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, rows.covered(picks))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        if step % 50 == 0 or step == recipe.where_steps - 1:
            report(f"where step {step} loss {loss.item():.4f}")
    head.where.requires_grad_(False)


@torch.no_grad()
def reduced(head: MatchHead, rows: Rows) -> tuple[Seen, dict[int, int]]:
    """What the last layer sees of all rows; the identities' shop pictures and views, by places in it."""
    every = sorted(row for product in rows.products() for row in rows.rows(product))
    places = {row: place for place, row in enumerate(every)}
    parts = [head.features(rows.read(every[at : at + 64])) for at in range(0, len(every), 64)]
    seen = Seen(torch.cat(parts))
    for product in rows.products():
        seen.shop[product] = [places[row] for row in rows.shop[product]]
        seen.street[product, product] = [[places[row]] for row in rows.worn[product]]
    return seen, places


def learn_last_layer(head: MatchHead, seen: Seen, frames: int, recipe: Recipe, report=print) -> None:
    """The last layer on windows of up to `frames` views."""
    numbers = window.Recipe(
        steps=recipe.steps, products=recipe.products, others=recipe.others, frames=frames, noisy=0.0, lr=recipe.lr,
        back=recipe.back, seed=recipe.seed,
    )  # fmt: skip
    windows = {product: [[row for frame in frames for row in frame]] for (_, product), frames in seen.street.items()}
    window.fold(head)
    for module in (head.linear, head.last):
        module.requires_grad_(True)
    window.learn_last_layer(head, seen.features, window.Batches(seen, windows, {}, numbers), numbers, report)


def fit(network: Network, rows: Rows, recipe: Recipe, report=print) -> None:
    """Both heads, in place."""
    torch.manual_seed(recipe.seed)
    network.requires_grad_(False).eval()
    single, several = network.roi_heads.match_predictor, network.roi_heads.temporal_aggregator
    if recipe.where_steps:
        learn_where(single, rows, recipe, report)
        several.where.load_state_dict(single.where.state_dict())
    seen, _ = reduced(single, rows)
    report(f"{len(seen.shop)} identities, {len(rows.real)} of them real, {len(seen.features)} views")
    learn_last_layer(single, seen, 1, recipe, report)
    learn_last_layer(several, seen, recipe.frames, recipe, report)
    network.requires_grad_(False)


@torch.no_grad()
def told_apart(head: MatchHead, seen: Seen, asked: list[int]) -> tuple[float, float, int]:
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
