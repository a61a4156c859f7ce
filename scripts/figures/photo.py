"""Photographs of single garments: reading, removing the background, measuring.

The cut-out masks that come with such photos are good outside and poor inside: the gap between two legs
or between sleeve and trunk is often filled. What has the colour of the ground there is taken out again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import cv2
import numpy as np

from .util import rng_for


@dataclass
class Photo:
    """One garment, upright: the picture as taken (RGB uint8) and its cut-out."""

    image: np.ndarray
    mask: np.ndarray
    """uint8, 0 or 255."""
    shape: Shape

    @cached_property
    def cloth(self) -> np.ndarray:
        """The picture with everything outside the garment filled from its edge, so that no background is visible."""
        return _endless(self.image, self.mask)


@dataclass
class Shape:
    """Where the garment's parts lie, in px of the photo. Rows are counted from the picture's top."""

    top: int
    """First row of the garment."""
    end: int
    """Row below the hem."""
    left: np.ndarray
    right: np.ndarray
    """Edges of the trunk by row (sleeves apart), for all rows of the picture."""
    width: float
    """The trunk's usual width."""
    shoulder: int
    """First row nearly as wide as the trunk."""
    axis: float
    """Column of the middle."""

    @property
    def rows(self) -> int:
        return self.end - self.top

    def centre(self) -> np.ndarray:
        return (self.left + self.right) / 2


class Unusable(ValueError):
    """This photo cannot be cut into panels."""


@lru_cache(maxsize=64)
def read(image: str, mask: str, part: str) -> Photo:
    """A photo and its mask. `part` says what to measure: upper, sleeved (an upper that surely has long sleeves),
    dress, skirt or legs. Raises `Unusable`."""
    picture, cut = cv2.imread(image), cv2.imread(mask, cv2.IMREAD_GRAYSCALE)
    if picture is None or cut is None:
        raise Unusable(f"{image} or {mask}: missing or not a picture")
    picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    cut = cv2.resize(cut, (picture.shape[1], picture.shape[0]), interpolation=cv2.INTER_LINEAR)
    cut = _largest(np.where(cut > 127, 255, 0).astype(np.uint8))
    _, _, wide, tall = cv2.boundingRect(cut)
    if part == "legs" and wide > 2.2 * tall:
        raise Unusable("lies sideways")
    shape = measure(cut, part)
    cut = _without_ground(picture, cut, _doubtful(cut, shape, part))
    shape = measure(cut, part)
    return Photo(picture, cut, shape)


def read_pair(folder: str, name: str, part: str) -> Photo:
    """The photo `name` of a folder with images/ and masks/."""
    root = Path(folder)
    return read(str(root / "images" / f"{name}.jpg"), str(root / "masks" / f"{name}.png"), part)


def _largest(mask: np.ndarray) -> np.ndarray:
    """The largest connected piece."""
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    if count < 2:
        raise Unusable("the mask is empty")
    return np.where(labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()), 255, 0).astype(np.uint8)


SPANS = {
    "upper": (0.5, 0.95),
    "sleeved": (0.5, 0.95),
    "dress": (0.22, 0.6),
    "skirt": (0.1, 0.9),
    "legs": (0.1, 0.35),
}
"""Shares of the garment's height between which its width is taken."""

SLEEVED = ("upper", "sleeved", "dress")


def _run(row: np.ndarray, c: int) -> tuple[int, int]:
    """The run of cloth around column c, or the row's outermost edges when c is empty."""
    if not row[c]:
        on = np.flatnonzero(row)
        return int(on[0]), int(on[-1]) + 1
    off = np.flatnonzero(~row)
    i = int(np.searchsorted(off, c))
    return int(off[i - 1]) + 1 if i else 0, int(off[i]) if i < len(off) else len(row)


def _smooth(values: np.ndarray, radius: int) -> np.ndarray:
    """Running median, then mean."""
    n = 2 * radius + 1
    padded = np.pad(values, radius, mode="edge")
    middle = np.median(np.lib.stride_tricks.sliding_window_view(padded, n), axis=1)
    return np.convolve(np.pad(middle, radius, mode="edge"), np.ones(n) / n, mode="valid")


def measure(mask: np.ndarray, part: str) -> Shape:
    """Finds the trunk in a mask: its edges by row, and where its shoulders are."""
    on = mask > 127
    used = np.flatnonzero(on.any(1))
    if len(used) < 40:
        raise Unusable("the garment is too small")
    top, end = int(used[0]), int(used[-1]) + 1
    outer = np.array([(np.argmax(r), len(r) - np.argmax(r[::-1])) for r in on[top:end]], float)
    axis = float(np.median(outer.mean(1)))
    if part == "legs":
        edges = outer
    else:
        edges = np.array([_run(r, int(axis)) for r in on[top:end]], float)
    wide = edges[:, 1] - edges[:, 0]
    n = len(wide)
    low, high = SPANS[part]
    width = float(np.percentile(wide[int(low * n) : int(high * n)], 50 if part in ("skirt", "legs") else 25))
    spread = float(np.median((outer[:, 1] - outer[:, 0])[int(0.3 * n) : int(0.8 * n)]))
    if part == "sleeved" and n < 1.25 * width and spread < 1.12 * width:
        width *= 0.68  # the sleeves hang close to the trunk, and the mask does not part them
    if width < 24:
        raise Unusable("the trunk is too narrow")
    shoulder = top + int(np.argmax(outer[:, 1] - outer[:, 0] > 0.8 * width))
    left, right = edges[:, 0].copy(), edges[:, 1].copy()
    if part in SLEEVED:
        reach = np.full(n, 0.5 * width)
        if part == "dress":  # below the waist a dress may be as wide as it likes
            reach *= 1 + np.clip((np.arange(n) / n - 0.45) * 6, 0, 1.5)
        left, right = np.maximum(left, axis - 1.06 * reach), np.minimum(right, axis + 1.06 * reach)
    radius = max(2, n // 40)
    left, right = _smooth(left, radius), _smooth(right, radius)
    pad = (top, mask.shape[0] - end)
    return Shape(top, end, np.pad(left, pad, mode="edge"), np.pad(right, pad, mode="edge"), width, shoulder, axis)


def _doubtful(mask: np.ndarray, s: Shape, part: str) -> np.ndarray:
    """Where the mask may contain background: between the legs, between trunk and sleeves."""
    zone = np.zeros(mask.shape, bool)
    x = np.arange(mask.shape[1])[None]
    y = np.arange(mask.shape[0])[:, None]
    if part == "legs":
        depth = (y - s.top) / s.rows
        middle = s.centre()[:, None]
        half = ((s.right - s.left) / 2)[:, None]
        zone = (depth > 0.36) & (np.abs(x - middle) < (0.28 + 0.25 * np.clip(depth, 0, 1)) * half)
    elif part in SLEEVED:
        zone = np.abs(x - s.axis) > 0.53 * s.width
    return zone & (mask > 0)


def _centres(pixels: np.ndarray, count: int) -> np.ndarray:
    """A few representative colours; the same pixels give the same ones."""
    rng = rng_for(0xC1, len(pixels))
    some = pixels[rng.integers(0, len(pixels), min(800, 4 * len(pixels)))].astype(np.float32)
    cv2.setRNGSeed(1)
    rule = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 12, 0.5)
    return cv2.kmeans(some, min(count, len(some)), None, rule, 1, cv2.KMEANS_PP_CENTERS)[2]


def _without_ground(picture: np.ndarray, mask: np.ndarray, zone: np.ndarray) -> np.ndarray:
    """The mask without the pixels of `zone` that are more similar to the background than to the garment."""
    square = lambda n: np.ones((n, n), np.uint8)
    outside = cv2.dilate(mask, square(9)) == 0
    inside = (cv2.erode(mask, square(9)) > 0) & ~zone
    if not zone.any() or outside.sum() < 200 or inside.sum() < 200:
        return mask
    lab = cv2.cvtColor(cv2.GaussianBlur(picture, (0, 0), 1.0), cv2.COLOR_RGB2LAB).astype(np.float32)
    lab[..., 0] *= 0.7  # the ground lies in the garment's shadow there
    ask = lab[zone]
    far = lambda centres: np.sqrt(((ask[:, None] - centres[None]) ** 2).sum(2)).min(1)
    away, near = far(_centres(lab[inside], 7)), far(_centres(lab[outside], 7))
    ground = np.zeros(mask.shape, np.uint8)
    ground[zone] = (near < 26) & (near < 0.7 * away)
    ground = cv2.morphologyEx(ground, cv2.MORPH_CLOSE, square(5))
    ground = cv2.morphologyEx(ground, cv2.MORPH_OPEN, square(5))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(ground)
    least = 0.004 * (mask > 0).sum()
    large = np.flatnonzero(stats[:, cv2.CC_STAT_AREA] > least)
    gone = np.isin(labels, large[large > 0])
    if gone.sum() > 0.35 * (mask > 0).sum():
        return mask
    return _largest(np.where(gone, 0, mask).astype(np.uint8))


def _endless(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The picture, its pixels outside the garment replaced by the cloth nearby."""
    h, w = mask.shape
    inner = cv2.erode(mask, np.ones((5, 5), np.uint8))
    if not inner.any():
        raise Unusable("the garment is too thin")
    # What is filled in is soft, so half the size will do.
    known = cv2.resize(inner, (w // 2, h // 2), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    known = np.where(known > 0.99, known, 0)
    lit = cv2.resize(picture, (w // 2, h // 2), interpolation=cv2.INTER_AREA) * known[..., None]
    out = np.empty_like(lit)
    out[:] = picture[inner > 0].mean(0)
    # From far to near: averages of the nearest cloth rather than the nearest pixel, which would make streaks.
    for reach in (25, 9, 3):
        blur = lambda a: cv2.blur(cv2.blur(a, (reach, reach)), (reach, reach))
        weight = blur(known)
        near = weight > 0.02
        out[near] = blur(lit)[near] / weight[near, None]
    out = cv2.resize(np.clip(out, 0, 255).astype(np.uint8), (w, h), interpolation=cv2.INTER_LINEAR)
    return np.where(inner[..., None] > 0, picture, out)
