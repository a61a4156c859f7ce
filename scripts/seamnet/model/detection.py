"""From the trunk's outputs to garments: anchors, boxes, proposals, RoIs, detections (sections 3 to 5).

Boxes are (x1, y1, x2, y2) in pixels of the network's input, float32, N x 4; width = x2 - x1. `size` is the height and width of the
picture inside that input; found boxes are clipped to it.
"""

import math
from dataclasses import dataclass

import torch
from torchvision.ops import box_iou, nms, roi_align

from .config import Config

RPN_WEIGHTS = (1.0, 1.0, 1.0, 1.0)
BOX_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
MAX_LOG_SCALE = math.log(1000.0 / 16)
"""Upper clamp of dw and dh before the exponential (section 3)."""

__all__ = ["RPN_WEIGHTS", "BOX_WEIGHTS", "Detections", "area", "base_anchors", "box_iou", "clip", "decode", "detect", "encode", "find",
           "flat", "grid_anchors", "large", "level_anchors", "nms", "pool_boxes", "pool_rois", "propose", "recognize", "roi_levels",
           "strides", "with_context"]


@dataclass
class Detections:
    """N garments: boxes N x 4, scores N, labels N (1..K), embeddings N x 256 of both match heads."""

    boxes: torch.Tensor
    scores: torch.Tensor
    labels: torch.Tensor
    match: torch.Tensor | None = None
    aggregation: torch.Tensor | None = None


def area(boxes: torch.Tensor) -> torch.Tensor:
    """N areas in square pixels."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _centres(boxes: torch.Tensor) -> tuple[torch.Tensor, ...]:
    w, h = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    return boxes[..., 0] + 0.5 * w, boxes[..., 1] + 0.5 * h, w, h


def decode(deltas: torch.Tensor, anchors: torch.Tensor, weights: tuple[float, ...]) -> torch.Tensor:
    """Applies `deltas` (... x 4) to `anchors` (broadcast against them)."""
    cx, cy, w, h = _centres(anchors)
    dx, dy = deltas[..., 0] / weights[0], deltas[..., 1] / weights[1]
    dw = (deltas[..., 2] / weights[2]).clamp(max=MAX_LOG_SCALE)
    dh = (deltas[..., 3] / weights[3]).clamp(max=MAX_LOG_SCALE)
    px, py = dx * w + cx, dy * h + cy
    half_w, half_h = dw.exp() * w * 0.5, dh.exp() * h * 0.5
    return torch.stack([px - half_w, py - half_h, px + half_w, py + half_h], dim=-1)


def encode(boxes: torch.Tensor, anchors: torch.Tensor, weights: tuple[float, ...]) -> torch.Tensor:
    """Deltas that take `anchors` to `boxes`: the inverse of `decode` below its clamp."""
    cx, cy, w, h = _centres(anchors)
    bx, by, bw, bh = _centres(boxes)
    parts = [(bx - cx) / w, (by - cy) / h, (bw / w).log(), (bh / h).log()]
    return torch.stack([p * k for p, k in zip(parts, weights)], dim=-1)


def clip(boxes: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Boxes clipped to an image of `size` (height, width)."""
    x = boxes[..., 0::2].clamp(0, size[1])
    y = boxes[..., 1::2].clamp(0, size[0])
    return torch.stack([x[..., 0], y[..., 0], x[..., 1], y[..., 1]], dim=-1)


def with_context(boxes: torch.Tensor, times: float) -> torch.Tensor:
    """N x 4 -> 2 N x 4: each box is followed by one with the same centre that is `times` as wide and high."""
    cx, cy, w, h = _centres(boxes)
    half_w, half_h = 0.5 * times * w, 0.5 * times * h
    around = torch.stack([cx - half_w, cy - half_h, cx + half_w, cy + half_h], dim=1)
    return torch.stack([boxes, around], dim=1).flatten(0, 1)


def large(boxes: torch.Tensor, side: float) -> torch.Tensor:
    """Mask of the boxes with both sides >= `side`."""
    return (boxes[:, 2] - boxes[:, 0] >= side) & (boxes[:, 3] - boxes[:, 1] >= side)


def base_anchors(size: int, ratios: tuple[float, ...]) -> torch.Tensor:
    """Anchors around the origin, ratios x 4, rounded half to even to whole pixels."""
    h_ratio = torch.tensor(ratios, dtype=torch.float32).sqrt()
    heights, widths = h_ratio * size, (1 / h_ratio) * size
    return (torch.stack([-widths, -heights, widths, heights], dim=1) / 2).round()


def strides(input_size: tuple[int, int], grid: tuple[int, int]) -> tuple[int, int]:
    """Pixels between two anchors (y, x): input side // feature side."""
    return input_size[0] // grid[0], input_size[1] // grid[1]


def grid_anchors(
    size: int, ratios: tuple[float, ...], grid: tuple[int, int], stride: tuple[int, int]
) -> torch.Tensor:
    """All anchors of a level, (h * w * ratios) x 4, in the order y, x, ratio."""
    ys = torch.arange(grid[0], dtype=torch.float32) * stride[0]
    xs = torch.arange(grid[1], dtype=torch.float32) * stride[1]
    y, x = torch.meshgrid(ys, xs, indexing="ij")
    shifts = torch.stack([x, y, x, y], dim=-1).reshape(-1, 1, 4)
    return (shifts + base_anchors(size, ratios)).reshape(-1, 4)


def level_anchors(config: Config, input_size, grids) -> list[torch.Tensor]:
    """Anchors of each RPN level, for feature maps of `grids` (height, width)."""
    return [
        grid_anchors(s, config.ratios, g, strides(input_size, g))
        for s, g in zip(config.anchor_sizes, grids)
    ]


def flat(objectness: torch.Tensor, deltas: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """B x A x h x w and B x 4A x h x w -> B x n logits and B x n x 4 deltas in the anchors' order."""
    b, a, h, w = objectness.shape
    return (
        objectness.permute(0, 2, 3, 1).reshape(b, -1),
        deltas.view(b, a, 4, h, w).permute(0, 3, 4, 1, 2).reshape(b, -1, 4),
    )


def propose(config, input_size, size, objectness, deltas) -> tuple[torch.Tensor, torch.Tensor]:
    """Raw RPN outputs of one picture (batch 1) -> (proposals n x 4, scores n), best first (section 3)."""
    kept_boxes, kept_scores = [], []
    all_anchors = level_anchors(config, input_size, [t.shape[-2:] for t in objectness])
    for logits, level_deltas, level in zip(objectness, deltas, all_anchors):
        logits, level_deltas = (column[0] for column in flat(logits, level_deltas))
        top = logits.topk(min(config.per_level, len(logits))).indices
        found = clip(decode(level_deltas[top], level[top], RPN_WEIGHTS), size)
        scores = logits[top].sigmoid()
        big = large(found, config.proposal_min_side)
        found, scores = found[big], scores[big]
        keep = nms(found, scores, config.proposal_nms)[: config.keep]
        kept_boxes.append(found[keep])
        kept_scores.append(scores[keep])
    scores = torch.cat(kept_scores)
    order = scores.argsort(descending=True, stable=True)[: config.keep]
    return torch.cat(kept_boxes)[order], scores[order]


def roi_levels(config: Config, rois: torch.Tensor) -> torch.Tensor:
    """Index into `config.levels` for each box (section 4)."""
    side = area(rois).sqrt()
    level = torch.floor(config.canonical_level + torch.log2(side / config.canonical_size) + 1e-6)
    return (level.clamp(config.levels[0], config.levels[-1]) - config.levels[0]).long()


def pool_rois(config: Config, levels, rois: torch.Tensor, out: int, input_size, image=None) -> torch.Tensor:
    """Multi-level RoIAlign, n x 4 -> n x C x out x out. `image` (n): index of each box's picture in the batch."""
    result = levels[0].new_zeros(len(rois), levels[0].shape[1], out, out)
    index = rois.new_zeros(len(rois)) if image is None else image.to(rois.dtype)
    which = roi_levels(config, rois)
    for i, level in enumerate(levels):
        mine = torch.nonzero(which == i).flatten()
        if len(mine) == 0:
            continue
        scale = 2.0 ** round(torch.log2(torch.tensor(level.shape[-2] / input_size[0])).item())
        given = torch.cat([index[mine, None], rois[mine]], dim=1)
        pooled = roi_align(level, given, out, scale, config.sampling_ratio, aligned=False)
        result = result.index_put((mine,), pooled)
    return result


def pool_boxes(config: Config, levels, rois: torch.Tensor, input_size, image=None) -> torch.Tensor:
    """Inputs of the box head for n boxes: n x C x 7 x 7; with `context` 2 n, each box's RoI, then that of its surroundings."""
    if config.context:
        rois = with_context(rois, config.context)
        image = None if image is None else image.repeat_interleave(2)
    return pool_rois(config, levels, rois, 7, input_size, image)


def detect(config: Config, size, proposals, logits, deltas) -> Detections:
    """Class logits and deltas of the proposals -> final boxes, best first (section 4). A group of labels makes one
    garment: its score is their sum, its label the likeliest one, its box the mean of theirs weighted by their probabilities."""
    labels = logits.shape[1]
    moved = decode(deltas.view(-1, labels, 4), proposals[:, None], BOX_WEIGHTS)
    moved = clip(moved, size)
    scores = logits.softmax(dim=1)
    parts = []
    for group in config.groups:
        group = torch.tensor(group)
        s = scores[:, group].sum(dim=1)
        # Relative to the first one, so that a group of one label keeps its box to the bit.
        first = moved[:, group[0]]
        b = first + ((moved[:, group] - first[:, None]) * scores[:, group, None]).sum(dim=1) / s[:, None]
        k = group[scores[:, group].argmax(dim=1)]
        ok = (s > config.score) & large(b, config.min_side)
        b, s, k = b[ok], s[ok], k[ok]
        keep = nms(b, s, config.nms)
        parts.append((b[keep], s[keep], k[keep]))
    b, s, k = (torch.cat(column) for column in zip(*parts))
    order = s.argsort(descending=True, stable=True)[: config.max_detections]
    return Detections(b[order], s[order], k[order])


def find(config, heads, input_size, size, levels, objectness, deltas) -> Detections:
    """The trunk's outputs -> garments without embeddings; `heads` has `box` (torch or exported)."""
    proposals, _ = propose(config, input_size, size, objectness, deltas)
    logits, box_deltas = heads.box(pool_boxes(config, levels, proposals, input_size))
    return detect(config, size, proposals, logits, box_deltas)


def recognize(config, heads, input_size, size, levels, objectness, deltas) -> Detections:
    """The trunk's outputs -> garments with both embeddings; `heads` has `box` and `embed`."""
    found = find(config, heads, input_size, size, levels, objectness, deltas)
    rois = pool_rois(config, levels, found.boxes, 14, input_size)
    found.match, found.aggregation = heads.embed(rois)
    return found
