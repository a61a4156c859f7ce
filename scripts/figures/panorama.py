"""Real backgrounds: views into equirectangular panoramas."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from .util import Rng, pick, uniform


@lru_cache(maxsize=32)
def _read(path: str) -> np.ndarray:
    picture = cv2.imread(path)
    if picture is None:
        raise FileNotFoundError(f"{path}: missing or not a picture")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def panoramas(folder: Path) -> tuple[str, ...]:
    """The panoramas of a folder, in order of their names."""
    found = sorted(str(p) for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not found:
        raise FileNotFoundError(f"{folder}: no panoramas (jpg or png)")
    return tuple(found)


def view(rng: Rng, paths: tuple[str, ...], width: int, height: int) -> np.ndarray:
    """A perspective view in a random direction near the horizon: height x width x 3 float32, RGB."""
    image = _read(pick(rng, paths))
    yaw, pitch = uniform(rng, -math.pi, math.pi), uniform(rng, -0.12, 0.25)
    focal = max(width, height) / 2 / math.tan(math.radians(uniform(rng, 50, 80)) / 2)
    flip = -1 if rng.random() < 0.5 else 1
    x = ((np.arange(width, dtype=np.float32) + 0.5 - width / 2) / focal * flip)[None]
    y = ((np.arange(height, dtype=np.float32) + 0.5 - height / 2) / focal)[:, None]
    c, s = math.cos(pitch), math.sin(pitch)
    down, ahead = y * c + s, c - y * s
    across = np.arctan2(x, ahead) + yaw
    dip = np.arctan2(down, np.sqrt(x * x + ahead * ahead))
    h, w = image.shape[:2]
    mx = np.mod(across / (2 * math.pi) + 0.5, 1) * w - 0.5
    my = np.broadcast_to((dip / math.pi + 0.5) * h - 0.5, mx.shape)
    out = cv2.remap(image, mx.astype(np.float32), my.astype(np.float32), cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP)
    out = out.astype(np.float32)
    blur = uniform(rng, -0.8, 2.4) * max(width, height) / 384
    if blur > 0.4:
        out = cv2.GaussianBlur(out, (0, 0), blur)
    # Night scenes are brightened, as a camera would expose them.
    want, have = uniform(rng, 75, 170), float(out.mean()) + 1
    return np.clip(out * np.clip(want / have, 0.6, 2.2), 0, 255).astype(np.float32)
