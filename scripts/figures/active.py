"""People who run, stretch and sit, in tight clothes: photographs show them too, not only people who walk and stand."""

from __future__ import annotations

from dataclasses import replace

from .body import Body, Camera, Pose, camera_on, walking
from .products import STRAPPED, Product
from .util import Rng, uniform, weighted

CLOSE = 0.6
"""Share of the tight garments of such a person."""

SIDEWAYS = (0.8, 1.57)
"""Range of yaw in which a bent leg is visible."""


def active_pose(rng: Rng, phase: float) -> Pose:
    """Running, lunging, legs apart, a leg up, sitting, leaning; arms anywhere."""
    pose = weighted(rng, {_run: 2, _lunge: 2, _astride: 2, _leg_up: 1.2, _sit: 1.5, _lean: 1.5})(rng, phase)
    arms = [_arm(rng) for _ in range(2)]
    arm, out, fore, fore_out = (tuple(values) for values in zip(*arms))
    if rng.random() < 0.5:
        pose = replace(pose, arm=arm, arm_out=out, fore=fore, fore_out=fore_out)
    return replace(pose, head=uniform(rng, -0.5, 0.5), twist=uniform(rng, -0.2, 0.2))


def _arm(rng: Rng) -> tuple[float, float, float, float]:
    """Upper-arm swing and spread, forearm swing and spread."""
    j = lambda: uniform(rng, -0.2, 0.2)
    return weighted(
        rng,
        {
            (0.0 + j(), 1.5 + j(), 0.0 + j(), 1.5 + j()): 2,  # to the side
            (0.2 + j(), 2.7 + j(), 0.2 + j(), 2.8 + j()): 2,  # overhead
            (0.3 + j(), 2.2 + j(), 0.2 + j(), -2.4 + j()): 1,  # behind the head
            (0.9 + j(), 0.2 + j(), 1.4 + j(), -0.2 + j()): 2,  # before the body
            (-0.6 + j(), 0.2 + j(), -0.3 + j(), 0.1 + j()): 1,  # behind it
            (-0.15 + j(), 0.75 + j(), 0.35 + j(), -0.75 + j()): 1,  # on the hip
        },
    )


def _side(rng: Rng) -> float:
    return uniform(rng, *SIDEWAYS) * (1 if rng.random() < 0.5 else -1)


def _run(rng: Rng, phase: float) -> Pose:
    pose = walking(phase, uniform(rng, 0.6, 1.0), yaw=uniform(rng, -1.57, 1.57))
    return replace(pose, fore=tuple(swing + 1.3 for swing in pose.arm), roll=uniform(rng, -0.08, 0.08))


def _lunge(rng: Rng, _phase: float) -> Pose:
    front, back = uniform(rng, 0.7, 1.3), uniform(rng, -0.7, -0.2)
    return Pose(yaw=_side(rng), thigh=(front, back), knee=(uniform(rng, 0.6, 1.4), uniform(rng, 0.0, 0.4)))


def _astride(rng: Rng, _phase: float) -> Pose:
    wide = uniform(rng, 0.3, 0.8)
    return Pose(
        yaw=uniform(rng, -0.5, 0.5) + (3.14 if rng.random() < 0.2 else 0.0),
        spread=(wide * uniform(rng, 0.6, 1.0), wide),
        knee=(uniform(rng, 0.0, 0.6), uniform(rng, 0.0, 0.3)),
        roll=uniform(rng, -0.15, 0.15),
    )


def _leg_up(rng: Rng, _phase: float) -> Pose:
    return Pose(yaw=_side(rng), thigh=(uniform(rng, 1.0, 1.6), uniform(rng, -0.1, 0.1)), knee=(uniform(rng, 0.4, 1.6), 0.1))


def _sit(rng: Rng, _phase: float) -> Pose:
    thigh, knee = uniform(rng, 0.9, 1.5), uniform(rng, 1.0, 1.7)
    j = lambda: uniform(rng, -0.15, 0.15)
    wide = uniform(rng, 0.05, 0.4)
    yaw = uniform(rng, -0.6, 0.6) if rng.random() < 0.3 else _side(rng)
    return Pose(yaw=yaw, thigh=(thigh + j(), thigh + j()), knee=(knee + j(), knee + j()), spread=(wide, wide))


def _lean(rng: Rng, _phase: float) -> Pose:
    return Pose(
        yaw=uniform(rng, -1.57, 1.57),
        roll=uniform(rng, 0.12, 0.4) * (1 if rng.random() < 0.5 else -1),
        thigh=(uniform(rng, -0.3, 0.5), uniform(rng, -0.3, 0.3)),
        knee=(uniform(rng, 0.0, 0.6), uniform(rng, 0.0, 0.4)),
    )


def close_fitting(rng: Rng, product: Product) -> Product:
    """The product as sportswear: tight, legs of any length, strapped tops short."""
    if rng.random() >= CLOSE or product.kind in ("outer", "dress") or product.class_id == 9:
        return product
    close = replace(product, ease=uniform(rng, -0.3, 0.4), flare=uniform(rng, -2.0, 0.0))
    if product.class_id == 8:
        return replace(close, length=uniform(rng, 50, 84))
    if product.class_id == 7:
        return replace(close, length=uniform(rng, 10, 40))
    short = uniform(rng, 26, 36) if product.class_id in STRAPPED else uniform(rng, 38, 58)
    tight = {"sleeve_ease": uniform(rng, 0.0, 0.8), "sleeve_flare": 0.0, "waist": uniform(rng, 0.5, 1.0)}
    return replace(close, length=min(product.length, short), **tight)


def part_of(rng: Rng, width: int, height: int, body: Body) -> Camera:
    """The legs alone, or less often the trunk alone."""
    legs = rng.random() < 0.65
    span, top = (uniform(rng, 70, 130), uniform(rng, -75, -40)) if legs else (uniform(rng, 60, 95), uniform(rng, -25, 0))
    return camera_on(rng, (width, height), body, span, top, (0.3, 0.7), (200, 500))
