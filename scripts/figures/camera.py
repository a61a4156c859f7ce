"""Simulates a cheap camera under shop lights."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from .util import Rng, uniform


@dataclass(frozen=True)
class Sensor:
    """Camera and lighting of one clip."""

    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    gamma: float = 1.0
    brightness: float = 1.0
    slope: tuple[float, float] = (0.0, 0.0)
    """Brightness change from edge to edge, horizontally and vertically."""
    vignette: float = 0.0
    defocus: float = 0.0
    motion: float = 0.0
    """Length of the motion blur in px."""
    noise: float = 0.0
    """Standard deviation of the noise, 0..255."""
    quality: int = 90


def random_sensor(rng: Rng, width: int) -> Sensor:
    warm = rng.normal(0, 0.07)
    k = width / 256
    return Sensor(
        gain=(1 + warm + rng.normal(0, 0.02), 1 + rng.normal(0, 0.02), 1 - warm + rng.normal(0, 0.02)),
        gamma=uniform(rng, 0.8, 1.25),
        brightness=uniform(rng, 0.74, 1.25),
        slope=(uniform(rng, -0.2, 0.2), uniform(rng, -0.15, 0.15)),
        vignette=uniform(rng, 0, 0.35),
        defocus=k * max(0.0, uniform(rng, -0.8, 0.9)),
        motion=k * max(0.0, uniform(rng, -6, 5)),
        noise=uniform(rng, 0, 7),
        quality=int(rng.integers(62, 94)),
    )


def wobble(rng: Rng, s: Sensor) -> Sensor:
    """The same camera at another instant: exposure, focus and motion differ a little."""
    return replace(
        s,
        brightness=s.brightness * uniform(rng, 0.92, 1.08),
        defocus=s.defocus * uniform(rng, 0.3, 1.4),
        motion=s.motion * uniform(rng, 0, 1.6),
        noise=s.noise * uniform(rng, 0.7, 1.3),
        quality=int(np.clip(s.quality + rng.integers(-6, 7), 55, 95)),
    )


def expose(rgb: np.ndarray, s: Sensor, rng: Rng) -> np.ndarray:
    """The picture of the sensor: float32 in, uint8 RGB out."""
    h, w = rgb.shape[:2]
    image = rgb
    if s.defocus > 0.35:
        image = cv2.GaussianBlur(image, (0, 0), s.defocus)
    if s.motion > 1.5:
        image = cv2.filter2D(image, -1, _streak(s.motion, uniform(rng, 0, 3.14)))
    x = np.linspace(-1, 1, w, dtype=np.float32)[None]
    y = np.linspace(-1, 1, h, dtype=np.float32)[:, None]
    field = (1 + s.slope[0] * x + s.slope[1] * y) * (1 - s.vignette * 0.5 * (x * x + y * y)) * np.float32(s.brightness)
    image = image * field[..., None]
    table = _curves(s)
    image = np.clip(image, 0, 255).astype(np.uint8)
    image = cv2.LUT(image, table)
    if s.noise > 0.3:
        coarse = rng.integers(0, 256, image.shape, dtype=np.uint8)
        image = cv2.add(image, _GAUSS[coarse] * np.float32(s.noise), dtype=cv2.CV_8U)
    return image


_GAUSS = np.sort(np.random.Generator(np.random.PCG64(7)).standard_normal(256 * 64))[32::64].astype(np.float32)
"""Quantiles of the normal distribution: a byte of randomness becomes one noise value."""


def _curves(s: Sensor) -> np.ndarray:
    t = np.arange(256, dtype=np.float32) / 255
    curve = np.clip(np.power(t, s.gamma)[:, None] * np.asarray(s.gain, np.float32) * 255, 0, 255)
    return (curve + 0.5).clip(0, 255).astype(np.uint8)[None]


def _streak(length: float, angle: float) -> np.ndarray:
    n = int(length) | 1
    n = max(3, n)
    kernel = np.zeros((n, n), np.float32)
    c = n // 2
    dx, dy = np.cos(angle) * c, np.sin(angle) * c
    cv2.line(kernel, (int(round(c - dx)), int(round(c - dy))), (int(round(c + dx)), int(round(c + dy))), 1.0, 1)
    return kernel / kernel.sum()


def encode(image: np.ndarray, quality: int) -> bytes:
    """RGB uint8 as a baseline JPEG."""
    ok, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ValueError("the picture could not be encoded")
    return data.tobytes()
