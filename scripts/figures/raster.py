"""Rasterises triangles: the nearest one at each pixel, and the pixel's barycentric coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SIDES = (2, 4, 8, 16, 32, 64, 128, 256, 512)
"""Triangles are filled in groups by the side of their bounding box (px)."""


@dataclass
class Fragments:
    """The nearest triangle at each covered pixel; arrays of equal length."""

    pixel: np.ndarray
    """Index into the flattened picture."""
    face: np.ndarray
    share: np.ndarray
    """n x 3: weights of the triangle's corners."""
    depth: np.ndarray
    """cm towards the viewer."""

    def mix(self, faces: np.ndarray, values: np.ndarray) -> np.ndarray:
        """A corner's values at the pixels."""
        corners = faces[self.face]
        return sum(values[corners[:, k]] * self.share[:, k, None] for k in range(3))


def facing(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Twice the area (px) of each triangle on the picture, negative for one seen from behind."""
    a, b, c = (points[faces[:, k]] for k in range(3))
    return (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0]) - (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1])


def fill(points: np.ndarray, depth: np.ndarray, faces: np.ndarray, width: int, height: int) -> Fragments:
    """`points`: n x 2 px, `depth`: n, `faces`: m x 3, those seen from behind left out."""
    area = facing(points, faces)
    front = np.flatnonzero(area > 1e-6)
    corners = points[faces[front]].astype(np.float32)
    low = np.ceil(corners.min(1) - 0.5).astype(np.int32)
    high = np.floor(corners.max(1) - 0.5).astype(np.int32)
    np.clip(low, 0, None, out=low)
    np.minimum(high, (width - 1, height - 1), out=high)
    side = (high - low + 1).max(1)
    ok = (high >= low).all(1)
    pixels, owners, shares = [], [], []
    previous = 0
    for limit in SIDES:
        group = np.flatnonzero(ok & (side > previous) & (side <= limit))
        previous = limit
        for chunk in np.array_split(group, max(1, len(group) * limit * limit // 2_000_000)):
            if len(chunk):
                found = _inside(corners[chunk], low[chunk], high[chunk], area[front[chunk]], limit, width)
                pixels.append(found[0])
                owners.append(front[chunk[found[1]]])
                shares.append(found[2])
    if not pixels:
        return Fragments(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 3), np.float32), np.zeros(0, np.float32))
    pixel, owner, share = np.concatenate(pixels), np.concatenate(owners), np.concatenate(shares)
    z = (depth[faces[owner]] * share).sum(1)
    # Far ones first: of several values assigned to a pixel the last one stays.
    order = np.argsort(np.clip((z + 600) * 50, 0, 65535).astype(np.uint16), kind="stable")
    nearest = np.full(width * height, -1, np.int64)
    nearest[pixel[order]] = order
    kept = nearest[nearest >= 0]
    return Fragments(pixel[kept], owner[kept], share[kept], z[kept])


def _inside(corners, low, high, area, side: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(pixel, which triangle, corner weights) of the pixels whose centre lies in a triangle."""
    step = np.arange(side, dtype=np.int32)
    x, y = low[:, 0, None] + step, low[:, 1, None] + step
    px, py = (x + np.float32(0.5))[:, None, :], (y + np.float32(0.5))[:, :, None]
    a, b, c = (corners[:, k, :, None, None] for k in range(3))
    scale = (1 / area).astype(np.float32)[:, None, None]
    weight = lambda p, q: ((q[:, 1] - p[:, 1]) * (px - p[:, 0]) - (q[:, 0] - p[:, 0]) * (py - p[:, 1])) * scale
    wa, wb = weight(b, c), weight(c, a)
    wc = 1 - wa - wb
    inside = (wa >= 0) & (wb >= 0) & (wc >= 0)
    inside &= (x <= high[:, 0, None])[:, None, :] & (y <= high[:, 1, None])[:, :, None]
    t, row, column = np.nonzero(inside)
    return (
        y[t, row].astype(np.int64) * width + x[t, column],
        t,
        np.stack([wa[t, row, column], wb[t, row, column], wc[t, row, column]], 1),
    )
