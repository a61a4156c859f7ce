"""A body, its pose and its skeleton on the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from . import cut
from .util import Rng, pick, uniform, weighted

SKINS = (
    (246, 214, 190),
    (234, 192, 162),
    (216, 168, 132),
    (188, 138, 102),
    (152, 104, 74),
    (112, 74, 54),
    (84, 56, 42),
)
HAIRS = (
    (32, 26, 24),
    (58, 40, 30),
    (94, 64, 42),
    (142, 100, 60),
    (196, 160, 104),
    (150, 146, 142),
    (120, 52, 34),
    (28, 28, 34),
)


@dataclass(frozen=True)
class Body:
    """Proportions relative to the standard body, and looks."""

    size: float = 1.0
    shoulders: float = 1.0
    waist: float = 1.0
    hips: float = 1.0
    limbs: float = 1.0
    skin: tuple[float, float, float] = (216, 168, 132)
    hair: tuple[float, float, float] = (58, 40, 30)
    hair_style: str = "short"
    shoe: tuple[float, float, float] = (60, 56, 54)
    mannequin: bool = False


def random_body(rng: Rng) -> Body:
    lean = rng.random() < 0.5
    skin = np.asarray(pick(rng, SKINS)) + rng.normal(0, 5, 3)
    return Body(
        size=uniform(rng, 0.92, 1.07),
        shoulders=uniform(rng, 0.93, 1.0) if lean else uniform(rng, 1.0, 1.14),
        waist=uniform(rng, 0.9, 1.0) if lean else uniform(rng, 1.0, 1.2),
        hips=uniform(rng, 0.92, 1.1),
        limbs=uniform(rng, 0.88, 1.12),
        skin=tuple(np.clip(skin, 50, 252)),
        hair=tuple(np.clip(np.asarray(pick(rng, HAIRS)) + rng.normal(0, 6, 3), 15, 240)),
        hair_style=weighted(rng, {"short": 4, "bob": 3, "long": 3, "bun": 1.5, "bald": 0.5, "tail": 1.5}),
        shoe=tuple(
            float(v)
            for v in pick(
                rng, ((40, 38, 38), (240, 240, 238), (120, 84, 58), (90, 30, 34), (70, 78, 96), (200, 196, 190))
            )
        ),
    )


MANNEQUIN = Body(skin=(226, 224, 220), hair=(226, 224, 220), hair_style="bald", shoe=(222, 220, 216), mannequin=True)


@dataclass(frozen=True)
class Pose:
    """Angles in radians. Pairs are (left of the picture, right of the picture) at yaw 0."""

    yaw: float = 0.0
    """0 faces the camera; positive turns to the right of the picture."""
    roll: float = 0.0
    twist: float = 0.0
    head: float = 0.0
    """Head's yaw against the trunk's."""
    thigh: tuple[float, float] = (0.0, 0.0)
    spread: tuple[float, float] = (0.05, 0.05)
    knee: tuple[float, float] = (0.05, 0.05)
    arm: tuple[float, float] = (0.0, 0.0)
    arm_out: tuple[float, float] = (0.14, 0.14)
    fore: tuple[float, float] = (0.2, 0.2)
    fore_out: tuple[float, float] = (0.06, 0.06)


def walking(phase: float, stride: float = 0.42, **extra) -> Pose:
    """One instant of a walk; a full cycle is 2 pi."""
    a, b = math.sin(phase), math.sin(phase + math.pi)
    bend = lambda p: 0.06 + 0.75 * stride * max(0.0, math.sin(p - 0.9)) * 1.6
    pose = Pose(
        thigh=(stride * a, stride * b),
        knee=(bend(phase + math.pi / 2), bend(phase + 3 * math.pi / 2)),
        arm=(0.85 * stride * b, 0.85 * stride * a),
        fore=(0.85 * stride * b + 0.3, 0.85 * stride * a + 0.3),
        twist=0.10 * a,
        roll=0.015 * math.cos(phase),
    )
    return replace(pose, **extra)


def random_pose(rng: Rng, phase: float) -> Pose:
    """A pose as seen from a mirror: walking or standing, mostly facing it."""
    yaw = weighted(rng, {uniform(rng, -0.35, 0.35): 5, uniform(rng, -1.0, 1.0): 4, uniform(rng, -3.14, 3.14): 1.6})
    base = (
        walking(phase, uniform(rng, 0.15, 0.5))
        if rng.random() < 0.5
        else Pose(
            spread=(uniform(rng, 0.0, 0.16), uniform(rng, 0.0, 0.16)),
            knee=(uniform(rng, 0, 0.25), uniform(rng, 0, 0.25)),
            thigh=(uniform(rng, -0.1, 0.2), uniform(rng, -0.1, 0.2)),
            roll=uniform(rng, -0.05, 0.05),
        )
    )
    arm, out, fore, fore_out = (
        list(base.arm),
        [uniform(rng, 0.06, 0.26) for _ in range(2)],
        list(base.fore),
        [uniform(rng, 0.0, 0.2) for _ in range(2)],
    )
    for i in range(2):
        gesture = weighted(rng, {"none": 10, "hip": 2, "raise": 1.2, "cross": 1.2, "hold": 1.6, "phone": 1.0})
        if gesture != "none":
            arm[i], out[i], fore[i], fore_out[i] = _gesture(rng, gesture)
    return replace(
        base,
        yaw=yaw,
        twist=uniform(rng, -0.15, 0.15),
        head=uniform(rng, -0.5, 0.5) - 0.3 * yaw * (abs(yaw) < 1.2),
        arm=tuple(arm),
        arm_out=tuple(out),
        fore=tuple(fore),
        fore_out=tuple(fore_out),
    )


def _gesture(rng: Rng, name: str) -> tuple[float, float, float, float]:
    """Upper-arm swing and spread, forearm swing and spread."""
    j = lambda: uniform(rng, -0.12, 0.12)
    return {
        "hip": (-0.15 + j(), 0.75 + j(), 0.35 + j(), -0.75 + j()),
        "raise": (0.3 + j(), 1.5 + 4 * j(), 0.4 + j(), 2.2 + 3 * j()),
        "cross": (0.35 + j(), 0.2 + j(), 1.2 + j(), -1.0 + j()),
        "hold": (0.1 + j(), 0.2 + j(), 1.3 + 2 * j(), 0.1 + j()),
        "phone": (0.6 + j(), 0.35 + j(), 2.3 + j(), -0.3 + j()),
    }[name]


@dataclass(frozen=True)
class Camera:
    """A pinhole: the body plane is `distance` cm away and shows `scale` px per cm."""

    scale: float
    cx: float
    """Where the pelvis appears (px)."""
    cy: float
    distance: float = 240.0
    level: float = -30.0
    """Height of the lens against the hip joints (cm, negative is above)."""

    def project(self, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(place on the picture, px per cm there) of a point, or of each of n x 3."""
        k = self.distance / np.maximum(self.distance - p[..., 2], 40.0)
        y = (p[..., 1] - self.level) * k + self.level
        return np.stack([self.cx + p[..., 0] * k * self.scale, self.cy + y * self.scale], -1), self.scale * k


def camera_on(
    rng: Rng,
    size: tuple[int, int],
    body: Body,
    span: float,
    top: float,
    across: tuple[float, float],
    distance: tuple[float, float],
) -> Camera:
    """A camera whose picture of `size` (width, height) shows `span` cm of the height, from `top` cm above the head downwards; the
    pelvis is between the shares `across` of the width, and `distance` a range in cm."""
    width, height = size
    scale = height / span
    return Camera(
        scale,
        width * uniform(rng, *across),
        (top + 84 * body.size) * scale,
        distance=uniform(rng, *distance),
        level=uniform(rng, -75, 5),
    )


@dataclass
class Skeleton:
    """Joints on the picture: position, px per cm and depth (cm towards the viewer)."""

    at: dict[str, np.ndarray]
    scale: dict[str, float]
    depth: dict[str, float]
    pose: Pose
    body: Body
    camera: Camera


def _rotate(p: np.ndarray, yaw: float) -> np.ndarray:
    c, s = math.cos(yaw), math.sin(yaw)
    return np.array([p[0] * c + p[2] * s, p[1], -p[0] * s + p[2] * c])


def _direction(swing: float, out: float, side: int) -> np.ndarray:
    return np.array([side * math.sin(out), math.cos(out) * math.cos(swing), math.cos(out) * math.sin(swing)])


def joints(body: Body, pose: Pose) -> dict[str, np.ndarray]:
    """3-d joints in cm: x right, y down, z towards the viewer, hip joints' level at the origin."""
    tilt = lambda p: np.array(
        [
            p[0] * math.cos(pose.roll) - p[1] * math.sin(pose.roll),
            p[0] * math.sin(pose.roll) + p[1] * math.cos(pose.roll),
            p[2],
        ]
    )
    out: dict[str, np.ndarray] = {
        "pelvis": np.zeros(3),
        "waist": tilt(np.array([0, cut.WAIST_V - cut.HIP_V, 1.0])) * (0.6, 1, 1),
    }
    out["neck"] = tilt(np.array([0.0, -cut.HIP_V, 0.0]))
    out["head"] = tilt(np.array([0.0, -cut.HIP_V - 16.2, 2.0]))
    for i, (side, name) in enumerate(((-1, "l"), (1, "r"))):
        shoulder = tilt(_rotate(np.array([side * 14.9 * body.shoulders, 9.4 - cut.HIP_V, 0.0]), pose.twist))
        elbow = shoulder + _rotate(_direction(pose.arm[i], pose.arm_out[i], side), pose.twist) * cut.UPPER_ARM
        wrist = elbow + _rotate(_direction(pose.fore[i], pose.fore_out[i], side), pose.twist) * cut.LOWER_ARM
        hand = wrist + (wrist - elbow) / cut.LOWER_ARM * 9.0
        hip = np.array([side * 8.2 * body.hips, 0.0, 0.0])
        knee = hip + _direction(pose.thigh[i], pose.spread[i], side) * cut.THIGH
        ankle = knee + _direction(pose.thigh[i] - pose.knee[i], pose.spread[i] * 0.6, side) * cut.SHIN
        toe = ankle + np.array([side * 4.0, 4.0, 15.0])
        out |= {
            f"shoulder_{name}": shoulder,
            f"elbow_{name}": elbow,
            f"wrist_{name}": wrist,
            f"hand_{name}": hand,
            f"hip_{name}": hip,
            f"knee_{name}": knee,
            f"ankle_{name}": ankle,
            f"toe_{name}": toe,
        }
    return {k: _rotate(p, pose.yaw) * body.size for k, p in out.items()}


def skeleton(body: Body, pose: Pose, camera: Camera) -> Skeleton:
    return seen(joints(body, pose), body, pose, camera)


def seen(places: dict[str, np.ndarray], body: Body, pose: Pose, camera: Camera) -> Skeleton:
    """Joints at `places` (3-d, cm) on the picture."""
    at, scale, depth = {}, {}, {}
    for name, p in places.items():
        at[name], k = camera.project(p)
        scale[name], depth[name] = float(k * body.size), float(p[2])
    return Skeleton(at, scale, depth, pose, body, camera)


def body_width(body: Body, v) -> np.ndarray:
    """The body's half-width against the standard body's, by trunk v."""
    return np.interp(
        v,
        (5, 10, 22, 38, 50, 62),
        (body.shoulders, body.shoulders, (body.shoulders + body.waist) / 2, body.waist, body.hips, body.hips),
    )


def trunk_depth(v) -> np.ndarray:
    """Front-to-back extent of the trunk against its width."""
    return np.interp(v, (0, 8, 20, 38, 54, 70, 90), (0.75, 0.5, 0.62, 0.68, 0.68, 0.8, 0.95))
