"""Box and anchor arithmetic (section 3). Boxes are (x1, y1, x2, y2) in pixels, float32, N x 4; width = x2 - x1."""

import math

import torch
from torchvision.ops import box_iou, nms

RPN_WEIGHTS = (1.0, 1.0, 1.0, 1.0)
BOX_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
MAX_LOG_SCALE = math.log(1000.0 / 16)
"""Upper clamp of dw and dh before the exponential (section 3)."""

__all__ = ["RPN_WEIGHTS", "BOX_WEIGHTS", "area", "base_anchors", "box_iou", "clip", "decode", "encode",
           "grid_anchors", "large", "nms", "strides", "with_context"]


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
