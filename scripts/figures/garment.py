"""Cloth laid on a skeleton: which strips a garment is made of, on a body or flat."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from . import cut
from .body import Skeleton, body_width, trunk_depth
from .canvas import Canvas, Light, Limb, Trunk, Wrap, paint_cloth
from .cut import Profile
from .texture import Cloth


@dataclass
class Worn:
    """A cloth as it is worn in one clip."""

    cloth: Cloth
    instance: int
    fold: int = 0
    tucked: bool = False


def bend(points: list[np.ndarray], v: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """A three-joint limb as a polyline with its middle joint rounded (plus what follows it)."""
    a, j, b = points[:3]
    if _sine(a, j, b) < 0.12:
        return np.asarray(points), np.asarray(v, np.float32)
    t = 0.24
    p, q = j + (a - j) * t, j + (b - j) * t
    middle = [p, p * 0.49 + j * 0.42 + q * 0.09, p * 0.09 + j * 0.42 + q * 0.49, q]
    lo, hi = v[1] - t * (v[1] - v[0]), v[1] + t * (v[2] - v[1])
    return np.asarray([a, *middle, b, *points[3:]]), np.asarray(
        [v[0], *np.linspace(lo, hi, 4), v[2], *v[3:]], np.float32
    )


def _sine(a: np.ndarray, j: np.ndarray, b: np.ndarray) -> float:
    u, w = j - a, b - j
    n = np.linalg.norm(u) * np.linalg.norm(w) + 1e-6
    return 1.0 if u @ w < 0 else abs(float(u[0] * w[1] - u[1] * w[0])) / n


def arm_spine(sk: Skeleton, side: str) -> tuple[np.ndarray, np.ndarray, float]:
    p = [sk.at[f"{j}_{side}"] for j in ("shoulder", "elbow", "wrist", "hand")]
    points, v = bend(p, [0.0, cut.UPPER_ARM, cut.UPPER_ARM + cut.LOWER_ARM, 62.0])
    return points, v, (sk.scale[f"elbow_{side}"] + sk.scale[f"shoulder_{side}"]) / 2


def armhole(sk: Skeleton, side: str) -> tuple[np.ndarray, np.ndarray, float, float] | None:
    """The seam between trunk and sleeve, while the arm hangs beside the trunk; None when it crosses it."""
    i = "lr".index(side)
    if abs(math.cos(sk.pose.yaw)) < 0.7 or sk.pose.arm[i] > 0.7:
        return None
    shoulder, neck, elbow = sk.at[f"shoulder_{side}"], sk.at["neck"], sk.at[f"elbow_{side}"]
    out = 1.0 if shoulder[0] > neck[0] else -1.0
    if (elbow[0] - shoulder[0]) * out < -3 * sk.scale["neck"]:
        return None
    axis = sk.at["pelvis"] - neck
    axis = axis / (np.linalg.norm(axis) + 1e-6)
    normal = np.array([axis[1], -axis[0]]) * out
    k = sk.scale["neck"]
    return shoulder - normal * 0.4 * k, normal, 7.0, 20.0


def leg_spine(sk: Skeleton, side: str) -> tuple[np.ndarray, np.ndarray, float]:
    p = [sk.at[f"{j}_{side}"] for j in ("hip", "knee", "ankle")]
    points, v = bend(p, [0.0, cut.THIGH, cut.THIGH + cut.SHIN])
    return points, v, sk.scale[f"knee_{side}"]


def trunk_spine(sk: Skeleton) -> tuple[np.ndarray, np.ndarray, float]:
    """Neck to ankles: below the hips the axis hangs down, swayed by the knees."""
    neck, waist, pelvis = sk.at["neck"], sk.at["waist"], sk.at["pelvis"]
    k = sk.scale["pelvis"]
    knees = (sk.at["knee_l"] + sk.at["knee_r"]) / 2
    feet = (sk.at["ankle_l"] + sk.at["ankle_r"]) / 2
    sway = lambda p, share, down: np.array([pelvis[0] + (p[0] - pelvis[0]) * share, pelvis[1] + down * k])
    points = np.array([neck, waist, pelvis, sway(knees, 0.7, cut.THIGH), sway(feet, 0.6, cut.THIGH + cut.SHIN)])
    return (
        points,
        np.array([0, cut.WAIST_V, cut.HIP_V, cut.HIP_V + cut.THIGH, cut.HIP_V + cut.THIGH + cut.SHIN], np.float32),
        k,
    )


def turned(width: Profile, sk: Skeleton, scale: float, yaw: float, extra: float = 0.0) -> Profile:
    """Half-width in px of an elliptic trunk seen at `yaw`."""
    v, w = width
    w = w * body_width(sk.body, v) + extra
    c, s = math.cos(yaw), math.sin(yaw)
    return v, (scale * w * np.sqrt(c * c + (trunk_depth(v) * s) ** 2)).astype(np.float32)


def trunk_turn(yaw: float) -> float:
    return math.atan2(0.62 * math.sin(yaw), math.cos(yaw))


def trunk_yaw(sk: Skeleton, lower: bool) -> float:
    return sk.pose.yaw + (0.0 if lower else 0.5 * sk.pose.twist)


def _knee_room(sk: Skeleton, profile: Profile, end: float, k: float) -> np.ndarray:
    """Extra half-width (px) a skirt needs to hang over the knees of a stride."""
    v, w = profile
    centre = (sk.at["knee_l"][0] + sk.at["knee_r"][0]) / 2
    reach = abs(sk.at["knee_l"][0] - centre) + 7.5 * k
    at_knee = float(np.interp(97, v, w))
    need = max(0.0, reach - at_knee)
    return need * np.clip((v - 60) / 37, 0, 1.3)


def paint_trunk(canvas: Canvas, sk: Skeleton, worn: Worn, light: Light) -> None:
    p = worn.cloth.product
    points, v, k = trunk_spine(sk)
    lower = p.kind == "lower"
    yaw = trunk_yaw(sk, lower)
    width = cut.trunk_profile(p)
    end = cut.trunk_end(p)
    half = turned(width, sk, k, yaw)
    if end > 66:
        half = (half[0], half[1] + _knee_room(sk, half, end, k))
    bow = 1.6 if not (lower and p.has_legs) else 0.0
    strip = Trunk(
        points,
        v,
        half,
        k,
        cut.trunk_top(p),
        end,
        bow=bow + 0.02 * max(0, end - 60),
        fade=7.0 if lower and p.has_legs else 0.0,
    )
    wrap = Wrap(width, trunk_turn(yaw), fold=worn.fold, fold_at=(17.0 * worn.fold, 31.0 * worn.fold))
    paint_cloth(canvas, strip, worn.cloth.trunk, wrap, light, worn.instance, shadow=0.0 if strip.fade else 0.42)


def paint_sleeve(canvas: Canvas, sk: Skeleton, worn: Worn, side: str, light: Light, dim: float = 1.0) -> None:
    p = worn.cloth.product
    if worn.cloth.limb is None or p.has_legs:
        return
    points, v, k = arm_spine(sk, side)
    width = cut.limb_profile(p)
    strip = Limb(points, v, (width[0], width[1] * k * sk.body.limbs), k, p.sleeve, bow=0.8, seam=armhole(sk, side))
    _paint_limb(canvas, sk, worn, strip, width, side, light, worn.cloth.shadow, dim)


def paint_leg(canvas: Canvas, sk: Skeleton, worn: Worn, side: str, light: Light, dim: float = 1.0) -> None:
    p = worn.cloth.product
    points, v, k = leg_spine(sk, side)
    width = cut.limb_profile(p)
    strip = Limb(points, v, (width[0], width[1] * k * (0.5 + 0.5 * sk.body.hips)), k, p.length, bow=0.8)
    _paint_limb(canvas, sk, worn, strip, width, side, light, 0.0 if dim < 1 else 0.35, dim)


def _paint_limb(canvas, sk, worn, strip, width, side, light, shadow, dim) -> None:
    index = worn.fold + (1 if side == "l" else 2)
    wrap = Wrap(width, trunk_turn(sk.pose.yaw), mirror=side == "l", fold=index, fold_at=(53.0 * index, 29.0 * index))
    paint_cloth(canvas, strip, worn.cloth.limb, wrap, light, worn.instance, shadow=shadow, dim=dim)
