"""Anchors of the region proposal network (section 3)."""

import torch


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
