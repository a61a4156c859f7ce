"""Stage one of training the compact network: detector and single-frame match head, end to end.

The garments' own boxes (shaken) feed the match head, so it does not wait for the detector. The
match loss is the published pairwise cross-entropy plus a ranking loss over the same logits, which
converges far sooner: every street garment against the shop garments of the batch and of a bank
of recent batches.
"""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torchvision.ops import batched_nms

from ..folder import weights as files
from ..model import boxes
from ..model.network import Network, flat, level_anchors, pool_boxes, pool_rois
from . import loop, losses
from .data import VISIBLE, BatchSpec, Pictures, Sample, batch, draws
from .picture_features import Stored

WEIGHTS = {"objectness": 1.0, "rpn_box": 3.0, "class": 1.0, "box": 1.0, "pairs": 0.5, "rank": 1.0}
"""What each loss weighs in the sum."""


@dataclass(frozen=True)
class Recipe:
    """All numbers of a training run."""

    steps: int = 1200
    minutes: float = 0.0
    """When > 0 the schedule also ends after this time, whichever is first."""
    seed: int = 1
    lr: float = 4e-4
    body_lr: float = 1e-4
    warmup: int = 30
    weight_decay: float = 1e-4
    frozen_blocks: int = 6
    """Stem and first blocks of the body that keep their ImageNet weights."""
    average: float = 0.998
    """Decay of the moving average of the weights, which is what a run leaves."""
    rois: int = 40
    """RoIs a picture that train the box head."""
    proposals: int = 60
    bank: int = 600
    shake: float = 0.06
    batch: BatchSpec = BatchSpec()
    threads: int = 1
    loaders: int = 0
    """Processes that make batches ahead of time; none: the training's own process."""
    device: str = "cpu"
    save_every: float = 120.0
    """Seconds between checkpoints."""


def start(network: Network) -> None:
    """Initial match weights: score 0.5 about where random pairs begin to differ."""
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
def begin_even(network: Network, samples: list[Sample], blocks: int) -> None:
    """Evens out every fresh layer on `samples`."""
    heads = network.roi_heads
    fresh = [network.backbone.fpn, network.rpn.head.conv, heads.box_head, heads.match_predictor.conv_seq]
    fresh.append(heads.match_predictor.linear[0])
    layers = [m for f in fresh for m in f.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))]

    def run():
        levels = pyramid(network, samples, blocks)
        network.rpn.head(levels)
        levels = [level.contiguous() for level in levels[:-1]]
        garments = torch.cat([s.boxes for s in samples])
        image = picture_of([s.labels > 0 for s in samples])
        config, size = network.config, network.config.input_size
        network.box(pool_boxes(config, levels, garments, size, image))
        fourteen = pool_rois(config, levels, garments, 14, size, image)
        heads.match_predictor(without_appearance(network, fourteen))

    loop.even_out(layers, run)


def pyramid(network: Network, samples: list[Sample], blocks: int) -> list[torch.Tensor]:
    """Pyramid levels and pool of a batch, from its pictures or from what the first `blocks` blocks made of them."""
    if samples[0].features is None:
        images = torch.stack([s.image for s in samples])
        return network.backbone(images.contiguous(memory_format=torch.channels_last))
    begun = torch.stack([s.features for s in samples]).contiguous(memory_format=torch.channels_last)
    return network.backbone.fpn(network.backbone.body.finish(begun, blocks))


def without_appearance(network: Network, rois: torch.Tensor) -> torch.Tensor:
    """RoIs of the pyramid alone, zeros for the channels that only stage two learns from."""
    return torch.nn.functional.pad(rois, (0, 0, 0, 0, 0, network.config.extra))


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
        moved = boxes.decode(moves.gather(1, top[..., None].expand(-1, -1, 4)), level[top], boxes.RPN_WEIGHTS)
        moved = torch.minimum(moved.clamp(min=0), corner)
        large = boxes.large(moved.flatten(0, 1), config.proposal_min_side)
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
    """Losses of RPN and box head on what `pyramid` gave, and the levels of it that RoIs are pooled from. The box head learns on
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


def picture_of(chosen: list[torch.Tensor]) -> torch.Tensor:
    """Masks over the garments of each picture -> the picture that each chosen garment is of."""
    return torch.cat([torch.full((len(mask),), i, device=mask.device)[mask] for i, mask in enumerate(chosen)])


class Bank:
    """Embeddings of recent shop pictures, one a product, oldest out first."""

    def __init__(self, size: int):
        self.size = size
        self.items: dict[int, torch.Tensor] = {}

    def add(self, embeddings: torch.Tensor, products: torch.Tensor) -> None:
        for e, p in zip(embeddings.detach(), products.tolist()):
            self.items.pop(p, None)
            self.items[p] = e
        while len(self.items) > self.size:
            self.items.pop(next(iter(self.items)))

    def tensors(self):
        """(n x E, n) or None."""
        if not self.items:
            return None
        held = torch.stack(list(self.items.values()))
        return held, torch.tensor(list(self.items), device=held.device)


class Trainer:
    """A network, its optimiser, and one step."""

    def __init__(self, network: Network, recipe: Recipe):
        self.network, self.recipe = network, recipe
        self.bank = Bank(recipe.bank)
        self.rank = dist.get_rank() if dist.is_initialized() else 0
        self.step_number, self.spent = 0, 0.0
        self.averaged = {k: v.clone() for k, v in network.state_dict().items()}
        body = network.backbone.body
        self.frozen = [body.stem, *body.blocks[: recipe.frozen_blocks]] if recipe.frozen_blocks else []
        for module in self.frozen:
            module.requires_grad_(False)
        network.roi_heads.temporal_aggregator.requires_grad_(False)
        body_ids = {id(p) for p in body.parameters()}
        learn = [p for p in network.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in learn if id(p) not in body_ids], "peak": recipe.lr},
        ]
        groups.append({"params": [p for p in learn if id(p) in body_ids], "peak": recipe.body_lr})
        self.optimiser = torch.optim.AdamW(groups, lr=recipe.lr, weight_decay=recipe.weight_decay)

    def progress(self) -> float:
        """Share of the run that is over, 0..1."""
        done = self.step_number / self.recipe.steps
        if self.recipe.minutes > 0:
            done = max(done, self.spent / (60 * self.recipe.minutes))
        return min(done, 1.0)

    def set_rate(self) -> None:
        rate = loop.rate(self.step_number, self.recipe.warmup, self.progress())
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * rate

    def losses(self, samples: list[Sample]) -> dict[str, torch.Tensor]:
        """All losses of a batch."""
        network, config = self.network, self.network.config
        levels = pyramid(network, samples, self.recipe.frozen_blocks)
        out, levels = detector_losses(network, samples, levels, self.recipe.proposals, self.recipe.rois)
        out["pairs"], out["rank"] = self.match(samples, levels, config.input_size)
        return out

    def match(self, samples, levels, size):
        """The match losses over every garment that shows enough."""
        seen = [s.visible >= VISIBLE for s in samples]
        rois = torch.cat([boxes.clip(loop.shaken(s.boxes[k], self.recipe.shake), s.size) for s, k in zip(samples, seen)])
        image = picture_of(seen)
        products = torch.cat([s.products[k] for s, k in zip(samples, seen)])
        shop = torch.tensor([s.shop for s in samples], device=image.device)[image]
        head = self.network.roi_heads.match_predictor
        pooled = pool_rois(self.network.config, levels, rois, 14, size, image)
        embeddings = head(without_appearance(self.network, pooled))
        result = losses.match_loss(head, embeddings, products, shop, self.bank.tensors())
        self.bank.add(embeddings[shop], products[shop])
        return result

    def step(self, samples: list[Sample]) -> dict[str, float]:
        """One update; the losses as numbers."""
        self.network.train()
        self.set_rate()
        values = self.losses(samples)
        total = sum(WEIGHTS[name] * value for name, value in values.items())
        if not torch.isfinite(total):
            raise FloatingPointError(f"step {self.step_number}: a loss is not finite: {values}")
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        self.share()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self.step_number += 1
        loop.follow(self.averaged, self.network, self.step_number, self.recipe.average)
        return {k: float(v.detach()) for k, v in values.items()} | {"total": float(total.detach())}

    def share(self) -> None:
        """Average gradients (and the time spent, so that all end together) over the workers."""
        if not dist.is_initialized():
            return
        gradients = [p.grad for g in self.optimiser.param_groups for p in g["params"] if p.grad is not None]
        flat_all = torch.cat([*(g.flatten() for g in gradients), torch.tensor([self.spent], device=gradients[0].device)])
        dist.all_reduce(flat_all)
        flat_all /= dist.get_world_size()
        parts = flat_all[:-1].split([g.numel() for g in gradients])
        for gradient, part in zip(gradients, parts):
            gradient.copy_(part.view_as(gradient))
        self.spent = float(flat_all[-1])

    def save(self, path: Path) -> None:
        """Checkpoint with all that resuming needs; replaces the old one in one move."""
        state = {
            "model_state_dict": self.averaged,
            "present": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step_number,
            "spent": self.spent,
            "recipe": asdict(self.recipe),
        }
        torch.save(state, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)

    def resume(self, path: Path) -> None:
        """Go on where `save` left (the bank refills by itself)."""
        state = torch.load(path, map_location=self.recipe.device, weights_only=True)
        self.network.load_state_dict(state["present"])
        self.averaged = state["model_state_dict"]
        self.optimiser.load_state_dict(state["optimiser"])
        self.step_number, self.spent = state["step"], state["spent"]


def train(network: Network, source: Pictures | Stored, recipe: Recipe, out: Path, init=None, weights=None, report=print) -> Trainer:
    """Run the recipe from ImageNet weights `init` or a checkpoint `weights`, on pictures or stored features.

    Checkpoints and a log (one JSON object a line) in `out`; resumes what is there. Leaves the
    averaged weights in `network`.
    """
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    out.mkdir(parents=True, exist_ok=True)
    start(network)
    if init:
        files.load_imagenet(network.backbone.body, init)

    def draw(rng: np.random.Generator) -> list[Sample]:
        if isinstance(source, Stored):
            return source.batch(rng)
        return batch(source, recipe.batch, network.config.input_size, rng)

    if weights:
        files.load(network, weights)
    else:
        begin_even(network.eval(), draw(np.random.default_rng(0)), recipe.frozen_blocks)
    network.to(recipe.device, memory_format=torch.channels_last)
    trainer, last = Trainer(network, recipe), out / "detector.pth"
    if last.exists():
        trainer.resume(last)
        report(f"resumed at step {trainer.step_number}")
    batches = draws(draw, (recipe.seed, trainer.rank), trainer.step_number, recipe.loaders)
    saved = clock = time.monotonic()
    with (out / f"detector-{trainer.rank}.log").open("a") as log:
        while trainer.progress() < 1:
            values = trainer.step([sample.to(recipe.device) for sample in next(batches)])
            trainer.spent += time.monotonic() - clock
            clock = time.monotonic()
            line = {"step": trainer.step_number, "s": round(trainer.spent)}
            line |= {k: round(v, 4) for k, v in values.items()}
            log.write(json.dumps(line) + "\n")
            log.flush()
            if trainer.rank == 0 and trainer.step_number % 10 == 0:
                report(" ".join(f"{k} {v}" for k, v in line.items()))
            if trainer.rank == 0 and clock - saved > recipe.save_every:
                trainer.save(last)
                saved = clock
    if trainer.rank == 0:
        trainer.save(last)
    network.load_state_dict(trainer.averaged)
    network.to("cpu")
    return trainer
