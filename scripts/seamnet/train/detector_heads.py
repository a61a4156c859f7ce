"""The detector's heads (proposals, boxes, classes) on kept looks at real and generated people (`looks`); trunk and pyramid rest.

A real garment's label often leaves its class open: a blouse whose sleeves a coat hides may be any of four. Its loss is -log of the
probability of all classes that it may be, so the region is learned from every garment and the class where it is known.
"""

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from ..model import boxes, preprocess
from ..model.config import COMPACT
from ..model.network import Network, detect, flat, level_anchors, pool_rois, propose
from . import detector, looks, loop, losses
from .data import Sample
from .worn import Worn
from .worn_counts import Counts, Found


@dataclass(frozen=True)
class Recipe:
    """All numbers of the run."""

    minutes: float = 0.0
    """When > 0 the schedule also ends after this time, whichever is first."""
    steps: int = 2000
    seed: int = 1
    lr: float = 4e-4
    warmup: int = 30
    weight_decay: float = 1e-4
    average: float = 0.995
    back: float = 0.0
    """How far the result goes back to the weights that the run began with."""
    batch: dict[str, int] = field(
        default_factory=lambda: {"whole": 5, "mosaic": 1, "close": 4, "street": 3, "shop": 1, "empty": 1, "place": 1}
    )
    """Looks of each kind in a batch."""
    rois: int = 40
    proposals: int = 100
    save_every: float = 120.0


class Looks:
    """What `looks.build_detector` wrote. `validation`: photos that are left out."""

    def __init__(self, folder: Path, left_out: frozenset[str] = frozenset()):
        self.features = np.load(folder / "features.npy", mmap_mode="r")
        self.entries = [json.loads(line) for line in (folder / "looks.jsonl").read_text().splitlines()]
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
    wanted = boxes.encode(targets[mine], proposals[mine], boxes.BOX_WEIGHTS)
    moves = F.smooth_l1_loss(predicted, wanted, beta=losses.SMOOTH, reduction="sum") / len(labels)
    return classes, moves


def detector_losses(network: Network, features: torch.Tensor, samples: list[Sample], table: torch.Tensor, recipe: Recipe):
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
    found = detector.proposals_of(network, sizes, objectness, deltas, anchors, recipe.proposals)
    rois, labels, targets, image = losses.box_targets(*found, truth, recipe.rois)
    out["class"], out["box"] = class_loss(*box(network, levels, rois, image), rois, labels, targets, table)
    return out


def box(network: Network, levels: list[torch.Tensor], rois: torch.Tensor, image=None) -> tuple[torch.Tensor, torch.Tensor]:
    """What `network.box` gives of `pool_boxes`: class logits and deltas of n boxes. Channels are mixed before they are pooled,
    which is the same, for both are linear, and a fifth of the work."""
    config, head = network.config, network.roi_heads.box_head
    own = pool_rois(config, [_mixed(level, head.mix) for level in levels], rois, 7, config.input_size, image)
    about = boxes.with_context(rois, config.context)[1::2]
    around = pool_rois(config, [_mixed(level, head.mix_context) for level in levels], about, 7, config.input_size, image)
    hidden = F.relu(head.fc6(own.flatten(1)) + F.linear(around.flatten(1), head.fc6_context.weight))
    return network.roi_heads.box_predictor(F.relu(head.fc7(hidden)))


def _mixed(level: torch.Tensor, mix: torch.nn.Linear) -> torch.Tensor:
    return F.conv2d(level, mix.weight[:, :, None, None]).contiguous()


def learning(network: Network) -> list[torch.nn.Parameter]:
    """All but how channels are mixed before they are pooled: to learn that costs as much as all the rest."""
    modules = [network.rpn, network.roi_heads.box_head.fc6, network.roi_heads.box_head.fc7, network.roi_heads.box_predictor]
    return [p for module in modules for p in module.parameters()] + [network.roi_heads.box_head.fc6_context.weight]


def fit(network: Network, kept: Looks, recipe: Recipe, out: Path, held_out=None, report=print) -> None:
    """Trains the heads in place; checkpoints and a log (one JSON object a line) in `out`; resumes what is there.

    `held_out`: network -> figures, logged now and then.
    """
    out.mkdir(parents=True, exist_ok=True)
    network.eval().requires_grad_(False)
    learn = [p.requires_grad_(True) for p in learning(network)]
    optimiser = torch.optim.AdamW(learn, lr=recipe.lr, weight_decay=recipe.weight_decay)
    begun = {k: v.clone() for k, v in network.state_dict().items()}
    averaged = {k: v.clone() for k, v in begun.items()}
    step, spent, last, table = 0, 0.0, out / "heads.pth", kept.table()
    if last.exists():
        state = torch.load(last, weights_only=True)
        network.load_state_dict(state["present"])
        averaged, begun = state["averaged"], state["begun"]
        optimiser.load_state_dict(state["optimiser"])
        step, spent = state["step"], state["spent"]
        report(f"resumed at step {step}")

    def save() -> None:
        now = {"present": network.state_dict(), "averaged": averaged, "begun": begun}
        now |= {"optimiser": optimiser.state_dict(), "step": step, "spent": spent, "recipe": asdict(recipe)}
        torch.save(now, last.with_suffix(".tmp"))
        last.with_suffix(".tmp").replace(last)

    def over() -> float:
        return min(1.0, max(step / recipe.steps, spent / (60 * recipe.minutes) if recipe.minutes else 0.0))

    clock = saved = time.monotonic()
    with (out / "heads.jsonl").open("a") as log:
        while over() < 1:
            # By the step's number, so that a run that was stopped goes on with the same batches.
            torch.manual_seed(recipe.seed * 1_000_003 + step)
            features, samples = kept.batch(recipe.batch, np.random.default_rng([recipe.seed, 71, step]))
            for group in optimiser.param_groups:
                group["lr"] = recipe.lr * loop.rate(step, recipe.warmup, over())
            values = detector_losses(network, features, samples, table, recipe)
            total = sum(detector.WEIGHTS[name] * value for name, value in values.items())
            optimiser.zero_grad(set_to_none=True)
            total.backward()
            torch.nn.utils.clip_grad_norm_(learn, 5.0)
            optimiser.step()
            step += 1
            loop.follow(averaged, network, step, recipe.average)
            now = time.monotonic()
            spent, clock = spent + now - clock, now
            line = {"step": step, "s": round(spent)} | {name: round(value.item(), 4) for name, value in values.items()}
            if held_out is not None and (step % 300 == 0 or over() >= 1):
                present = {k: v.clone() for k, v in network.state_dict().items()}
                loop.come_back(network, averaged, begun, recipe.back)
                line |= held_out(network)
                network.load_state_dict(present)
            log.write(json.dumps(line) + "\n")
            if step % 20 == 0 or over() >= 1:
                log.flush()
                report(json.dumps(line))
            if now - saved > recipe.save_every:
                save()
                saved = now
    save()
    loop.come_back(network, averaged, begun, recipe.back)


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
        n, f, b = counts.garments, counts.found, counts.boxes
        return {
            "found": round(f / max(n, 1), 4),
            "region": round(counts.region_right / max(f, 1), 4),
            "stray": len(counts.stray),
            "boxes": b,
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
