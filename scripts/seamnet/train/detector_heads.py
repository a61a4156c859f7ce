"""The detector's heads (proposals, boxes, classes) on kept looks at real and generated people (`looks`); trunk and pyramid rest.

A real garment's label often leaves its class open: a blouse whose sleeves a coat hides may be any of four. Its loss is -log of the
probability of all classes that it may be, so the region is learned from every garment and the class where it is known.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from ..model import detection, preprocess
from ..model.config import COMPACT
from ..model.detection import detect, flat, level_anchors, pool_rois, propose
from ..model.network import Network
from . import detector, looks, losses
from .data import Sample
from .loop import Averaging, Group, Schedule, Stage
from .worn import Worn
from .worn_counts import Counts, Found


@dataclass(frozen=True)
class RealHeads:
    """The numbers of the stage."""

    seed: int = 1
    schedule: Schedule = Schedule(steps=2000, warmup=30)
    averaging: Averaging = Averaging(decay=0.995)
    lr: float = 4e-4
    weight_decay: float = 1e-4
    batch: dict[str, int] = field(
        default_factory=lambda: {"whole": 5, "mosaic": 1, "close": 4, "street": 3, "shop": 1, "empty": 1, "place": 1}
    )
    """Looks of each kind in a batch."""
    rois: int = 40
    """RoIs a look that train the box head."""
    proposals: int = 100
    measure_every: int = 300
    """Steps between two looks at the held-out photos."""


Batch = tuple[int, torch.Tensor, list[Sample]]
"""Its number, features B x n and truths."""


class Looks:
    """What `looks.keep` wrote into some folders, without the looks at the photos `left_out`."""

    def __init__(self, folders: list[Path], left_out: frozenset[str] = frozenset()):
        parts = [np.load(folder / "features.npy", mmap_mode="r") for folder in folders]
        self.features = [row for part in parts for row in part]
        self.entries = [json.loads(line) for folder in folders for line in (folder / "looks.jsonl").read_text().splitlines()]
        self.sets = [(k,) for k in range(14)]
        self.kinds: dict[str, list[int]] = {}
        for place, entry in enumerate(self.entries):
            numbers = {}
            for number, classes in entry["sets"].items():
                if tuple(classes) not in self.sets:
                    self.sets.append(tuple(classes))
                numbers[int(number)] = self.sets.index(tuple(classes))
            entry["rows"] = [[*row[:4], numbers.get(row[4], row[4]), row[5]] for row in entry["rows"]]
            real = entry["kind"] in ("whole", "mosaic", "close")
            if not (real and left_out & set(map(str, entry["what"]))):
                self.kinds.setdefault(entry["kind"], []).append(place)

    def table(self) -> torch.Tensor:
        """S x 14: which labels are in each set."""
        out = torch.zeros(len(self.sets), 14, dtype=torch.bool)
        for number, classes in enumerate(self.sets):
            out[number, list(classes)] = True
        return out

    def sample(self, place: int) -> Sample:
        """A look's truth; labels are numbers of sets."""
        entry = self.entries[place]
        rows = torch.tensor(entry["rows"], dtype=torch.float32).reshape(-1, 6)
        return Sample(
            image=None,
            size=tuple(entry["size"]),
            boxes=rows[:, :4],
            labels=rows[:, 4].long(),
            products=torch.zeros(len(rows), dtype=torch.long),
            visible=rows[:, 5],
            shop=False,
        )

    def batch(self, counts: dict[str, int], rng: np.random.Generator) -> tuple[torch.Tensor, list[Sample]]:
        """Features B x n and truths."""
        places = [int(k) for kind, n in counts.items() if kind in self.kinds for k in rng.choice(self.kinds[kind], n)]
        features = torch.from_numpy(np.stack([self.features[k] for k in places]).astype(np.float32))
        return features, [self.sample(k) for k in places]


def class_loss(logits: torch.Tensor, deltas, proposals, labels, targets, table: torch.Tensor):
    """Class loss of n RoIs whose `labels` are numbers of sets, rows of `table`; the box loss of the likeliest label of each."""
    log = F.log_softmax(logits, dim=1)
    allowed = log.masked_fill(~table[labels], -torch.inf)
    classes = -torch.logsumexp(allowed, dim=1).mean()
    mine = torch.nonzero(labels > 0).flatten()
    if len(mine) == 0:
        return classes, deltas.sum() * 0
    likeliest = allowed[mine].argmax(dim=1)
    predicted = deltas.view(len(deltas), -1, 4)[mine, likeliest]
    wanted = detection.encode(targets[mine], proposals[mine], detection.BOX_WEIGHTS)
    moves = F.smooth_l1_loss(predicted, wanted, beta=losses.SMOOTH, reduction="sum") / len(labels)
    return classes, moves


def detector_losses(network: Network, features: torch.Tensor, samples: list[Sample], table: torch.Tensor, numbers: RealHeads):
    """Losses of proposals and boxes by name."""
    config, size = network.config, network.config.input_size
    levels = looks.unpacked(features, config)
    pyramid = [level[:, : config.channels] for level in levels]
    pyramid.append(F.max_pool2d(pyramid[-1], 1, 2))
    objectness, deltas = network.rpn.head(pyramid)
    anchors = level_anchors(config, size, [t.shape[-2:] for t in objectness])
    truth = losses.Truth.of(samples)
    logits, moves = (torch.cat(column, dim=1) for column in zip(*map(flat, objectness, deltas)))
    out = dict(zip(("objectness", "rpn_box"), losses.rpn_loss(logits, moves, torch.cat(anchors), truth)))
    sizes = torch.tensor([s.size for s in samples])
    found = detector.proposals_of(network, sizes, objectness, deltas, anchors, numbers.proposals)
    rois, labels, targets, image = losses.box_targets(*found, truth, numbers.rois)
    out["class"], out["box"] = class_loss(*box(network, levels, rois, image), rois, labels, targets, table)
    return out


def box(network: Network, levels: list[torch.Tensor], rois: torch.Tensor, image=None) -> tuple[torch.Tensor, torch.Tensor]:
    """What `network.box` gives of `pool_boxes`: class logits and deltas of n boxes. Channels are mixed before they are pooled,
    which is the same, for both are linear, and a fifth of the work."""
    config, head = network.config, network.roi_heads.box_head
    own = pool_rois(config, [_mixed(level, head.mix) for level in levels], rois, 7, config.input_size, image)
    about = detection.with_context(rois, config.context)[1::2]
    around = pool_rois(config, [_mixed(level, head.mix_context) for level in levels], about, 7, config.input_size, image)
    hidden = F.relu(head.fc6(own.flatten(1)) + F.linear(around.flatten(1), head.fc6_context.weight))
    return network.roi_heads.box_predictor(F.relu(head.fc7(hidden)))


def _mixed(level: torch.Tensor, mix: torch.nn.Linear) -> torch.Tensor:
    return F.conv2d(level, mix.weight[:, :, None, None]).contiguous()


def learning(network: Network) -> list[torch.nn.Parameter]:
    """All but how channels are mixed before they are pooled: to learn that costs as much as all the rest."""
    modules = [network.rpn, network.roi_heads.box_head.fc6, network.roi_heads.box_head.fc7, network.roi_heads.box_predictor]
    return [p for module in modules for p in module.parameters()] + [network.roi_heads.box_head.fc6_context.weight]


def real_heads(network: Network, kept: Looks, numbers: RealHeads, measure: Callable[[], dict[str, float]] | None = None) -> Stage:
    """The stage. `measure`: figures of `network` on held-out photos."""
    network.eval().requires_grad_(False)
    learn = [p.requires_grad_(True) for p in learning(network)]
    table = kept.table()

    def batches(first: int) -> Iterator[Batch]:
        for n in itertools.count(first):
            yield (n, *kept.batch(numbers.batch, np.random.default_rng([numbers.seed, 71, n])))

    def values(batch: Batch) -> dict[str, torch.Tensor]:
        n, features, samples = batch
        # RoIs are drawn by the batch's number, so that a resumed run draws the same.
        torch.manual_seed(numbers.seed * 1_000_003 + n)
        return detector_losses(network, features, samples, table, numbers)

    return Stage(
        name="real-heads",
        module=network,
        learns=[Group(learn, numbers.lr)],
        batches=batches,
        losses=values,
        weights=detector.WEIGHTS,
        schedule=numbers.schedule,
        averaging=numbers.averaging,
        weight_decay=numbers.weight_decay,
        clip=5.0,
        measure=measure,
        measure_every=numbers.measure_every,
    )


class HeldOut:
    """Photos of real people as the trunk sees them, kept, and how well a network's heads find what is worn: the first look alone."""

    def __init__(self, worn: Worn, photos: list[str], model: Path):
        trunk, self.worn, self.photos = looks.Trunk(model), worn, photos
        self.features, self.sizes, self.shapes = [], [], []
        for photo in photos:
            picture = worn.read(photo)
            image, size = preprocess.letterbox(picture, COMPACT.input_size, COMPACT.prefilter)
            self.features.append(looks.packed(trunk(image[0].numpy()), COMPACT.channels))
            self.sizes.append(size)
            self.shapes.append(picture.shape[:2])

    @torch.no_grad()
    def __call__(self, network: Network) -> dict[str, float]:
        """Shares found, of the right region, and stray, at a score of .5."""
        counts = self.counts(network, 0.5)
        return {
            "found": round(counts.found / max(counts.garments, 1), 4),
            "region": round(counts.region_right / max(counts.found, 1), 4),
            "stray": len(counts.stray),
            "boxes": counts.boxes,
        }

    @torch.no_grad()
    def counts(self, network: Network, score: float) -> Counts:
        counts, truth, config = Counts(score), self.worn.boxes(), network.config
        for photo, features, size, shape in zip(self.photos, self.features, self.sizes, self.shapes):
            levels = looks.unpacked(torch.from_numpy(features.astype(np.float32))[None], config)
            pyramid = [level[:, : config.channels] for level in levels]
            raw = network.rpn.head([*pyramid, F.max_pool2d(pyramid[-1], 1, 2)])
            proposals, _ = propose(config, config.input_size, size, *raw)
            found = detect(config, size, proposals, *box(network, levels, proposals))
            factor = torch.tensor([shape[1] / size[1], shape[0] / size[0]] * 2)
            seen = [
                Found(tuple(box), s, k)
                for box, s, k in zip((found.boxes * factor).tolist(), found.scores.tolist(), found.labels.tolist())
            ]
            counts.add(photo, truth.get(photo, []), seen)
        return counts
