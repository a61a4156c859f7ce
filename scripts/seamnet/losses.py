"""Losses: region proposals, boxes and classes, and the match of street and shop garments."""

import math

import torch
import torch.nn.functional as F

from . import boxes
from .data import VISIBLE, Sample

SMOOTH = 1 / 9
"""Where the smooth L1 loss turns linear, in deltas."""


def assign(candidates, sample: Sample, high: float, low: float, rescue: bool):
    """Label n candidate boxes: (1 garment, 0 background, -1 neither; index of the nearest garment).

    `rescue`: a garment's best candidates count even below `high`. Candidates on barely visible
    garments are neither.
    """
    known = sample.visible >= VISIBLE
    status = torch.zeros(len(candidates), dtype=torch.long)
    nearest = torch.zeros(len(candidates), dtype=torch.long)
    if known.any():
        ids = torch.nonzero(known).flatten()
        iou = boxes.box_iou(sample.boxes[ids], candidates)
        best, which = iou.max(dim=0)
        nearest = ids[which]
        status[best >= low] = -1
        status[best >= high] = 1
        if rescue:
            top = iou.max(dim=1, keepdim=True).values
            lucky = ((iou >= top - 1e-4) & (top > 0.2)).any(dim=0)
            status[lucky] = 1
    if (~known).any():
        blurred = boxes.box_iou(sample.boxes[~known], candidates).max(dim=0).values >= 0.3
        status[blurred & (status == 0)] = -1
    return status, nearest


def draw(status: torch.Tensor, count: int, share: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Random indices of positives (at most `share` of `count`) and of negatives to fill up."""
    positive, negative = torch.nonzero(status == 1).flatten(), torch.nonzero(status == 0).flatten()
    positive = positive[torch.randperm(len(positive))[: int(count * share)]]
    negative = negative[torch.randperm(len(negative))[: count - len(positive)]]
    return positive, negative


def rpn_loss(logits, deltas, anchors, samples: list[Sample]) -> tuple[torch.Tensor, torch.Tensor]:
    """Objectness and box losses; logits B x n, deltas B x n x 4 in the anchors' order."""
    objectness, box, count = logits.new_zeros(()), logits.new_zeros(()), 0
    for i, sample in enumerate(samples):
        status, nearest = assign(anchors, sample, 0.6, 0.3, rescue=True)
        positive, negative = draw(status, 96, 0.5)
        some = torch.cat([positive, negative])
        target = (status[some] == 1).float()
        objectness = objectness + F.binary_cross_entropy_with_logits(logits[i, some], target, reduction="sum")
        count += len(some)
        if len(positive):
            wanted = boxes.encode(sample.boxes[nearest[positive]], anchors[positive], boxes.RPN_WEIGHTS)
            box = box + F.smooth_l1_loss(deltas[i, positive], wanted, beta=SMOOTH, reduction="sum")
    return objectness / max(count, 1), box / max(count, 1)


def box_targets(proposals: torch.Tensor, sample: Sample, count: int):
    """Some of a picture's proposals (with its garments added): boxes, labels, garment boxes."""
    proposals = torch.cat([proposals, sample.boxes[sample.visible >= VISIBLE]])
    status, nearest = assign(proposals, sample, 0.5, 0.5, rescue=False)
    positive, negative = draw(status, count, 0.35)
    some = torch.cat([positive, negative])
    labels = torch.zeros(len(some), dtype=torch.long)
    labels[: len(positive)] = sample.labels[nearest[positive]]
    targets = sample.boxes[nearest[some]] if len(sample.boxes) else proposals[some]
    return proposals[some], labels, targets


def box_loss(logits, deltas, proposals, labels, targets) -> tuple[torch.Tensor, torch.Tensor]:
    """Class cross-entropy and box loss over n sampled RoIs."""
    classes = F.cross_entropy(logits, labels)
    mine = torch.nonzero(labels > 0).flatten()
    if len(mine) == 0:
        return classes, deltas.sum() * 0
    predicted = deltas.view(len(deltas), -1, 4)[mine, labels[mine]]
    wanted = boxes.encode(targets[mine], proposals[mine], boxes.BOX_WEIGHTS)
    box = F.smooth_l1_loss(predicted, wanted, beta=SMOOTH, reduction="sum") / len(labels)
    return classes, box


def pair_loss(logits: torch.Tensor, same: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of match logits (any shape), equal pairs and others weighing the same."""
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


def match_loss(head, embeddings, products, shop, bank=None) -> tuple[torch.Tensor, torch.Tensor]:
    """(pairwise, ranking) loss of n garments. `shop`: mask; `bank`: older shop embeddings, products."""
    logits = head.pair_logits(embeddings, embeddings)
    same = products[:, None] == products[None]
    other = ~torch.eye(len(products), dtype=torch.bool)
    pairs = pair_loss(logits[other], same[other])
    street = ~shop
    if not shop.any() or not street.any():
        return pairs, logits.sum() * 0
    gallery, names = embeddings[shop], products[shop]
    if bank is not None and len(bank[0]):
        new = ~torch.isin(bank[1], names)
        gallery = torch.cat([gallery, bank[0][new]])
        names = torch.cat([names, bank[1][new]])
    forth = rank_loss(
        head.pair_logits(embeddings[street], gallery), products[street][:, None] == names[None]
    )
    back = rank_loss(logits[shop][:, street], same[shop][:, street])
    within = logits[street][:, street].masked_fill(~other[street][:, street], -30.0)
    frames = rank_loss(within, same[street][:, street] & other[street][:, street])
    return pairs, forth + 0.5 * back + 0.25 * frames
