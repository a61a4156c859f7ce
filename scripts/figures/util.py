"""Seeds, noise and small numeric helpers."""

from __future__ import annotations

import cv2
import numpy as np

cv2.setNumThreads(1)

Rng = np.random.Generator


def rng_for(*key: int) -> Rng:
    """A generator that depends only on the key: not on order, workers or picture size."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([int(k) for k in key])))


def pick(rng: Rng, items):
    """One of `items`, all equally likely."""
    return items[int(rng.integers(len(items)))]


def weighted(rng: Rng, table: dict):
    """One of the table's keys, as likely as its value says."""
    keys = list(table)
    p = np.asarray([table[k] for k in keys], float)
    return keys[int(np.searchsorted(np.cumsum(p / p.sum()), rng.random(), side="right").clip(0, len(keys) - 1))]


def uniform(rng: Rng, low: float, high: float) -> float:
    return float(low + (high - low) * rng.random())


def smoothstep(low, high, x):
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def wrap_resize(field: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Enlarges a periodic field to (height, width), so that the result is periodic as well."""
    h, w = field.shape[:2]
    pad = 4
    big = np.pad(field, ((pad, pad), (pad, pad)) + ((0, 0),) * (field.ndim - 2), mode="wrap")
    x = (np.arange(size[1], dtype=np.float32) + 0.5) * w / size[1] - 0.5 + pad
    y = (np.arange(size[0], dtype=np.float32) + 0.5) * h / size[0] - 0.5 + pad
    mx, my = np.meshgrid(x, y)
    return cv2.remap(big.astype(np.float32), mx, my, cv2.INTER_CUBIC)


def periodic_noise(rng: Rng, size: int, scale_x: float, scale_y: float, power: float = 1.0) -> np.ndarray:
    """Zero-mean, unit-variance noise on a size x size torus; scales are blob sizes in cells."""
    white = rng.standard_normal((size, size))
    fx = np.fft.fftfreq(size)[None, :] * scale_x
    fy = np.fft.fftfreq(size)[:, None] * scale_y
    gain = 1.0 / (1.0 + (2.0 * (fx**2 + fy**2)) ** power * 8.0)
    gain[0, 0] = 0.0
    out = np.fft.ifft2(np.fft.fft2(white) * gain).real
    return (out / (out.std() + 1e-9)).astype(np.float32)


def fold_bank(count: int = 6, size: int = 256) -> list[np.ndarray]:
    """Bump gradients of creased cloth: size x size x 2 (d/dx, d/dy), periodic, about unit strength."""
    bank = []
    for i in range(count):
        rng = rng_for(0xF01D, i)
        soft = periodic_noise(rng, size, 26, 62, 1.6)
        ridge = -np.abs(periodic_noise(rng, size, 34, 70, 1.7)) * 1.3
        fine = periodic_noise(rng, size, 10, 16, 1.5) * 0.12
        height = soft * 0.8 + ridge + fine
        height = cv2.GaussianBlur(np.pad(height, 8, mode="wrap"), (0, 0), 2.0)[8:-8, 8:-8]
        gx = (np.roll(height, -1, 1) - np.roll(height, 1, 1)) * 0.5
        gy = (np.roll(height, -1, 0) - np.roll(height, 1, 0)) * 0.5
        scale = np.sqrt((gx**2 + gy**2).mean()) + 1e-9
        bank.append(np.dstack([gx / scale, gy / scale]).astype(np.float32))
    return bank


_FOLDS: list[np.ndarray] = []


def folds(index: int) -> np.ndarray:
    """One of the fold fields, made at first use."""
    if not _FOLDS:
        _FOLDS.extend(fold_bank())
    return _FOLDS[index % len(_FOLDS)]
