"""Losses: region proposals, boxes and classes, and the match of street and shop garments."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ..model import detection
from ..model.network import MatchHead
from .data import VISIBLE, Sample

SMOOTH = 1 / 9
"""Where the smooth L1 loss turns linear, in deltas."""


@dataclass
class Truth:
    """The garments of B pictures, padded to the same count M: boxes B x M x 4, labels B x M; which of them exist and are
    visible enough to be learnt (`known`), and which are barely visible (`blurred`), both B x M."""

    boxes: torch.Tensor
    labels: torch.Tensor
    known: torch.Tensor
    blurred: torch.Tensor

    @staticmethod
    def of(samples: list[Sample]) -> "Truth":
        most = max(1, *(len(s.labels) for s in samples))
        fill = lambda values, rest: F.pad(values, (0,) * (2 * values.dim() - 1) + (most - len(values),), value=rest)  # noqa: E731
        visible = torch.stack([fill(s.visible, -1.0) for s in samples])
        return Truth(
            boxes=torch.stack([fill(s.boxes, 0.0) for s in samples]),
            labels=torch.stack([fill(s.labels, 0) for s in samples]),
            known=visible >= VISIBLE,
            blurred=(visible >= 0) & (visible < VISIBLE),
        )


def assign(candidates: torch.Tensor, truth: Truth, high: float, low: float, rescue: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels candidate boxes, B x n x 4: (1 garment, 0 background, -1 neither; index of the nearest garment), both B x n.

    `rescue`: a garment's best candidates count even below `high`. Candidates on barely visible
    garments are neither.
    """
    # Not a number where both boxes are padding, which is neither known nor blurred.
    overlap = detection.box_iou(truth.boxes, candidates)
    known = overlap.masked_fill(~truth.known[..., None], -1.0)
    best, nearest = known.max(dim=1)
    status = torch.zeros_like(nearest)
    status[best >= low] = -1
    status[best >= high] = 1
    if rescue:
        top = known.amax(dim=2, keepdim=True)
        status[((known >= top - 1e-4) & (top > 0.2)).any(dim=1)] = 1
    blurred = overlap.masked_fill(~truth.blurred[..., None], -1.0).amax(dim=1) >= 0.3
    status[blurred & (status == 0)] = -1
    return status, nearest


def draw(status: torch.Tensor, count: int, share: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Samples of each row of B x n at most `share` of `count` positives, and negatives up to `count`: two masks."""
    chance = torch.rand(status.shape, device=status.device)

    def some(of: torch.Tensor, most) -> torch.Tensor:
        place = chance.masked_fill(~of, 2.0).argsort(dim=1).argsort(dim=1)
        return of & (place < most)

    positive = some(status == 1, int(count * share))
    return positive, some(status == 0, count - positive.sum(dim=1, keepdim=True))


def rpn_loss(logits, deltas, anchors, truth: Truth) -> tuple[torch.Tensor, torch.Tensor]:
    """Objectness and box losses; logits B x n, deltas B x n x 4 in the anchors' order."""
    anchors = anchors.expand(len(logits), -1, -1)
    status, nearest = assign(anchors, truth, 0.6, 0.3, rescue=True)
    positive, negative = draw(status, 96, 0.5)
    some = positive | negative
    count = some.sum().clamp(min=1)
    objectness = F.binary_cross_entropy_with_logits(logits[some], positive[some].float(), reduction="sum")
    image, place = torch.nonzero(positive, as_tuple=True)
    wanted = detection.encode(truth.boxes[image, nearest[image, place]], anchors[image, place], detection.RPN_WEIGHTS)
    box = F.smooth_l1_loss(deltas[image, place], wanted, beta=SMOOTH, reduction="sum")
    return objectness / count, box / count


def box_targets(proposals: torch.Tensor, valid: torch.Tensor, truth: Truth, count: int):
    """Samples each picture's proposals, B x n x 4 where `valid`, and its garments: boxes, labels, boxes of the matching garments,
    and index of the picture, all concatenated."""
    candidates = torch.cat([proposals, truth.boxes], dim=1)
    status, nearest = assign(candidates, truth, 0.5, 0.5, rescue=False)
    status[~torch.cat([valid, truth.known], dim=1)] = -1
    positive, negative = draw(status, count, 0.35)
    image, place = torch.nonzero(positive | negative, as_tuple=True)
    mine = nearest[image, place]
    labels = truth.labels[image, mine] * positive[image, place]
    return candidates[image, place], labels, truth.boxes[image, mine], image


def box_loss(logits, deltas, proposals, labels, targets, sets: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Class and box loss over n sampled RoIs. With `sets` (S x K, bool) the labels are numbers of sets of classes: the class loss is -log
    of the probability of the whole set, and the box is that of its likeliest class."""
    if sets is None:
        classes = F.cross_entropy(logits, labels)
    else:
        allowed = F.log_softmax(logits, dim=1).masked_fill(~sets[labels], -torch.inf)
        classes = -torch.logsumexp(allowed, dim=1).mean()
    mine = torch.nonzero(labels > 0).flatten()
    if len(mine) == 0:
        return classes, deltas.sum() * 0
    chosen = labels[mine] if sets is None else allowed[mine].argmax(dim=1)
    predicted = deltas.view(len(deltas), -1, 4)[mine, chosen]
    wanted = detection.encode(targets[mine], proposals[mine], detection.BOX_WEIGHTS)
    box = F.smooth_l1_loss(predicted, wanted, beta=SMOOTH, reduction="sum") / len(labels)
    return classes, box


def pair_loss(logits: torch.Tensor, same: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of match logits (any shape); matching pairs and others have the same total weight."""
    losses = F.binary_cross_entropy_with_logits(logits, same.float(), reduction="none")
    return 0.5 * (losses[same].mean() if same.any() else 0) + 0.5 * losses[~same].mean()


def rank_loss(logits: torch.Tensor, same: torch.Tensor, cap: float = math.inf) -> torch.Tensor:
    """Softmax cross-entropy along rows: a query's own products against all others (InfoNCE).

    A finite `cap` bends each term l to l / (1 + l / cap), so that wrongly labelled pairs do not
    decide the step.
    """
    rows = same.any(dim=1)
    if not rows.any():
        return logits.sum() * 0
    logits, same = logits[rows], same[rows]
    others = torch.logsumexp(logits.masked_fill(same, -torch.inf), dim=1, keepdim=True)
    each = torch.logaddexp(logits, others) - logits
    each = each / (1 + each / cap)
    return (each * same).sum(dim=1).div(same.sum(dim=1)).mean()


class Bank:
    """Embeddings of recent shop pictures, one a product, oldest out first."""

    def __init__(self, size: int, width: int, device: torch.device | str = "cpu"):
        self.size = size
        self.embeddings = torch.zeros(0, width, device=device)
        self.products = torch.zeros(0, dtype=torch.long, device=device)

    def add(self, embeddings: torch.Tensor, products: torch.Tensor) -> None:
        """n x width and n; of a product that stands there twice, the last one."""
        last = ~(products[:, None] == products[None]).triu(diagonal=1).any(dim=1)
        old = ~torch.isin(self.products, products)
        self.embeddings = torch.cat([self.embeddings[old], embeddings.detach()[last]])[-self.size :]
        self.products = torch.cat([self.products[old], products[last]])[-self.size :]

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {"embeddings": self.embeddings, "products": self.products}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        self.embeddings, self.products = (t.to(self.products.device) for t in (state["embeddings"], state["products"]))


def match_loss(
    head: MatchHead, embeddings: torch.Tensor, products: torch.Tensor, shop: torch.Tensor, bank: Bank | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """(pairwise, ranking) loss of n garments. `shop`: which are shop pictures; `bank`: shop pictures of earlier batches."""
    logits = head.pair_logits(embeddings, embeddings)
    same = products[:, None] == products[None]
    other = ~torch.eye(len(products), dtype=torch.bool, device=products.device)
    pairs = pair_loss(logits[other], same[other])
    street = ~shop
    if not shop.any() or not street.any():
        return pairs, logits.sum() * 0
    gallery, names = embeddings[shop], products[shop]
    if bank is not None:
        new = ~torch.isin(bank.products, names)
        gallery = torch.cat([gallery, bank.embeddings[new]])
        names = torch.cat([names, bank.products[new]])
    forth = rank_loss(head.pair_logits(embeddings[street], gallery), products[street][:, None] == names[None])
    back = rank_loss(logits[shop][:, street], same[shop][:, street])
    within = logits[street][:, street].masked_fill(~other[street][:, street], -30.0)
    frames = rank_loss(within, same[street][:, street] & other[street][:, street])
    return pairs, forth + 0.5 * back + 0.25 * frames


@torch.no_grad()
def constrain_distance(head: MatchHead) -> None:
    """Holds every weight v of the score below 0: a difference never counts for a match.

    The published form lets v be positive; then a far outlier matches everything, and training jumps.
    """
    weight = head.last.weight
    weight[1] = torch.minimum(weight[1], weight[0] - 1e-3)
