"""A dressed figure: skin, clothes, hair and shoes, from back to front."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from . import cut
from .body import Body, Camera, Pose, Skeleton, skeleton
from .canvas import Canvas, Light, Limb, Trunk, paint_plain
from .garment import (
    Worn,
    arm_spine,
    armhole,
    leg_spine,
    paint_leg,
    paint_sleeve,
    paint_trunk,
    trunk_spine,
    trunk_yaw,
    turned,
)
from .head import paint_back_hair, paint_head

COVERING = (1, 2, 5, 10, 11, 12)
"""Classes under which no skin of the lower trunk shows."""


@dataclass
class Figure:
    """Who wears what in one clip. Garments are listed from the skin outwards."""

    body: Body
    garments: list[Worn] = field(default_factory=list)


def draw_figure(canvas: Canvas, figure: Figure, pose: Pose, camera: Camera, light: Light) -> Skeleton:
    """Paints the figure over the canvas and returns its skeleton."""
    canvas.begin_figure()
    sk = skeleton(figure.body, pose, camera)
    ground_shadow(canvas, sk, light)
    facing = math.cos(pose.yaw) > 0
    behind = [s for s in ("l", "r") if _arm_depth(sk, s) < -5.0]
    front = [s for s in ("l", "r") if s not in behind]
    if facing:
        paint_back_hair(canvas, sk, light)
    for side in behind:
        _arm(canvas, sk, figure, side, light, 0.8)
    _legs(canvas, sk, figure, light)
    _hood(canvas, sk, figure, light, before=True)
    _trunk(canvas, sk, figure, light)
    _hood(canvas, sk, figure, light, before=False)
    paint_head(canvas, sk, light)
    if not facing:
        paint_back_hair(canvas, sk, light)
    for side in sorted(front, key=lambda s: _arm_depth(sk, s)):
        _arm(canvas, sk, figure, side, light, 1.0)
    return sk


def layers(figure: Figure) -> list[Worn]:
    """The garments from the innermost one outwards."""
    order = {"lower": 1, "upper": 2, "dress": 2, "outer": 3}
    return sorted(figure.garments, key=lambda g: 0.5 if g.tucked else order[g.cloth.product.kind])


def ground_shadow(canvas: Canvas, sk: Skeleton, light: Light) -> None:
    """The dark of the floor around the feet."""
    k = sk.scale["pelvis"]
    feet = (sk.at["ankle_l"] + sk.at["ankle_r"]) / 2 + (-light.x * 10 * k, 5 * k)
    wide = (24 + abs(sk.at["ankle_l"][0] - sk.at["ankle_r"][0]) / k / 2) * k
    box = canvas.clip(feet[0] - 2 * wide, feet[1] - 14 * k, feet[0] + 2 * wide, feet[1] + 14 * k)
    if box is None:
        return
    x = ((np.arange(box[0], box[2], dtype=np.float32) - np.float32(feet[0])) / np.float32(wide))[None]
    y = ((np.arange(box[1], box[3], dtype=np.float32) - np.float32(feet[1])) / np.float32(6 * k))[:, None]
    canvas.rgb[box[1] : box[3], box[0] : box[2]] *= (1 - 0.42 * np.exp(-(x * x + y * y) * 1.6))[..., None]


def _arm_depth(sk: Skeleton, side: str) -> float:
    return 0.5 * sk.depth[f"shoulder_{side}"] + 0.25 * sk.depth[f"elbow_{side}"] + 0.25 * sk.depth[f"wrist_{side}"]


def _arm(canvas: Canvas, sk: Skeleton, figure: Figure, side: str, light: Light, dim: float) -> None:
    points, v, k = arm_spine(sk, side)
    limbs = sk.body.limbs
    skin = np.asarray(sk.body.skin) * dim
    half = (cut.BODY_ARM[0], cut.BODY_ARM[1] * k * limbs)
    if max((w.cloth.product.sleeve for w in figure.garments), default=0.0) > 40:  # only the wrist shows
        arm = Limb(points[-3:-1], v[-3:-1], half, k, 99, round_end=True)
    else:
        arm = Limb(points[:-1], v[:-1], half, k, 99, round_end=True, seam=armhole(sk, side))
    paint_plain(canvas, arm, skin, light, shadow=0.25 if dim == 1 else 0)
    _hand(canvas, sk, side, skin, light)
    for worn in figure.garments:
        paint_sleeve(canvas, sk, worn, side, light, dim)


def _hand(canvas: Canvas, sk: Skeleton, side: str, skin, light: Light) -> None:
    wrist, tip, k = sk.at[f"wrist_{side}"], sk.at[f"hand_{side}"], sk.scale[f"wrist_{side}"]
    spine = np.array([wrist, wrist + (tip - wrist) * 0.55, tip + (tip - wrist) * 0.25])
    half = (np.array([0, 5, 9, 12], np.float32), np.array([2.7, 3.9, 3.3, 1.8], np.float32) * k * sk.body.limbs)
    if np.linalg.norm(tip - wrist) > 4 * k:
        side_way = np.array([-(tip - wrist)[1], (tip - wrist)[0]]) / (np.linalg.norm(tip - wrist) + 1e-6)
        inward = side_way if side == "l" else -side_way
        if math.cos(sk.pose.yaw) < 0:
            inward = -inward
        base = wrist + (tip - wrist) * 0.3
        thumb = np.array([base, base + (tip - wrist) * 0.45 - inward * 3.4 * k])
        paint_plain(
            canvas,
            Limb(
                thumb,
                np.array([0, 5.0], np.float32),
                (np.array([0, 5], np.float32), np.array([1.6, 1.1], np.float32) * k),
                k,
                99,
                round_end=True,
            ),
            skin,
            light,
        )
    paint_plain(canvas, Limb(spine, np.array([0, 5.5, 11.0], np.float32), half, k, 99, round_end=True), skin, light)


def _legs(canvas: Canvas, sk: Skeleton, figure: Figure, light: Light) -> None:
    order = sorted(("l", "r"), key=lambda s: sk.depth[f"knee_{s}"] + sk.depth[f"ankle_{s}"] * 0.4)
    for n, side in enumerate(order):
        points, v, k = leg_spine(sk, side)
        dim = 0.86 if n == 0 and abs(math.sin(sk.pose.yaw)) > 0.35 else 1.0
        half = (cut.BODY_LEG[0], cut.BODY_LEG[1] * k * sk.body.limbs)
        covered = max((w.cloth.product.length for w in figure.garments if w.cloth.product.has_legs), default=0.0)
        if covered > 60:  # only the shin shows
            points, v = points[-2:], v[-2:]
        paint_plain(canvas, Limb(points, v, half, k, 99, round_end=True), np.asarray(sk.body.skin) * dim, light)
        _shoe(canvas, sk, side, light)
        for worn in figure.garments:
            if worn.cloth.product.has_legs:
                paint_leg(canvas, sk, worn, side, light, dim)


def _shoe(canvas: Canvas, sk: Skeleton, side: str, light: Light) -> None:
    ankle, toe, k = sk.at[f"ankle_{side}"], sk.at[f"toe_{side}"], sk.scale[f"ankle_{side}"]
    heel = ankle + (ankle - toe) * 0.25 + (0, 4.4 * k)
    tip = toe + (0, 1.6 * k)
    drop = np.array([ankle + (0, 0.5 * k), ankle * 0.45 + tip * 0.55 + (0, 1.0 * k), tip])
    length = 14.0
    half = (np.array([0, length / 2, length], np.float32), np.array([4.2, 4.3, 3.7], np.float32) * k)
    sole = Limb(
        np.array([heel, tip + (0, 1.2 * k)]),
        np.array([0, length], np.float32),
        (half[0], half[1] * 0.72),
        k,
        99,
        round_end=True,
    )
    paint_plain(canvas, sole, np.asarray(sk.body.shoe) * 0.7, light)
    paint_plain(
        canvas,
        Limb(drop, np.array([0, length / 2, length], np.float32), half, k, 99, round_end=True),
        sk.body.shoe,
        light,
    )


def _trunk(canvas: Canvas, sk: Skeleton, figure: Figure, light: Light) -> None:
    points, v, k = trunk_spine(sk)
    yaw = trunk_yaw(sk, False)
    bare = turned(cut.BODY_TRUNK, sk, k, yaw)
    closed = any(g.cloth.product.class_id in COVERING for g in figure.garments)
    end = 26.0 if closed else cut.CROTCH_V - 2
    paint_plain(canvas, Trunk(points[:4], v[:4], bare, k, -5.0, end), sk.body.skin, light)
    _neck(canvas, sk, light)
    for worn in layers(figure):
        paint_trunk(canvas, sk, worn, light)


def _neck(canvas: Canvas, sk: Skeleton, light: Light) -> None:
    neck, head, k = sk.at["neck"], sk.at["head"], sk.scale["neck"]
    spine = np.array([neck + (neck - head) * 0.25, neck, neck + (head - neck) * 0.7])
    half = (
        np.array([-5, 0, 12], np.float32),
        np.array([7.0, 6.0, 5.2], np.float32) * k * (0.5 + 0.5 * sk.body.shoulders),
    )
    paint_plain(
        canvas,
        Limb(spine, np.array([-5, 0, 12], np.float32), half, k, 99, round_end=True),
        np.asarray(sk.body.skin) * 0.9,
        light,
    )


def _hood(canvas: Canvas, sk: Skeleton, figure: Figure, light: Light, before: bool) -> None:
    """A hood lying on the back: seen behind the neck from the front, over the back from behind."""
    facing = math.cos(sk.pose.yaw) > -0.2
    for worn in figure.garments:
        p = worn.cloth.product
        if p.neck != "hood" or p.kind == "lower" or facing != before:
            continue
        k, neck = sk.scale["neck"], sk.at["neck"]
        wide = 11.5 if abs(math.cos(sk.pose.yaw)) > 0.5 else 8.5
        spine = np.array([neck + (0, -5.5 * k), neck + (0, (3.0 if before else 10.0) * k)])
        half = (np.array([0, 8], np.float32), np.array([wide, wide * 0.9], np.float32) * k)
        colour = np.asarray(p.colours[0], np.float32) * (0.8 if before else 0.95)
        paint_plain(
            canvas,
            Limb(spine, np.array([0, 8], np.float32), half, k, 99, round_end=True),
            colour,
            light,
            shadow=0.3,
            instance=worn.instance,
        )
