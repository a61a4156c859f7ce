"""The aggregation on windows of frames (section 10, second part): the stages `windows` and `attention`.

The aggregation begins as a copy of the single-image head, and learns on windows of frames, their boxes chosen by that head: first its last
layer, what tells products apart in the *mean* of several frames, where what changes from frame to frame counts less (`windows`);
then, with that at rest, attention and non-local block, which frames to believe (`attention`). The block's pair weights f begin as 1, so
that it begins as a linear map of the window's mean, and as none (W = 0).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ..model.network import Aggregator, MatchHead, Network
from . import losses
from .adapt import ClipFeatures, embed_rows, windows_of
from .loop import Averaging, Draws, Group, Schedule, Stage


# Rows of windows, n x T; rows of shop pictures, m; the place of each window's product among them, n.
Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class LastLayer:
    """The numbers of a last layer that learns on the means of windows."""

    seed: int = 1
    schedule: Schedule = Schedule(steps=500)
    averaging: Averaging = Averaging(decay=0.98, back=0.8)
    products: int = 192
    """Windows in a batch, each of another product."""
    others: int = 2300
    """Products that they are told from besides."""
    frames: int = 10
    """Of the longest window."""
    lr: float = 2e-3
    """For features of deviation 1."""
    rare: float = 0.1
    """Features whose deviation is less than this share of the median one keep their weights: divided by next to nothing, chance
    made weights of hundreds of them, and pictures of another kind do show those features."""
    dropout: float = 0.2


@dataclass(frozen=True)
class Windows(LastLayer):
    """The numbers of the aggregation's last layer. `averaging.back`: unseen generated products are told apart best half-way (0.5); on
    photographs the gain is lost there, and most of it is left at 0.7 to 0.85."""

    noisy: float = 0.4
    """Share of the windows with the published noise, of products that have such."""


@dataclass(frozen=True)
class Attention:
    """The numbers of the stage of attention and non-local block."""

    schedule: Schedule = Schedule(steps=1000)
    averaging: Averaging = Averaging(decay=0.98)
    lr: float = 2e-3
    weight_decay: float = 0.01
    block_back: float = 1.0
    """How far the non-local block's W goes back to 0. It learns along so that attention need not: it fits the generator, and is
    better away wherever pictures are of another kind."""
    missed: float = 0.125
    """Share of the windows whose own product scores less than one half."""


def copy_head(network: Network) -> None:
    """The aggregator's head starts as a copy of the match predictor's (section 10), its attention even."""
    aggregator = network.roi_heads.temporal_aggregator
    aggregator.load_state_dict(network.roi_heads.match_predictor.state_dict(), strict=False)
    torch.nn.init.zeros_(aggregator.attention_scorer.weight)
    torch.nn.init.zeros_(aggregator.attention_scorer.bias)


@torch.no_grad()
def init_block(head: Aggregator) -> None:
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
def fold_batch_norm(head: MatchHead) -> None:
    """Takes the batch norm's statistics into the layer before it; computes the same."""
    linear, norm = head.linear
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    linear.bias.copy_((linear.bias - norm.running_mean) * scale + norm.bias)
    linear.weight.mul_(scale[:, None])
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - norm.eps)
    norm.weight.fill_(1)
    norm.bias.zero_()


class WindowDraws:
    """Draws windows of one length, and shop pictures: first those of the windows' products."""

    def __init__(self, network: Network, clips: ClipFeatures, numbers: Windows):
        single = network.roi_heads.match_predictor
        embeddings = embed_rows(single, clips.features)
        self.windows, self.noisy = (windows_of(single, embeddings, clips.shop, street) for street in (clips.street, clips.noisy))
        self.clips, self.numbers = clips, numbers
        self.rng = np.random.default_rng([numbers.seed, 61])
        self.products = sorted(self.windows)
        self.others = sorted(clips.shop)

    def draw(self, least: int, noisy: float) -> Batch:
        """Windows of T frames, T from `least` on, a share of `noisy` with noise."""
        rng, numbers = self.rng, self.numbers
        length = int(rng.integers(least, numbers.frames + 1))
        asked = [int(p) for p in rng.choice(self.products, min(numbers.products, len(self.products)), replace=False)]
        rows = []
        for product in asked:
            clips = self.noisy[product] if product in self.noisy and rng.random() < noisy else self.windows[product]
            clip = clips[int(rng.integers(len(clips)))]
            rows.append(rng.choice(clip, length, replace=len(clip) < length))
        beside = rng.choice(self.others, min(numbers.others, len(self.others)), replace=False)
        known = set(asked)
        gallery = asked + [int(p) for p in beside if int(p) not in known]
        shop = [int(rng.choice(self.clips.shop[p])) for p in gallery]
        return torch.from_numpy(np.array(rows)), torch.tensor(shop), torch.arange(len(asked))


def rank(logits: torch.Tensor, own: torch.Tensor) -> dict[str, torch.Tensor]:
    """Cross-entropy of each window's product against all others."""
    return {"rank": losses.rank_loss(logits, own[:, None] == torch.arange(logits.shape[1])[None])}


def last_layer(name: str, head: MatchHead, features: torch.Tensor, draws: Draws, numbers: LastLayer) -> Stage:
    """A head's last layer and the weights of its score, on the means of windows. `features`: the layer's inputs; `draws`: rows of them.

    The layer learns on features of mean 0 and deviation 1, and takes them as they are again at the end.
    """
    torch.manual_seed(numbers.seed)
    head.requires_grad_(False)
    fold_batch_norm(head)
    linear, last = head.linear[0].requires_grad_(True), head.last.requires_grad_(True)
    normal, undo = normalised(linear, features, numbers.rare)

    def values(batch: Batch) -> dict[str, torch.Tensor]:
        rows, shop, own = batch
        mask = (torch.rand(features.shape[1]) >= numbers.dropout) / (1 - numbers.dropout)
        street, gallery = normal(features[rows].mean(dim=1)) * mask, normal(features[shop]) * mask
        return rank(head.pair_logits(linear(street), linear(gallery)), own)

    def finish() -> None:
        undo()
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


def normalised(linear: torch.nn.Linear, features: torch.Tensor, rare: float) -> tuple[Callable, Callable[[], None]]:
    """Makes a layer take features of mean 0 and deviation 1: what makes them so, and what makes the layer take them as they are again.
    Features whose deviation is less than the share `rare` of the median one get no gradient."""
    mean, deviation = features.mean(dim=0), features.std(dim=0)
    floor = rare * float(deviation.median())
    common, deviation = deviation >= floor, deviation.clamp(min=floor)
    with torch.no_grad():
        linear.bias.add_(linear.weight @ mean)
        linear.weight.mul_(deviation)
    # The optimiser moves a weight by the sign of its gradient, however small: none at all leaves it.
    hook = linear.weight.register_hook(lambda gradient: gradient * common)

    @torch.no_grad()
    def undo() -> None:
        hook.remove()
        linear.weight.div_(deviation)
        linear.bias.sub_(linear.weight @ mean)

    return lambda x: (x - mean) / deviation, undo


def windows(network: Network, clips: ClipFeatures, of_windows: WindowDraws) -> Stage:
    """The aggregation's last layer and the weights of its score, on the means of windows. `clips`: pooled."""
    numbers, head = of_windows.numbers, network.roi_heads.temporal_aggregator
    network.requires_grad_(False)
    network.eval()
    init_block(head)
    draws = Draws(lambda: of_windows.draw(1, numbers.noisy), of_windows.rng)
    return last_layer("windows", head, clips.features, draws, numbers)


def attention(network: Network, clips: ClipFeatures, of_windows: WindowDraws, numbers: Attention) -> Stage:
    """Attention and non-local block; the embeddings stay as they are. At the end the score's bias is set."""
    network.requires_grad_(False)
    network.eval()
    head = network.roi_heads.temporal_aggregator
    embeddings = embed_rows(head, clips.features)
    parts = [head.attention_scorer.weight, *head.newnlb.g.parameters(), *head.newnlb.W.parameters()]
    draws = Draws(lambda: of_windows.draw(2, of_windows.numbers.noisy), of_windows.rng)

    def values(batch: Batch) -> dict[str, torch.Tensor]:
        rows, shop, own = batch
        queries, _ = head.aggregate(embeddings[rows])
        return rank(head.pair_logits(queries, embeddings[shop]), own)

    @torch.no_grad()
    def finish() -> None:
        for parameter in head.newnlb.W.parameters():
            parameter.mul_(1 - numbers.block_back)
        set_bias(head, embeddings, of_windows, numbers.missed)
        network.requires_grad_(False)

    return Stage(
        name="attention",
        module=head,
        learns=[Group([p.requires_grad_(True) for p in parts], numbers.lr)],
        batches=draws,
        losses=values,
        weights={"rank": 1.0},
        schedule=numbers.schedule,
        averaging=numbers.averaging,
        weight_decay=numbers.weight_decay,
        memory={"draws": draws},
        finish=finish,
        log_every=50,
    )


@torch.no_grad()
def set_bias(head: Aggregator, embeddings: torch.Tensor, of_windows: WindowDraws, missed: float) -> None:
    """Moves the score so that this share of windows, none of them noisy, scores less than one half with its own product."""
    own = []
    for _ in range(8):
        rows, shop, place = of_windows.draw(2, 0.0)
        queries, _ = head.aggregate(embeddings[rows])
        own.append(head.pair_logits(queries, embeddings[shop])[torch.arange(len(rows)), place])
    head.last.bias[1] -= torch.cat(own).quantile(missed)
