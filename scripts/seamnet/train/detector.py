"""The detector's stages: `joint`, with the single-frame match head, end to end; `heads`, the detector alone; `view_heads`, its heads
on stored views.

In the joint stage the garments' own boxes (jittered) feed the match head, so that it does not wait for the detector. The
match loss is the published pairwise cross-entropy plus a ranking loss over the same logits, which converges far sooner: every
street garment against the shop garments of the batch and of a bank of recent batches.

Together with a match head the detector learns from moderate changes, since what that head sees must keep its colour. Where a
garment is and of which class it is does not depend on light, on how close it stands, or on colour at all, so in `heads`
all of that varies. There trunk and pyramid rest, unless they are thawed: the match heads, which see their outputs, must then learn
again.

`view_heads` learns from real people too. Where its trunk learns as well, what the match heads say of a garment is held: a loss is how far
the embeddings move, as a difference of their match score, from those of the network before.  A real garment's label often leaves its class open: a blouse whose sleeves a coat hides may be any
of four. Its loss is -log of the probability of all classes that it may be, so the region is learned from every garment and the class
where it is known.
"""

import copy
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torchvision.ops import batched_nms

from ..model import detection, preprocess
from ..model.config import COMPACT
from ..model.detection import detect, flat, level_anchors, pool_boxes, pool_rois, propose
from ..model.network import Network
from . import losses
from .augment import any_light, closer, jitter_boxes
from .data import VISIBLE, BatchSpec, Pictures, Sample, batch, numbered_batches
from .features import PictureFeatures
from .loop import Averaging, Group, Schedule, Stage
from .views import FIRST_BLOCKS, LearningTrunk, RestingTrunk, StoredViews, pyramid_of
from .worn import Counts, Found, Worn, found_in

WEIGHTS = {"objectness": 1.0, "rpn_box": 3.0, "class": 1.0, "box": 1.0, "pairs": 0.5, "rank": 1.0, "moved": 4.0}
"""What each loss weighs in the sum."""


@dataclass(frozen=True)
class Detector:
    """The numbers that all stages of the detector have."""

    seed: int = 1
    schedule: Schedule = Schedule()
    averaging: Averaging = Averaging(decay=0.995)
    lr: float = 4e-4
    weight_decay: float = 1e-4
    rois: int = 40
    """RoIs a picture that train the box head."""
    proposals: int = 100
    """Best proposals of a picture, out of which those RoIs are drawn."""


@dataclass(frozen=True)
class Joint(Detector):
    """The numbers of the joint stage."""

    schedule: Schedule = Schedule(steps=1200, warmup=30)
    averaging: Averaging = Averaging(decay=0.998)
    body_lr: float = 1e-4
    frozen_blocks: int = FIRST_BLOCKS
    proposals: int = 60
    bank: int = 600
    jitter: float = 0.06
    """Share of a box by which the match head's are moved."""
    batch: BatchSpec = BatchSpec()


@dataclass(frozen=True)
class Heads(Detector):
    """The numbers of the detector alone. `averaging.back`: on photographs a mean with the weights before is better than the end."""

    schedule: Schedule = Schedule(minutes=60.0, warmup=30)
    street: int = 11
    shop: int = 2
    empty: int = 3
    """Pictures of each kind in a batch."""
    rois: int = 64
    thaw: bool = False
    """Whether the pyramid and the body behind its frozen blocks learn too, the slower the deeper."""


@dataclass(frozen=True)
class ViewHeads(Detector):
    """The numbers of the detector's heads on stored views."""

    schedule: Schedule = Schedule(steps=2000, warmup=30)
    batch: dict[str, int] = field(
        default_factory=lambda: {"whole": 5, "mosaic": 1, "close": 4, "street": 3, "shop": 1, "empty": 1, "place": 1}
    )
    """Views of each kind in a batch."""
    mixes: bool = False
    """Whether the box head's channel mixes learn too: a step then takes half as long again."""
    held: tuple[str, ...] = ("close", "street", "shop")
    """Kinds of views whose embeddings are held where the trunk learns: those of which a mirror and an import make embeddings."""
    measure_every: int = 300
    """Steps between two measurements on the held-out photos."""


def pyramid(network: Network, samples: list[Sample], blocks: int) -> list[torch.Tensor]:
    """Pyramid levels and pool of a batch, from its pictures or from the outputs of the first `blocks` blocks for them."""
    if samples[0].features is None:
        images = torch.stack([s.image for s in samples])
        return network.backbone(images.contiguous(memory_format=torch.channels_last))
    begun = torch.stack([s.features for s in samples]).contiguous(memory_format=torch.channels_last)
    return network.backbone.fpn(network.backbone.body.finish(begun, blocks))


def without_appearance(network: Network, rois: torch.Tensor) -> torch.Tensor:
    """RoIs of the pyramid alone, zeros for the channels that only the match head's own stage learns from."""
    return torch.nn.functional.pad(rois, (0, 0, 0, 0, 0, network.config.extra))


def picture_of(chosen: list[torch.Tensor]) -> torch.Tensor:
    """Masks over the garments of each picture -> the picture that each chosen garment is of."""
    return torch.cat([torch.full((len(mask),), i, device=mask.device)[mask] for i, mask in enumerate(chosen)])


def init_heads(network: Network) -> None:
    """Match weights whose score is 0.5 about where random pairs begin to differ, and small box predictor weights."""
    for head in (network.roi_heads.match_predictor, network.roi_heads.temporal_aggregator):
        with torch.no_grad():
            head.last.weight.zero_()
            head.last.bias.zero_()
            head.last.weight[1] = -0.02
            head.last.bias[1] = 6.0
    predictor = network.roi_heads.box_predictor
    torch.nn.init.normal_(predictor.cls_score.weight, std=0.01)
    torch.nn.init.normal_(predictor.bbox_pred.weight, std=0.001)


@torch.no_grad()
def unit_variance(layers: list[nn.Module], forward: Callable[[], object]) -> None:
    """Layer-sequential unit-variance initialisation (Mishkin and Matas, 2016): scales every layer so that, while `forward()`
    passes data through it, its outputs have mean 0 and deviation 1.

    Nothing normalises activations between pyramid and heads; unscaled, they start large, grow, and
    most ReLUs die within a hundred steps.
    """
    done: set = set()

    def rescale(layer, _, out):
        if layer.weight in done:
            return None
        done.add(layer.weight)
        mean, deviation = out.mean(dim=[0, *range(2, out.dim())]), out.std()
        layer.weight /= deviation
        layer.bias.copy_((layer.bias - mean) / deviation)
        return (out - mean.view([1, -1] + [1] * (out.dim() - 2))) / deviation

    hooks = [layer.register_forward_hook(rescale) for layer in layers]
    forward()
    for hook in hooks:
        hook.remove()


def unit_variance_convolutions(convolutions: nn.Sequential, rois: torch.Tensor) -> None:
    """`unit_variance` for a row of convolutions."""
    layers = [layer for layer in convolutions if isinstance(layer, nn.Conv2d)]
    unit_variance(layers, lambda: convolutions(rois))


@torch.no_grad()
def fit_appearance(network: Network, pictures: Pictures, seed: int) -> None:
    """Fits the appearance channels to some of the pictures."""
    rng = np.random.default_rng([seed, 43])
    picks = rng.choice(len(pictures.images), size=min(128, len(pictures.images)), replace=False)
    images = torch.stack([pictures.sample(int(i), network.config.input_size, rng).image for i in picks])
    network.appearance.fit([network.backbone.body(part) for part in images.split(8)])


@torch.no_grad()
def init_fresh_layers(network: Network, samples: list[Sample], blocks: int) -> None:
    """Unit variance on `samples` for every layer that has no weights yet."""
    heads = network.roi_heads
    fresh = [network.backbone.fpn, network.rpn.head.conv, heads.box_head, heads.match_predictor.conv_seq]
    fresh.append(heads.match_predictor.linear[0])
    layers = [m for f in fresh for m in f.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]

    def forward():
        levels = pyramid(network, samples, blocks)
        network.rpn.head(levels)
        levels = [level.contiguous() for level in levels[:-1]]
        garments = torch.cat([s.boxes for s in samples])
        image = picture_of([s.labels > 0 for s in samples])
        config, size = network.config, network.config.input_size
        network.box(pool_boxes(config, levels, garments, size, image))
        fourteen = pool_rois(config, levels, garments, 14, size, image)
        heads.match_predictor(without_appearance(network, fourteen))

    unit_variance(layers, forward)


@torch.no_grad()
def proposals_of(network: Network, sizes: torch.Tensor, objectness, deltas, anchors, count: int):
    """`propose` for B pictures of `sizes` (B x 2: height, width) at once -> their best `count` boxes B x count x 4, and which
    of them are there, B x count."""
    config = network.config
    corner = sizes.flip(1).repeat(1, 2)[:, None].float()
    found, scores = [], []
    for logits, moves, level in zip(objectness, deltas, anchors):
        logits, moves = flat(logits, moves)
        score, top = logits.topk(min(config.per_level, logits.shape[1]), dim=1)
        moved = detection.decode(moves.gather(1, top[..., None].expand(-1, -1, 4)), level[top], detection.RPN_WEIGHTS)
        moved = torch.minimum(moved.clamp(min=0), corner)
        large = detection.large(moved.flatten(0, 1), config.proposal_min_side)
        image = torch.arange(len(moved), device=moved.device).repeat_interleave(moved.shape[1])
        places = torch.nonzero(large).flatten()
        places = places[batched_nms(moved.flatten(0, 1)[places], score.flatten()[places], image[places], config.proposal_nms)]
        kept = torch.full_like(score, -torch.inf).flatten()
        kept[places] = score.flatten()[places]
        found.append(moved)
        scores.append(kept.view_as(score))
    best, top = torch.cat(scores, dim=1).topk(count, dim=1)
    return torch.cat(found, dim=1).gather(1, top[..., None].expand(-1, -1, 4)), best > -torch.inf


def detector_losses(
    network: Network,
    samples: list[Sample],
    levels: list[torch.Tensor],
    numbers: Detector,
    box: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
    sets: torch.Tensor | None = None,
) -> dict[str, torch.Tensor]:
    """Losses of proposals, boxes and classes by name. `levels`: the pyramid and its pool, for the RPN; `box`: RoIs, and the picture
    that each is of -> class logits and deltas; `sets`: see `losses.box_loss`."""
    config = network.config
    objectness, deltas = network.rpn.head(levels)
    anchors = [a.to(levels[0].device) for a in level_anchors(config, config.input_size, [t.shape[-2:] for t in objectness])]
    truth = losses.Truth.of(samples)
    logits, moves = (torch.cat(column, dim=1) for column in zip(*map(flat, objectness, deltas)))
    out = dict(zip(("objectness", "rpn_box"), losses.rpn_loss(logits, moves, torch.cat(anchors), truth)))
    sizes = torch.tensor([s.size for s in samples], device=logits.device)
    found = proposals_of(network, sizes, objectness, deltas, anchors, numbers.proposals)
    rois, labels, targets, image = losses.box_targets(*found, truth, numbers.rois)
    out["class"], out["box"] = losses.box_loss(*box(rois, image), rois, labels, targets, sets)
    return out


def boxes_of(network: Network, levels: list[torch.Tensor]) -> Callable:
    """The network's box head for RoIs of these levels."""
    config = network.config
    return lambda rois, image: network.box(pool_boxes(config, levels, rois, config.input_size, image))


def stage_of(name: str, network: Network, learns: list[Group], batches: Callable, values: Callable, numbers: Detector, **more) -> Stage:
    """A stage of the detector. `values`: the losses of a batch; `more`: what only this stage has."""
    return Stage(
        name=name,
        module=network,
        learns=learns,
        batches=batches,
        losses=values,
        weights=WEIGHTS,
        schedule=numbers.schedule,
        averaging=numbers.averaging,
        weight_decay=numbers.weight_decay,
        clip=5.0,
        **more,
    )


def joint(
    network: Network,
    source: Pictures | PictureFeatures,
    numbers: Joint,
    begin: Callable[[Network], bool] | None = None,
    device: str = "cpu",
    loaders: int = 0,
) -> Stage:
    """The first stage, on pictures or stored features.

    `begin` fills in weights (of ImageNet, of a checkpoint) and says whether they are of the whole network; what has none yet is
    initialised from data. `loaders`: processes that make batches ahead of time.
    """
    torch.manual_seed(numbers.seed)
    blocks = numbers.frozen_blocks

    def draw(rng: np.random.Generator) -> list[Sample]:
        if isinstance(source, PictureFeatures):
            return source.batch(rng)
        return batch(source, numbers.batch, network.config.input_size, rng)

    init_heads(network)
    if not (begin and begin(network)):
        init_fresh_layers(network.eval(), draw(np.random.default_rng(0)), blocks)
    network.to(device, memory_format=torch.channels_last).train()
    body, heads, bank = network.backbone.body, network.roi_heads, losses.Bank(numbers.bank, network.config.embedding, device)
    for frozen in (body.stem, body.blocks[:blocks], heads.temporal_aggregator):
        frozen.requires_grad_(False)

    def values(samples: list[Sample]) -> dict[str, torch.Tensor]:
        samples = [sample.to(device) for sample in samples]
        levels = pyramid(network, samples, blocks)
        seen = [level.contiguous() for level in levels[:-1]]
        out = detector_losses(network, samples, levels, numbers, boxes_of(network, seen))
        out["pairs"], out["rank"] = match_losses(network, samples, seen, numbers.jitter, bank)
        return out

    of_body = set(body.parameters())
    learn = [p for p in network.parameters() if p.requires_grad]
    rank = dist.get_rank() if dist.is_initialized() else 0
    learns = [
        Group([p for p in learn if p in of_body], numbers.body_lr),
        Group([p for p in learn if p not in of_body], numbers.lr),
    ]
    batches = lambda first: numbered_batches(draw, (numbers.seed, rank), first, loaders)  # noqa: E731
    return stage_of("detector", network, learns, batches, values, numbers, memory={"bank": bank}, log_every=10)


def match_losses(network: Network, samples: list[Sample], levels: list[torch.Tensor], jitter: float, bank: losses.Bank):
    """The pairwise and the ranking loss over every garment that shows enough; its shop pictures go into the bank."""
    seen = [s.visible >= VISIBLE for s in samples]
    rois = torch.cat([detection.clip(jitter_boxes(s.boxes[k], jitter), s.size) for s, k in zip(samples, seen)])
    image = picture_of(seen)
    products = torch.cat([s.products[k] for s, k in zip(samples, seen)])
    shop = torch.tensor([s.shop for s in samples], device=image.device)[image]
    head = network.roi_heads.match_predictor
    pooled = pool_rois(network.config, levels, rois, 14, network.config.input_size, image)
    embeddings = head(without_appearance(network, pooled))
    result = losses.match_loss(head, embeddings, products, shop, bank)
    bank.add(embeddings[shop], products[shop])
    return result


def heads(network: Network, sets: list[Pictures], numbers: Heads, device: str = "cpu", loaders: int = 0) -> Stage:
    """The second stage: RPN and box head. The inputs of the match heads stay as they were, bit by bit, unless they are thawed."""
    torch.manual_seed(numbers.seed)
    network.to(device).eval()
    body, fpn = network.backbone.body, network.backbone.fpn
    parts = [(1.0, [network.rpn, network.roi_heads.box_head, network.roi_heads.box_predictor])]
    if numbers.thaw:
        parts += trunk_parts(network)
    learns = [Group([p for m in modules for p in m.parameters()], numbers.lr * share) for share, modules in parts]
    counts = {"street": numbers.street, "shop": numbers.shop, "empty": numbers.empty}
    every = [(pictures, i) for pictures in sets for i in range(len(pictures.images))]
    kinds = [([(p, i) for p, i in every if p.images[i]["kind"] == kind], n) for kind, n in counts.items()]

    def draw(rng: np.random.Generator) -> list[Sample]:
        chosen = [places[int(k)] for places, count in kinds if places for k in rng.integers(len(places), size=count)]
        return [pictures.sample(i, network.config.input_size, rng, light=any_light, cut=closer) for pictures, i in chosen]

    def values(samples: list[Sample]) -> dict[str, torch.Tensor]:
        samples = [sample.to(device) for sample in samples]
        images = torch.stack([s.image for s in samples]).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            begun = body.begin(images, FIRST_BLOCKS)
        with torch.set_grad_enabled(numbers.thaw):
            features = body.finish(begun, FIRST_BLOCKS)
            levels = fpn(features)
            colours = network.appearance.colours(images) if network.config.box_appearance else None
            seen = [level.contiguous() for level in network.roi_levels(levels, colours, features)]
        return detector_losses(network, samples, levels, numbers, boxes_of(network, seen))

    batches = lambda first: numbered_batches(draw, (numbers.seed,), first, loaders)  # noqa: E731
    return stage_of("heads", network, learns, batches, values, numbers)


def trunk_parts(network: Network) -> list[tuple[float, list[nn.Module]]]:
    """Pyramid, and body behind its frozen blocks, with their shares of the learning rate: the slower the deeper."""
    return [(0.6, [network.backbone.fpn]), (0.3, list(network.backbone.body.blocks[FIRST_BLOCKS:]))]


def moved(network: Network, before: Network, levels: list[torch.Tensor], levels_before: list[torch.Tensor], samples: list[Sample]):
    """How far the garments' embeddings of both match heads have moved, as a mean difference of their score: v . (a - b)^2."""
    seen = [(s.labels > 0) & (s.visible >= VISIBLE) for s in samples]
    boxes = torch.cat([s.boxes[k] for s, k in zip(samples, seen)])
    if len(boxes) == 0:
        return levels[0].sum() * 0
    config, image = network.config, picture_of(seen)
    pool = lambda of: pool_rois(config, of, boxes, 14, config.input_size, image)  # noqa: E731
    now, then = network.embed(pool(levels)), before.embed(pool(levels_before))
    heads = (before.roi_heads.match_predictor, before.roi_heads.temporal_aggregator)
    return sum(((a - b).square() @ -head.score_weights()[0]).mean() for head, a, b in zip(heads, now, then))


def learning(network: Network, mixes: bool = False) -> list[torch.nn.Parameter]:
    """Proposals, box head and its outputs; how channels are mixed before they are pooled only with `mixes`."""
    head = network.roi_heads.box_head
    modules = [network.rpn, head.fc6, head.fc7, network.roi_heads.box_predictor] + [head.mix, head.mix_context] * mixes
    return [p for module in modules for p in module.parameters()] + [head.fc6_context.weight]


def view_heads(
    network: Network, stored: StoredViews, numbers: ViewHeads, measure: Callable[[], dict[str, float]] | None = None
) -> Stage:
    """RPN and box head on stored views, and the trunk where they are stored for that. `measure`: figures of `network` on held-out photos."""
    network.eval().requires_grad_(False)
    learns, before = [Group(learning(network, numbers.mixes), numbers.lr)], None
    if stored.begun:
        before, heads = copy.deepcopy(network), network.roi_heads
        parts = [*trunk_parts(network), (0.3, [heads.match_predictor, heads.temporal_aggregator])]
        learns += [Group([p for m in modules for p in m.parameters()], numbers.lr * share) for share, modules in parts]
    for group in learns:
        for parameter in group.parameters:
            parameter.requires_grad_(True)
    sets = stored.table()
    held = [k for k, kind in enumerate(stored.order(numbers.batch)) if kind in numbers.held]

    def batches(first: int) -> Iterator[tuple[int, torch.Tensor, list[Sample]]]:
        for n in itertools.count(first):
            yield (n, *stored.batch(numbers.batch, np.random.default_rng([numbers.seed, 71, n])))

    def values(numbered: tuple[int, torch.Tensor, list[Sample]]) -> dict[str, torch.Tensor]:
        n, features, samples = numbered
        # RoIs are drawn by the batch's number, so that a resumed run draws the same.
        torch.manual_seed(numbers.seed * 1_000_003 + n)
        levels = stored.levels(network, features)
        box = lambda rois, image: network.box_of(levels, rois, image)  # noqa: E731
        out = detector_losses(network, samples, pyramid_of(levels, network.config), numbers, box, sets)
        if before:
            with torch.no_grad():
                then = stored.levels(before, features[held])
            out["moved"] = moved(network, before, [level[held] for level in levels], then, [samples[k] for k in held])
        return out

    measured = {"measure": measure, "measure_every": numbers.measure_every}
    return stage_of("real-heads", network, learns, batches, values, numbers, **measured)


class HeldOut:
    """Photos of real people as the trunk sees them, and how well a network's heads find what is worn, in one pass."""

    def __init__(self, worn: Worn, photos: list[str], trunk: RestingTrunk | LearningTrunk):
        self.trunk, self.worn, self.photos = trunk, worn, photos
        self.features, self.sizes, self.shapes = [], [], []
        for photo in photos:
            picture = worn.read(photo)
            image, size = preprocess.letterbox(picture, COMPACT.input_size, COMPACT.prefilter)
            self.features.append(trunk.row(image[0].numpy()))
            self.sizes.append(size)
            self.shapes.append(picture.shape[:2])

    @torch.no_grad()
    def __call__(self, network: Network) -> dict[str, float]:
        """Shares found, of the right region, and stray, at a score of .5."""
        counts, truth = Counts(0.5), self.worn.boxes()
        for k, photo in enumerate(self.photos):
            counts.add(photo, truth.get(photo, []), self.found(network, k))
        return {
            "found": round(counts.found / max(counts.garments, 1), 4),
            "region": round(counts.region_right / max(counts.found, 1), 4),
            "stray": len(counts.stray),
            "boxes": counts.boxes,
        }

    def found(self, network: Network, k: int) -> list[Found]:
        """The detections in photo `k`."""
        config, size, shape = network.config, self.sizes[k], self.shapes[k]
        levels = self.trunk.levels(torch.from_numpy(self.features[k].astype(np.float32))[None])
        proposals, _ = propose(config, config.input_size, size, *network.rpn.head(pyramid_of(levels, config)))
        found = detect(config, size, proposals, *network.box_of(levels, proposals))
        factor = torch.tensor([shape[1] / size[1], shape[0] / size[0]] * 2)
        return found_in(found, factor)
