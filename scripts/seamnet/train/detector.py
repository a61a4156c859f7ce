"""The detector's two stages: `joint`, with the single-frame match head, end to end; and `heads`, the detector alone.

In the joint stage the garments' own boxes (jittered) feed the match head, so that it does not wait for the detector. The
match loss is the published pairwise cross-entropy plus a ranking loss over the same logits, which converges far sooner: every
street garment against the shop garments of the batch and of a bank of recent batches.

Together with a match head the detector learns from moderate changes, since what that head sees must keep its colour. Where a
garment is and of which class it is does not depend on light, on how close it stands, or on colour at all, so in the second stage
all of that varies. There trunk and pyramid rest, unless they are thawed: the match heads, which see their outputs, must then learn
again.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torchvision.ops import batched_nms

from ..model import detection
from ..model.detection import flat, level_anchors, pool_boxes, pool_rois
from ..model.network import Network
from . import losses
from .augment import any_light, closer, jitter_boxes
from .data import VISIBLE, BatchSpec, Pictures, Sample, batch, numbered_batches
from .init import init_heads, unit_variance
from .loop import Averaging, Group, Schedule, Stage
from .picture_features import PictureFeatures

WEIGHTS = {"objectness": 1.0, "rpn_box": 3.0, "class": 1.0, "box": 1.0, "pairs": 0.5, "rank": 1.0}
"""What each loss weighs in the sum."""
FROZEN_BLOCKS = 6
"""Stem and first blocks of the body that keep their ImageNet weights."""


@dataclass(frozen=True)
class Joint:
    """The numbers of the joint stage."""

    seed: int = 1
    schedule: Schedule = Schedule(steps=1200, warmup=30)
    averaging: Averaging = Averaging(decay=0.998)
    lr: float = 4e-4
    body_lr: float = 1e-4
    weight_decay: float = 1e-4
    frozen_blocks: int = FROZEN_BLOCKS
    rois: int = 40
    """RoIs a picture that train the box head."""
    proposals: int = 60
    bank: int = 600
    jitter: float = 0.06
    """Share of a box by which the match head's are moved."""
    batch: BatchSpec = BatchSpec()


@dataclass(frozen=True)
class Heads:
    """The numbers of the second stage."""

    seed: int = 1
    schedule: Schedule = Schedule(minutes=60.0, warmup=30)
    averaging: Averaging = Averaging(decay=0.995)
    """Its `back`: on photographs a mean with the weights before is better than the end."""
    lr: float = 4e-4
    weight_decay: float = 1e-4
    street: int = 11
    shop: int = 2
    empty: int = 3
    """Pictures of each kind in a batch."""
    rois: int = 64
    proposals: int = 100
    thaw: bool = False
    """Whether the pyramid and the body behind its frozen blocks learn too, the slower the deeper."""


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
    network: Network, samples: list[Sample], levels: list[torch.Tensor], proposals: int, count: int, beside=None
) -> tuple[dict[str, torch.Tensor], list[torch.Tensor]]:
    """Losses of RPN and box head on the levels of `pyramid`, and those of them that RoIs are pooled from. The box head learns on
    `count` RoIs of each picture, out of its best `proposals`; `beside`: channels for it beside the pyramid's, a level."""
    config, size = network.config, network.config.input_size
    objectness, deltas = network.rpn.head(levels)
    anchors = [a.to(levels[0].device) for a in level_anchors(config, size, [t.shape[-2:] for t in objectness])]
    truth = losses.Truth.of(samples)
    logits, moves = (torch.cat(column, dim=1) for column in zip(*map(flat, objectness, deltas)))
    out = dict(zip(("objectness", "rpn_box"), losses.rpn_loss(logits, moves, torch.cat(anchors), truth)))
    sizes = torch.tensor([s.size for s in samples], device=logits.device)
    found = proposals_of(network, sizes, objectness, deltas, anchors, proposals)
    rois, labels, targets, image = losses.box_targets(*found, truth, count)
    levels = [level.contiguous() for level in levels[:-1]]
    seen = [torch.cat(pair, dim=1) for pair in zip(levels, beside)] if beside else levels
    out["class"], out["box"] = losses.box_loss(*network.box(pool_boxes(config, seen, rois, size, image)), rois, labels, targets)
    return out, levels


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
        out, levels = detector_losses(network, samples, levels, numbers.proposals, numbers.rois)
        out["pairs"], out["rank"] = match_losses(network, samples, levels, numbers.jitter, bank)
        return out

    of_body = set(body.parameters())
    learn = [p for p in network.parameters() if p.requires_grad]
    rank = dist.get_rank() if dist.is_initialized() else 0
    return Stage(
        name="detector",
        module=network,
        learns=[
            Group([p for p in learn if p in of_body], numbers.body_lr),
            Group([p for p in learn if p not in of_body], numbers.lr),
        ],
        batches=lambda first: numbered_batches(draw, (numbers.seed, rank), first, loaders),
        losses=values,
        weights=WEIGHTS,
        schedule=numbers.schedule,
        averaging=numbers.averaging,
        weight_decay=numbers.weight_decay,
        clip=5.0,
        memory={"bank": bank},
        log_every=10,
    )


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
        parts += [(0.6, [fpn]), (0.3, body.blocks[FROZEN_BLOCKS:])]
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
            begun = body.begin(images, FROZEN_BLOCKS)
        with torch.set_grad_enabled(numbers.thaw):
            features = body.finish(begun, FROZEN_BLOCKS)
            levels = fpn(features)
            beside = network.appearance(images, features) if network.config.box_appearance else None
        return detector_losses(network, samples, levels, numbers.proposals, numbers.rois, beside)[0]

    return Stage(
        name="heads",
        module=network,
        learns=learns,
        batches=lambda first: numbered_batches(draw, (numbers.seed,), first, loaders),
        losses=values,
        weights=WEIGHTS,
        schedule=numbers.schedule,
        averaging=numbers.averaging,
        weight_decay=numbers.weight_decay,
        clip=5.0,
    )
