"""Silhouettes: half-widths in cm along the body and along garments, on the standard body of 173 cm.

Along the trunk, v = 0 is the base of the neck, 38 the waist, 54 the hip joints, 62 the crotch.
Along an arm, v = 0 is the shoulder, 27 the elbow, 53 the wrist; along a leg 0 the hip joint,
43 the knee, 85 the ankle.
"""

from __future__ import annotations

import numpy as np

from .products import SLEEVELESS, STRAPPED, Product

SHOULDER_V, WAIST_V, HIP_V, CROTCH_V = 6.5, 38.0, 54.0, 62.0
UPPER_ARM, LOWER_ARM, THIGH, SHIN = 27.0, 26.0, 43.0, 42.0

Profile = tuple[np.ndarray, np.ndarray]
"""(v, half-width), v ascending."""


def profile(*knots: tuple[float, float]) -> Profile:
    v, w = zip(*knots)
    return np.asarray(v, np.float32), np.asarray(w, np.float32)


def smooth(p: Profile, step: float = 0.5, radius: float = 2.0) -> Profile:
    """The profile on a fine grid with its corners rounded."""
    v = np.arange(p[0][0], p[0][-1] + step, step, dtype=np.float32)
    w = np.interp(v, *p).astype(np.float32)
    k = max(1, int(radius / step))
    padded = np.concatenate([2 * w[0] - w[k:0:-1], w, 2 * w[-1] - w[-2 : -k - 2 : -1]])
    kernel = np.hanning(2 * k + 3)[1:-1]
    return v, np.convolve(padded, kernel / kernel.sum(), mode="valid").astype(np.float32)


BODY_TRUNK = smooth(
    profile(
        (-8, 5.2),
        (0, 6.2),
        (2.5, 9.5),
        (6, 16.5),
        (9, 17.8),
        (15, 16.6),
        (22, 16.0),
        (30, 14.4),
        (38, 13.2),
        (46, 15.4),
        (54, 17.2),
        (62, 17.0),
        (66, 16.5),
    ),
    radius=2.5,
)
BODY_ARM = profile((0, 4.6), (4, 5.5), (9, 5.2), (20, 4.4), (27, 4.1), (33, 4.1), (53, 2.6), (60, 2.6))
BODY_LEG = profile((0, 9.3), (12, 8.9), (30, 6.9), (43, 5.9), (54, 5.9), (66, 4.9), (80, 3.6), (90, 3.7))


def at(p: Profile, v: float) -> float:
    return float(np.interp(v, *p))


def trunk_top(product: Product) -> float:
    """Where the trunk panel begins: above the base of the neck for a high collar."""
    if product.kind == "lower":
        return HIP_V - product.rise
    return {"turtle": -6.0, "stand": -4.0, "hood": -1.5, "shirt": -2.5, "polo": -2.0, "lapel": -1.5}.get(
        product.neck, 0.0
    )


def shoulder_line(x: float) -> float:
    """How far below the base of the neck the shoulder lies at x cm from the middle."""
    return max(0.0, 0.55 * (x - 6.2))


def trunk_end(product: Product) -> float:
    """Where the trunk panel ends, on the trunk's v axis (which runs on below the hips)."""
    if product.kind != "lower":
        return product.length
    return CROTCH_V + 1.0 if product.has_legs else HIP_V - product.rise + product.length


def trunk_profile(product: Product) -> Profile:
    """Half-width of the trunk panel along v."""
    return _lower_trunk(product) if product.kind == "lower" else _upper_trunk(product)


def _upper_trunk(p: Product) -> Profile:
    e = p.ease
    chest = 16.8 + e
    waist = chest + (13.6 + 0.6 * e - chest) * p.waist
    hip = max(17.3 + 0.7 * e, chest - 0.5)
    if p.class_id in STRAPPED:
        top = [(0, 14.0), (10, 14.6), (18, chest - 0.8)]
    elif p.class_id in SLEEVELESS:
        edge = max(13.2 + 0.4 * e, p.neck_width + 3.2)
        top = [(0, 6.9), (2.3, 10.2), (2.3 + 0.52 * (edge - 10.2), edge), (12, edge - 0.5), (17, chest - 1.6)]
    else:
        top = [(0, 6.9), (2.3, 10.2), (5.9, 17.2 + 0.45 * e), (12, 17.3 + 0.6 * e)]
    if p.neck in ("turtle", "stand"):
        top = [(-6, 6.3), (-1.5, 6.6)] + top
    elif trunk_top(p) < 0:
        top = [(trunk_top(p) - 0.5, 6.5)] + top
    knots = top + [(21, chest), (WAIST_V, waist), (HIP_V, hip)]
    if p.length > 58:
        down = p.length - HIP_V
        knots += [(HIP_V + 0.35 * down, hip + 0.45 * p.flare), (p.length + 6, hip + p.flare * (1 + 6 / down))]
    else:
        knots[-1] = (HIP_V + 6, hip + p.flare)
    return smooth(profile(*knots), radius=1.2)


def _lower_trunk(p: Product) -> Profile:
    top = trunk_top(p)
    v = np.array([top - 2, top, HIP_V, CROTCH_V, CROTCH_V + 6], np.float32)
    w = np.interp(v, *BODY_TRUNK).astype(np.float32) + np.array([0.4, 0.4, 0.6, 0.6, 0.6], np.float32) * (
        1 + 0.35 * p.ease
    )
    if p.has_legs:
        return smooth((v, w), radius=1.5)
    end = top + p.length
    hip = float(w[2]) + 0.3 * p.ease
    knots = [(top - 2, float(w[0])), (top, float(w[1]))]
    if end > HIP_V + 4:
        down = end - HIP_V
        knots += [
            (HIP_V, hip + 0.15 * p.flare),
            (HIP_V + 0.5 * down, hip + 0.6 * p.flare),
            (end + 6, hip + p.flare * (1 + 3 / down)),
        ]
    else:
        knots += [(HIP_V, hip), (end + 6, hip + p.flare)]
    return smooth(profile(*knots), radius=2.5)


def limb_end(product: Product) -> float:
    """Where a sleeve or trouser leg ends, on the limb's v axis."""
    return product.length if product.has_legs else product.sleeve


def limb_profile(product: Product) -> Profile:
    """Half-width of a sleeve or a trouser leg along the limb."""
    end = max(limb_end(product), 1.0)
    if product.has_legs:
        e, f = product.ease, product.flare
        v = np.array([0, 12, 30, 43, 66, 90], np.float32)
        body = np.interp(v, *BODY_LEG).astype(np.float32)
        ease = np.array([0.6, 0.7, 0.9, 1.1, 1.5, 1.6], np.float32) * e + 0.5
        grow = np.clip(v / end, 0, 1.2) ** 1.6 * f
        w = np.minimum(np.maximum(body + ease + grow, 4.6), 12.0 + np.clip(v / 20, 0, 4))
        w[0] = body[0] + 0.6 + 0.3 * e
        return smooth((v, w), radius=3)
    v = np.linspace(0, 62, 14, dtype=np.float32)
    body = np.interp(v, *BODY_ARM).astype(np.float32)
    start = np.clip((v + 2) / 9, 0.2, 1)
    w = body + product.sleeve_ease * start + 0.4 + np.clip(v / end, 0, 1.1) ** 2 * product.sleeve_flare
    return smooth((v, w), radius=2)
