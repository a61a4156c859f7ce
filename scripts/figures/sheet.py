"""A piece of cloth as a drawing: the finished `Panel`, and the `Sheet` it is drawn on in cm."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np

from .fabric import blossom, tile, tile_period
from .products import Product


@dataclass
class Panel:
    """A sheet of cloth. `image` is RGBA uint8; its top left corner lies at (x0, y0) cm."""

    image: np.ndarray
    x0: float
    y0: float
    ppc: float
    mips: list[np.ndarray] = field(default_factory=list)

    def level(self, scale: float) -> tuple[np.ndarray, float]:
        """The sheet, shrunk so that `scale` picture pixels per cm do not alias, and its pixels per cm."""
        if not self.mips:
            self.mips = [self.image]
        want = max(0, int(math.floor(math.log2(max(self.ppc / max(scale, 1e-3), 1.0)) + 0.35)))
        while len(self.mips) <= want and min(self.mips[-1].shape[:2]) > 8:
            last = self.mips[-1]
            self.mips.append(
                cv2.resize(last, (max(1, last.shape[1] // 2), max(1, last.shape[0] // 2)), interpolation=cv2.INTER_AREA)
            )
        index = min(want, len(self.mips) - 1)
        image = self.mips[index]
        return image, self.ppc * image.shape[0] / self.image.shape[0]


class Sheet:
    """A panel being drawn: colours and cover, addressed in cm."""

    def __init__(self, left: float, top: float, right: float, bottom: float, ppc: float):
        self.left, self.top, self.ppc = left, top, ppc
        self.w, self.h = max(2, int(round((right - left) * ppc))), max(2, int(round((bottom - top) * ppc)))
        self.x = (left + (np.arange(self.w, dtype=np.float32) + 0.5) / ppc)[None, :]
        self.y = (top + (np.arange(self.h, dtype=np.float32) + 0.5) / ppc)[:, None]
        self.rgb = np.zeros((self.h, self.w, 3), np.float32)
        self.cover = np.ones((self.h, self.w), np.float32)

    def cloth(self, product: Product, offset: tuple[float, float] = (0.0, 0.0), colours=None) -> None:
        """Lays the product's pattern over the whole sheet."""
        t = tile(product, self.ppc)
        n, period = t.shape[0], tile_period(product)
        ix = np.floor((self.x[0] + offset[0]) / period * n).astype(int) % n
        iy = np.floor((self.y[:, 0] + offset[1]) / period * n).astype(int) % n
        self.rgb = np.take(np.take(t, iy, axis=0), ix, axis=1)

    def points(self, points) -> np.ndarray:
        p = (np.asarray(points, np.float64) - (self.left, self.top)) * self.ppc * 16
        return np.round(p - 8).astype(np.int32)

    def mix(self, mask: np.ndarray, colour, opacity: float = 1.0) -> None:
        self.rgb += (np.asarray(colour, np.float32) - self.rgb) * (np.broadcast_to(mask, self.cover.shape) * opacity)[
            ..., None
        ]

    def shade(self, mask: np.ndarray, factor: float) -> None:
        self.rgb *= (1 + (factor - 1) * np.broadcast_to(mask, self.cover.shape))[..., None]

    def _stamp(self, draw, points: np.ndarray, colour, opacity: float, grow: float) -> None:
        lo = np.floor(points.min(0) / 16 - grow - 2).astype(int).clip(0)
        hi = np.ceil(points.max(0) / 16 + grow + 3).astype(int)
        hi = np.minimum(hi, (self.w, self.h))
        if (hi <= lo).any():
            return
        mask = np.zeros((hi[1] - lo[1], hi[0] - lo[0]), np.uint8)
        draw(mask, points - lo.astype(np.int32) * 16)
        part = self.rgb[lo[1] : hi[1], lo[0] : hi[0]]
        part += (np.asarray(colour, np.float32) - part) * (mask.astype(np.float32) * (opacity / 255))[..., None]

    def poly(self, points, colour, opacity: float = 1.0) -> None:
        p = self.points(points)
        self._stamp(lambda m, q: cv2.fillPoly(m, [q], 255, cv2.LINE_AA, 4), p, colour, opacity, 1)

    def line(self, points, width: float, colour, opacity: float = 1.0, closed: bool = False) -> None:
        p = self.points(points)
        px = width * self.ppc * (0.55 if width < 0.5 else 1.0)
        thick = max(1, int(round(px)))
        opacity *= min(1.0, max(px, 0.35)) * (0.7 if width < 0.5 else 1.0)
        self._stamp(lambda m, q: cv2.polylines(m, [q], closed, 255, thick, cv2.LINE_AA, 4), p, colour, opacity, thick)

    def disc(self, x: float, y: float, radius: float, colour, opacity: float = 1.0) -> None:
        self.poly(blossom(3, 0.0) * radius + (x, y), colour, opacity)

    def panel(self) -> Panel:
        image = np.dstack([np.clip(self.rgb, 0, 255), np.clip(self.cover, 0, 1) * 255])
        return Panel(np.ascontiguousarray(image + 0.5).astype(np.uint8), self.left, self.top, self.ppc)


def sheet_of(profile: tuple[np.ndarray, np.ndarray], top: float, end: float, ppc: float) -> tuple[Sheet, np.ndarray]:
    """A sheet for front and back of a part with this profile (heights, half widths in cm), from `top` to 4 cm below `end`, and the
    half width in each of its rows, h x 1."""
    v, w = profile
    reach = 2 * float(w.max()) + 1
    sheet = Sheet(-reach, top, reach, end + 4, ppc)
    return sheet, np.interp(sheet.y[:, 0], v, w)[:, None].astype(np.float32)
