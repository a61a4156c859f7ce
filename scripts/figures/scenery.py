"""Backgrounds and foregrounds: shops, streets, walls; pillars, rails, bags."""

from __future__ import annotations

import math

import cv2
import numpy as np

from .canvas import Canvas
from .fabric import blossom, star
from .products import random_colour
from .util import Rng, periodic_noise, pick, rng_for, uniform, weighted, wrap_resize


def _ramp(width: int, height: int, top, bottom) -> np.ndarray:
    t = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    image = np.asarray(top, np.float32) * (1 - t) + np.asarray(bottom, np.float32) * t
    return np.repeat(image, width, axis=1)


def _soft(rng: Rng, low: float, high: float) -> np.ndarray:
    """A light, little saturated wall colour."""
    base = uniform(rng, low, high)
    return np.clip(base + rng.normal(0, 14, 3), 15, 252)


def _rect(image: np.ndarray, x0: float, y0: float, x1: float, y1: float, colour) -> None:
    p = np.round(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) * 16).astype(np.int32)
    cv2.fillPoly(image, [p], tuple(float(v) for v in colour), cv2.LINE_AA, 4)


def _poly(image: np.ndarray, points, colour) -> None:
    cv2.fillPoly(
        image, [np.round(np.asarray(points) * 16).astype(np.int32)], tuple(float(v) for v in colour), cv2.LINE_AA, 4
    )


def _cloth_colour(rng: Rng) -> np.ndarray:
    return np.asarray(random_colour(rng), np.float32) * uniform(rng, 0.7, 1.0)


def background(rng: Rng, width: int, height: int, kind: str | None = None, horizon: float | None = None) -> np.ndarray:
    """A scene without people: height x width x 3 float32, RGB. `horizon` fixes where a shop's floor begins (0..1)."""
    kind = kind or weighted(rng, {"shop": 6, "street": 2.5, "room": 2, "plain": 1, "noise": 0.8})
    paint = {"shop": _shop, "street": _street, "room": _room, "plain": _plain, "noise": _noise}[kind]
    image = paint(rng, width, height) if horizon is None else _shop(rng, width, height, horizon)
    grain = wrap_resize(periodic_noise(rng, 64, 3, 3), (height, width))
    image = image * (1 + 0.02 * grain[..., None])
    glow_x, glow_y = uniform(rng, 0, 1), uniform(rng, -0.2, 0.6)
    x = (np.arange(width, dtype=np.float32) / width - glow_x)[None]
    y = (np.arange(height, dtype=np.float32) / height - glow_y)[:, None]
    image *= (uniform(rng, 0.78, 0.95) + uniform(rng, 0.1, 0.35) * np.exp(-(x * x + y * y) * 3))[..., None]
    return np.clip(image, 0, 255).astype(np.float32)


def _floor(rng: Rng, image: np.ndarray, horizon: float) -> None:
    """Tiles, planks or concrete below the horizon, in perspective."""
    h, w = image.shape[:2]
    y0 = int(horizon)
    if y0 >= h - 2:
        return
    base = pick(
        rng,
        (
            _soft(rng, 90, 220),
            np.array([168, 124, 84]) * uniform(rng, 0.6, 1.2),
            np.array([120, 118, 114]) * uniform(rng, 0.6, 1.5),
        ),
    )
    image[y0:] = _ramp(w, h - y0, np.clip(base * 0.82, 0, 255), np.clip(base * 1.05, 0, 255)).astype(np.uint8)
    style = pick(rng, ("tiles", "planks", "none"))
    line = tuple(float(v) for v in np.clip(base * 0.72, 0, 255))
    vx = w * uniform(rng, 0.3, 0.7)
    if style != "none":
        for x in np.linspace(-w * 2, w * 3, 28):
            cv2.line(image, (int(vx + (x - vx) * 0.22), y0), (int(x), h), line, 1, cv2.LINE_AA)
    if style == "tiles":
        for k in range(1, 9):
            y = y0 + (h - y0) * (k / 8) ** 2
            cv2.line(image, (0, int(y)), (w, int(y)), line, 1, cv2.LINE_AA)
    cv2.line(image, (0, y0), (w, y0), tuple(float(v) * 0.8 for v in line), max(1, h // 180), cv2.LINE_AA)


def hanging(rng: Rng, image: np.ndarray, x: float, y: float, wide: float, tall: float) -> None:
    """A garment on a hanger, seen from the front or nearly from the side."""
    colour = _cloth_colour(rng)
    shoulder, hem = wide * 0.5, wide * uniform(rng, 0.42, 0.62)
    points = [
        (x - wide * 0.17, y),
        (x + wide * 0.17, y),
        (x + shoulder, y + tall * 0.07),
        (x + hem, y + tall),
        (x - hem, y + tall),
        (x - shoulder, y + tall * 0.07),
    ]
    _poly(image, points, colour)
    style = int(rng.integers(5))
    if style == 0:
        for k in range(1, 7):
            _rect(
                image,
                x - hem * 0.9,
                y + tall * (0.1 + 0.13 * k),
                x + hem * 0.9,
                y + tall * (0.13 + 0.13 * k),
                np.clip(colour * 1.5 + 25, 0, 255),
            )
    elif style == 1:
        cv2.line(
            image,
            (int(x), int(y + tall * 0.05)),
            (int(x), int(y + tall)),
            tuple(float(v) for v in colour * 0.6),
            1,
            cv2.LINE_AA,
        )
    for k in (-0.5, 0.1, 0.6):
        cv2.line(
            image,
            (int(x + hem * k * 0.6), int(y + tall * 0.15)),
            (int(x + hem * k), int(y + tall)),
            tuple(float(v) for v in colour * 0.82),
            1,
            cv2.LINE_AA,
        )


def _rail(rng: Rng, image: np.ndarray, x0: float, x1: float, y: float, tall: float) -> None:
    metal = tuple(float(v) for v in np.full(3, uniform(rng, 60, 190)))
    thick = max(1, int(tall / 45))
    pitch = tall * uniform(rng, 0.1, 0.34)
    x = x0 + pitch * 0.6
    while x < x1 - pitch * 0.4:
        hanging(rng, image, x, y + tall * 0.04, pitch * uniform(rng, 0.9, 1.3), tall * uniform(rng, 0.55, 0.95))
        x += pitch
    cv2.line(image, (int(x0), int(y)), (int(x1), int(y)), metal, thick, cv2.LINE_AA)
    for end in (x0, x1):
        cv2.line(image, (int(end), int(y)), (int(end), int(y + tall * 1.25)), metal, thick, cv2.LINE_AA)


def _shelves(rng: Rng, image: np.ndarray, x0: float, x1: float, y0: float, y1: float) -> None:
    wood = _soft(rng, 70, 220)
    _rect(image, x0, y0, x1, y1, wood * 0.75)
    rows = int(rng.integers(3, 6))
    pitch = (y1 - y0) / rows
    for r in range(rows):
        bottom = y0 + (r + 1) * pitch
        x = x0 + 2.0
        while x < x1 - 6:
            wide = min(uniform(rng, 0.3, 1.0) * pitch, x1 - 2 - x)
            tall = uniform(rng, 0.3, 0.8) * pitch
            kind = int(rng.integers(4))
            if kind == 0:
                layers = int(rng.integers(2, 6))
                for k in range(layers):
                    _rect(
                        image,
                        x,
                        bottom - tall * (k + 1) / layers,
                        x + wide,
                        bottom - tall * k / layers - 0.6,
                        _cloth_colour(rng),
                    )
            elif kind == 1:
                _rect(image, x, bottom - tall, x + wide, bottom, _cloth_colour(rng))
            elif kind == 2:
                _poly(
                    image,
                    [(x + wide * 0.2, bottom - tall), (x + wide * 0.8, bottom - tall), (x + wide, bottom), (x, bottom)],
                    _cloth_colour(rng),
                )
            x += wide + uniform(rng, 1, 5)
        _rect(image, x0, bottom - max(1.0, pitch * 0.05), x1, bottom, wood)


def _posters(rng: Rng, image: np.ndarray, horizon: float) -> None:
    h, w = image.shape[:2]
    for _ in range(int(rng.integers(0, 3))):
        x, y, a = uniform(rng, 0, w), uniform(rng, 0.05, 0.3) * h, uniform(rng, 0.08, 0.2) * w
        b = a * uniform(rng, 1.0, 1.6)
        _rect(image, x - a * 1.06, y - a * 0.06, x + a * 1.06, y + b * 1.04, _soft(rng, 30, 240))
        _rect(image, x - a, y, x + a, y + b, _cloth_colour(rng))
        shape = pick(rng, (blossom(5, 0.4), star(6, 0.5), blossom(3, 0.0)))
        _poly(image, shape * a * uniform(rng, 0.3, 0.7) + (x, y + b / 2), _cloth_colour(rng))


def _lights(rng: Rng, image: np.ndarray) -> None:
    h, w = image.shape[:2]
    for _ in range(int(rng.integers(0, 6))):
        x, y, r = uniform(rng, 0, w), uniform(rng, 0, 0.12) * h, uniform(rng, 0.008, 0.03) * w
        if rng.random() < 0.5:
            _rect(image, x - r * 6, y, x + r * 6, y + r, (252, 250, 240))
        else:
            _poly(image, blossom(3, 0.0) * r + (x, y), (255, 250, 232))


def _shop(rng: Rng, w: int, h: int, level: float | None = None) -> np.ndarray:
    image = np.ascontiguousarray(_ramp(w, h, _soft(rng, 120, 245), _soft(rng, 110, 235)).clip(0, 255).astype(np.uint8))
    horizon = h * (level or uniform(rng, 0.62, 0.9))
    _posters(rng, image, horizon)
    x = uniform(rng, -0.3, 0.1) * w
    while x < w:
        wide = uniform(rng, 0.25, 0.6) * w
        kind = weighted(rng, {"rail": 4, "shelf": 4, "gap": 2, "door": 1, "plant": 0.8})
        top = h * uniform(rng, 0.12, 0.4)
        if kind == "rail":
            _rail(rng, image, x, x + wide, top, (horizon - top) * 0.78)
        elif kind == "shelf":
            _shelves(rng, image, x, x + wide, top, horizon)
        elif kind == "door":
            _rect(image, x, h * 0.1, x + wide * 0.6, horizon, _soft(rng, 40, 235))
        elif kind == "plant":
            _plant(rng, image, x + wide * 0.3, horizon, h * uniform(rng, 0.15, 0.35))
        x += wide + uniform(rng, 0.0, 0.12) * w
    _floor(rng, image, horizon)
    _lights(rng, image)
    blur = uniform(rng, 0.0, 2.6) * w / 256
    return _blurred(image, blur)


def _blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    image = image.astype(np.float32)
    return cv2.GaussianBlur(image, (0, 0), sigma) if sigma > 0.4 else image


def _plant(rng: Rng, image: np.ndarray, x: float, y: float, tall: float) -> None:
    green = np.array([60, 110, 60]) * uniform(rng, 0.6, 1.4)
    for _ in range(16):
        a, r = uniform(rng, -1.4, 1.4), tall * uniform(rng, 0.5, 1.0)
        tip = np.array([x + math.sin(a) * r * 0.7, y - tall * 0.25 - math.cos(a) * r * 0.75])
        root = np.array([x, y - tall * 0.25])
        side = np.array([-(tip - root)[1], (tip - root)[0]]) * 0.09
        _poly(
            image,
            [root, (root + tip) / 2 + side, tip, (root + tip) / 2 - side],
            np.clip(green * uniform(rng, 0.7, 1.2), 0, 255),
        )
    _poly(
        image,
        [
            (x - tall * 0.14, y - tall * 0.26),
            (x + tall * 0.14, y - tall * 0.26),
            (x + tall * 0.1, y),
            (x - tall * 0.1, y),
        ],
        _soft(rng, 60, 220),
    )


def _room(rng: Rng, w: int, h: int) -> np.ndarray:
    image = np.ascontiguousarray(_ramp(w, h, _soft(rng, 60, 240), _soft(rng, 60, 230)).clip(0, 255).astype(np.uint8))
    horizon = h * uniform(rng, 0.65, 0.92)
    if rng.random() < 0.4:
        x = uniform(rng, 0, 0.7) * w
        _rect(image, x - 3, h * 0.08, x + w * 0.3 + 3, h * 0.45, _soft(rng, 60, 240))
        _rect(image, x, h * 0.085, x + w * 0.3, h * 0.445, _soft(rng, 170, 250))
    if rng.random() < 0.35:
        colour, pitch = _cloth_colour(rng), w / float(rng.integers(6, 14))
        for k in range(int(w / pitch) + 1):
            _rect(
                image,
                k * pitch,
                h * 0.02,
                k * pitch + pitch * 0.6,
                horizon,
                np.clip(colour * (0.9 + 0.2 * (k % 2)), 0, 255),
            )
    _posters(rng, image, horizon)
    if rng.random() < 0.4:
        _plant(rng, image, uniform(rng, 0, 1) * w, horizon, h * uniform(rng, 0.2, 0.4))
    _floor(rng, image, horizon)
    return _blurred(image, uniform(rng, 0, 2.0) * w / 256)


def _street(rng: Rng, w: int, h: int) -> np.ndarray:
    image = np.ascontiguousarray(
        _ramp(w, h, _soft(rng, 150, 240) * (0.8, 0.92, 1.0), _soft(rng, 190, 250)).clip(0, 255).astype(np.uint8)
    )
    horizon = h * uniform(rng, 0.55, 0.85)
    x = -0.1 * w
    while x < w:
        wide, top = uniform(rng, 0.2, 0.5) * w, h * uniform(rng, -0.1, 0.3)
        wall = _soft(rng, 70, 210)
        _rect(image, x, top, x + wide, horizon, wall)
        glass, pitch = np.clip(wall * uniform(rng, 0.4, 1.3), 0, 255), wide / float(rng.integers(2, 6))
        for wx in np.arange(x + pitch * 0.2, x + wide - pitch * 0.5, pitch):
            for wy in np.arange(top + pitch * 0.4, horizon - pitch, pitch * 1.4):
                _rect(image, wx, wy, wx + pitch * 0.55, wy + pitch * 0.85, glass)
        x += wide
    for _ in range(int(rng.integers(0, 4))):
        tx, r = uniform(rng, 0, w), uniform(rng, 0.08, 0.2) * w
        _rect(image, tx - r * 0.1, horizon - r * 3, tx + r * 0.1, horizon, (84, 66, 52))
        for _ in range(9):
            _poly(
                image,
                blossom(7, 0.25, uniform(rng, 0, 6)) * r * 0.6
                + (tx + rng.normal(0, r * 0.5), horizon - r * 3 + rng.normal(0, r * 0.5)),
                np.array([62, 104, 58]) * uniform(rng, 0.7, 1.4),
            )
    for _ in range(int(rng.integers(0, 3))):
        cx, r, colour = uniform(rng, 0, w), uniform(rng, 0.1, 0.18) * w, _cloth_colour(rng)
        _poly(
            image,
            [
                (cx - 2 * r, horizon),
                (cx - 1.9 * r, horizon - 0.6 * r),
                (cx - r, horizon - 0.7 * r),
                (cx - 0.6 * r, horizon - 1.2 * r),
                (cx + 0.8 * r, horizon - 1.2 * r),
                (cx + 1.2 * r, horizon - 0.65 * r),
                (cx + 2 * r, horizon - 0.5 * r),
                (cx + 2 * r, horizon),
            ],
            colour,
        )
    _floor(rng, image, horizon)
    return _blurred(image, uniform(rng, 0.3, 3.0) * w / 256)


def _plain(rng: Rng, w: int, h: int) -> np.ndarray:
    return _ramp(w, h, _soft(rng, 30, 245), _soft(rng, 30, 245))


def _noise(rng: Rng, w: int, h: int) -> np.ndarray:
    image = _ramp(w, h, _soft(rng, 40, 230), _soft(rng, 40, 230))
    for _ in range(int(rng.integers(1, 4))):
        scale = uniform(rng, 3, 30)
        field = wrap_resize(periodic_noise(rng, 64, scale, scale, 1.5), (h, w))
        image += (np.asarray(random_colour(rng), np.float32) - image) * np.clip(field * 0.6, 0, 0.9)[..., None]
    return image


def pillar(canvas: Canvas, rng_colour: np.ndarray, x: float, half: float) -> None:
    """A round column in front of everything, from top to bottom."""
    box = canvas.clip(x - half, 0, x + half, canvas.height)
    if box is None:
        return
    s = ((np.arange(box[0], box[2], dtype=np.float32) + 0.5 - x) / half)[None]
    lit = 0.5 + 0.5 * np.sqrt(np.clip(1 - s * s, 0, 1)) - 0.12 * s
    rgb = np.asarray(rng_colour, np.float32) * np.repeat(lit, box[3] - box[1], 0)[..., None]
    canvas.blend(box, rgb, np.ones(rgb.shape[:2], np.float32))


def stick_on(canvas: Canvas, layer: np.ndarray, cover: np.ndarray) -> None:
    """Blends a full-size drawn layer (uint8 RGB, uint8 cover) in front of everything."""
    canvas.blend((0, 0, canvas.width, canvas.height), layer.astype(np.float32), cover.astype(np.float32) / 255)


def front_rail(canvas: Canvas, rng: Rng, x0: float, x1: float, y: float, tall: float) -> None:
    """A clothes rail between the camera and the person."""
    # Drawn on black and on white: where the two differ, the background is visible.
    seed = int(rng.integers(1 << 31))
    grounds = []
    for tone in (0, 255):
        layer = np.full((canvas.height, canvas.width, 3), tone, np.uint8)
        _rail(rng_for(seed), layer, x0, x1, y, tall)
        grounds.append(layer.astype(np.float32))
    alpha = 1 - (grounds[1] - grounds[0]).max(2) / 255
    rgb = grounds[0] / np.maximum(alpha, 0.02)[..., None]
    canvas.blend((0, 0, canvas.width, canvas.height), rgb, np.clip(alpha, 0, 1))


def bag(canvas: Canvas, rng: Rng, at: np.ndarray, scale: float) -> None:
    """A shopping bag hanging from a hand at `at`."""
    w, h = uniform(rng, 10, 19) * scale, uniform(rng, 18, 30) * scale
    x, y = float(at[0]), float(at[1]) + 7 * scale
    layer = np.zeros((canvas.height, canvas.width, 3), np.uint8)
    cover = np.zeros((canvas.height, canvas.width), np.uint8)
    colour = _cloth_colour(rng)
    shape = [(x - w, y), (x + w, y), (x + w * 0.94, y + h), (x - w * 0.94, y + h)]
    _poly(layer, shape, colour)
    _poly(layer, [(x - w, y), (x - w * 0.5, y), (x - w * 0.55, y + h), (x - w * 0.94, y + h)], colour * 0.8)
    _poly(layer, star(5, 0.5) * w * 0.4 + (x + w * 0.2, y + h * 0.5), np.clip(255 - colour, 0, 255))
    _poly(cover, shape, (255, 255, 255))
    for target, tone in ((layer, colour * 0.5), (cover, (255, 255, 255))):
        cv2.ellipse(
            target,
            (int(x), int(y)),
            (max(1, int(w * 0.5)), max(1, int(8 * scale))),
            0,
            180,
            360,
            tuple(float(v) for v in tone),
            max(1, int(scale)),
            cv2.LINE_AA,
        )
    stick_on(canvas, layer, cover)


def sneaker(canvas: Canvas, rng: Rng, heel: np.ndarray, tip: np.ndarray, scale: float) -> None:
    """A sports shoe over the foot from `heel` to `tip`: sole, cap, stripes and laces, unlike a plain shoe."""
    along = tip - heel
    if abs(along[0]) < 10 * scale:  # seen from the front it is as wide as it is high
        along = np.array([10 * scale * (1 if along[0] >= 0 else -1), along[1]])
    along, up = along * 1.15, np.array([0.0, -uniform(rng, 10, 13) * scale])
    start = heel - along * 0.1 + (0, 2.5 * scale)
    at = lambda points: start + np.asarray(points)[:, :1] * along + np.asarray(points)[:, 1:] * up
    upper, sole = _cloth_colour(rng), np.full(3, uniform(rng, 150, 250)) if rng.random() < 0.7 else _cloth_colour(rng)
    high = uniform(rng, 0.85, 1.5)
    whole = [(-0.04, 0), (-0.02, 0.7), (0.0, high), (0.36, high), (0.5, 0.75), (0.85, 0.45), (1.02, 0.3), (1.04, 0)]
    layer = np.zeros((canvas.height, canvas.width, 3), np.uint8)
    cover = np.zeros((canvas.height, canvas.width), np.uint8)
    _poly(cover, at(whole), (255, 255, 255))
    _poly(layer, at(whole), upper)
    _poly(layer, at([(0.78, 0.1), (0.8, 0.5), (1.02, 0.32), (1.05, 0.1)]), upper * uniform(rng, 0.6, 1.0) + uniform(rng, 0, 90))
    for k in range(int(rng.integers(0, 4))):
        left = 0.3 + 0.12 * k
        _poly(layer, at([(left, 0.15), (left + 0.06, 0.15), (left + 0.12, 0.8), (left + 0.06, 0.8)]), np.clip(255 - upper, 0, 255))
    lace = tuple(float(v) for v in np.full(3, uniform(rng, 40, 250)))
    for k in range(5):
        a, b = at([(0.42 + 0.08 * k, 0.82 - 0.08 * k), (0.5 + 0.08 * k, 0.58 - 0.06 * k)]).astype(int)
        cv2.line(layer, tuple(map(int, a)), tuple(map(int, b)), lace, max(1, int(0.8 * scale)), cv2.LINE_AA)
    _poly(layer, at([(-0.05, -0.02), (-0.05, 0.22), (1.05, 0.2), (1.05, -0.02)]), sole)
    stick_on(canvas, layer, cover)
