"""Objects that are not clothes: cut-outs of furniture, plants, animals, put into the scene behind people."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from .util import Rng, pick, uniform


@lru_cache(maxsize=2048)
def _read(path: str) -> np.ndarray:
    """h x w x 4 float32: RGB times cover, cover 0..1; cut to what shows."""
    picture = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    if picture is None or picture.ndim != 3 or picture.shape[2] != 4:
        raise ValueError(f"{path}: not a picture with transparency (PNG, RGBA)")
    picture = cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA).astype(np.float32)
    picture[..., 3] /= 255
    ys, xs = np.nonzero(picture[..., 3] > 0.5)
    if len(ys) == 0:
        raise ValueError(f"{path}: nothing shows in it")
    picture = picture[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    return np.dstack([picture[..., :3] * picture[..., 3:], picture[..., 3]])


def cutouts(folder: Path) -> tuple[str, ...]:
    """The cut-outs below a folder, in order of their names."""
    found = sorted(str(p) for p in folder.rglob("*.png"))
    if not found:
        raise FileNotFoundError(f"{folder}: no cut-outs (png)")
    return tuple(found)


def put(rng: Rng, image: np.ndarray, paths: tuple[str, ...], count: int) -> None:
    """Draws `count` of the cut-outs over `image` (h x w x 3 float32 RGB), far ones first, of any size and in any light."""
    h, w = image.shape[:2]
    feet = np.sort(rng.uniform(0.4, 1.25, count)) * h
    for foot in feet:
        # What stands lower in the picture stands nearer, and is larger.
        tall = h * np.exp(uniform(rng, np.log(0.1), np.log(0.75))) * (0.4 + 0.7 * foot / h)
        _put(rng, image, _read(pick(rng, paths)), uniform(rng, -0.1, 1.1) * w, foot, tall)


def _put(rng: Rng, image: np.ndarray, thing: np.ndarray, x: float, foot: float, tall: float) -> None:
    h, w = image.shape[:2]
    wide = tall * thing.shape[1] / thing.shape[0] * np.exp(uniform(rng, -0.2, 0.2))
    if wide > 1.2 * w:
        tall, wide = tall * 1.2 * w / wide, 1.2 * w
    size = max(2, round(wide)), max(2, round(tall))
    shrinks = size[1] < thing.shape[0]
    thing = cv2.resize(thing, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC).clip(0, 255)
    if rng.random() < 0.5:
        thing = thing[:, ::-1]
    light = uniform(rng, 0.45, 1.2) * rng.uniform(0.88, 1.12, 3)
    if rng.random() < 0.25:  # another paint, another wood
        light = light * rng.uniform(0.5, 1.3, 3)
    left, top = round(x - size[0] / 2), round(foot - size[1])
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + size[0], w), min(top + size[1], h)
    if x1 <= x0 or y1 <= y0:
        return
    if rng.random() < 0.7:
        _shade(rng, image, x, foot, size)
    part = thing[y0 - top : y1 - top, x0 - left : x1 - left]
    cover = np.clip(part[..., 3:], 0, 1)
    region = image[y0:y1, x0:x1]
    region[:] = region * (1 - cover) + np.clip(part[..., :3] * light, 0, 255)


def _shade(rng: Rng, image: np.ndarray, x: float, foot: float, size: tuple[int, int]) -> None:
    """A soft shadow on the ground at its foot."""
    h, w = image.shape[:2]
    dark = np.zeros((h, w), np.float32)
    axes = max(1, int(size[0] * uniform(rng, 0.35, 0.6))), max(1, int(size[0] * uniform(rng, 0.06, 0.16)))
    centre = int(np.clip(x + uniform(rng, -0.2, 0.2) * size[0], -2 * w, 3 * w)), int(foot - axes[1] * 0.6)
    cv2.ellipse(dark, centre, axes, 0, 0, 360, 1.0, -1)
    dark = cv2.GaussianBlur(dark, (0, 0), max(1.0, axes[1] * 0.5))
    image *= (1 - uniform(rng, 0.1, 0.5) * dark)[..., None]
