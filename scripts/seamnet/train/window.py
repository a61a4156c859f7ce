"""Stage two's second half: the aggregation learns from windows of frames, each garment known by its product alone.

The single-image head has chosen the box in every frame (section 10); the aggregation begins as its copy. First its last layer
learns what tells products apart in the *mean* of several frames, where what changes from frame to frame counts less. Then,
with that at rest, attention and non-local block learn which frames to believe. The block's pair weights f begin as 1, so that
it begins as a linear map of the window's mean, and as none (W = 0).
"""

from dataclasses import dataclass

import numpy as np
import torch

from ..model.heads import Aggregator, MatchHead
from ..model.network import Network
from . import loop, losses
from .adapt import Seen
from .match import keep_distance


@dataclass(frozen=True)
class Recipe:
    """All numbers of this part."""

    steps: int = 500
    """Of the last layer."""
    attention_steps: int = 1000
    """Of attention and non-local block."""
    products: int = 192
    """Windows in a batch, each of another product."""
    others: int = 2300
    """Products that they are told from besides."""
    frames: int = 10
    """Of the longest window."""
    noisy: float = 0.4
    """Share of the windows with the published noise, of products that have such."""
    lr: float = 2e-3
    """For features of deviation 1."""
    rare: float = 0.1
    """Features whose deviation is less than this share of the median one keep their weights: divided by next to nothing, chance
    made weights of hundreds of them, which a picture of another kind then meets."""
    attention_lr: float = 2e-3
    weight_decay: float = 0.01
    dropout: float = 0.2
    average: float = 0.98
    back: float = 0.8
    """How far the last layer then goes back to where it began. Unseen generated products are told apart best half-way (0.5); on
    photographs what is gained is gone there, and most is left at 0.7 to 0.85."""
    block_back: float = 1.0
    """The same of the non-local block's W, which learns along so that attention need not: it fits the generator, and is better
    away wherever pictures are of another kind."""
    missed: float = 0.125
    """Share of the windows whose own product scores less than one half."""
    seed: int = 1


@torch.no_grad()
def even_block(head: Aggregator) -> None:
    """f = 1 for every pair of frames, W = 0."""
    block = head.newnlb
    for layer in (block.theta, block.phi):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    torch.nn.init.ones_(block.theta.bias)
    torch.nn.init.constant_(block.concat_project[0].weight, 1 / len(block.theta.bias))
    for parameter in block.W.parameters():
        torch.nn.init.zeros_(parameter)


@torch.no_grad()
def fold(head: MatchHead) -> None:
    """Takes the batch norm's statistics into the layer before it; computes the same."""
    linear, norm = head.linear
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    linear.bias.copy_((linear.bias - norm.running_mean) * scale + norm.bias)
    linear.weight.mul_(scale[:, None])
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - norm.eps)
    norm.weight.fill_(1)
    norm.bias.zero_()


@torch.no_grad()
def embedded(head: MatchHead, features: torch.Tensor) -> torch.Tensor:
    """Embeddings of all rows of what the last layer sees."""
    return torch.cat([head.last_layer(part) for part in features.split(4096)])


@torch.no_grad()
def chosen(
    head: MatchHead, embeddings: torch.Tensor, shop: dict[int, list[int]], street: dict[tuple[int, int], list[list[int]]]
) -> dict[int, list[list[int]]]:
    """Product -> clips, each the rows of its frames: in every frame the box most like the product's shop pictures."""
    windows: dict[int, list[list[int]]] = {}
    for (_, product), frames in street.items():
        if product not in shop:
            continue
        rows = torch.tensor([row for frame in frames for row in frame])
        logits = head.pair_logits(embeddings[rows], embeddings[shop[product]]).amax(dim=1)
        of_frames = zip(rows.split([len(frame) for frame in frames]), logits.split([len(frame) for frame in frames]))
        windows.setdefault(product, []).append([int(mine[score.argmax()]) for mine, score in of_frames])
    return windows


class Batches:
    """Draws windows of one length, and shop pictures: first those of the windows' products."""

    def __init__(self, seen: Seen, windows: dict[int, list[list[int]]], noisy: dict[int, list[list[int]]], recipe: Recipe):
        self.seen, self.windows, self.noisy, self.recipe = seen, windows, noisy, recipe
        self.rng = np.random.default_rng([recipe.seed, 61])
        self.products = sorted(windows)
        self.others = sorted(seen.shop)

    def draw(self, least: int, noisy: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Rows of the windows, n x T with T from `least` on, a share of `noisy` with noise; shop rows, m; the place of each
        window's product among them, n."""
        rng, recipe = self.rng, self.recipe
        length = int(rng.integers(least, recipe.frames + 1))
        asked = [int(p) for p in rng.choice(self.products, min(recipe.products, len(self.products)), replace=False)]
        rows = []
        for product in asked:
            clips = self.noisy[product] if product in self.noisy and rng.random() < noisy else self.windows[product]
            clip = clips[int(rng.integers(len(clips)))]
            rows.append(rng.choice(clip, length, replace=len(clip) < length))
        beside = rng.choice(self.others, min(recipe.others, len(self.others)), replace=False)
        known = set(asked)
        gallery = asked + [int(p) for p in beside if int(p) not in known]
        shop = [int(rng.choice(self.seen.shop[p])) for p in gallery]
        return torch.from_numpy(np.array(rows)), torch.tensor(shop), torch.arange(len(asked))


def rank(logits: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of each window's product against all others."""
    return losses.rank_loss(logits, own[:, None] == torch.arange(logits.shape[1])[None])


def learn_last_layer(head: Aggregator, features: torch.Tensor, batches: Batches, recipe: Recipe, report) -> None:
    """The last layer and the score's weights, on the means of windows; `features` are what the last layer sees, n x width."""
    mean, deviation = features.mean(dim=0), features.std(dim=0)
    floor = recipe.rare * float(deviation.median())
    learns, deviation = deviation >= floor, deviation.clamp(min=floor)
    linear = head.linear[0]
    with torch.no_grad():
        linear.bias.add_(linear.weight @ mean)
        linear.weight.mul_(deviation)
    begun = {k: v.clone() for k, v in head.state_dict().items()}
    averaged = {k: v.clone() for k, v in begun.items()}
    groups = [{"params": list(linear.parameters()), "peak": recipe.lr}, {"params": list(head.last.parameters()), "peak": recipe.lr / 4}]
    optimiser = torch.optim.AdamW(groups, lr=recipe.lr, weight_decay=0.0)
    for step in range(recipe.steps):
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * loop.rate(step, 20, step / recipe.steps)
        rows, shop, own = batches.draw(1, recipe.noisy)
        mask = (torch.rand(features.shape[1]) >= recipe.dropout) / (1 - recipe.dropout)
        street = (features[rows].mean(dim=1) - mean) / deviation * mask
        gallery = (features[shop] - mean) / deviation * mask
        loss = rank(head.pair_logits(linear(street), linear(gallery)), own)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        # The optimiser moves a weight by the sign of its gradient, however small: none at all leaves it.
        linear.weight.grad.mul_(learns)
        optimiser.step()
        keep_distance(head)
        loop.follow(averaged, head, step + 1, recipe.average)
        if step % 50 == 0 or step == recipe.steps - 1:
            report(f"window step {step} rank {loss.item():.3f}")
    loop.come_back(head, averaged, begun, recipe.back)
    with torch.no_grad():
        linear.weight.div_(deviation)
        linear.bias.sub_(linear.weight @ mean)


def learn_attention(head: Aggregator, embeddings: torch.Tensor, batches: Batches, recipe: Recipe, report) -> None:
    """Attention and non-local block; `embeddings` of all rows stay as they are."""
    parts = [head.attention_scorer.weight, *head.newnlb.g.parameters(), *head.newnlb.W.parameters()]
    optimiser = torch.optim.AdamW(parts, lr=recipe.attention_lr, weight_decay=recipe.weight_decay)
    averaged = {k: v.clone() for k, v in head.state_dict().items()}
    for step in range(recipe.attention_steps):
        for group in optimiser.param_groups:
            group["lr"] = recipe.attention_lr * loop.rate(step, 20, step / recipe.attention_steps)
        rows, shop, own = batches.draw(2, recipe.noisy)
        queries, _ = head.aggregate(embeddings[rows])
        loss = rank(head.pair_logits(queries, embeddings[shop]), own)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        loop.follow(averaged, head, step + 1, recipe.average)
        if step % 50 == 0 or step == recipe.attention_steps - 1:
            report(f"attention step {step} rank {loss.item():.3f}")
    head.load_state_dict(averaged)
    with torch.no_grad():
        for parameter in head.newnlb.W.parameters():
            parameter.mul_(1 - recipe.block_back)


@torch.no_grad()
def set_bias(head: Aggregator, embeddings: torch.Tensor, batches: Batches, missed: float) -> None:
    """Moves the score so that this share of windows, none of them noisy, scores less than one half with its own product."""
    own = []
    for _ in range(8):
        rows, shop, place = batches.draw(2, 0.0)
        queries, _ = head.aggregate(embeddings[rows])
        own.append(head.pair_logits(queries, embeddings[shop])[torch.arange(len(rows)), place])
    head.last.bias[1] -= torch.cat(own).quantile(missed)


def fit(network: Network, seen: Seen, recipe: Recipe, report=print) -> None:
    """Trains the aggregation; the single-image head stays. `seen`: reduced, the aggregation a copy of that head."""
    torch.manual_seed(recipe.seed)
    head = network.roi_heads.temporal_aggregator
    network.requires_grad_(False)
    network.eval()
    single = network.roi_heads.match_predictor
    embeddings = embedded(single, seen.features)
    windows, noisy = (chosen(single, embeddings, seen.shop, street) for street in (seen.street, seen.noisy))
    batches = Batches(seen, windows, noisy, recipe)
    report(f"{len(batches.products)} products in windows ({len(noisy)} with noise too), {len(batches.others)} in the gallery")
    even_block(head)
    fold(head)
    for module in (head.linear, head.last, head.attention_scorer, head.newnlb):
        module.requires_grad_(True)
    learn_last_layer(head, seen.features, batches, recipe, report)
    embeddings = embedded(head, seen.features)
    learn_attention(head, embeddings, batches, recipe, report)
    set_bias(head, embeddings, batches, recipe.missed)
    network.requires_grad_(False)
