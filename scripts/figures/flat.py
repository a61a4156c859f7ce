"""Shop pictures: the garment alone on a light background, or on a mannequin."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from . import cut
from .body import MANNEQUIN, Camera, Pose
from .canvas import Canvas, Light, Limb, Trunk, Wrap, paint_cloth, paint_plain
from .garment import Worn
from .products import Product
from .photo_cloth import cloth_of
from .util import Rng, pick, uniform
from .worn import Figure, draw_figure

GROUNDS = (
    (255, 255, 255),
    (250, 250, 250),
    (244, 243, 241),
    (238, 239, 241),
    (246, 240, 234),
    (236, 242, 244),
    (243, 236, 240),
    (232, 230, 226),
)


@dataclass
class Shot:
    """A drawn shop picture: RGB uint8 and where the product is."""

    image: np.ndarray
    box: tuple[float, float, float, float]
    mask: np.ndarray


@dataclass(frozen=True)
class Layout:
    """How a garment lies: scale (px/cm), place of its neck or waist (px), tilt, sleeve angle."""

    scale: float
    x: float
    y: float
    tilt: float
    arms: float
    legs: float

    def place(self, x: float, y: float) -> np.ndarray:
        """cm from the origin of the trunk axis to px."""
        c, s = math.cos(self.tilt), math.sin(self.tilt)
        return np.array([self.x + (x * c - y * s) * self.scale, self.y + (x * s + y * c) * self.scale])


def ground(rng: Rng, width: int, height: int) -> np.ndarray:
    """A studio background: nearly white, sometimes a pastel, a little darker to one side."""
    colour = np.asarray(pick(rng, GROUNDS), np.float32)
    if rng.random() < 0.12:
        colour = np.clip(colour - rng.uniform(0, 40, 3), 0, 255).astype(np.float32)
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    fall = 1 - uniform(rng, 0, 0.06) * y - uniform(rng, 0, 0.04) * x * x
    return colour * fall[..., None]


def extent(p: Product, arms: float, legs: float) -> tuple[float, float, float, float]:
    """The laid garment's box in cm: left, top, right, bottom on the trunk's axes."""
    v, w = cut.trunk_profile(p)
    top, end = cut.trunk_top(p), cut.trunk_end(p)
    inside = (v >= top) & (v <= end)
    half, bottom = float(w[inside].max()), end
    if p.has_legs:
        r = float(cut.limb_profile(p)[1].max())
        half = max(half, 8.2 + math.sin(legs) * p.length + r)
        bottom = cut.HIP_V + math.cos(legs) * p.length
    elif p.sleeves:
        r = float(np.interp(p.sleeve, *cut.limb_profile(p)))
        half = max(half, 12.6 + math.sin(arms) * p.sleeve + math.cos(arms) * r)
        bottom = max(bottom, 9 + math.cos(arms) * p.sleeve + math.sin(arms) * r)
    if p.neck == "hood" and p.kind != "lower":
        top -= 11
    return -half, top, half, bottom


def lay_flat(product: Product, rng: Rng, width: int, height: int, ppc: float | None = None, back: bool = False) -> Shot:
    """The product as a ghost-mannequin picture."""
    arms = uniform(rng, 0.5, 0.8) if product.sleeve < 35 else uniform(rng, 0.16, 0.36)
    legs = uniform(rng, 0.07, 0.12) if product.length < 50 else uniform(rng, 0.04, 0.10)
    left, top, right, bottom = extent(product, arms, legs)
    fill = uniform(rng, 0.78, 0.92)
    scale = fill * min(width / (right - left), height / (bottom - top))
    tilt = float(np.clip(rng.normal(0, 0.02), -0.05, 0.05))
    layout = Layout(
        scale, width / 2 + uniform(rng, -0.02, 0.02) * width, height / 2 - (top + bottom) / 2 * scale, tilt, arms, legs
    )
    canvas = Canvas(ground(rng, width, height))
    cloth = cloth_of(product, ppc or max(2.0, scale * 1.1), open="open" in product.details and not back)
    light = Light(x=uniform(rng, -0.45, 0.45), z=0.9, ambient=0.56, direct=0.5, crease=uniform(rng, 0.14, 0.24))
    paint_flat(canvas, Worn(cloth, 1, fold=int(rng.integers(6))), layout, light, back)
    return finish(canvas, rng, scale)


def paint_flat(canvas: Canvas, worn: Worn, layout: Layout, light: Light, back: bool = False) -> None:
    p, cloth = worn.cloth.product, worn.cloth
    width = cut.trunk_profile(p)
    top, end = cut.trunk_top(p), cut.trunk_end(p)
    axis = np.array([layout.place(0, 0), layout.place(0, 140)])
    legs = p.has_legs
    trunk = Trunk(
        axis,
        np.array([0, 140], np.float32),
        (width[0], width[1] * layout.scale),
        layout.scale,
        top,
        end,
        bow=0.0 if legs else 0.8,
        fade=7.0 if legs else 0.0,
    )
    wrap = lambda b: Wrap(width, flat=True, back=b, fold=worn.fold, fold_at=(19.0 * worn.fold, 7.0))
    if not back and p.kind != "lower":
        if p.neck == "hood":
            _flat_hood(canvas, layout, worn, light)
        paint_cloth(canvas, trunk, cloth.trunk, wrap(True), light, worn.instance, dim=0.55)
    for side in (-1, 1):
        if cloth.limb is not None:
            _flat_limb(canvas, worn, layout, light, side)
    paint_cloth(canvas, trunk, cloth.trunk, wrap(back), light, worn.instance, shadow=0.0 if legs else 0.25)


def _flat_limb(canvas: Canvas, worn: Worn, layout: Layout, light: Light, side: int) -> None:
    p = worn.cloth.product
    angle, origin, end = (
        (layout.legs, (8.6, cut.HIP_V), p.length) if p.has_legs else (layout.arms, (12.9, 8.5), p.sleeve)
    )
    place = lambda t: layout.place(side * (origin[0] + math.sin(angle) * t), origin[1] + math.cos(angle) * t)
    width = cut.limb_profile(p)
    spine = np.array([place(0.0), place(90.0)])
    strip = Limb(spine, np.array([0, 90], np.float32), (width[0], width[1] * layout.scale), layout.scale, end, bow=0.5)
    wrap = Wrap(width, flat=True, mirror=side < 0, fold=worn.fold + 2 + side, fold_at=(40.0 + 50 * side, 13.0))
    paint_cloth(canvas, strip, worn.cloth.limb, wrap, light, worn.instance, shadow=0.2)


def _flat_hood(canvas: Canvas, layout: Layout, worn: Worn, light: Light) -> None:
    base = np.asarray(worn.cloth.product.colours[0], np.float32)
    for grow, dim, low in ((1.0, 0.95, 6.0), (0.74, 0.5, 7.0)):
        spine = np.array([layout.place(0, -1.0), layout.place(0, low)])
        half = (np.array([0, 8], np.float32), np.array([10.5, 9.0], np.float32) * layout.scale * grow)
        paint_plain(
            canvas,
            Limb(spine, np.array([0, 8], np.float32), half, layout.scale, 99, round_end=True),
            base * dim,
            light,
            instance=worn.instance,
        )


def finish(canvas: Canvas, rng: Rng, scale: float) -> Shot:
    """Adds the soft shadow on the ground and takes the picture."""
    mask = canvas.figure
    dx, dy, blur = uniform(rng, -2.0, 2.0) * scale, uniform(rng, 0.8, 2.2) * scale, max(1.0, 2.2 * scale)
    move = np.float32([[1, 0, dx], [0, 1, dy]])
    soft = cv2.GaussianBlur(cv2.warpAffine(mask, move, (canvas.width, canvas.height)), (0, 0), blur)
    canvas.rgb *= (1 - uniform(rng, 0.12, 0.3) * soft * (1 - mask))[..., None]
    owned = canvas.owner > 0
    return Shot(np.clip(canvas.rgb, 0, 255).astype(np.uint8), box_of(owned), owned)


def box_of(mask: np.ndarray) -> tuple[float, float, float, float]:
    """The tight box of a mask's pixels, (0, 0, 0, 0) when it has none."""
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return 0.0, 0.0, 0.0, 0.0
    return float(cols[0]), float(rows[0]), float(cols[-1] + 1), float(rows[-1] + 1)


def on_mannequin(product: Product, rng: Rng, width: int, height: int, ppc: float | None = None) -> Shot:
    """The product worn by a plain grey figure, framed as shops do."""
    low = cut.trunk_end(product) if not product.has_legs else cut.HIP_V + product.length
    first = -30.0 if product.kind != "lower" else max(-30.0, cut.trunk_top(product) - uniform(rng, 8, 60))
    last = low + uniform(rng, 6, 30)
    scale = min(height / (last - first), width / 62.0)
    camera = Camera(scale, width / 2, (cut.HIP_V - first) * scale + (height - (last - first) * scale) / 2, 320, -20)
    pose = Pose(
        yaw=uniform(rng, -0.45, 0.45),
        arm_out=(uniform(rng, 0.12, 0.3),) * 2,
        spread=(0.06, 0.06),
        fore=(0.15, 0.25),
        fore_out=(0.05, 0.05),
    )
    canvas = Canvas(ground(rng, width, height))
    cloth = cloth_of(product, ppc or max(2.0, scale * 1.1), open="open" in product.details)
    light = Light(x=uniform(rng, -0.45, 0.45), z=0.9, ambient=0.52, direct=0.54, crease=0.26)
    draw_figure(canvas, Figure(MANNEQUIN, [Worn(cloth, 1, fold=int(rng.integers(6)))]), pose, camera, light)
    return finish(canvas, rng, scale)


def shop_picture(product: Product, rng: Rng, width: int, height: int, worn_share: float = 0.2) -> Shot:
    """One picture a shop would show: usually flat, sometimes on a mannequin."""
    return (
        on_mannequin(product, rng, width, height)
        if rng.random() < worn_share
        else lay_flat(product, rng, width, height)
    )
