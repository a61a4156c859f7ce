"""A plain stylised head: an egg with hair and the hint of a face."""

from __future__ import annotations

import math

import numpy as np

from .body import Skeleton
from .canvas import Canvas, Light, Limb, paint_plain
from .util import smoothstep

RX, RY = 7.5, 11.2
"""Half-axes in cm."""


def paint_head(canvas: Canvas, sk: Skeleton, light: Light) -> None:
    body, k = sk.body, sk.scale["head"]
    centre = sk.at["head"]
    turn = sk.pose.yaw + sk.pose.head
    _ears(canvas, sk, centre, turn, k, light)
    box = canvas.clip(
        centre[0] - RX * k * 1.3, centre[1] - RY * k * 1.3, centre[0] + RX * k * 1.3, centre[1] + RY * k * 1.2
    )
    if box is None:
        return
    x = ((np.arange(box[0], box[2], dtype=np.float32) + 0.5 - centre[0]) / np.float32(k * RX))[None]
    y = ((np.arange(box[1], box[3], dtype=np.float32) + 0.5 - centre[1]) / np.float32(k * RY))[:, None]
    wide = 1 - 0.20 * smoothstep(0.05, 1.05, y) + 0.10 * abs(math.sin(turn)) * (1 - smoothstep(0.2, 0.8, y))
    r = np.sqrt((x / wide) ** 2 + y * y)
    cover = np.clip((1 - r) * k * RX + 0.5, 0, 1)
    nz = np.sqrt(np.clip(1 - r * r, 0, 1))
    hx = x * math.cos(turn) - nz * math.sin(turn)
    hz = x * math.sin(turn) + nz * math.cos(turn)
    lit = light.ambient + light.direct * np.maximum(0.85 * x * light.x + (0.25 + 0.75 * nz) * light.z - 0.12 * y, -0.3)
    rgb = _face(np.asarray(body.skin, np.float32), hx, hz, y, k, body.mannequin) * lit[..., None]
    canvas.shadow(box, cover, 0, 2.6 * k, 1.8 * k, 0.45)
    canvas.blend(box, rgb, cover)
    if body.hair_style != "bald":
        _hair_cap(canvas, sk, box, x, y, wide, hx, hz, lit, k)


def _face(skin: np.ndarray, hx, hz, y, k: float, mannequin: bool) -> np.ndarray:
    rgb = np.broadcast_to(skin, y.shape[:1] + hx.shape[1:] + (3,)).copy()
    front = smoothstep(0.0, 0.35, hz)
    spot = lambda cx, cy, sx, sy: np.exp(-((((hx - cx) / sx) ** 2 + ((y - cy) / sy) ** 2) ** 2)) * front
    tint = lambda m, colour, a: np.add(rgb, (np.asarray(colour, np.float32) - rgb) * (m * a)[..., None], out=rgb)
    tint(spot(0.0, 0.33, 0.16, 0.09), skin * 0.72, 0.5)
    tint(spot(0.06, 0.12, 0.08, 0.22), skin * 1.12, 0.35)
    if mannequin:
        return rgb
    for side in (-1, 1):
        tint(spot(side * 0.40, 0.0, 0.20, 0.085), skin * 0.7, 0.55)
        tint(spot(side * 0.40, 0.01, 0.15, 0.055), (244, 242, 238), 0.8)
        tint(spot(side * 0.40, 0.01, 0.075, 0.06), (44, 32, 28), 0.95)
        tint(spot(side * 0.40, -0.17, 0.22, 0.04), skin * 0.35, 0.8)
        tint(spot(side * 0.52, 0.32, 0.26, 0.16), skin * (1.0, 0.86, 0.84), 0.4)
    tint(spot(0.0, 0.56 - 0.5 * hx * hx, 0.27, 0.055), np.asarray(skin) * (0.82, 0.5, 0.5), 0.75)
    tint(spot(0.0, 0.565 - 0.5 * hx * hx, 0.24, 0.018), skin * 0.4, 0.6)
    return rgb


def _hairline(hz: np.ndarray, style: str) -> np.ndarray:
    low = {"short": 0.42, "bob": 0.75, "long": 0.95, "tail": 0.45, "bun": 0.42}.get(style, 0.42)
    side = {"bob": 0.55, "long": 0.6}.get(style, 0.02)
    return np.interp(hz, (-1, -0.25, 0.05, 0.36, 0.7, 1), (low, low, side, -0.28, -0.52, -0.56)).astype(np.float32)


def _hair_cap(canvas: Canvas, sk: Skeleton, box, x, y, wide, hx, hz, lit, k: float) -> None:
    grow = 1.09
    r = np.sqrt((x / wide / grow) ** 2 + (np.minimum(y, 0) / grow + np.maximum(y, 0)) ** 2)
    cover = np.clip((1 - r) * k * RX + 0.5, 0, 1)
    nz = np.sqrt(np.clip(1 - r * r, 0, 1))
    turn = sk.pose.yaw + sk.pose.head
    depth = x / grow * math.sin(turn) + nz * math.cos(turn)
    line = _hairline(depth, sk.body.hair_style) + 0.05 * np.sin(hx * 9 + 1)
    mask = cover * smoothstep(0.05, -0.05, y - line)
    strands = 1 + 0.055 * np.sin(np.arctan2(hx, 0.35 - y) * 26) + 0.22 * np.exp(-(((y + 0.55 - 0.1 * hx) / 0.16) ** 2))
    rgb = np.asarray(sk.body.hair, np.float32) * (lit * strands)[..., None] + 6
    canvas.blend(box, rgb, mask)


def _ears(canvas: Canvas, sk: Skeleton, centre, turn: float, k: float, light: Light) -> None:
    if sk.body.mannequin or sk.body.hair_style in ("bob", "long"):
        return
    for side in (-1, 1):
        depth = -side * math.sin(turn)
        if depth < -0.55:
            continue
        at = centre + (side * math.cos(turn) * RX * 1.0 * k, 0.5 * k)
        spine = np.array([at + (0, -1.3 * k), at + (0, 1.5 * k)])
        half = (np.array([0, 3], np.float32), np.array([1.5, 1.1], np.float32) * k)
        paint_plain(
            canvas,
            Limb(spine, np.array([0, 3], np.float32), half, k, 99, round_end=True),
            np.asarray(sk.body.skin) * 0.88,
            light,
        )


def paint_back_hair(canvas: Canvas, sk: Skeleton, light: Light) -> None:
    """Hair that hangs behind the neck, and buns and tails."""
    style, k = sk.body.hair_style, sk.scale["head"]
    head, neck = sk.at["head"], sk.at["neck"]
    turn = sk.pose.yaw + sk.pose.head
    back = np.array([-math.sin(turn) * 5.5 * k, 0])
    colour = np.asarray(sk.body.hair, np.float32) * (0.82 if math.cos(turn) > 0 else 1.0)
    lock = lambda a, b, w0, w1: paint_plain(
        canvas,
        Limb(
            np.array([a, b]),
            np.array([0, 10], np.float32),
            (np.array([0, 10], np.float32), np.array([w0, w1], np.float32) * k),
            k,
            99,
            round_end=True,
        ),
        colour,
        light,
    )
    wide = 1 - 0.2 * abs(math.sin(turn))
    if style == "long":
        lock(head + back * 0.6 + (0, -1 * k), neck + back * 1.2 + (0, 9 * k), 8.6 * wide, 7.4 * wide)
    elif style == "bob":
        lock(head + back * 0.5 + (0, -1 * k), head + back * 0.8 + (0, 10.5 * k), 8.8 * wide, 8.0 * wide)
    elif style == "bun":
        lock(head + back * 1.1 + (0, -10.5 * k), head + back * 1.1 + (0, -11 * k), 4.2, 4.2)
    elif style == "tail":
        lock(head + back * 1.5 + (0, -3 * k), neck + back * 2.0 + (0, 8 * k), 3.4, 2.2)
