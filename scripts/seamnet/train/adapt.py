"""Image-to-video adaptation (section 10): the stages `adapt`, `windows` and `attention`.

The detector is frozen. A clip is known by its products alone: no box of it is annotated. In each frame the box that matches the
clip's product best is taken to be the product. Only the last layers of the two match heads, the non-local block and the attention
learn, so that what lies before is computed once. First the single-image head learns (`adapt`). Then the aggregation begins as
its copy and learns on windows of frames, their boxes chosen by that head: first its last layer, what tells products apart in the
*mean* of several frames, where what changes from frame to frame counts less (`windows`); then, with that at rest, attention and
non-local block, which frames to believe (`attention`). The block's pair weights f begin as 1, so that it begins as a linear map of
the window's mean, and as none (W = 0).

What differs from the published recipe: the heads learn one after the other; AdamW in place of SGD; beside the pairwise
cross-entropy a ranking loss against the shop pictures of all products, bounded (`CAP`); batch norm keeps its statistics; the score
is held to be a distance (`losses.constrain_distance`); only a share of the windows has the published noise; what is left is the
average of the weights.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import torch

from ..model.network import Aggregator, MatchHead, Network
from . import losses
from .clips import ClipFeatures, embed_rows, most_alike, windows_of
from .loop import Averaging, Draws, Group, Schedule, Stage

CAP = 6.0
"""Where the ranking loss of a pair bends: the weak labels are wrong now and then."""


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


@dataclass(frozen=True)
class Windows:
    """The numbers of the stage of the aggregation's last layer, and of windows."""

    seed: int = 1
    schedule: Schedule = Schedule(steps=500)
    averaging: Averaging = Averaging(decay=0.98, back=0.8)
    """Its `back`: unseen generated products are told apart best half-way (0.5); on photographs the gain is lost there, and most
    of it is left at 0.7 to 0.85."""
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
    made weights of hundreds of them, and pictures of another kind do show those features."""
    dropout: float = 0.2


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

    def draw(self, least: int, noisy: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Rows of the windows, n x T with T from `least` on, a share of `noisy` with noise; shop rows, m; the place of each
        window's product among them, n."""
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


def windows(network: Network, clips: ClipFeatures, of_windows: WindowDraws) -> Stage:
    """The aggregation's last layer and the score's weights, on the means of windows. `clips`: pooled.

    The layer learns on features of mean 0 and deviation 1, and takes them as they are again at the end.
    """
    numbers, head = of_windows.numbers, network.roi_heads.temporal_aggregator
    torch.manual_seed(numbers.seed)
    network.requires_grad_(False)
    network.eval()
    init_block(head)
    fold_batch_norm(head)
    mean, deviation = clips.features.mean(dim=0), clips.features.std(dim=0)
    floor = numbers.rare * float(deviation.median())
    common, deviation = deviation >= floor, deviation.clamp(min=floor)
    linear, last = head.linear[0].requires_grad_(True), head.last.requires_grad_(True)
    with torch.no_grad():
        linear.bias.add_(linear.weight @ mean)
        linear.weight.mul_(deviation)
    # The optimiser moves a weight by the sign of its gradient, however small: none at all leaves it.
    hook = linear.weight.register_hook(lambda gradient: gradient * common)
    draws = Draws(lambda: of_windows.draw(1, numbers.noisy), of_windows.rng)

    def values(batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> dict[str, torch.Tensor]:
        rows, shop, own = batch
        mask = (torch.rand(clips.features.shape[1]) >= numbers.dropout) / (1 - numbers.dropout)
        street = (clips.features[rows].mean(dim=1) - mean) / deviation * mask
        gallery = (clips.features[shop] - mean) / deviation * mask
        return rank(head.pair_logits(linear(street), linear(gallery)), own)

    @torch.no_grad()
    def finish() -> None:
        hook.remove()
        linear.weight.div_(deviation)
        linear.bias.sub_(linear.weight @ mean)
        network.requires_grad_(False)

    return Stage(
        name="windows",
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


def attention(network: Network, clips: ClipFeatures, of_windows: WindowDraws, numbers: Attention) -> Stage:
    """Attention and non-local block; the embeddings stay as they are. At the end the score's bias is set."""
    network.requires_grad_(False)
    network.eval()
    head = network.roi_heads.temporal_aggregator
    embeddings = embed_rows(head, clips.features)
    parts = [head.attention_scorer.weight, *head.newnlb.g.parameters(), *head.newnlb.W.parameters()]
    draws = Draws(lambda: of_windows.draw(2, of_windows.numbers.noisy), of_windows.rng)

    def values(batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> dict[str, torch.Tensor]:
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
